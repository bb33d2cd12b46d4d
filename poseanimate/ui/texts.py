"""All text of the page and the HTML around it. Outside text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from poseanimate.events import Done, Forecast, Placed
from poseanimate.media import PICTURE_KINDS, PictureLimits, VideoLimits
from poseanimate.poses.pata import Alignment, Finding, FindingCode, Severity

TITLE = "PoseAnimate"
INTRO = "Make a still character move: choose a picture and a motion."
SKIP = "Skip to Generate"
OPEN_PROJECT, ABOUT_LINK = "Open a project", "About"
DARK_OR_LIGHT = "Dark or light"

CHARACTER = "1 · Character"
PICTURE = "Picture"
EXAMPLE = "Examples"
MOST_MB = PictureLimits().max_bytes // 10**6
WEBCAM, OTHER_WAYS, SURPRISE = "Webcam", "or paste, or drop a picture here", "Surprise me"
KEPT = "The picture before it stays."
OWN_PICTURE = {
    "label": "Your picture",
    "kinds": f"{PICTURE_KINDS} file",
    "large": f"The picture is too large: at most {MOST_MB} MB are read. Save it smaller. {KEPT}",
    "lost": f"The picture couldn't be sent. Check your connection, and choose it again. {KEPT}",
    "no_webcam": "The webcam can't be used. Allow it in the browser, or choose a file.",
    "whole": "Step back until you are seen from head to feet.",
    "now": "Take the picture",
    "later": "In 5 seconds",
    "cancel": "Cancel",
}
FIX_POSE = "Fix pose…"
PROMPT = "Description"
PROMPT_HELP = 'What the picture shows. Start with the character, e.g. "a girl in a red shirt".'
USE = "Use: "
WORDS = "Words for the character"
WORDS_HELP = (
    "The character is found by them where masks come from attention (Advanced, Frame masks)."
)
FOUND = "What was found"
FOUND_ALT = "The picture with its joints, which can be dragged"
FOUND_HELP = (
    "Drag a joint that is wrong; a double click hides one. "
    "By keyboard: arrows, Delete, and Page Down for the next one."
)
FOUND_HELP_TOUCH = "Drag a joint that is wrong; two taps hide one."
PLACE = "Place a skeleton"
ZOOM, ZOOM_OUT = "Zoom to the head", "Whole picture"
UNDO, REDO = "Undo", "Redo"
AS_FOUND = "Reset pose"
PERSON, MISSING = "person", "not seen"
CHOOSE_ONE = "Click the character to animate."
PLACE_ONE = "Place a skeleton and drag its joints where they belong, or choose another picture."
DRAWN_AROUND = "Couldn't see the outline, so we drew one around the joints."

MOTION = "2 · Motion"
MOTION_FROM = "Where the motion comes from"
FROM_PRESET, FROM_VIDEO, FROM_FILE = "preset", "video", "file"
MOTION_CHOICES = [("Ready-made", FROM_PRESET), ("Video", FROM_VIDEO), ("Pose", FROM_FILE)]
PRESET_MOTION = "Ready-made motions"
MOTION_FILES = {
    FROM_VIDEO: "Video: MP4, MOV, WebM, GIF, …",
    FROM_FILE: "Skeletons, pose JSON, BVH, pictures",
}
TOO_LARGE = (
    f"{{}} is too large: {{}} MB, at most {VideoLimits().max_bytes // 10**6} MB are read. "
    "Cut it or save it smaller."
)
RECORD = "Webcam"
ADJUST_FILE = "Adjust"
START = "Start, s"
TIMELINE = "What was found, frame by frame"
VIDEO_SEEN, POSES_SEEN = "video, with the skeleton that was found", "poses"
JOINTS_SEEN, NOBODY_SEEN = "{} of 18 joints", "nobody found"
PLAYER = {
    "frame": "frame",
    "of": "of",
    "play": "Play",
    "pause": "Pause",
    "from": "Start",
    "until": "End",
    "part": "Part",
    "to": "to",
    "whole": "Whole motion",
}
END = "End, s (empty: to the end)"
STRIDE = "Use every _th frame"
FPS = "Poses a second (empty: own)"
SOUND = "The video's sound"
SOUND_HELP = "A clip that shows the whole video, once, has its sound."
HAS_SOUND = "The clip has the sound of the video."
NO_SOUND = "The clip is silent."
ROTATE = "Rotate"
ROTATIONS = [("no", 0), ("90° clockwise", 90), ("180°", 180), ("90° anticlockwise", 270)]
REPAIR = "Repair faults of tracking"
REPAIR_HELP = "Swaps left and right back where they were swapped, and drops joints that jump away."

ALIGNED = "The motion, over the character"
DRAFT, PLAYING, IN_A_STRIP, AS_IT_CAME = "draft", "playing", "strip", "before"
ALIGNMENT_VIEWS = [
    ("Draft: cut out and moved", DRAFT),
    ("Skeleton, playing", PLAYING),
    ("Skeleton, all frames", IN_A_STRIP),
    ("Original motion", AS_IT_CAME),
]
ALIGNMENT_VIEW = "What is shown"
ADJUST = "Adjust the motion"
SAID_BY_BUTTON = {FindingCode.SHOWN_IN_PART, FindingCode.SHORTER_THAN_ASKED, FindingCode.SEEN_LATE}
FIX = {  # settings and choices of motion that a click on a finding's remedy changes
    "anchor": "Pin to the spot",
    "mirror": "Mirror the motion",
    "frames": "Show all",
    "loop": "Repeat the motion",
    "start_s": "Start there",
    "end_s": "End earlier",
    "stride": "Use fewer frames",
    "rotate": "Rotate the motion",
    "repair": "Repair the motion",
}
ALIGNED_ALT = "The clip's poses: the character moved, or skeletons over the picture"
DRAFT_IS_RESULT = (
    "The demo models can't paint this picture, so here the draft is the result; Stable Diffusion can, "
    "on a machine with a GPU (--models sd15)."
)
DRAFT_DOWNLOAD = "Make the draft at full size"
DRAWING_DRAFT = "Drawing the draft …"
DRAFT_FILES = "Draft at the picture's size: clip, and the character alone, transparent (WebM)"

CLIP_PART = "3 · Clip"
QUALITY = "Quality"
QUALITIES = [("Fast (seconds)", "fast"), ("Good (a minute)", "balanced"), ("Paper (slow)", "paper")]

EXPERT = "Expert"
EXPERT_HEADING = "## Expert"
FIGURES_HEADING = "### Details"
SETTINGS_PRESET = "Preset"
POCKET_PRESETS = (
    "fast: guidance 1, where no embedding needs to be optimised. "
    "balanced: guidance 2, with PACM's first optimisation. Both have direct inversion, and "
    "ControlNet counts more where the character is new. "
)
OTHER_PRESETS = (
    "fast and balanced: fewer steps and less guidance than the paper, and PACM for the picture alone. "
    "few-step: eight steps, for models with a LoRA that was trained for so few. "
)
COMMON_PRESETS = (
    "paper: the paper's values, slow. baseline-…: without the paper's modules, to compare with."
)
NORMALISE = "Make them add up to 1"
RESET = "Reset"
MOST_NAMED = 3  # of the settings that were changed
WRONG_SUM = "λ1 + λ2 + λ3 must be 1: see Expert."
ADVANCED = "Advanced"
LABELS = {
    "frames": "Length (frames)",
    "anchor": "Movement",
    "num_inference_steps": "Steps (T)",
    "inner_steps": "Inner steps (n)",
    "guidance_scale": "Prompt strength (w)",
    "controlnet_emphasis": "ControlNet's emphasis",
    "controlnet_text": "ControlNet's text",
    "lambda_first": "First frame (λ1)",
    "lambda_prev": "Frame before (λ2)",
    "lambda_self": "Itself (λ3)",
    "pata": "Alignment (PATA)",
    "pacm_source": "Matching the picture (PACM)",
    "pacm_pose": "Matching each pose (PACM)",
    "dcam": "Consistency (DCAM)",
    "mgdm": "Masks (MGDM)",
}
SELF_EXPLAINING = frozenset(
    {"frames", "lambda_first", "lambda_prev", "lambda_self"}
    | {"pata", "pacm_source", "pacm_pose", "dcam", "mgdm"}
)

GENERATE = "Generate"
STOP = "Stop"
# a phone's bar has a line of what is said
UNFOLD_BAR = (
    '<button type="button" class="pa-more" aria-expanded="false" aria-label="All of it"></button>'
)
CONTACT_SHEET = "Frames"
CONTACT_SHEET_ALT = (
    "The clip's frames in reading order: finished ones, and skeletons where a frame is to come"
)
CLIP = "Clip"
DRAFT_TAB = "Draft"
FRAMES_TAB = "Frames"
READY_MADE = "Example"
READY_MADE_ALT = "A ready-made clip of this character in this motion"
SIDE_BY_SIDE = "Frame by frame"
SIDE_PICTURE, SIDE_CLIP, SIDE_POSES = "picture", "clip", "poses"
DOWNLOADS = "Download"
DOWNLOADS_HELP = "Clip, transparent WebM, frames, and the project to open again"
RESTORE = "Open a saved project"
BUNDLE = "A project (ZIP) that was downloaded here: picture, motion, settings and clip"

SHARE = "Share this clip"
UNSHARE = "Stop sharing"
SHARE_DRAFT = "Share this draft"
SHARE_DRAFT_HELP = (
    "Nothing is shared until you click. Then whoever has the link sees the draft at full size, the picture, the motion "
    "and the settings, for 30 days at most."
)
SHARE_LINK = "Link"
SHARE_HELP = (
    "Nothing is shared until you click. Then whoever has the link sees the clip, the picture, the motion and the "
    "settings, for 30 days at most."
)
IS_SHARED = "Shared. Copy the link; while this page is open you can take it back here."
SHARED_BEFORE = "The link is that of the clip before. Share again for a link to this one."
TAKEN_BACK = "Taken back: the link leads nowhere any more."
NOT_THERE = "It isn't shared any more."
NO_DRAFT = "There is no draft yet, or the motion can't be used: Motion says why."
NOTHING_TO_SHARE = "There is no clip yet that was made here. Generate one first."
DRAFT_OPENED = (
    "Somebody shared this draft with you: the character cut out and moved. Generate paints it; upload your own picture "
    "to see it move like that."
)
OPENED = "Somebody shared this clip with you. Upload your own picture to see it move like that."
COMPARISON_HELP = "Compare versions of this clip side by side."
BY_MODULES, BY_VALUES = "modules", "values"
COMPARISON_KINDS = [("Modules off, one at a time", BY_MODULES), ("Values of a setting", BY_VALUES)]
ALL_OFF = "All modules are off already."
ALL_OFF_REMEDY = "Turn some on (Expert), or compare values of a setting."
SWEPT, SWEPT_VALUES = "Setting", "Values, with commas"
COMPARE = "Compare"
SETTINGS_TEXT = "Copy and paste settings"
SETTINGS_TEXT_HELP = (
    "What differs from the paper's settings. Copy it to keep it, or paste other settings here."
)
CURRENT_SETTINGS = "Show current settings"
USE_SETTINGS = "Use these settings"
SETTINGS_USED = "These settings are used now."
YOURS = "your settings"
GRID = "Compared"

ABOUT = "About: method, licences, limits, what is private"
ABOUT_METHOD = (
    "An independent implementation of *Zero-shot High-fidelity and Pose-controllable Character Animation* ([arXiv "
    "2404.13680](https://arxiv.org/abs/2404.13680)). A diffusion model that paints pictures from a prompt and a "
    "skeleton is steered so that it paints your character in every pose: the picture is inverted into noise, and "
    "each frame is painted from that noise. Four modules keep the clip together. Each figure has three frames of "
    "a clip, above without the module and below with it, made by the small models that come with this program. "
    "Theirs shows PATA's effect plainly; that of the other three is small."
)
ABOUT_ALT = "Three frames without {0}, and the same frames with it"
ABOUT_MODULES = {
    "pata": (
        "PATA",
        "moves and scales the motion to where the character stands, and leads into it from the character's own pose.",
    ),
    "pacm": (
        "PACM",
        "adjusts the prompt's embedding twice: so that the picture comes back exactly, then for every pose.",
    ),
    "dcam": (
        "DCAM",
        "lets every frame look at the picture, at the frame before it and at itself, in shares λ1, λ2 and λ3.",
    ),
    "mgdm": (
        "MGDM",
        "keeps the character's pixels and the background's apart while it does.",
    ),
}
ABOUT_REST = (
    "**Limits.** The small models (pocket) know paper dolls, painted at 256 x 256 pixels, and nothing else; other "
    "pictures need Stable Diffusion 1.5 and a GPU. Hair and small details are soft. Who turns away, lies down or is "
    "cut off is followed badly, as skeletons say little about it. A clip of somebody who didn't agree to it may be "
    "unlawful: ask first.\n\n"
    "**Private.** Pictures and motions are kept in a temporary folder of this server for about an hour. Your clips, "
    "with the picture and motion that made them, are kept for a week under a key that only your browser has; delete "
    "them where they are shown. Kept, too, are "
    "results of stages, numbers without your name, in a cache of limited size, found again only by whoever "
    "brings the same picture. Where runs are limited they are counted by address, for an hour. Nothing is sent "
    "elsewhere, and nothing is shared until you click Share.\n\n"
    "**Licences.** This program and the pocket models: MIT. Stable Diffusion 1.5: CreativeML Open RAIL-M, XL: "
    "RAIL++-M, with their restrictions on use. OpenPose, which finds poses for them: for non-commercial research "
    "only; DWPose, which may take its place: Apache 2.0. rembg: MIT, with U²-Net (Apache 2.0)."
)

LAST_MINUTE = "Waiting: a run whose page was closed goes on for some seconds"
STAGES = {
    "place": LAST_MINUTE,
    "engine": "Waiting for an engine",
    "motion": "Looking for the person in the video",
    "character": "Looking at the picture",
    "alignment": "Fitting the motion to the character",
    "inversion": "Preparing the picture (1/2)",
    "pacm_source": "Learning to reconstruct the picture",
    "pacm_pose": "Learning poses",
    "frame_0": "Preparing the picture (2/2)",
    "ground": "Inverting the background",
    "drafts": "Inverting drafts",
    "generation": "Drawing frames",
    "previews": "Drawing previews",
}
CHANGED = "Inputs changed: generate again."
STEADY = 1.0  # mean change from frame to frame, in steps of 256 grey levels
SHELF = {"heading": "Your clips", "remove": "Delete", "sure": "Delete?"}
MAKE_YOUR_OWN = '<a class="pa-own-link" href="#character">Make your own</a>'
CLIP_READY = "Your clip is ready."
PLAYBACK = {
    "speed": "Speed",
    "back": "Back and forth",
    "mute": "Sound off",
    "unmute": "Sound on",
}
UNFURLED = "Make a still character move: choose a picture and a motion. Nothing is trained."
SHARED_TITLE = "A character that moves · PoseAnimate"
SHARED_ABOUT = "Watch the clip, and make your own from one picture and a motion."
BEFORE_AFTER = "Before/after"
NO_DRAFT_YET = "The draft is shown here once the character is found and the motion can be used."
NO_CLIP_YET = "Generate a clip first: what was made of your picture is shown here."
COMPARED = "comparison"
CAME_BACK = "Your run went on while this page was away."
KEEP_OPEN = "Others are waiting: if this page is closed, the run stops after {0:.0f} s."
AWAY = "Stopped, as its page was away for {0:.0f} s."
STOPPING = "Stopping"
WAITING = "Waiting for its turn"
READING = "Reading picture and motion"
NO_PICTURE = "Upload one or pick an example."
NO_CHARACTER = "Pick the character first."
PAINT_ANYWAY = "Press Generate again to see it."
PAINT_ANYWAY_API = "Use the models sd15 on a GPU for it, or set `anyway`."
UPLOAD_AGAIN = "Upload it again: files that no open page shows are removed after some time."
NO_MOTION = "Pick a ready-made motion, or upload a video or a pose file."
TOO_MANY = "Too many runs are waiting already. Try again in a minute."
NO_FUNCTION = "The page has no such function. Reload it."
NO_UPLOAD = "This is no uploaded file. Upload it again."
UNUSABLE = "A value can't be used. Reload the page, and enter it again."
NO_ROOM = "There is no room for files at the moment. Try again in some minutes."
INTERNAL = (
    "Something went wrong inside the program. The program's log says what; your inputs are kept."
)


def without(module: str) -> str:
    """A variant without one of the modules."""
    called = label(module)
    return f"without {called[0].lower()}{called[1:]}"


def ready_made(url: str | None) -> str:
    """A clip that plays without sound, marked as an example; empty without one."""
    if url is None:
        return ""
    return (
        f'<figure class="pa-ready"><video src="{escape(url)}" autoplay loop muted playsinline controls '
        f'aria-label="{READY_MADE_ALT}"></video><figcaption>{READY_MADE}</figcaption></figure>'
    )


def motion_title(name: str) -> str:
    """What a clip is called by its motion."""
    return "your motion" if name == "clip" else name.replace("-", " ")


def card(frames: int, seconds: float, steps: int) -> str:
    """A few words about a clip."""
    return f"{frames} frames, {seconds:.1f} s, {steps} steps"


def label(name: str) -> str:
    """What a setting is called on the page."""
    return LABELS.get(name, name.replace("_", " ").capitalize())


def stage(name: str, frames: tuple[int, int] | None = None, last: int | None = None) -> str:
    """What a stage of a run is called on the page.

    Args:
        frames: the ones in work, until `last`; 0 is the picture, which counts as the clip's first.
    """
    called = STAGES.get(name, name)
    if frames is None or last is None:
        return called
    first, until = frames
    some = f"{first + 1} to {until + 1}" if until > first else f"{first + 1}"
    return f"{called}: {some} of {last + 1}"


def forecast(found: Forecast) -> str:
    """The cost of a run and its frames' size: a line that unfolds, and a warning where there is one."""
    summary, parts = f"Frames of {found.size[0]} x {found.size[1]} px", []
    if found.seconds is None:
        parts.append("the first run shows how long it takes")
    else:
        summary += f", in about {duration(found.seconds)}"
    if found.memory_bytes is not None:
        parts.append(f"{found.memory_bytes / 1e9:.1f} GB of memory")
    parts.append(f"to do: {', '.join(stage(name).lower() for name in found.to_do)}")
    if found.cached:
        parts.append(f"cached: {', '.join(stage(name).lower() for name in found.cached)}")
    warning = sentence(found.remark, "warning") if found.remark else ""
    rest = escape(" · ".join(parts))
    return f"{warning}<details><summary>{escape(summary)}</summary>{rest}</details>"


