// Clips side by side in step: play, pause, go to a frame, choose a part.
// props.content: { panels: [{ label, still, url }], columns, rows, count, aspect, fps, start_s, notes, marks, gallery, trims, words }.
// props.value: the part that was chosen, as JSON: { start_s, end_s }, end_s 0 for "to its end"; or "".

const root = element.querySelector(".pa-player");
let now = 0, timer = null, show = () => {};

const make = (tag, properties, parent) => {
  const made = Object.assign(document.createElement(tag), properties);
  parent?.appendChild(made);
  return made;
};

function laid(tile, content, panel, index) {
  const { columns, rows } = content;
  const share = (at, of) => (of > 1 ? `${(100 * at) / (of - 1)}%` : "0%");
  tile.style.backgroundImage = `url("${panel.url}")`;
  tile.style.backgroundSize = panel.still ? "100% 100%" : `${100 * columns}% ${100 * rows}%`;
  tile.style.backgroundPosition = panel.still ? "0 0" : `${share(index % columns, columns)} ${share(Math.floor(index / columns), rows)}`;
}

function stop() {
  clearInterval(timer);
  timer = null;
}

function read() {
  stop();
  root.replaceChildren();
  const content = props.content;
  root.hidden = !content;
  if (!content) return;
  const { panels, count, aspect, fps, start_s, notes, marks, gallery, trims, words } = content;
  now = Math.min(now, count - 1);

  const row = make("div", { className: "pa-panels" }, root);
  const tiles = panels.map((panel) => {
    const figure = make("figure", {}, row);
    const tile = make("div", { className: "pa-tile" }, figure);
    tile.style.aspectRatio = aspect;
    tile.setAttribute("role", "img");
    make("figcaption", { textContent: panel.label }, figure);
    return tile;
  });

  const bar = make("div", { className: "pa-scrub" }, root);
  const play = make("button", { type: "button", className: "pa-play" }, bar);
  const track = make("div", { className: "pa-range" }, bar);
  if (marks.length) {
    const bars = make("div", { className: "pa-marks" }, track);
    bars.setAttribute("aria-hidden", "true");
    marks.forEach((mark) => {
      const each = make("span", { className: mark ? "" : "pa-none" }, bars);
      each.style.height = `${mark ? 100 * mark : 100}%`;
    });
  }
  const range = make("input", { type: "range", min: 0, max: count - 1, step: 1 }, track);
  range.setAttribute("aria-label", words.frame);
  const told = make("output", { className: "pa-told" }, bar);

  const thumbnails = [];
  if (gallery !== null) {
    const strip = make("div", { className: "pa-strip" }, root);
    for (let i = 0; i < count; i++) {
      const thumbnail = make("button", { type: "button", className: "pa-tile" }, strip);
      thumbnail.style.aspectRatio = aspect;
      thumbnail.setAttribute("aria-label", `${words.frame} ${i + 1}`);
      laid(thumbnail, content, panels[gallery], i);
      thumbnail.addEventListener("click", () => { stop(); show(i); });
      thumbnails.push(thumbnail);
    }
  }
  if (trims) {
    const row = make("div", { className: "pa-trims" }, root);
    const part = () => ({ start_s, end_s: 0, ...JSON.parse(props.value || "{}") });
    const at = (i) => Math.round((start_s + i / fps) * 1000) / 1000;
    const choose = (label, part_of) =>
      make("button", { type: "button", textContent: label }, row).addEventListener("click", () => {
        props.value = JSON.stringify(part_of());
      });
    choose(words.from, () => ({ ...part(), start_s: at(now) }));
    choose(words.until, () => ({ ...part(), end_s: at(now + 1) }));
    choose(words.whole, () => ({ start_s: 0, end_s: 0 }));
  }

  show = (index) => {
    now = index;
    range.value = index;
    const said = [`${words.frame} ${index + 1} ${words.of} ${count}`, `${(start_s + index / fps).toFixed(2)} s`];
    if (notes[index]) said.push(notes[index]);
    told.textContent = said.join(" · ");
    range.setAttribute("aria-valuetext", told.textContent);
    tiles.forEach((tile, i) => {
      laid(tile, content, panels[i], index);
      tile.setAttribute("aria-label", panels[i].still ? panels[i].label : `${panels[i].label}, ${words.frame} ${index + 1}`);
    });
    thumbnails.forEach((each, i) => each.setAttribute("aria-current", i === index));
    play.textContent = timer ? "❚❚" : "▶";
    play.setAttribute("aria-label", timer ? words.pause : words.play);
  };
  const run = () => {
    timer = setInterval(() => {
      if (!element.isConnected) stop();
      else if (element.offsetParent) show((now + 1) % count);
    }, 1000 / fps);
  };
  play.addEventListener("click", () => { timer ? stop() : run(); show(now); });
  range.addEventListener("input", () => { stop(); show(Number(range.value)); });
  if (count > 1 && !trims && !matchMedia("(prefers-reduced-motion: reduce)").matches) run();
  show(now);
}

watch("content", read);
read();
