// Files for a motion: dropped anywhere on its part, or chosen; what is too large is refused by a sentence that stays.
// props.max_bytes, props.words: see dropped.py. The files go to Gradio's field (#motion-file), as if chosen there.

const part = element.closest("#motion-part"), said = element.querySelector("p");
const WAIT_MS = 50, TRIES = 100;

function refuse(files) {
  const large = [...files].find((file) => file.size > props.max_bytes);
  said.hidden = !large;
  if (large) said.textContent = props.words.large.replace("{}", large.name).replace("{}", Math.ceil(large.size / 1e6));
  return Boolean(large);
}

const field = () => part.querySelector("#motion-file [data-testid=upload-text] ~ input[type=file]"); // of an empty one

async function give(files) {
  const tab = [...files].every((file) => /^video\/|gif$/.test(file.type)) ? "video" : "file";
  if (!part.querySelector("#motion-file")) part.querySelector(`#motion-from input[value=${tab}]`).click();
  for (let tries = 0; tries < TRIES; tries++) {
    const input = field();
    if (input) {
      input.files = files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
      return;
    }
    part.querySelector("#motion-file button[aria-label=Clear]")?.click();
    await new Promise((done) => setTimeout(done, WAIT_MS));
  }
}

// Gradio's field has another name than what is read on it
const name = () => part.querySelector("#motion-file button:has([data-testid=upload-text])")?.removeAttribute("aria-label");
new MutationObserver(name).observe(part, { subtree: true, childList: true });
name();

part.addEventListener("change", (event) => {
  if (event.target.type !== "file" || !refuse(event.target.files)) return;
  event.stopPropagation();
  event.target.value = "";
}, true);
part.addEventListener("dragover", (event) => event.preventDefault());
part.addEventListener("drop", (event) => {
  const { files } = event.dataTransfer;
  if (!files.length) return;
  const here = event.target.closest("#motion-file") && field();
  if (here && !refuse(files)) return; // Gradio's own
  event.preventDefault();
  event.stopPropagation();
  if (!refuse(files)) give(files);
}, true);
