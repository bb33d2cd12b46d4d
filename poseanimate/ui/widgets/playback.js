// How the stage's clip plays: speed, back and forth, sound. Clips come and go; whichever is shown is meant.

const STEP_S = 1 / 12; // backwards, browsers play nothing: the clip is wound back in steps

const root = element.querySelector(".pa-playback");
const speeds = [...root.querySelectorAll("[data-speed]")];
const back = root.querySelector(".pa-back"), sound = root.querySelector(".pa-sound");
const stage = element.closest("#views");
let speed = 1, there_and_back = false, winding = null;

const shown = () => [...stage.querySelectorAll("#clip video, #ready-made video")].find((each) => each.offsetParent);

// whether a clip has sound, each browser tells in its own way; none before it plays
const sounds = (video) => Boolean(video.mozHasAudio || video.webkitAudioDecodedByteCount || video.audioTracks?.length);

function apply() {
  const video = shown();
  root.classList.toggle("pa-off", !video); // its room stays
  if (!video) return;
  video.playbackRate = speed;
  video.loop = !there_and_back;
  sound.hidden = !sounds(video);
  const says = video.muted ? sound.dataset.off : sound.dataset.on;
  if (sound.textContent !== says) sound.textContent = says; // each change is watched, too
  if (video.dataset.watched) return;
  video.dataset.watched = "yes";
  for (const event of ["loadeddata", "volumechange", "playing"]) video.addEventListener(event, apply);
  video.addEventListener("ended", () => there_and_back && wind(video));
}

function wind(video) {
  clearInterval(winding);
  winding = setInterval(() => {
    video.currentTime = Math.max(0, video.currentTime - STEP_S);
    if (video.currentTime > 0 && there_and_back) return;
    clearInterval(winding);
    video.play();
  }, (1000 * STEP_S) / speed);
}

for (const each of speeds) {
  each.addEventListener("click", () => {
    speed = Number(each.dataset.speed);
    for (const other of speeds) other.setAttribute("aria-pressed", other === each);
    apply();
  });
}
back.addEventListener("click", () => {
  there_and_back = !there_and_back;
  back.setAttribute("aria-pressed", there_and_back);
  apply();
});
sound.addEventListener("click", () => {
  const video = shown();
  if (video) video.muted = !video.muted;
});

new MutationObserver(apply).observe(stage, { subtree: true, childList: true, attributes: true, attributeFilter: ["class", "style", "src"] });
apply();
