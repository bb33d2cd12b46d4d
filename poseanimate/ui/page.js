// What the whole page does in the browser: title, notifications, keys, phones, people who want no motion.
() => {
  const narrow = matchMedia("(max-width: 768px)").matches;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const title = document.title;

  // some browsers keep nothing in frames of other pages
  const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const keep = (name, value) => { try { localStorage.setItem(name, value); } catch {} };

  // a page that may come back to a run shows no example before it, see style.css
  const RUNS = "poseanimate-runs";
  document.documentElement.classList.toggle("pa-returning", kept(RUNS) === "true");
  keep(RUNS, false);

  // the tab's title tells how far a run is, and a notification that it is over, to who looks elsewhere
  let goes_on = false;
  const tell = () => {
    const track = document.querySelector("#bar [role=progressbar]");
    document.title = track ? `${track.getAttribute("aria-valuenow")} % · ${title}` : title;
    if (goes_on && !track && document.hidden && document.querySelector("#bar .pa-good")) notify();
    if (goes_on !== Boolean(track)) keep(RUNS, !goes_on);
    goes_on = Boolean(track);
    hold();
  };

  // a button that can't be pressed any more loses the focus of who pressed it by key: to the other of the two
  let by_key = false;
  const hold = () => {
    if (!by_key || document.activeElement !== document.body) return;
    document.querySelector("#stop:enabled, #generate:enabled")?.focus({ preventScroll: true });
  };
  const notify = () => {
    try {
      if (Notification.permission === "granted") new Notification(document.querySelector(".pa-header").dataset.ready, { body: title }).onclick = () => window.focus();
    } catch {} // phones have none of this kind
  };
  const ask = () => {
    if (window.Notification?.permission === "default") Notification.requestPermission();
  };

  // the way from somebody else's clip to one's own
  const begin = () => {
    const part = document.getElementById("character"), toggle = part.querySelector("button");
    if (narrow && !part.querySelector("#example")?.offsetParent) toggle.click();
    part.scrollIntoView({ behavior: still ? "auto" : "smooth" });
    document.querySelector("#own input")?.focus({ preventScroll: true });
  };
  // a link to a folded part unfolds it
  const jump = (link) => {
    const part = document.querySelector(link.getAttribute("href")), toggle = part.querySelector("button.label-wrap");
    if (!toggle.classList.contains("open")) toggle.click();
    part.scrollIntoView({ behavior: still ? "auto" : "smooth" });
    toggle.focus({ preventScroll: true });
  };
  // dark or light, as the visitor last chose; the system's choice before that
  const LIGHTS = "poseanimate-dark";
  const lights = (dark) => document.body.classList.toggle("dark", dark);
  const chosen = kept(LIGHTS);
  if (chosen !== null) lights(chosen === "true");

  document.addEventListener("click", (event) => {
    if (event.isTrusted) by_key = Boolean(event.target.closest("#generate, #stop")) && event.detail === 0;
    if (event.target.closest("#generate")) {
      ask();
      if (narrow) document.getElementById("views").scrollIntoView({ behavior: still ? "auto" : "smooth" });
    }
    if (event.target.closest(".pa-skip")) {
      event.preventDefault();
      document.getElementById("generate").focus();
    }
    const link = event.target.closest(".pa-jump");
    if (link) {
      event.preventDefault();
      jump(link);
    }
    if (event.target.closest(".pa-theme")) {
      keep(LIGHTS, lights(!document.body.classList.contains("dark")));
    }
    if (event.target.closest("#bar, .pa-more")) {
      const more = document.querySelector(".pa-more");
      more.setAttribute("aria-expanded", more.getAttribute("aria-expanded") === "false");
    }
    if (!event.target.closest(".pa-own-link")) return;
    event.preventDefault();
    begin();
  });

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

  // the side bar's button is called as the bar; what the closed bar holds is out of the way of keys and screen readers
  const expand = () => {
    const bar = document.getElementById("expert"), toggle = bar?.querySelector(".toggle-button");
    const content = bar?.querySelector(".sidebar-content"), name = content?.querySelector("h2")?.textContent.trim();
    if (!name) return;
    const open = bar.classList.contains("open");
    if (toggle.getAttribute("aria-label") !== name) toggle.setAttribute("aria-label", name);
    if (toggle.getAttribute("aria-expanded") !== String(open)) toggle.setAttribute("aria-expanded", open);
    if (content.inert !== open) return;
    if (content.contains(document.activeElement)) toggle.focus();
    content.inert = !open;
  };

  // one stop of the Tab key for a row of tabs, as arrows move between them, and one for a number with a slider
  const stops = () => {
    for (const row of document.querySelectorAll("[role=tablist]")) {
      const tabs = [...row.querySelectorAll("[role=tab]")];
      const chosen = tabs.find((tab) => tab.ariaSelected === "true") ?? tabs[0];
      for (const tab of tabs) if (tab.tabIndex !== (tab === chosen ? 0 : -1)) tab.tabIndex = tab === chosen ? 0 : -1;
    }
    for (const slider of document.querySelectorAll(".block:has(input[type=number]) > .wrap input[type=range]:not([tabindex])")) slider.tabIndex = -1;
  };
  const arrow = (event) => {
    const tab = event.target.closest("[role=tab]"), tabs = [...(tab?.closest("[role=tablist]")?.querySelectorAll("[role=tab]:enabled") ?? [])];
    const at = tabs.indexOf(tab), step = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: -1 }[event.key];
    if (at < 0 || step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const next = tabs.at(step % tabs.length);
    next.click();
    next.focus();
  };

  // a file's link is called as the file, not as its size alone
  const name = () => {
    for (const link of document.querySelectorAll(".file-preview a[download]")) {
      const called = `${link.download}, ${link.textContent.replace("⇣", "").trim()}`;
      if (link.ariaLabel !== called) link.ariaLabel = called;
    }
  };

  const watch = () => {
    tell();
    expand();
    group();
    stops();
    name();
    if (still) rest();
  };
  new MutationObserver(watch).observe(document.body, { subtree: true, childList: true, attributes: true });
  document.addEventListener("keydown", (event) => {
    arrow(event);
    if (event.key === "Escape" && event.target.closest("#expert.open")) document.querySelector("#expert .toggle-button").click();
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    document.getElementById("generate")?.click();
  });
  // shown once all is there, see style.css
  const parts = ["#example input", "#own input", "#motion input", "#setting-frames input", "#generate", "#views [role=tab]", "#clip", "#contact-sheet"];
  const build = () => {
    if (!parts.every((part) => document.querySelector(part))) return setTimeout(build, 30);
    group();
    if (narrow) fold();
    setTimeout(() => document.documentElement.classList.add("pa-built"), 100);
  };
  build();
}
