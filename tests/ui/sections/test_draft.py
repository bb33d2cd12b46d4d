"""Drafts on the page: what is seen is what Generate begins with, and what is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
import pytest
from helpers.media import ffmpeg
from helpers.tiny import SIDE, scene_at_ease, tiny_models
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.events import Aligned
from poseanimate.media import read_sound, read_video, write_clip
from poseanimate.poses.keypoints import people_json
from poseanimate.poses.motion import load_preset
from poseanimate.poses.pata import Alignment
from poseanimate.poses.skeleton import Pose
from poseanimate.puppet import plate
from poseanimate.settings import Settings
from poseanimate.storage.shared_clips import SharedClips
from poseanimate.ui import texts
from poseanimate.ui.input_cache import ALIGNMENT_SETTINGS, SETTING_NAMES
from poseanimate.ui.sections import draft
from poseanimate.ui.sections.draft import ALIGNMENT_OUTPUTS, DraftHandlers
from poseanimate.ui.sections.opening import RESTORE_OUTPUTS, OpeningHandlers
from poseanimate.ui.sections.run import Handlers
from poseanimate.ui.sections.sharing import SharingHandlers
from poseanimate.ui.sections.stage import StageHandlers

WALK = (texts.FROM_PRESET, "walk", None, 0, 0, 1, 0, False, None, True)
NOTHING_CHOSEN = (texts.FROM_FILE, None, None, *WALK[3:])
LARGE = (500, 620)  # width and height of a picture that is shown smaller
QUICK = Settings(num_inference_steps=2, inner_steps=1, frames=8, mgdm=False)


class EyesOfAnySize:
    """Sees the scene at ease, however large its picture is; keeps the sizes that were looked at."""

    identity = "eyes of any size"

    def __init__(self) -> None:
        self.detected: list[tuple[int, ...]] = []
        self.segmented: list[tuple[int, ...]] = []

    def detect(self, image: np.ndarray) -> list[Pose]:
        self.detected.append(image.shape[1::-1])
        return [scene_at_ease().pose.scaled(image.shape[1] / SIDE, image.shape[0] / SIDE)]

    def segment(self, image: np.ndarray) -> np.ndarray:
        self.segmented.append(image.shape[1::-1])
        return np.asarray(cv2.resize(scene_at_ease().mask, image.shape[1::-1]))


@pytest.fixture
def eyes() -> EyesOfAnySize:
    return EyesOfAnySize()


@pytest.fixture
def handlers(eyes: EyesOfAnySize) -> Handlers:
    return Handlers(Animator(replace(tiny_models(), detector=eyes, segmenter=eyes)))


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "large.png"
    Image.fromarray(scene_at_ease().picture).resize(LARGE).save(path)
    return str(path)


def values(names: tuple[str, ...], **changed: Any) -> list[Any]:
    settings = QUICK.changed(changed)
    return [getattr(settings, name) for name in names]


def fit(handlers: Handlers, *asked: Any, view: str = texts.DRAFT) -> Iterator[dict[str, Any]]:
    """The answers by output, while their files are there."""
    for answer in DraftHandlers(handlers.engine, handlers.inputs).fit(view, *asked):
        yield dict(zip(ALIGNMENT_OUTPUTS, answer, strict=True))


def drawn(handlers: Handlers, *asked: Any) -> np.ndarray:
    """A draft's frames, (n, H, W, 3)."""
    for answer in fit(handlers, *asked):
        if isinstance(answer["alignment"], str):
            return np.stack(read_video(Path(answer["alignment"])).frames)
    raise AssertionError("there is no draft")


def moved(joint: int, x: float, y: float) -> str:
    body = scene_at_ease().pose.body.copy()
    body[joint, :2] += (x, y)
    return people_json([Pose(body)], SIDE, SIDE)


# seen ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "shown"), [((160, 160), (160, 160)), (LARGE, (345, 428))])
def test_the_draft_is_the_picture_moved_as_large_as_it_is_shown(
    size: tuple[int, int], shown: tuple[int, int], handlers: Handlers, tmp_path: Path
) -> None:
    Image.fromarray(scene_at_ease().picture).resize(size).save(tmp_path / "who.png")
    frames = drawn(handlers, str(tmp_path / "who.png"), "", *WALK, *values(ALIGNMENT_SETTINGS))
    assert frames.shape == (8, *shown[::-1], 3)
    with Image.open(tmp_path / "who.png") as picture:
        own = np.asarray(picture.resize(shown), int)
    assert np.abs(frames[0] - own).mean() < 5 < np.abs(frames[-1] - own.astype(int)).max()


