// The picture with its joints: drag one, hide one, choose one of several people, or place a whole skeleton.
// It is folded under a button, and unfolds where nobody or several people were found.
// props.value: OpenPose keypoints of the picture, the character first, or "" where they are as found.
// props.content: { picture, width, height, people, outline, limbs, colours, names, standing, words }.

const NS = "http://www.w3.org/2000/svg";
const SEEN = 0.3, REACH_PX = 22, TRAY = 0.14;
const COMMIT_MS = 200; // between values while a joint is dragged
const TWICE_MS = 400; // between two taps on a joint
const HEAD = [0, 1, 14, 15, 16, 17], HEAD_SHARE = 0.2; // nose, neck, eyes and ears; the least of the picture to zoom to
const FOLLOWS = { 4: "hand_right_keypoints_2d", 7: "hand_left_keypoints_2d", 0: "face_keypoints_2d" };

const root = element.querySelector(".pa-joints");
const svg = root.querySelector("svg"), toggle = root.querySelector(".pa-fix"), editor = root.querySelector(".pa-editor");
const bar = Object.fromEntries(["name", "place", "zoom", "undo", "redo", "reset"].map((name) => [name, root.querySelector(`.pa-${name}`)]));
let people = [], dragged = null, focused = null;
let past = [], future = [], picture = null; // values before and after, of this picture
let unfolded = false; // of itself
let zoomed = false, tapped = null;
const touch = matchMedia("(hover: none)").matches;

