// Small pictures of the clips that this browser has made.
// props.content: { cards: [{ id, kind, title, about, picture }], goes_on, words: { heading, remove, sure } }.
// Events: select and delete with { id }; submit when the page may have missed how a run went on.

const AWAY_MS = 5000; // a page that was hidden for less hasn't lost its connection

const SURE_MS = 4000; // within which a second click deletes
const AGAIN_MS = 3000, TRIES = 10, BUILT_MS = 100;

const root = element.querySelector(".pa-shelf");
let hidden_ms = null, asking = null;

const make = (tag, properties, parent) => {
  const made = Object.assign(document.createElement(tag), properties);
  parent?.appendChild(made);
  return made;
};

const when = (id) =>
  new Date(Number(id.slice(0, 14))).toLocaleString([], { weekday: "short", hour: "2-digit", minute: "2-digit" });

// while the page is being built answers are lost, and perhaps the event: asked again until the bar tells of the run
function ask(tries) {
  clearTimeout(asking);
  if (!props.content?.goes_on || tries === TRIES || document.querySelector("#bar .pa-sentence, #bar [role=progressbar]")) return;
  const built = document.documentElement.classList.contains("pa-built");
  if (built) trigger("submit");
  asking = setTimeout(() => ask(tries + built), built ? AGAIN_MS : BUILT_MS);
}

function read() {
  const content = props.content;
  root.replaceChildren();
  if (content) root.dataset.goesOn = content.goes_on;
  root.hidden = !content || !content.cards.length;
  ask(0);
  if (root.hidden) return;
  const { cards, words } = content;
  make("h2", { textContent: words.heading }, root);
  const list = make("ul", {}, root);
  for (const { id, title, about, picture } of cards) {
    const item = make("li", {}, list);
    const open = make("button", { type: "button", className: "pa-open", title: about }, item);
    make("img", { src: picture, alt: "" }, open);
    make("strong", { textContent: title }, open);
    make("span", { textContent: when(id) }, open);
    open.setAttribute("aria-label", `${title} ${when(id)}, ${about}`);
    open.addEventListener("click", () => {
      trigger("select", { id });
      const views = document.getElementById("views");
      if (views.getBoundingClientRect().top < 0) views.scrollIntoView({ behavior: "smooth" });
    });
    const remove = make("button", { type: "button", className: "pa-remove", textContent: "×", title: words.remove }, item);
    remove.setAttribute("aria-label", `${words.remove}: ${title}, ${when(id)}`);
    remove.addEventListener("click", () => {
      if (remove.textContent === words.sure) return trigger("delete", { id });
      remove.textContent = words.sure;
      setTimeout(() => { remove.textContent = "×"; }, SURE_MS);
    });
  }
}

// a phone that slept, or a page that was offline, asks how its run went on
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hidden_ms = Date.now();
  else if (hidden_ms !== null && Date.now() - hidden_ms > AWAY_MS) trigger("submit");
});
window.addEventListener("online", () => trigger("submit"));

watch("content", read);
read();