def character_found(
    joints: int,
    edited: bool,
    outlined: bool,
    foreign: bool,
) -> str:
    """How much of the character is visible.

    Args:
        foreign: whether the models don't paint such pictures.
    """
    seen = "all 18 joints" if joints == 18 else f"{joints} of 18 joints"
    found = (
        "Found the character, head to feet." if joints == 18 else f"Found the character: {seen}."
    )
    summary = f"{seen[0].upper()}{seen[1:]}, as you put them." if edited else found
    parts = [(summary, "good")]
    if not outlined:
        parts.append((DRAWN_AROUND, "warning"))
    if foreign:
        parts.append((DRAFT_IS_RESULT, "warning"))
    return sentences(parts)


def too_often(runs: int, left_s: float) -> str:
    """A visitor has reached the limit of runs within an hour."""
    return f"You have made {runs} runs within an hour, the most possible here. Try again in {duration(left_s)}."


def restored(same_models: bool, greeting: str = "", lost: Sequence[str] = ()) -> str:
    """A bundle is back on the page.

    greeting: the message for one from a link. lost: settings of an older bundle that are gone.
    """
    done = (greeting or "Picture, motion, prompt, settings and clip are back.", "good")
    remarks = []
    if not same_models:
        remarks.append("It was made with other models than these: Generate will make another clip.")
    if lost:
        gone = ", ".join(lost)
        remarks.append(f"It used settings that are gone ({gone}): Generate will make another clip.")
    return sentences([done, *((remark, "warning") for remark in remarks)])