const make = (tag, attributes, parent) => {
  const made = document.createElementNS(NS, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.appendChild(made);
  return made;
};
const body = (person) => person.pose_keypoints_2d;
const joint = (person, j) => body(person).slice(3 * j, 3 * j + 3);
const seen = (person, j) => body(person)[3 * j + 2] >= SEEN;
const choosing = () => !props.value && people.length > 1;

function read() {
  const content = props.content, another = picture !== (content?.picture ?? null);
  people = content ? JSON.parse(props.value || content.people).people : [];
  people = JSON.parse(JSON.stringify(people));
  if (another) {
    picture = content?.picture ?? null;
    past = [];
    future = [];
    zoomed = false;
    const asks = picture !== null && !props.value && people.length !== 1;
    if (asks || unfolded) fold(!asks);
    unfolded = asks;
  }
  draw();
}

function fold(folded) {
  editor.hidden = folded;
  toggle.setAttribute("aria-expanded", !folded);
}

function remember() {
  past.push(props.value);
  future = [];
}

function go(from, to) {
  if (!from.length) return;
  to.push(props.value);
  props.value = from.pop();
  read();
}

function commit() {
  const { width, height } = props.content;
  props.value = JSON.stringify({ canvas_width: width, canvas_height: height, people });
  draw();
}

// Joints that aren't seen wait in a tray at the right.
const place = (person, j) => {
  if (seen(person, j)) return joint(person, j).slice(0, 2);
  const { width, height, names } = props.content;
  const waiting = names.map((_, i) => i).filter((i) => !seen(person, i));
  const row = height / Math.max(waiting.length, 9);
  return [width * (1 + TRAY / 2), row * (waiting.indexOf(j) + 0.5)];
};

// A square around the head, where its joints are seen: on a phone they are close together.
function headOf(person) {
  const points = HEAD.filter((j) => seen(person, j)).map((j) => joint(person, j));
  if (points.length < 2) return null;
  const [left, right, top, bottom] = [0, 0, 1, 1].map((axis, i) => Math[i % 2 ? "max" : "min"](...points.map((p) => p[axis])));
  const side = Math.max(2 * (right - left), 1.4 * (bottom - top), HEAD_SHARE * props.content.width);
  return [(left + right - side) / 2, (top + bottom - side) / 2, side, side];
}

function skeleton(person, parent, attributes) {
  const group = make("g", attributes, parent);
  const { limbs, colours, width } = props.content;
  limbs.forEach(([a, b], i) => {
    if (!seen(person, a) || !seen(person, b)) return;
    const [from, to] = [joint(person, a), joint(person, b)];
    make("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1], stroke: colours[i], "stroke-width": width / 70 }, group);
  });
  return group;
}

function draw() {
  const content = props.content;
  svg.replaceChildren();
  root.classList.toggle("pa-empty", !content);
  bar.name.textContent = content ? content.words[touch ? "help_touch" : "help"] : "";
  bar.place.hidden = bar.reset.hidden = bar.zoom.hidden = true;
  bar.undo.hidden = !past.length;
  bar.redo.hidden = !future.length;
  if (!content) return;
  const { width, height, colours, names, words } = content;
  const person = people[0], editing = person && !choosing();
  const missing = editing && names.some((_, j) => !seen(person, j));
  const head = editing ? headOf(person) : null;
  const view = (zoomed && head) || [0, 0, width * (missing ? 1 + TRAY : 1), height];
  svg.setAttribute("viewBox", view.join(" "));
  bar.zoom.hidden = !touch || !head;
  bar.zoom.textContent = zoomed ? words.zoom_out : words.zoom;
  make("image", { href: content.picture, width, height, preserveAspectRatio: "none" }, svg);
  for (const line of content.outline)
    make("polygon", { points: line.join(" "), class: "pa-outline" }, svg);
  bar.place.hidden = Boolean(person);
  bar.reset.hidden = !props.value;
  if (!person || choosing()) bar.name.textContent = "";
  if (!person) return;
  if (choosing()) {
    people.forEach((each, i) => {
      const label = `${words.person} ${i + 1}`;
      const group = skeleton(each, svg, { class: "pa-person", tabindex: 0, role: "button", "aria-label": label, "data-person": i });
      const points = names.map((_, j) => j).filter((j) => seen(each, j)).map((j) => joint(each, j));
      const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
      make("rect", {
        x: Math.min(...xs) - width / 40, y: Math.min(...ys) - width / 40, rx: width / 60,
        width: Math.max(...xs) - Math.min(...xs) + width / 20, height: Math.max(...ys) - Math.min(...ys) + width / 20,
      }, group);
      const choose = () => { remember(); people = [each, ...people.filter((other) => other !== each)]; commit(); };
      group.addEventListener("click", choose);
      group.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); }
      });
    });
    return;
  }
  skeleton(person, svg, { class: "pa-bones" });
  names.forEach((name, j) => {
    const [x, y] = place(person, j), there = seen(person, j);
    const handle = make("circle", {
      cx: x, cy: y, r: Math.min(width, view[2]) / 55, fill: there ? colours[j] : "none", class: there ? "pa-joint" : "pa-joint pa-waiting",
      tabindex: j === (focused ?? 0) ? 0 : -1, role: "button", "data-joint": j,
      "aria-label": there ? `${name}, ${Math.round(x)}, ${Math.round(y)}` : `${name}, ${words.missing}`,
    }, svg);
    handle.addEventListener("focus", () => {
      svg.querySelector("circle[tabindex='0']").setAttribute("tabindex", -1); // one stop of the Tab key for all
      handle.setAttribute("tabindex", 0);
      focused = j;
      bar.name.textContent = handle.getAttribute("aria-label");
    });
    handle.addEventListener("keydown", (event) => pressed(event, j));
  });
  if (focused !== null && root.contains(document.activeElement)) refocus();
}

const refocus = () => svg.querySelector(`[data-joint="${focused}"]`)?.focus({ preventScroll: true });

function move(j, x, y) {
  const { width, height } = props.content, person = people[0];
  const before = joint(person, j), was = seen(person, j);
  const to = [Math.min(Math.max(x, 0), width - 1), Math.min(Math.max(y, 0), height - 1)];
  body(person).splice(3 * j, 3, ...to, was ? before[2] : 1);
  const followers = person[FOLLOWS[j]];
  if (followers && was)
    for (let i = 0; i < followers.length; i += 3)
      if (followers[i + 2] > 0) { followers[i] += to[0] - before[0]; followers[i + 1] += to[1] - before[1]; }
}

