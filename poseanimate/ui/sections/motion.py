"""Part 2 of the page: the motion, and what is said of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from poseanimate.engines.engine import Engine
from poseanimate.errors import PoseAnimateError
from poseanimate.media import ANIMATION_SUFFIXES, PICTURE_SUFFIXES, VIDEO_SUFFIXES
from poseanimate.poses import overlay
from poseanimate.poses.motion import preset_names as motion_names
from poseanimate.poses.skeleton import JOINT_NAMES, draw_pose
from poseanimate.ui import texts
from poseanimate.ui.event_options import FOLLOWING, QUIET
from poseanimate.ui.input_cache import FormValues, FoundMotion, InputCache
from poseanimate.ui.widgets.player import NOTHING, make_content, player

FIRST_MOTION = "dance-sway"
POSE_SUFFIXES = (".json", ".jsonl", ".zip", ".bvh")
MOTION_TYPES = sorted({*VIDEO_SUFFIXES, *ANIMATION_SUFFIXES, *PICTURE_SUFFIXES, *POSE_SUFFIXES})
FIXABLE = tuple(texts.FIX)
TIMELINE_PX = 256  # width of a frame of a motion without a video


@dataclass(frozen=True)
class MotionSection:
    """Part 2: the motion."""

    chosen: list[gr.components.Component]  # as MOTION_NAMES
    timeline: gr.HTML


def add_motion() -> tuple[MotionSection, tuple[gr.HTML, dict[str, gr.Button]]]:
    """Part 2: the motion, and what is said of it."""
    with gr.Accordion(texts.MOTION, elem_id="motion-part", elem_classes="pa-part"):
        motion = _add_motion()
        return motion, add_findings()


def _add_motion() -> MotionSection:
    source = gr.Radio(
        texts.MOTION_CHOICES,
        value=texts.FROM_PRESET,
        label=texts.MOTION_FROM,
        show_label=False,
        container=False,
        elem_id="motion-from",
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
    with gr.Group(visible=False) as upload:
        file = gr.File(
            label=texts.MOTION_FILE,
            file_types=MOTION_TYPES,
            file_count="multiple",
            allow_reordering=True,
            height=150,
            elem_id="motion-file",
        )
        with gr.Row(elem_classes="pa-grid"):
            start = gr.Number(0, minimum=0, label=texts.START, min_width=90)
            end = gr.Number(None, minimum=0, label=texts.END, min_width=90)
            stride = gr.Number(1, minimum=1, precision=0, label=texts.STRIDE, min_width=90)
            rotate = gr.Dropdown(texts.ROTATIONS, value=0, label=texts.ROTATE, min_width=90)
            fps = gr.Number(None, minimum=0, label=texts.FPS, min_width=90)
        with gr.Row(elem_classes="pa-grid pa-wide"):
            repaired = gr.Checkbox(label=texts.REPAIR, info=texts.REPAIR_HELP, min_width=90)
            sound = gr.Checkbox(True, label=texts.SOUND, info=texts.SOUND_HELP, min_width=90)
    source.change(
        lambda chosen: (
            gr.Radio(visible=chosen == texts.FROM_PRESET),
            gr.Group(visible=chosen == texts.FROM_FILE),
        ),
        source,
        [preset, upload],
        **QUIET,
    )
    timeline = player("timeline", texts.TIMELINE)
    timeline.change(MotionHandlers.trim, timeline, [start, end], **QUIET)
    chosen = [source, preset, file, start, end, stride, rotate, repaired, fps, sound]
    return MotionSection(chosen, timeline)


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

    def timeline(self, *values: Any) -> dict[str, Any]:
        """A file's motion frame by frame, with no part chosen yet; empty without a motion.

        Args:
            values: of `MOTION_NAMES`.
        """
        seen, start_s = None, 0.0
        try:
            form = FormValues.of(values, ())
            choice = form.motion()
            if not form.uses_preset:  # a preset has its thumbnail
                for _ in self.inputs.load_motion(choice):
                    pass  # reported beside the alignment
                seen, start_s = self.inputs.cached_motion(choice), choice.start_s
        except PoseAnimateError:
            pass  # reported beside the alignment
        shown = NOTHING if seen is None else _timeline_content(seen, start_s)
        return gr.update(content=shown, value="")

    @staticmethod
    def trim(part: str) -> tuple[Any, Any]:
        """Start and end of the part chosen on the timeline, in seconds."""
        try:
            chosen = json.loads(part or "{}")
            start_s, end_s = float(chosen["start_s"]), float(chosen["end_s"])
        except (ValueError, KeyError, TypeError):
            return gr.skip(), gr.skip()
        return start_s, end_s


def _timeline_content(seen: FoundMotion, start_s: float) -> dict[str, Any]:
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
    return make_content({label: pictures}, motion.fps, start_s, notes, marks, trims=True)


def connect_motion(demo: gr.Blocks, handlers: MotionHandlers, motion: MotionSection) -> None:
    """The timeline follows the motion, and a part chosen on it is start and end."""
    chosen: list[Any] = motion.chosen
    moved = [demo.load, *(each.change for each in chosen)]
    gr.on(moved, handlers.timeline, chosen, motion.timeline, **FOLLOWING)