def ended(
    frames: int, stopped: bool = False, trouble: str = "", away_s: float | None = None
) -> str:
    """The bar after a run.

    Args:
        frames: in the clip, 0 without a clip. away_s: how long its page had been away when it was stopped for it.
    """
    kept = f"The {frames} finished frames are kept as a clip."
    if trouble:
        return sentence(trouble, "error") + (sentence(kept, "warning") if frames else "")
    if stopped:
        why = "Stopped." if away_s is None else AWAY.format(away_s)
        return sentence(f"{why} {kept}" if frames else why, "warning")
    done = sentence(f"Done: {frames} frames.", "good")
    return done.replace("<p ", '<p role="status" ', 1)


def variant(label: str, number: int, count: int) -> str:
    """Which of a comparison's clips is being made."""
    return f"{number} of {count}: {label}"


def compared(clips: int, stopped: bool, trouble: str) -> str:
    """The bar after a comparison."""
    if trouble:
        return sentence(trouble, "error")
    made = f"{clips} clip{'' if clips == 1 else 's'}"
    if stopped:
        return sentence(f"Stopped: {made}.", "warning")
    return sentence(f"Done: {made}.", "good")


def preset_help(family: str) -> str:
    """What the presets are on a family of models."""
    return (POCKET_PRESETS if family == "pocket" else OTHER_PRESETS) + COMMON_PRESETS


