"""Part 2 of the page: the motion, and what is said of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from poseanimate.engines.engine import Engine
from poseanimate.errors import MotionError, PoseAnimateError, VideoError
from poseanimate.events import Returning
from poseanimate.poses import overlay
from poseanimate.poses.motion import preset_names as motion_names
from poseanimate.poses.skeleton import JOINT_NAMES, draw_pose
from poseanimate.ui import texts
from poseanimate.ui.event_options import FOLLOWING, QUIET
from poseanimate.ui.input_cache import FormValues, FoundMotion, InputCache, MotionChoice
from poseanimate.ui.widgets.dropped import dropped
from poseanimate.ui.widgets.player import NOTHING, make_content, player

FIRST_MOTION = "dance-sway"
FIXABLE = tuple(texts.FIX)
TIMELINE_PX = 256  # width of a frame of a motion without a video
AS_IT_IS: tuple[Any, ...] = (0, None, 1, 0, False, None)  # from start to rate: of a new file


TRIM = """(told) => {
    if (!told) return;
    const { start_s, end_s } = JSON.parse(told);
    return [start_s, end_s || null];
}"""


@dataclass(frozen=True)
class MotionSection:
    """Part 2: the motion."""

    chosen: list[gr.components.Component]  # as MOTION_NAMES
    timeline: gr.HTML


def add_motion() -> tuple[MotionSection, tuple[gr.HTML, dict[str, gr.Button]]]:
    """Part 2: the motion, and what is said of it."""
    with gr.Accordion(texts.MOTION, elem_id="motion-part", elem_classes="pa-part"):
        source, preset, file = _add_sources()
        found = add_findings()
        timeline = player("timeline", texts.TIMELINE)
        with gr.Accordion(
            texts.ADJUST_FILE, open=False, visible=False, elem_id="adjust-file"
        ) as adjust:
            start, end, stride, rotate, repaired, fps, sound = _add_adjustments()
    source.change(
        lambda chosen: gr.Accordion(visible=chosen != texts.FROM_PRESET), source, adjust, **QUIET
    )
    part: list[Any] = [start, end]
    # in the browser: answers of a server may overtake one another
    timeline.change(None, timeline, part, js=TRIM, **QUIET)
    file.upload(lambda: AS_IT_IS, None, [*part, stride, rotate, repaired, fps], **QUIET)
    chosen = [source, preset, file, start, end, stride, rotate, repaired, fps, sound]
    return MotionSection(chosen, timeline), found


def _add_sources() -> tuple[gr.Radio, gr.Radio, gr.File]:
    """Where the motion comes from: tabs, and what each of them shows."""
    source = gr.Radio(
        texts.MOTION_CHOICES,
        value=texts.FROM_PRESET,
        label=texts.MOTION_FROM,
        show_label=False,
        container=False,
        elem_id="motion-from",
        elem_classes="pa-tabs",
    )
    names = motion_names()
    preset = gr.Radio(
        [(name.replace("-", " "), name) for name in names],
        value=FIRST_MOTION if FIRST_MOTION in names else None,
        label=texts.PRESET_MOTION,
        show_label=False,
        container=False,
        elem_id="motion",
        elem_classes="pa-tiles",
    )
    # of any type: what is no motion is refused by a sentence that stays
    file = gr.File(
        file_count="multiple",
        allow_reordering=True,
        height=96,
        visible=False,
        elem_id="motion-file",
    )
    dropped()
    with gr.Accordion(texts.RECORD, open=False, visible=False, elem_id="record") as record:
        camera = gr.Video(
            sources=["webcam"],
            include_audio=True,
            webcam_options=gr.WebcamOptions(mirror=False),
            label=texts.RECORD,
            show_label=False,
            height=300,
            elem_id="camera",
        )
    source.change(_show_source, source, [preset, file, record], **QUIET)
    camera.stop_recording(
        lambda path: ([path], None, gr.Accordion(open=False)),
        camera,
        [file, camera, record],
        **QUIET,
    )
    return source, preset, file


def _show_source(chosen: str) -> tuple[gr.Radio, gr.File, gr.Accordion]:
    own = chosen != texts.FROM_PRESET
    return (
        gr.Radio(visible=not own),
        gr.File(visible=own, label=texts.MOTION_FILES.get(chosen)),
        gr.Accordion(visible=chosen == texts.FROM_VIDEO),
    )


def _add_adjustments() -> tuple[gr.components.Component, ...]:
    """Which part of a file is used, and how it is read."""
    with gr.Row(elem_classes="pa-grid"):
        start = gr.Number(0, minimum=0, label=texts.START, min_width=90)
        end = gr.Number(None, minimum=0, label=texts.END, min_width=90)
        stride = gr.Number(1, minimum=1, precision=0, label=texts.STRIDE, min_width=90)
        rotate = gr.Dropdown(texts.ROTATIONS, value=0, label=texts.ROTATE, min_width=90)
        fps = gr.Number(None, minimum=0, label=texts.FPS, min_width=90)
    with gr.Row(elem_classes="pa-grid pa-wide"):
        repaired = gr.Checkbox(label=texts.REPAIR, info=texts.REPAIR_HELP, min_width=90)
        sound = gr.Checkbox(True, label=texts.SOUND, info=texts.SOUND_HELP, min_width=90)
    return start, end, stride, rotate, repaired, fps, sound


def add_findings() -> tuple[gr.HTML, dict[str, gr.Button]]:
    """What is said of the motion, and a button for each remedy."""
    findings = gr.HTML(elem_id="findings")
    with gr.Row(elem_id="fixes"):
        buttons = {
            name: gr.Button(texts.fix(name, None), size="sm", visible=False, elem_id=f"fix-{name}")
            for name in FIXABLE
        }
    return findings, buttons


class MotionHandlers:
    """The handlers of this section."""

    def __init__(self, engine: Engine, inputs: InputCache) -> None:
        self.engine, self.inputs = engine, inputs

    def timeline(self, told: str, *values: Any) -> dict[str, Any]:
        """A file's whole motion frame by frame, and the part that is chosen; empty without a motion.

        Of a video that is too long to be read whole the part alone is shown.

        Args:
            told: the timeline's value.
            values: of `MOTION_NAMES`.
        """
        shown: Any = NOTHING
        part = None
        try:
            form = FormValues.of(values, ())
            choice = form.motion()
            if not form.uses_preset:  # a preset has its thumbnail
                shown = _timeline_content(self._found(choice))
                part = _part(choice, told)
        except PoseAnimateError:
            pass  # reported beside the upload
        return gr.update(content=shown, part=part)

    def part(self, told: str, *values: Any) -> dict[str, Any]:
        """The same for another part of what is shown already."""
        try:
            choice = FormValues.of(values, ()).motion()
        except PoseAnimateError:
            return gr.skip()
        if self.inputs.cached_motion(_untrimmed(choice)) is None:
            return self.timeline(told, *values)
        return gr.update(part=_part(choice, told))

    def _found(self, choice: MotionChoice) -> FoundMotion:
        """All of a motion, or what can be read of it."""
        try:
            return self._load(_untrimmed(choice))
        except (VideoError, MotionError):  # a longer one than is read
            return self._load(choice)

    def _load(self, choice: MotionChoice) -> FoundMotion:
        steps = Returning(self.inputs.load_motion(choice))
        for _ in steps:
            pass
        return steps.result


def _untrimmed(choice: MotionChoice) -> MotionChoice:
    return replace(choice, start_s=0.0, end_s=None)


def _part(choice: MotionChoice, told: str) -> dict[str, float]:
    """As the timeline has it, with the number of what it told last."""
    try:
        number = float(json.loads(told)["number"])
    except (ValueError, KeyError, TypeError):
        number = 0
    return {"start_s": choice.start_s, "end_s": choice.end_s or 0, "number": number}


def _timeline_content(seen: FoundMotion) -> dict[str, Any]:
    motion, frames = seen.motion, seen.frames
    if frames:
        label, (height, width) = texts.VIDEO_SEEN, frames[0].shape[:2]
    else:
        label, width = texts.POSES_SEEN, TIMELINE_PX
        height = max(1, round(motion.height * width / motion.width))
    poses = [pose.scaled(width / motion.width, height / motion.height) for pose in motion.poses]
    pictures = (
        [overlay.draw_over(frame, pose) for frame, pose in zip(frames, poses, strict=True)]
        if frames
        else [draw_pose(pose, width, height) for pose in poses]
    )
    joints = [int(pose.visible().sum()) for pose in poses]
    notes = [texts.JOINTS_SEEN.format(count) if count else texts.NOBODY_SEEN for count in joints]
    marks = [count / len(JOINT_NAMES) for count in joints]
    return make_content({label: pictures}, motion.fps, motion.start_s, notes, marks, trims=True)


def connect_motion(demo: gr.Blocks, handlers: MotionHandlers, motion: MotionSection) -> None:
    """The timeline follows the motion, and a part chosen on it is start and end."""
    chosen: list[Any] = motion.chosen
    source, preset, file, start, end, *how = chosen
    reads = [motion.timeline, *chosen]
    moved = [demo.load, *(each.change for each in (source, preset, file, *how[:-1]))]
    gr.on(moved, handlers.timeline, reads, motion.timeline, **FOLLOWING)
    gr.on([start.change, end.change], handlers.part, reads, motion.timeline, **FOLLOWING)
