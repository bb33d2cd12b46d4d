// Every visible text of the page whose contrast is below WCAG's AA: 4.5, or 3 where it is large. Disabled controls are exempt.
// Also counts what it looked at. Pictures behind text aren't known to it.
() => {
  const pixel = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const brush = pixel.getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = colour;
    brush.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((value, i) => value * a + below[i] * (1 - a));
  const luminance = (colour) => {
    const [r, g, b] = colour.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ancestors = (element) => (element ? [element, ...ancestors(element.parentElement)] : []);
  const background = (element) =>
    ancestors(element).reverse().reduce((below, each) => over(rgba(getComputedStyle(each).backgroundColor), below), [255, 255, 255]);
  const seen = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) &&
    element.getBoundingClientRect().width > 1 && element.getBoundingClientRect().height > 1;
  const disabled = (element) => element.closest(":disabled, [aria-disabled='true']");

  const found = [];
  let count = 0;
  const check = (element, text, style) => {
    if (!text.trim() || !seen(element) || disabled(element) || element.closest("svg, option")) return;
    count += 1;
    const behind = background(element);
    const opacity = ancestors(element).reduce((share, each) => share * getComputedStyle(each).opacity, 1);
    const [r, g, b, a] = rgba(style.color);
    const [light, dark] = [luminance(over([r, g, b, a * opacity], behind)), luminance(behind)].sort((x, y) => y - x);
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)}: ${text.trim().slice(0, 60)}`);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!element.closest("script, style, textarea")) check(element, walker.currentNode.data, getComputedStyle(element));
  }
  for (const field of document.querySelectorAll("input:not([type=range], [type=radio], [type=checkbox]), textarea")) {
    if (field.value) check(field, field.value, getComputedStyle(field));
    else check(field, field.placeholder, getComputedStyle(field, "::placeholder"));
  }
  return { count, found };
}