def sentence(text: str, kind: str = "plain") -> str:
    """One sentence; kind: plain, note, good, warning or error."""
    role = ' role="alert"' if kind == "error" else ""
    return f'<p class="pa-sentence pa-{kind}"{role}>{escape(text)}</p>'


def sentences(parts: Iterable[tuple[str, str]]) -> str:
    """Several (text, kind)."""
    return "".join(sentence(text, kind) for text, kind in parts)


def progress(stage: str, done: float, detail: str = "") -> str:
    """The bar: the stage, how much of the whole run is done (0 to 1), and details in a few words."""
    percent = round(100 * min(max(done, 0.0), 1.0))
    return (
        '<div class="pa-progress">'
        f'<div class="pa-line"><strong role="status">{escape(stage)}</strong>'
        f"<span>{escape(detail)}</span></div>"
        f'<div class="pa-track" role="progressbar" aria-label="Progress" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{percent}"><div style="width:{percent}%"></div></div>'
        "</div>"
    )


def step_detail(index: int, total: int, left_s: float | None) -> str:
    words = f"step {index} of {total}"
    return words if left_s is None else f"{words} · about {duration(left_s)} left"


def ahead(runs: int, seconds: float | None, engines: int = 1) -> str:
    """The runs that a run waits for, on all engines."""
    if not runs:
        return ""
    before = "1 run before it" if runs == 1 else f"{runs} runs before it"
    before += f" on {engines} engines" if engines > 1 else ""
    return before if seconds is None else f"{before} · about {duration(seconds)}"


