// What the whole page does in the browser: title, keys, phones, people who want no motion.
() => {
  const narrow = matchMedia("(max-width: 768px)").matches;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const title = document.title;

  // the tab's title tells how far a run is
  const tell = () => {
    const track = document.querySelector("#bar [role=progressbar]");
    document.title = track ? `${track.getAttribute("aria-valuenow")} % · ${title}` : title;
  };

  // a phone's parts are closed at first; the picture and the buttons are what it shows
  const fold = () => {
    for (const toggle of document.querySelectorAll(".pa-part > button")) toggle.click();
  };

  const rest = () => {
    for (const video of document.querySelectorAll("video[autoplay]")) {
      video.autoplay = false;
      video.pause();
    }
  };

  const watch = () => {
    tell();
    if (still) rest();
  };
  new MutationObserver(watch).observe(document.body, { subtree: true, childList: true, attributes: true });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    document.getElementById("generate")?.click();
  });
  if (narrow) fold();
}
