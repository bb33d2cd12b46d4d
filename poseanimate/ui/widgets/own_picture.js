// One's own picture: a tile that takes a file, what is pasted or dropped on the part around it, and the webcam's.
// It keeps the last picture that is no example: a click brings that back while an example is chosen.
// props.value: the file as Gradio names it, while the server reads it; else "".
// props.path, props.thumbnail: of the picture in use, one's own or an example's.
// props.refused: why the last file wasn't taken. props.words, props.max_bytes: see own_picture.py.

const WAIT_S = 5; // time to step back from the webcam
const QUALITY = 0.95;
const TEXT_FIELDS = "textarea, [contenteditable], input:not([type=radio], [type=checkbox], [type=range], [type=file])";

const find = (name) => element.querySelector(`.pa-${name}`);
const tile = find("own"), input = tile.querySelector("input"), refusal = find("refused");
const dialog = find("camera"), video = dialog.querySelector("video"), countdown = find("countdown");
const part = element.closest("#character");
let last = null; // one's own picture: { path, thumbnail }
let stream = null, waiting = null;

const example = () => document.querySelector("#example :checked");

function show() {
  tile.classList.toggle("pa-filled", Boolean(last));
  tile.style.setProperty("--thumbnail", `url("${last?.thumbnail}")`);
  tile.setAttribute("aria-busy", Boolean(props.value));
  refusal.textContent = props.refused;
  refusal.hidden = !props.refused;
}

function refuse(why) {
  props.refused = why;
  props.value = "";
  show();
}

async function take(file) {
  if (!file) return;
  if (file.size > props.max_bytes) return refuse(props.words.large);
  tile.setAttribute("aria-busy", true);
  try {
    give({ ...(await upload(file)), orig_name: file.name });
  } catch {
    refuse(props.words.lost);
  }
}

function give(file) {
  props.value = JSON.stringify({ ...file, meta: { _type: "gradio.FileData" } });
  trigger("upload");
}

input.addEventListener("click", (event) => {
  if (!last || !example()) return;
  event.preventDefault();
  const { path } = last;
  last = null; // until it is shown again: the server may have it no more
  give({ path });
});
input.addEventListener("change", () => {
  take(input.files[0]);
  input.value = ""; // so that the same file can be chosen again
});
document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData?.files ?? [];
  if (!file || !element.isConnected || event.target.closest?.(TEXT_FIELDS)) return;
  event.preventDefault();
  take(file);
});
for (const type of ["dragover", "dragleave", "drop"])
  part.addEventListener(type, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    part.classList.toggle("pa-over", type === "dragover");
    if (type === "drop") take(event.dataTransfer.files[0]);
  });

// the webcam
part.classList.toggle("pa-no-webcam", !navigator.mediaDevices?.getUserMedia); // which needs HTTPS or this machine
dialog.addEventListener("open", async () => {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 960 } } });
  } catch {
    return refuse(props.words.no_webcam);
  }
  video.srcObject = stream;
  video.play().catch(() => {}); // not by itself: that is stopped for people who want no motion
  dialog.showModal();
});
function shoot() {
  if (!video.videoWidth) return; // it hasn't begun
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  dialog.close();
  canvas.toBlob((blob) => take(new File([blob], "webcam.jpg", { type: blob.type })), "image/jpeg", QUALITY);
}
function count(left) {
  countdown.textContent = left || "";
  if (!left) return shoot();
  waiting = setTimeout(count, 1000, left - 1);
}
find("now").addEventListener("click", shoot);
find("later").addEventListener("click", () => { clearTimeout(waiting); count(WAIT_S); });
find("cancel").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => {
  clearTimeout(waiting);
  countdown.textContent = "";
  for (const track of stream?.getTracks() ?? []) track.stop();
  video.srcObject = stream = null;
});

watch(["value", "refused"], show);
watch(["path", "thumbnail"], () => {
  if (props.thumbnail && !example()) last = { path: props.path, thumbnail: props.thumbnail };
  show();
});
show();