@pytest.mark.parametrize(("fps", "shown"), [(12, 12), (20, 20), (24, 12), (30, 15), (50, 12.5)])
def test_of_a_fast_motion_fewer_frames_are_shown(
    fps: float, shown: float, handlers: Handlers, picture: str, tmp_path: Path
) -> None:
    fast = tmp_path / "fast.json"
    fast.write_text(replace(load_preset("walk"), fps=fps).to_json())
    motion = (texts.FROM_FILE, None, str(fast), *WALK[3:])
    for answer in fit(handlers, picture, "", *motion, *values(ALIGNMENT_SETTINGS, frames=17)):
        video = read_video(Path(answer["alignment"]))
        assert video.fps == pytest.approx(shown, rel=0.02)
        assert len(video.frames) == -(-17 // round(fps / shown))


def test_a_draft_of_a_motion_that_does_not_fit_is_none(
    handlers: Handlers, picture: str, tmp_path: Path
) -> None:
    nobody = tmp_path / "nobody.json"
    nobody.write_text('{"frames": [{"people": []}, {"people": []}]}')
    motion = (texts.FROM_FILE, None, str(nobody), *WALK[3:])
    *_, last = fit(handlers, picture, "", *motion, *values(ALIGNMENT_SETTINGS))
    assert "alert" in last["findings"]


def test_people_are_looked_for_once_however_often_joints_are_dragged(
    handlers: Handlers, eyes: EyesOfAnySize, picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = []
    fill = plate.fill
    monkeypatch.setattr(plate, "fill", lambda *given: filled.append(1) or fill(*given))
    asked = (*WALK, *values(ALIGNMENT_SETTINGS))
    drafts = [drawn(handlers, picture, moved(4, 2 * n, -3 * n), *asked) for n in range(3)]
    assert len(eyes.detected) == len(eyes.segmented) == len(filled) == 1
    assert all(np.abs(a[4].astype(int) - drafts[0][4]).max() > 20 for a in drafts[1:])


def test_a_draft_follows_each_setting_of_the_alignment(handlers: Handlers, picture: str) -> None:
    def draft(**changed: Any) -> np.ndarray:
        return drawn(handlers, picture, "", *WALK, *values(ALIGNMENT_SETTINGS, **changed))

    usual = draft()
    for changed in ({"shift_x": 0.2}, {"motion_scale": 1.3}, {"mirror": True}, {"pata": False}):
        assert np.abs(draft(**changed)[-1].astype(int) - usual[-1]).max() > 20, changed


# Generate begins with it ---------------------------------------------------------------------


def test_generate_begins_with_what_is_seen(
    handlers: Handlers, picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, Alignment]] = []
    draw = draft.draw_preview

    def watched(puppet: Any, character: Any, alignment: Alignment, folder: Path) -> str:
        seen.append((puppet, alignment))
        return draw(puppet, character, alignment, folder)

    monkeypatch.setattr(draft, "draw_preview", watched)
    joints, how = moved(7, 3, -9), {"shift_x": 0.1, "anchor": "pinned", "motion_scale": 0.9}
    list(fit(handlers, picture, joints, *WALK, *values(ALIGNMENT_SETTINGS, **how)))
    taken: list[Aligned] = []
    animate = handlers.engine.animate

    def followed(*given: Any) -> Iterator[Any]:
        for event in animate(*given):
            taken.extend([event] if isinstance(event, Aligned) else [])
            yield event

    monkeypatch.setattr(handlers.engine, "animate", followed)
    session = gr.Request(session_hash="a")
    list(handlers.animate(session, picture, joints, "", *WALK, *values(SETTING_NAMES, **how)))
    [(puppet, alignment)], [run] = seen, taken
    assert len(run.alignment.poses) == len(alignment.poses) == 8
    for own, shown in zip(run.alignment.poses, alignment.poses, strict=True):
        assert own.equals(shown)
    height, width = puppet.picture.shape[:2]
    ratio = width / run.picture.shape[1], height / run.picture.shape[0]
    assert np.allclose(run.alignment.poses[0].scaled(*ratio).body, puppet.pose.body)
    small = cv2.resize(puppet.mask, run.mask.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small - run.mask).max() < 1e-6


def test_nothing_else_on_the_page_changes_the_alignment(handlers: Handlers, picture: str) -> None:
    class Watched(Settings):
        def __getattribute__(self, name: str) -> Any:
            asked.add(name)
            return super().__getattribute__(name)

    asked: set[str] = set()
    character = handlers.inputs.load_character(picture)
    for pata in (True, False):
        settings = Watched(pata=pata, loop=True)
        asked.clear()  # what checks itself asks for all
        handlers.engine.align(character, load_preset("walk"), settings)
        assert "frames" in asked and asked & {*SETTING_NAMES} <= {*ALIGNMENT_SETTINGS}


# kept ----------------------------------------------------------------------------------------


def kept(handlers: Handlers, folder: Path, *asked: Any) -> list[Path]:
    """The files of a draft at full size."""
    made: list[str] = []
    for _, files in DraftHandlers(handlers.engine, handlers.inputs).download(*asked):
        if files != gr.skip():
            assert files["visible"] and files["value"][: len(made)] == made
            made = list(files["value"])
            for path in made:
                shutil.copy(path, folder)
    return [folder / Path(path).name for path in made]


def test_a_draft_is_kept_at_the_pictures_size_and_marked(
    handlers: Handlers, picture: str, tmp_path: Path
) -> None:
    clip, alone = kept(handlers, tmp_path, picture, "", *WALK, *values(ALIGNMENT_SETTINGS))
    assert clip.name == "poseanimate-walk-draft.mp4"
    assert alone.name == "poseanimate-walk-draft-cut-out.webm"
    for path in (clip, alone):
        frames = read_video(path).frames
        assert len(frames) == 8 and frames[0].shape == (*LARGE[::-1], 3)
        assert b"draft, poseanimate" in path.read_bytes()
    with Image.open(picture) as own:  # nothing is written over it
        assert np.abs(read_video(clip).frames[0].astype(int) - np.asarray(own)).mean() < 3
    ffmpeg("-c:v", "libvpx-vp9", "-i", alone, tmp_path / "alone-%d.png")
    alpha = np.asarray(Image.open(tmp_path / "alone-8.png"))[..., 3]
    assert (alpha < 20).mean() > 0.5 and (alpha > 235).mean() > 0.05


def test_a_kept_draft_moves_as_the_one_that_is_seen(
    handlers: Handlers, picture: str, tmp_path: Path
) -> None:
    asked = (picture, moved(4, 4, -12), *WALK, *values(ALIGNMENT_SETTINGS, shift_y=-0.1))
    seen = drawn(handlers, *asked)
    large = read_video(kept(handlers, tmp_path, *asked)[0]).frames
    height, width = seen.shape[1:3]
    for small, frame in zip(seen, large, strict=True):
        back = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        assert np.abs(back.astype(int) - small).mean() < 5


def test_a_kept_draft_of_a_whole_video_has_its_sound(
    handlers: Handlers, picture: str, tmp_path: Path
) -> None:
    write_clip([scene_at_ease().picture] * 3, tmp_path / "silent.mp4", 10)
    tone = ("-f", "lavfi", "-i", "sine=d=0.3", "-i", tmp_path / "silent.mp4")
    ffmpeg(*tone, "-c:v", "copy", tmp_path / "dance.mp4")
    settings = values(ALIGNMENT_SETTINGS, frames=6, transition_frames=2)
    for wanted in (True, False):
        motion = (texts.FROM_FILE, None, str(tmp_path / "dance.mp4"), *WALK[3:-1], wanted)
        clip, _ = kept(handlers, tmp_path, picture, "", *motion, *settings)
        assert clip.name == "poseanimate-clip-draft.mp4"
        assert (read_sound(clip) is not None) == wanted


def test_a_kept_draft_goes_when_another_is_seen(handlers: Handlers, picture: str) -> None:
    *_, last = fit(handlers, picture, "", *WALK, *values(ALIGNMENT_SETTINGS))
    assert last["draft_files"] == gr.update(value=None, visible="hidden")


def test_without_a_picture_nothing_is_kept(handlers: Handlers, tmp_path: Path) -> None:
    with pytest.raises(gr.Error, match="There is no picture yet"):
        kept(handlers, tmp_path, None, "", *WALK, *values(ALIGNMENT_SETTINGS))


# shared --------------------------------------------------------------------------------------


def visitor(**query: str) -> gr.Request:
    request = gr.Request(session_hash="visitor")
    request.query_params = query  # type: ignore[attr-defined]
    return request


@pytest.fixture
def sharing(handlers: Handlers, tmp_path: Path) -> SharingHandlers:
    drafts, shared = (
        DraftHandlers(handlers.engine, handlers.inputs),
        SharedClips(tmp_path / "shared"),
    )
    return SharingHandlers(StageHandlers(handlers), drafts, OpeningHandlers(handlers), shared)


def test_a_shared_draft_is_opened_as_a_draft_with_all_that_it_was_made_of(
    sharing: SharingHandlers, picture: str, tmp_path: Path
) -> None:
    joints, changed = moved(4, 4, -12), values(SETTING_NAMES, shift_y=-0.1)
    aligned = values(ALIGNMENT_SETTINGS, shift_y=-0.1)
    given = sharing.share_draft(visitor(), picture, joints, "a girl", *WALK, *changed)
    (token, id, *_) = given
    assert texts.IS_SHARED in given[-1]
    opened: dict[str, Any] = {}
    for each in sharing.opened(visitor(shared=id)):
        opened = dict(zip((*RESTORE_OUTPUTS, *SETTING_NAMES), each, strict=True))
        assert np.array_equal(Image.open(opened["picture"]), Image.open(picture))
        frames = read_video(Path(opened["clip"]["value"])).frames
        assert frames[0].shape == (*LARGE[::-1], 3)
        own = kept(sharing.stage.handlers, tmp_path, picture, joints, *WALK, *aligned)[0]
        assert Path(opened["clip"]["value"]).read_bytes() == own.read_bytes()
    assert texts.DRAFT_OPENED in opened["restored"]
    assert (opened["joints"], opened["prompt"], opened["shift_y"]) == (joints, "a girl", -0.1)
    sharing.unshare(token)
    [gone] = sharing.opened(visitor(shared=id))
    assert "There is no shared clip under this link." in gone[0]


def test_without_a_usable_motion_no_draft_is_shared(sharing: SharingHandlers, picture: str) -> None:
    *_, message = sharing.share_draft(visitor(), None, "", "", *WALK, *values(SETTING_NAMES))
    assert "There is no picture yet" in message
    *_, message = sharing.share_draft(
        visitor(), picture, "", "", *NOTHING_CHOSEN, *values(SETTING_NAMES)
    )
    assert "There is no motion yet" in message
    assert not list(sharing.shared_clips.folder.iterdir())


# several pictures as motion ------------------------------------------------------------------


def test_several_pictures_are_a_way_from_pose_to_pose(
    handlers: Handlers, picture: str, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for number, file in enumerate(files):
        Image.new("RGB", (64, 64), (200, 200, 60 * number)).save(file)
    motion = (texts.FROM_FILE, None, [*map(str, files)], *WALK[3:])
    settings = values(ALIGNMENT_SETTINGS, frames=60, transition_frames=1)
    *_, last = fit(handlers, picture, "", *motion, *settings)
    assert f"{2 + 2 * 12 + 12} frames: picture, 1 to lead in, 36 poses." in last["findings"]
    assert isinstance(last["alignment"], str)


def test_pictures_and_other_files_together_get_a_sentence(
    handlers: Handlers, picture: str, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    (tmp_path / "b.json").write_text(load_preset("walk").to_json())
    files = [str(tmp_path / name) for name in ("a.png", "b.json")]
    motion = (texts.FROM_FILE, None, files, *WALK[3:])
    *_, last = fit(handlers, picture, "", *motion, *values(ALIGNMENT_SETTINGS))
    assert "a.png is a still picture and b.json is none." in last["findings"]
    gone = (texts.FROM_FILE, None, [files[1], str(tmp_path / "c.json")], *WALK[3:])
    *_, last = fit(handlers, picture, "", *gone, *values(ALIGNMENT_SETTINGS))
    assert texts.UPLOAD_AGAIN in last["findings"]


def test_pose_files_of_one_frame_each_are_a_motion(
    handlers: Handlers, picture: str, tmp_path: Path
) -> None:
    walk = load_preset("walk")
    files = []
    for number, pose in enumerate(walk.poses[:5]):
        files.append(str(tmp_path / f"{number}.json"))
        Path(files[-1]).write_text(people_json([pose], walk.width, walk.height))
    motion = (texts.FROM_FILE, None, files, *WALK[3:])
    *_, last = fit(handlers, picture, "", *motion, *values(ALIGNMENT_SETTINGS, transition_frames=1))
    assert "7 frames: picture, 1 to lead in, 5 poses." in last["findings"]