def placed(place: Placed) -> str:
    """Which engine runs a job, and how many are free."""
    free = place.engines - place.busy
    return f"engine {place.engine} · {free} of {place.engines} free"


def duration(seconds: float) -> str:
    """'4 s', '2 min 5 s'."""
    whole = max(round(seconds), 0)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def findings(alignment: Alignment) -> str:
    """PATA's findings, or that the motion fits; notes come after either."""
    if any(v.severity is not Severity.NOTE for v in alignment.findings):
        return sentences((_said(v), v.severity.value) for v in alignment.findings)
    count, lead = len(alignment.poses), min(alignment.transition, len(alignment.poses) - 1)
    poses, notes = f"{count - 1 - lead} poses.", []
    for each in alignment.findings:
        if each.code is FindingCode.SHOWN_IN_PART:  # the frames add up in one sentence
            poses = each.message.removeprefix("Shows ")
            notes += [] if each.fix else [each.remedy]
        else:
            notes.append(_said(each))
    moved = [f"{lead} to lead in"] if lead else []
    made_of = ", ".join(["picture", *moved, poses])
    text = f"Good fit: {count / alignment.fps:.1f} s, {count} frames: {made_of}"
    return sentences([(text, "good"), *((note, "note") for note in notes)])


def _said(finding: Finding) -> str:
    """A finding; without its remedy where a button says the same."""
    told = finding.fix and finding.code in SAID_BY_BUTTON
    return finding.message if told else str(finding)


