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

  // radio buttons of a group are one stop of the Tab key, and arrows move between them
  const group = () => {
    for (const set of document.querySelectorAll("fieldset")) {
      const [first, ...others] = set.querySelectorAll("input[type=radio]");
      for (const each of others) if (each.name !== first.name) each.name = first.name;
    }
  };

  // a file that is dropped beside its place doesn't take the page's
  for (const type of ["dragover", "drop"])
    document.addEventListener(type, (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); });

  const rest = () => {
    for (const video of document.querySelectorAll("video[autoplay]")) {
      video.autoplay = false;
      video.pause();
    }
  };

  const watch = () => {
    tell();
    group();
    if (still) rest();
  };
  new MutationObserver(watch).observe(document.body, { subtree: true, childList: true, attributes: true });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    document.getElementById("generate")?.click();
  });
  // shown once all is there, see style.css
  const parts = ["#example input", "#own input", "#motion input", "#setting-frames input", "#generate", "#views [role=tab]"];
  const build = () => {
    if (!parts.every((part) => document.querySelector(part))) return setTimeout(build, 30);
    group();
    if (narrow) fold();
    setTimeout(() => document.documentElement.classList.add("pa-built"), 100);
  };
  build();
}
