// Clips side by side in step: play, pause, go to a frame, choose a part.
// props.content: { panels: [{ label, still, url }], columns, rows, count, aspect, fps, start_s, notes, marks, gallery, trims, words }.
// props.value: the part that was last chosen here, as JSON: { start_s, end_s, number }, end_s 0 for "to its end"; or "".
// props.part: the part to show, likewise; null for all. Its number is that of the value it was sent after.

const root = element.querySelector(".pa-player");
const FILM_TILES = 12;
const latest = () => JSON.parse(props.value || '{"start_s": 0, "end_s": 0, "number": 0}');
let now = 0, timer = null, drawn = null, show = () => {}, place = () => {}, held = false, missed = false;

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
  if (held) { missed = true; return; } // a handle is being moved
  missed = false;
  const content = props.content, given = JSON.stringify(content);
  if (given === drawn) return; // what has the focus keeps it
  drawn = given;
  stop();
  root.replaceChildren();
  place = () => {};
  root.hidden = !content;
  if (!content) return;
  const { panels, count, aspect, fps, start_s, notes, marks, gallery, trims, words } = content;
  const part = { first: 0, last: count }; // frames that are played, without the last
  now = Math.min(now, count - 1);
  root.style.setProperty("--aspect", aspect);

  const row = make("div", { className: "pa-panels" }, root);
  const tiles = panels.map((panel) => {
    const figure = make("figure", {}, row);
    const tile = make("div", { className: "pa-tile" }, figure);
    tile.style.aspectRatio = aspect;
    tile.setAttribute("role", "img");
    make("figcaption", { textContent: panel.label }, figure);
    return tile;
  });
  if (trims) addFilm(content, part);

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
    if (thumbnails.length) follow(thumbnails[index]);
    play.textContent = timer ? "❚❚" : "▶";
    play.setAttribute("aria-label", timer ? words.pause : words.play);
  };
  // the strip follows, except who looks for a frame in it; scrollIntoView would move the page, too
  const follow = (tile) => {
    const strip = tile.parentElement, room = strip.clientWidth - tile.offsetWidth;
    if (strip.matches(":hover, :focus-within")) return;
    const at = tile.offsetLeft - strip.scrollLeft;
    if (at < 0 || at > room) strip.scrollLeft = tile.offsetLeft - room / 2;
  };
  const run = () => {
    timer = setInterval(() => {
      if (!element.isConnected) stop();
      else if (element.offsetParent) show(now + 1 < part.last && now >= part.first ? now + 1 : part.first);
    }, 1000 / fps);
  };
  play.addEventListener("click", () => { timer ? stop() : run(); show(now); });
  range.addEventListener("input", () => { stop(); show(Number(range.value)); });
  if (count > 1 && !trims && !matchMedia("(prefers-reduced-motion: reduce)").matches) run();
  show(now);
}

// The clip as a strip of film, with a handle at each end of the part.
function addFilm(content, part) {
  const { panels, count, aspect, fps, start_s, words } = content;
  const film = make("div", { className: "pa-film" }, root);
  const few = Math.min(count, FILM_TILES);
  for (let i = 0; i < few; i++) {
    const tile = make("div", {}, make("span", {}, film));
    tile.style.aspectRatio = aspect;
    laid(tile, content, panels[0], Math.floor(((i + 0.5) * count) / few));
  }
  const before = make("i", {}, film), after = make("i", {}, film);
  const handles = ["first", "last"].map((end) => {
    const handle = make("div", { className: `pa-handle pa-${end}`, tabIndex: 0 }, film);
    handle.setAttribute("role", "slider");
    handle.setAttribute("aria-label", end === "first" ? words.from : words.until);
    return handle;
  });
  const line = make("div", { className: "pa-trims" }, root);
  const said = make("output", {}, line);
  const whole = make("button", { type: "button", textContent: words.whole }, line);

  const seconds = (frame) => start_s + frame / fps;
  // rounded down: a time a moment after a frame's would miss it
  const exact = (frame) => (frame === 0 ? start_s : Math.floor(1000 * seconds(frame) + 0.001) / 1000);
  const draw = () => {
    const { first, last } = part;
    before.style.width = `${(100 * first) / count}%`;
    after.style.width = `${(100 * (count - last)) / count}%`;
    handles[0].style.left = before.style.width;
    handles[1].style.right = after.style.width;
    [[first, 0, last - 1], [last, first + 1, count]].forEach(([frame, low, high], i) => {
      const slider = { now: exact(frame), min: exact(low), max: exact(high), text: `${seconds(frame).toFixed(2)} s` };
      for (const [name, value] of Object.entries(slider)) handles[i].setAttribute(`aria-value${name}`, value);
    });
    said.textContent = `${words.part}: ${seconds(first).toFixed(2)} ${words.to} ${seconds(last).toFixed(2)} s`;
    whole.hidden = first === 0 && last === count;
  };
  const move = (end, frame) => {
    stop();
    if (end === "first") part.first = Math.min(Math.max(frame, 0), part.last - 1);
    else part.last = Math.min(Math.max(frame, part.first + 1), count);
    draw();
    show(end === "first" ? part.first : part.last - 1);
  };
  const tell = () => {
    held = false;
    const last = part.last === count ? 0 : exact(part.last);
    props.value = JSON.stringify({ start_s: exact(part.first), end_s: last, number: latest().number + 1 });
    if (missed) update();
  };

  handles.forEach((handle, i) => {
    const end = i ? "last" : "first";
    let grip = 0; // from the pointer to the end of the part
    handle.addEventListener("pointerdown", (event) => {
      const { left, width } = film.getBoundingClientRect();
      grip = left + (width * part[end]) / count - event.clientX;
      handle.setPointerCapture(event.pointerId);
      held = true;
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const { left, width } = film.getBoundingClientRect();
      move(end, Math.round(((event.clientX + grip - left) * count) / width));
    });
    for (const type of ["pointerup", "pointercancel"]) handle.addEventListener(type, () => held && tell());
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -count, End: count };
    handle.addEventListener("keydown", (event) => {
      if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      held = true;
      move(end, part[end] + steps[event.key]);
    });
    for (const type of ["keyup", "blur"]) handle.addEventListener(type, () => held && tell());
  });
  whole.addEventListener("click", () => {
    Object.assign(part, { first: 0, last: count });
    draw();
    tell();
  });

  place = () => {
    if (held) return;
    const overtaken = props.part && props.part.number < latest().number;
    const { start_s: from, end_s: until } = overtaken ? latest() : props.part ?? { start_s: 0, end_s: 0 };
    const frame = (time) => Math.round((time - start_s) * fps);
    part.first = Math.min(Math.max(frame(from), 0), count - 1);
    part.last = until ? Math.min(Math.max(frame(until), part.first + 1), count) : count;
    draw();
    if (now < part.first || now >= part.last) show(part.first);
  };
  draw();
}

function update() {
  read();
  place();
}

watch("content", update);
watch("part", () => place());
update();