def fix(name: str, value: object) -> str:
    """The button that applies a finding's fix."""
    if not value:
        return FIX[name]
    told = {
        "frames": f"{FIX['frames']} · {value} frames",
        "start_s": f"Start at {value} s",
        "end_s": f"End at {value} s",
        "stride": f"Use every {ordinal(value)} frame",
    }
    return told.get(name, FIX[name])


def ordinal(number: object) -> str:
    """'2nd', '10th'."""
    ends = {"1": "st", "2": "nd", "3": "rd"}
    digits = str(number)
    return digits + ("th" if digits[-2:-1] == "1" else ends.get(digits[-1], "th"))


def lambda_sum(total: float) -> str:
    """The sum of λ1, λ2 and λ3, and whether it is 1."""
    if abs(total - 1) < 1e-6:
        return sentence("λ1 + λ2 + λ3 = 1", "good")
    wrong = f"λ1 + λ2 + λ3 = {total:.4g}, but must be 1: change one, or use the button."
    return sentence(wrong, "error")


def changed(names: Sequence[str]) -> str:
    """The settings that aren't their preset's any more; empty without one."""
    if not names:
        return ""
    few = names if len(names) <= MOST_NAMED + 1 else names[:MOST_NAMED]
    more = len(names) - len(few)
    said = ", ".join(map(label, few)) + (f" and {more} more" if more else "")
    return sentence(f"Changed: {said}", "note")