function hide(j) {
  body(people[0]).splice(3 * j, 3, 0, 0, 0);
  if (FOLLOWS[j]) delete people[0][FOLLOWS[j]];
}

function pressed(event, j) {
  const { width, height, names } = props.content, person = people[0];
  const step = (event.shiftKey ? 5 : 1) * Math.max(width, height) / 128;
  const arrows = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const pages = { PageDown: 1, PageUp: names.length - 1 };
  if (event.key in pages) {
    event.preventDefault();
    focused = (j + pages[event.key]) % names.length;
    return refocus();
  }
  if (event.key in arrows) {
    remember();
    const [x, y] = seen(person, j) ? joint(person, j) : [width / 2, height / 2];
    move(j, x + arrows[event.key][0], y + arrows[event.key][1]);
  } else if (event.key === "Delete" || event.key === "Backspace") {
    remember();
    hide(j);
  } else return;
  event.preventDefault();
  focused = j;
  commit();
  refocus();
}

const at = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());

function nearest(event) {
  if (!people[0] || choosing()) return null;
  const pointer = at(event), px = 1 / svg.getScreenCTM().a;
  const distances = props.content.names.map((_, j) => {
    const [x, y] = place(people[0], j);
    return Math.hypot(x - pointer.x, y - pointer.y);
  });
  const j = distances.indexOf(Math.min(...distances));
  return distances[j] <= REACH_PX * px ? j : null;
}

svg.addEventListener("pointerdown", (event) => {
  const j = nearest(event);
  if (j === null || event.button) return;
  event.preventDefault();
  dragged = { j, moved: false, committed: event.timeStamp };
  focused = j;
  refocus();
  svg.setPointerCapture(event.pointerId);
});
svg.addEventListener("pointermove", (event) => {
  if (!dragged) return;
  const pointer = at(event), { j } = dragged;
  if (!dragged.moved) remember();
  dragged.moved = true;
  if (pointer.x > props.content.width * 1.01) hide(j);
  else move(j, pointer.x, pointer.y);
  if (event.timeStamp < dragged.committed + COMMIT_MS) return draw();
  dragged.committed = event.timeStamp;
  commit();
});
const drop = (event) => {
  if (dragged?.moved) commit();
  else if (dragged) tap(dragged.j, event.timeStamp);
  dragged = null;
};
// no double click: touch screens tell of none where the first tap moves nothing on the page
function tap(j, time) {
  const twice = tapped?.j === j && time - tapped.time < TWICE_MS;
  tapped = twice ? null : { j, time };
  if (!twice || !seen(people[0], j)) return;
  remember();
  hide(j);
  commit();
}
svg.addEventListener("pointerup", drop);
svg.addEventListener("pointercancel", drop);
svg.addEventListener("touchstart", (event) => { if (nearest(event.touches[0]) !== null) event.preventDefault(); }, { passive: false });

toggle.addEventListener("click", () => {
  unfolded = false;
  fold(!editor.hidden);
});
bar.place.addEventListener("click", () => {
  const { width, height, standing } = props.content;
  const size = 0.7 * height; // room for the head above the eyes
  remember();
  people = [{ pose_keypoints_2d: standing.flatMap(([x, y]) => [width / 2 + x * size, height / 2 + y * size, 1]) }];
  commit();
});
bar.zoom.addEventListener("click", () => {
  zoomed = !zoomed;
  draw();
});
bar.reset.addEventListener("click", () => {
  remember();
  props.value = "";
  read();
});
const undo = () => go(past, future), redo = () => go(future, past);
bar.undo.addEventListener("click", undo);
bar.redo.addEventListener("click", redo);
root.addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  if (!(event.ctrlKey || event.metaKey) || !["z", "y"].includes(key)) return;
  event.preventDefault();
  key === "y" || event.shiftKey ? redo() : undo();
});

watch(["value", "content"], read);
read();