def modules_compared(on: Sequence[str], off: Sequence[str]) -> str:
    """Which clips a comparison without each module has, and which modules are off already."""
    if not on:
        return sentence(f"{ALL_OFF} {ALL_OFF_REMEDY}", "warning")
    parts = [(f"{len(on) + 1} clips: {', '.join([YOURS, *map(without, on)])}.", "note")]
    if off:
        parts.append((f"Off already: {', '.join(map(label, off))}.", "note"))
    return sentences(parts)


@dataclass(frozen=True)
class ClipMeasures:
    """A clip's measurements.

    joints: their mean distance from where they should be, in torso lengths; accuracy: the share of them within
    `PCK_RADIUS`; both None without joints. background, flicker: its change from the picture and from frame to frame,
    in grey levels.
    """

    joints: float | None
    accuracy: float | None
    background: float
    flicker: float


def verdict(measured: ClipMeasures) -> str:
    """A clip's measurements in a line."""
    changes = f"changes by {measured.flicker:.1f} of 255 a frame"
    steady = "steady" if measured.flicker < STEADY else changes
    parts = [] if measured.accuracy is None else [f"Pose accuracy {100 * measured.accuracy:.0f} %"]
    return sentence(" · ".join([*parts, f"Background {steady}"]), "note")


def review(measured: ClipMeasures) -> str:
    """A clip's measurements in numbers."""
    rows = {}
    if measured.joints is not None:
        rows["Joints"] = f"{measured.joints:.3f} torso lengths from where they should be"
    from_frame = f"{measured.flicker:.1f} from frame to frame"
    rows["Background"] = f"{measured.background:.1f} grey levels from the picture's, {from_frame}"
    return _table(rows)


def figures(done: Done) -> str:
    """A finished run in numbers."""
    stages = ", ".join(
        f"{stage(name).lower()} {seconds:.1f} s" for name, seconds in done.seconds.items()
    )
    calls = ", ".join(
        f"{name.replace('_', ' ')} {count:,}" for name, count in done.model_calls.items()
    )
    cached = ", ".join(stage(name).lower() for name in done.cached_stages)
    psnr = done.source_psnr_db
    reconstruction = {} if psnr is None else {"Frame 0, as reconstructed": f"{psnr:.1f} dB PSNR"}
    lost = done.lost_in_words
    by_eq_9 = (
        {"Lost by Eq. 9, of the character's attention and the background's": lost} if lost else {}
    )
    rows: Mapping[str, str] = {
        **reconstruction,
        **by_eq_9,
        f"Time, {sum(done.seconds.values()):.1f} s": stages,
        "NFE (number of function evaluations)": calls,
        "Taken from the cache": cached or "nothing",
    }
    return _table(rows)


def _table(rows: Mapping[str, str]) -> str:
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in rows.items())
    return f'<dl class="pa-figures">{items}</dl>'


def out_of_range(label: str, low: float | None, high: float | None) -> str:
    """A number that its field doesn't allow."""
    least = "" if low is None else f" from {low:g}"
    most = "" if high is None else f" to {high:g}"
    return f"{label}: this number isn't possible. Enter one{least}{most}."


def not_a_choice(label: str | None) -> str:
    """A value that its field doesn't offer."""
    return f"{label or 'A field'} doesn't offer this. Choose one of its values."


def another_kind(label: str | None) -> str:
    """A value of a kind that its field never has."""
    return f"{label or 'A value'} is of another kind. Reload the page."
