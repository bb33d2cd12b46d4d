"""The page's handlers, without a browser."""

from __future__ import annotations

import ast
import base64
import io
import re
import threading
import zipfile
from collections.abc import Generator, Iterator
from dataclasses import fields, replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import gradio as gr
import numpy as np
import pytest
from helpers.media import ffmpeg, loudness
from helpers.scripted import Scripted
from helpers.tiny import SIDE, OtherWorld, ToldEyes, scene_at_ease, tiny_models
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from poseanimate.animator import Animator
from poseanimate.engines.engine import Engine
from poseanimate.errors import MotionError, VideoError
from poseanimate.events import Aligned, Frame, Note, Preview, Stage, Step
from poseanimate.inputs.bundle import Bundle
from poseanimate.media import read_sound, read_video, write_clip
from poseanimate.poses.keypoints import people_json
from poseanimate.poses.motion import load_preset
from poseanimate.poses.skeleton import Pose
from poseanimate.settings import Settings, preset_names
from poseanimate.storage.stage_cache import StageCache
from poseanimate.ui import page, texts, theme
from poseanimate.ui.input_cache import (
    ALIGNMENT_SETTINGS,
    MOTION_NAMES,
    SETTING_NAMES,
    FormValues,
    InputCache,
    MotionChoice,
)
from poseanimate.ui.runs.run_view import RunView
from poseanimate.ui.sections.character import CharacterHandlers
from poseanimate.ui.sections.draft import ALIGNMENT_OUTPUTS, DraftHandlers
from poseanimate.ui.sections.motion import FIXABLE
from poseanimate.ui.sections.opening import RESTORE_OUTPUTS, OpeningHandlers
from poseanimate.ui.sections.run import RESULT_OUTPUTS, Handlers
from poseanimate.ui.sections.settings import Presets, control, normalise, weigh
from poseanimate.ui.sections.stage import StageHandlers
from poseanimate.ui.widgets import player
from poseanimate.ui.widgets.contact_sheet import (
    BORDER_PX,
    GAP_PX,
    PREDICTED_RGB,
    ContactSheet,
    enlargement,
)

WALK = (texts.FROM_PRESET, "walk", None, 0, 0, 1, 0, False, None, True)
QUICK = Settings(
    num_inference_steps=2,
    inner_steps=1,
    guidance_scale=2,
    frames=3,
    frame_masks="skeleton",
    mgdm=False,
)


def fitting(**changed: Any) -> list[Any]:
    """Values of `ALIGNMENT_SETTINGS`."""
    settings = Settings().changed({"frames": 8, **changed})
    return [getattr(settings, name) for name in ALIGNMENT_SETTINGS]


FITTING = fitting()


def session(name: str = "a") -> gr.Request:
    return gr.Request(session_hash=name)


def values(settings: Settings) -> list[Any]:
    return [getattr(settings, name) for name in SETTING_NAMES]


def read(outputs: tuple[Any, ...]) -> dict[str, Any]:
    """What an answer changes, by the output's name."""
    named = zip(RESULT_OUTPUTS, outputs, strict=True)
    changed = {name: value for name, value in named if not _skipped(value)}
    for name in {"clip", "contact_sheet"} & changed.keys():  # they are shown and hidden as well
        update = changed.pop(name)
        if "value" in update:
            changed[name] = update["value"]
    return changed


def _skipped(value: Any) -> bool:
    return isinstance(value, dict) and value == gr.skip()


def packed(handlers: Handlers) -> Iterator[list[Path]]:
    """The downloads of a session's last run, while they are there."""
    for *_, files in StageHandlers(handlers).pack(session()):
        if not _skipped(files):
            yield [Path(path) for path in files]


def words(html: str) -> str:
    return re.sub(r"<[^>]*>", " ", html)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "character.png"
    Image.fromarray(scene_at_ease().picture).save(path)
    return str(path)


@pytest.fixture
def no_picture(tmp_path: Path) -> str:
    path = tmp_path / "character.png"
    path.write_text("this is text")
    return str(path)


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


def started(handlers: Handlers, picture: str | None, who: str = "a") -> Generator:
    return handlers.animate(session(who), picture, "", "a girl", *WALK, *values(QUICK))


def reading(of: Animator | Handlers) -> tuple[Engine, InputCache]:
    """What handlers before a run need; with the inputs that a page's runs have read."""
    inputs = of.inputs if isinstance(of, Handlers) else InputCache(of)
    return inputs.engine, inputs


def look(of: Animator | Handlers, *asked: Any) -> tuple[dict[str, Any], str]:
    return CharacterHandlers(*reading(of)).look(*asked)[:2]


def fit(
    of: Animator | Handlers, *asked: Any, view: str = texts.PLAYING
) -> Iterator[tuple[Any, str]]:
    """The alignment's picture and findings."""
    for answer in DraftHandlers(*reading(of)).fit(view, *asked):
        picture, findings, *_ = answer
        yield picture, findings


# Character and alignment --------------------------------------------------------------------------


def test_a_picture_is_shown_with_its_joints(scripted: Scripted, picture: str) -> None:
    changed, said = look(scripted, picture)
    shown, found = changed["content"], tiny_models().detector.detect(scene_at_ease().picture)
    assert shown["people"] == people_json(found, SIDE, SIDE)
    assert (shown["width"], shown["height"]) == (SIDE, SIDE)
    jpeg = base64.b64decode(shown["picture"].partition("base64,")[2])
    with Image.open(io.BytesIO(jpeg)) as large:
        assert large.format == "JPEG" and min(large.size) >= 384
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    for line in shown["outline"]:
        cv2.fillPoly(drawn, [np.array(line).reshape(-1, 2).astype(np.int32)], 1)
    mask = tiny_models().segmenter.segment(scene_at_ease().picture) > 0.5
    assert (drawn.astype(bool) == mask).mean() > 0.97
    assert "head to feet" in said and "pixels" not in said


def test_joints_that_were_put_right_are_used_and_come_back_with_the_bundle(
    picture: str, tmp_path: Path
) -> None:
    handlers = Handlers(Animator(tiny_models()))
    (found,) = tiny_models().detector.detect(scene_at_ease().picture)
    lifted = found.body.copy()
    lifted[4, :2] -= (6, 20)
    joints = people_json([Pose(lifted)], SIDE, SIDE)
    _, said = look(handlers, picture, joints)
    assert "as you put them" in said
    assert handlers.inputs.load_character(picture, joints).pose.equals(Pose(lifted))
    assert handlers.inputs.load_character(picture).pose.equals(found)
    asked = (picture, joints, "a girl", *WALK, *values(QUICK))
    clips = [
        read(answer)["clip"]
        for answer in handlers.animate(session(), *asked)
        if "clip" in read(answer)
    ]
    assert clips
    bundle = tmp_path / "bundle.zip"
    for files in packed(handlers):
        bundle.write_bytes(files[-1].read_bytes())
    (back,) = restored(handlers, bundle)
    assert back["joints"] == joints


def test_of_several_people_one_is_chosen_and_nobody_can_be_placed(picture: str) -> None:
    one, other = (scene_at_ease().pose.shifted(dx, 0) for dx in (-10, 10))
    for people, remedy in (((one, other), texts.CHOOSE_ONE), ((), texts.PLACE_ONE)):
        eyes = ToldEyes(people, scene_at_ease().mask)
        handlers = Handlers(Animator(replace(tiny_models(), detector=eyes, segmenter=eyes)))
        changed, said = look(handlers, picture)
        assert remedy in words(said)
        assert changed["content"]["people"] == people_json(people, SIDE, SIDE)
        chosen = handlers.inputs.load_character(picture, people_json([other, one], SIDE, SIDE))
        assert chosen.pose.equals(other)


@pytest.mark.parametrize(
    ("joints", "said"),
    [
        ("no json", "no valid JSON"),
        ('{"people": []}', "0 people"),
        ('{"people": [{"pose_keypoints_2d": [NaN]}]}', "1 values"),
        ('[{"people": []}, {"people": []}]', "2 frames"),
        ("[" * 80_000, "no valid JSON"),
        (" " * 1_000_001, "1000001 characters"),
        ({"people": []}, "no text"),
        (people_json([Pose.absent()], 9, 9), "0 joints"),
    ],
)
def test_joints_that_cant_be_get_a_sentence(
    picture: str, joints: Any, said: str, scripted: Scripted
) -> None:
    handlers = Handlers(scripted)
    _, told = look(handlers, picture, joints)
    assert said in words(told) and 'role="alert"' in told
    (waits,) = fit(handlers, picture, joints, *WALK, *FITTING)
    assert waits == (None, texts.sentence(texts.NO_CHARACTER))


def test_a_picture_that_the_models_do_not_paint_is_aligned_and_refused_once(picture: str) -> None:
    engine = Animator(replace(tiny_models(), world=OtherWorld()))
    handlers = Handlers(engine)
    _, said = look(handlers, picture)
    assert "the draft is the result" in said and "sd15" in said and "pixels" not in said
    assert "sd15" not in look(Animator(tiny_models()), picture)[1]
    *_, (aligned, _) = fit(handlers, picture, "", *WALK, *FITTING)
    assert aligned is not None
    for who in ("a", "b"):  # each of the page's visitors is told
        with pytest.raises(gr.Error, match="paint drawn figures") as told:
            list(started(handlers, picture, who))
        assert str(told.value.message).endswith(texts.PAINT_ANYWAY)
    *_, last = (read(outputs) for outputs in started(handlers, picture))
    assert last["clip"] is not None
    handlers.leave(session())
    with pytest.raises(gr.Error, match="paint drawn figures"):
        list(started(handlers, picture))


def test_what_is_no_picture_gets_a_sentence_with_its_remedy(
    scripted: Scripted, no_picture: str
) -> None:
    changed, said = look(scripted, no_picture)
    assert changed["content"] is player.NOTHING
    assert "not a picture" in said and "PNG, JPEG, WebP, HEIC" in said and 'role="alert"' in said


def test_no_picture_is_no_error(scripted: Scripted) -> None:
    changed, said = look(scripted, None)
    assert (
        changed["content"] is player.NOTHING
        and "alert" not in said
        and texts.NO_PICTURE in words(said)
    )


def test_a_picture_is_looked_at_once(
    scripted: Scripted, picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers, seen = Handlers(scripted), []
    original = scripted.fit_picture
    monkeypatch.setattr(scripted, "fit_picture", lambda *how: (seen.append(how), original(*how))[1])
    look(handlers, picture)
    list(fit(handlers, picture, "", *WALK, *FITTING))
    assert len(seen) == 2  # on the clip's canvas and on the page's


def test_alignment_is_a_clip_with_findings_and_needs_no_diffusion_model(picture: str) -> None:
    eyes_only = replace(tiny_models(), unet=None, controlnet=None, text_encoder=None)
    handlers = Handlers(Animator(eyes_only))
    answers = fit(handlers, picture, "", *WALK, *FITTING)
    path, said = next(answers)
    with Image.open(path) as clip:
        assert clip.format == "GIF" and clip.n_frames == 8
    assert "8 frames" in said
    assert list(answers) == []
    assert not Path(path).exists(), "the temporary folder is left behind"


def test_alignment_waits_for_a_picture(scripted: Scripted, no_picture: str) -> None:
    answers = list(fit(scripted, no_picture, "", *WALK, *FITTING))
    assert answers == [(None, texts.sentence(texts.NO_CHARACTER))]


def test_alignment_waits_for_a_motion(scripted: Scripted, picture: str) -> None:
    nothing = (texts.FROM_FILE, "walk", None, 0, 0, 1, 0, False, None, True)
    answers = fit(scripted, picture, "", *nothing, *FITTING)
    assert list(answers) == [(None, texts.sentence(texts.NO_MOTION))]


def test_alignment_says_what_is_wrong_with_a_motion(
    scripted: Scripted, picture: str, tmp_path: Path
) -> None:
    broken = tmp_path / "walk.json"
    broken.write_text('{"frames": 3}')
    motion = (texts.FROM_FILE, "walk", str(broken), 0, 0, 1, 0, False, None, True)
    [(clip, said)] = fit(scripted, picture, "", *motion, *FITTING)
    assert clip is None and "OpenPose keypoint JSON" in said and 'role="alert"' in said


def test_a_finding_comes_with_its_fix(scripted: Scripted, picture: str) -> None:
    def answer(**changed: Any) -> dict[str, Any]:
        (found,) = DraftHandlers(*reading(scripted)).fit(
            texts.PLAYING, picture, "", *WALK, *fitting(**changed)
        )
        return dict(zip(ALIGNMENT_OUTPUTS, found, strict=True))

    short = answer(frames=8)
    whole = short["fixes"]["frames"]
    assert "poses." in short["findings"] and "With" not in short["findings"]  # the button says it
    assert short["frames"].visible and str(whole) in short["frames"].value
    assert not any(short[name].visible for name in FIXABLE if name != "frames")
    assert not answer(**short["fixes"])["fixes"]
    long = answer(frames=40)
    assert long["fixes"] == {"loop": True} and long["loop"].visible
    assert not answer(frames=40, loop=True)["fixes"]
    away = answer(frames=whole, motion_scale=4)
    assert away["fixes"]["anchor"] == "pinned" and "leave the picture" in away["findings"]


def test_a_video_on_its_side_comes_with_its_fix(picture: str, tmp_path: Path) -> None:
    class Eyes(ToldEyes):
        """Sees nobody where it is dark at the top, in videos."""

        def detect(self, image: np.ndarray) -> list[Pose]:
            video = len(image) == 64 and image[8].mean() < 128
            return [] if video else super().detect(image)

    video = tmp_path / "side.mp4"
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[:, :16] = 255
    write_clip([frame] * 3, video, 12)
    scene = scene_at_ease()
    eyes = Eyes((scene.pose,), scene.mask)
    previews = DraftHandlers(
        *reading(Animator(replace(tiny_models(), detector=eyes, segmenter=eyes)))
    )
    motion = (texts.FROM_FILE, None, str(video), 0, 0, 1, 0, False, None, True)
    *_, found = previews.fit(texts.PLAYING, picture, "", *motion, *FITTING)
    refused = dict(zip(ALIGNMENT_OUTPUTS, found, strict=True))
    assert "somebody is when it is turned by 90 degrees clockwise" in refused["findings"]
    assert refused["fixes"] == {"rotate": 90} and refused["rotate"].visible
    motion = (*motion[:6], 90, *motion[7:])
    *_, found = previews.fit(texts.PLAYING, picture, "", *motion, *FITTING)
    assert found[0] is not None


def test_the_alignment_is_seen_before_and_after_and_as_a_strip(picture: str) -> None:
    handlers = Handlers(Animator(tiny_models()))
    shown = {}
    for view in (texts.PLAYING, texts.AS_IT_CAME, texts.IN_A_STRIP):
        for path, _ in fit(handlers, picture, "", *WALK, *FITTING, view=view):
            with Image.open(path) as image:
                shown[view] = (image.format, np.asarray(image.convert("RGB")))
            if view == texts.PLAYING:
                with Image.open(path) as image:
                    image.seek(5)
                    shown["sixth"] = np.asarray(image.convert("RGB"))
            if view == texts.AS_IT_CAME:
                with Image.open(path) as image:
                    image.seek(5)
                    assert not np.array_equal(np.asarray(image.convert("RGB")), shown["sixth"])
    assert [shown[view][0] for view in shown if view != "sixth"] == ["GIF", "GIF", "PNG"]
    assert shown[texts.IN_A_STRIP][1].shape[1] > 4 * shown[texts.PLAYING][1].shape[1]


def test_a_video_is_looked_through_once_frame_by_frame(
    scripted: Scripted, picture: str, tmp_path: Path
) -> None:
    video = tmp_path / "dance.mp4"
    write_clip([scene_at_ease().picture] * 6, video, 12)
    motion = (texts.FROM_FILE, "walk", str(video), 0, 0, 2, 0, False, None, True)
    handlers = Handlers(scripted)
    rest = FITTING
    first = [said for _, said in fit(handlers, picture, "", *motion, *rest)]
    assert [f"step {i} of 3" in said for i, said in enumerate(first, 1)] == [
        True,
        True,
        True,
        False,
    ]
    assert len(list(fit(handlers, picture, "", *motion, *rest))) == 1


def test_a_pose_file_is_a_motion(scripted: Scripted, picture: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(load_preset("wave").to_json())
    motion = (texts.FROM_FILE, None, str(file), 0, 0, 1, 0, False, None, True)
    [(clip, said)] = fit(
        scripted,
        picture,
        "",
        *motion,
        *fitting(frames=5, transition_frames=0, anchor="pinned", smooth=False),
    )
    assert clip is not None and "5 frames" in said


def test_a_rate_is_for_pose_files(scripted: Scripted, picture: str, tmp_path: Path) -> None:
    file, video = tmp_path / "mine.json", tmp_path / "dance.mp4"
    file.write_text(load_preset("wave").to_json())
    write_clip([scene_at_ease().picture] * 3, video, 12)
    for path, said in (
        (file, "Good fit: 0.2 s"),
        (video, "dance.mp4 has a frame rate of its own"),
    ):
        motion = (texts.FROM_FILE, None, str(path), 0, 0, 1, 0, False, 24, True)
        how = fitting(frames=5, transition_frames=0, anchor="pinned", smooth=False)
        *_, (_, told) = fit(scripted, picture, "", *motion, *how)
        assert said in told


def test_motion_choices() -> None:
    assert MotionChoice.of(WALK) == MotionChoice("walk")
    file = (texts.FROM_FILE, "walk", "/f.mp4", None, None, None, 0, False, None, True)
    assert MotionChoice.of(file) == MotionChoice("/f.mp4", 0.0, None, 1)
    assert MotionChoice.of(
        (texts.FROM_FILE, "walk", "/f.mp4", 1.5, 0, 2, 0, False, None, True)
    ) == MotionChoice("/f.mp4", 1.5, None, 2)
    rated = (texts.FROM_FILE, None, "/f.json", 0, 0, 1, 0, False, 24, False)
    assert MotionChoice.of(rated) == MotionChoice("/f.json", fps=24, sound=False)
    assert MotionChoice.of((*rated[:8], 0, None)) == MotionChoice("/f.json", sound=False)
    several = (texts.FROM_FILE, None, ["/a.png", "/b.png"], *file[3:])
    assert MotionChoice.of(several) == MotionChoice("/a.png", more=("/b.png",))
    for nothing in (
        (texts.FROM_FILE, "walk", None, 0, 0, 1, 0, False, None, True),
        (texts.FROM_FILE, "walk", [], 0, 0, 1, 0, False, None, True),
        (texts.FROM_PRESET, None, "/f", 0, 0, 1, 0, False, None, True),
    ):
        with pytest.raises(MotionError, match="Pick a ready-made motion"):
            MotionChoice.of(nothing)


def test_a_form_is_split_into_its_motion_and_its_settings() -> None:
    form = FormValues.of((*WALK, *values(QUICK)))
    assert form.uses_preset and form.motion() == MotionChoice("walk") and form.settings() == QUICK
    some = FormValues.of((*WALK, *fitting(frames=9)), ALIGNMENT_SETTINGS)
    assert some.settings() == Settings().changed({"frames": 9})
    with pytest.raises(ValueError, match="shorter"):
        FormValues.of((*WALK, *values(QUICK)[:-1]))


# Settings -----------------------------------------------------------------------------------------


def test_presets_fill_all_settings(scripted: Scripted) -> None:
    for name in preset_names("pocket"):
        filled = Presets("pocket").preset_values(name)
        assert Settings(**dict(zip(SETTING_NAMES, filled, strict=True))) == Settings.preset(
            name, "pocket"
        )


def test_the_sum_of_lambdas_is_shown() -> None:
    assert "alert" not in weigh(0.7, 0.15, 0.15)
    assert "1.2, but must be 1" in weigh(0.9, 0.15, 0.15)
    assert "0.15, but must be 1" in weigh(None, None, 0.15)  # type: ignore[arg-type]


@given(st.tuples(*[st.floats(0, 1)] * 3))
def test_the_last_lambda_takes_the_rest(lambdas: tuple[float, float, float]) -> None:
    first, prev, own = normalise(*lambdas[:2])
    Settings(lambda_first=first, lambda_prev=prev, lambda_self=own)
    assert first == pytest.approx(lambdas[0], abs=0.0051)
    assert prev == pytest.approx(min(lambdas[1], 1 - lambdas[0]), abs=0.0101)


def test_lambdas_that_are_empty_count_nothing() -> None:
    assert normalise(None, None) == (0, 0, 1)  # type: ignore[arg-type]


def test_every_setting_has_a_component_with_its_range_and_help() -> None:
    for each in fields(Settings):
        component = control(each, each.default)
        assert component.value == each.default
        assert component.label and (component.info or each.name in texts.SELF_EXPLAINING)
        if isinstance(component, gr.Slider | gr.Number):
            limits = (component.minimum, component.maximum)
            assert limits == (each.metadata["low"], each.metadata["high"])
        if isinstance(component, gr.Radio):
            assert tuple(value for _, value in component.choices) == each.metadata["choices"]
        if isinstance(component, gr.Slider):
            steps = (each.default - component.minimum) / component.step
            assert steps == pytest.approx(round(steps)), f"{each.name} can't be set to its default"


# Runs ---------------------------------------------------------------------------------------------


def test_a_run_ends_with_clip_sheet_and_figures(picture: str) -> None:
    handlers = Handlers(Animator(tiny_models()))
    handlers.begin(session())
    answers = started(handlers, picture)
    seen: dict[str, Any] = {}
    bars = []
    for answer in answers:
        changed = read(answer)
        seen |= changed
        bars.append(words(changed.get("bar", "")))
        if changed.get("clip"):
            clip = read_video(Path(changed["clip"]))
    assert len(clip.frames) == 3 and min(clip.frames[0].shape[:2]) == 512
    assert Path(seen["clip"]).name == "poseanimate-walk.mp4"
    assert not Path(seen["clip"]).exists(), "the temporary folder is left behind"
    assert seen["contact_sheet"].shape[2] == 3
    for figure in ("dB PSNR", "unet", "Taken from the cache"):
        assert figure in seen["report"]
    assert any("step 1 of 2" in bar and "left" in bar for bar in bars)
    assert "3 frames" in bars[-1]
    assert seen["generate"].interactive and not seen["stop"].interactive


def test_the_forecast_knows_what_is_cached_and_how_fast_this_machine_is(
    picture: str, tmp_path: Path
) -> None:
    handlers = Handlers(Animator(tiny_models(), StageCache(tmp_path / "cache", 10**8)))
    asked = (picture, "", "a girl", *WALK, *values(QUICK))
    assert handlers.forecast(*asked) == "", "the motion hasn't been read yet"
    list(
        fit(
            handlers,
            picture,
            "",
            *WALK,
            *(getattr(QUICK, name) for name in ALIGNMENT_SETTINGS),
        )
    )
    before = handlers.forecast(*asked)
    assert "Frames of 64 x 64 px<" in before and "first run shows how long it takes" in before
    assert "cached" not in before
    list(started(handlers, picture))
    after = words(handlers.forecast(*asked))
    assert re.search(
        r"Frames of 64 x 64 px, in about \d+ s +\d\.\d GB of memory · to do: .*drawing frames",
        after,
    )
    assert "cached: preparing the picture (1/2), learning to reconstruct the picture" in after
    wrong = values(QUICK)
    wrong[SETTING_NAMES.index("lambda_first")] = 0.2
    assert handlers.forecast(picture, "", "a girl", *WALK, *wrong) == ""
    assert handlers.forecast(None, "", "a girl", *WALK, *values(QUICK)) == ""


def test_a_clip_is_taken_away_in_five_forms(picture: str, tmp_path: Path) -> None:
    handlers = Handlers(Animator(tiny_models()))
    for answer in started(handlers, picture):
        last = read(answer)
        clip = Path(last["clip"]).read_bytes() if last.get("clip") else b""
    assert list(StageHandlers(handlers).pack(session("b"))) == [], "it is another session's"
    for made in packed(handlers):
        assert [path.name for path in made] == [
            f"poseanimate-walk{end}"
            for end in (".mp4", ".gif", ".webm", "-frames.zip", "-bundle.zip")
        ]
        assert [len(read_video(path).frames) for path in made[:3]] == [3, 3, 3]
        with zipfile.ZipFile(made[3]) as frames:
            assert len(frames.namelist()) == 3
        job = Bundle.from_bytes(made[4].read_bytes())
    assert not made[0].exists(), "the temporary folder is left behind"
    assert job.clip == clip and job.settings == QUICK and job.prompt == "a girl"
    assert np.array_equal(job.picture, scene_at_ease().picture)
    handlers.leave(session())
    assert list(StageHandlers(handlers).pack(session())) == []


def test_downloads_of_a_run_do_not_come_over_the_next_one(picture: str) -> None:
    handlers = Handlers(Animator(tiny_models()))
    list(started(handlers, picture))
    packing = StageHandlers(handlers).pack(session())
    next(packing)
    following = started(handlers, picture)
    next(following)
    assert list(packing) == [], "the next has begun"
    packing = StageHandlers(handlers).pack(session())
    next(packing)
    list(following)
    assert list(packing) == [], "the next is over"
    assert len(list(packed(handlers))) == 1


# Sound --------------------------------------------------------------------------------------------


@pytest.fixture
def sounding(tmp_path: Path) -> Path:
    """Three frames with a tone."""
    write_clip([scene_at_ease().picture] * 3, tmp_path / "silent.mp4", 10)
    path = tmp_path / "dance.mp4"
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.3", "-i", tmp_path / "silent.mp4", "-c:v", "copy", path)
    return path


def danced(
    handlers: Handlers, picture: str, video: Path, part: tuple[Any, ...], frames: int = 6
) -> str:
    """Runs a video's motion to its end; what the page says then."""
    motion = (texts.FROM_FILE, None, str(video), *part)
    settings = QUICK.changed({"frames": frames, "transition_frames": 2})
    *_, last = handlers.animate(session(), picture, "", "a girl", *motion, *values(settings))
    return words(read(last)["notes"])


@pytest.mark.parametrize(
    ("part", "frames", "heard"),
    [
        ((0, 0, 1, 0, False, None, True), 6, True),
        ((0, 0, 1, 0, False, None, False), 6, False),  # not wanted
        ((0, 0, 1, 0, False, None, True), 5, False),  # not all of it
        ((0, 0.2, 1, 0, False, None, True), 5, False),  # a part
        ((0, 0, 2, 0, False, None, True), 5, False),
    ],
)
def test_a_clip_of_a_whole_video_has_its_sound(
    part: tuple[Any, ...], frames: int, heard: bool, picture: str, sounding: Path
) -> None:
    handlers = Handlers(Animator(tiny_models()))
    said = danced(handlers, picture, sounding, part, frames)
    assert (texts.HAS_SOUND in said) == heard
    for mp4, _, webm, _, bundle in packed(handlers):
        assert [read_sound(path) is not None for path in (mp4, webm)] == [heard] * 2
        assert Bundle.from_bytes(bundle.read_bytes()).clip == mp4.read_bytes()
        if heard:  # after the frames that lead into the motion
            assert loudness(mp4, 0, 0.2) < 60 < 500 < loudness(mp4, 0.4, 0.55)


def test_sound_is_no_reason_to_look_again(picture: str, sounding: Path) -> None:
    inputs = InputCache(Animator(tiny_models()))
    choice = MotionChoice(str(sounding), sound=False)
    list(inputs.load_motion(choice))
    assert inputs.cached_motion(replace(choice, sound=True, repair=True)) is not None
    assert inputs.cached_motion(replace(choice, fps=5)) is None


def test_damaged_sound_costs_the_sound_and_not_the_clip(
    picture: str, sounding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise VideoError("The video's sound is damaged.", "Save it again.")

    monkeypatch.setattr("poseanimate.inputs.driver_sound.read_sound", fail)
    handlers = Handlers(Animator(tiny_models()))
    said = danced(handlers, picture, sounding, (0, 0, 1, 0, False, None, True))
    assert "The clip is silent." in said and "sound is damaged. Save it again." in said
    for mp4, *_ in packed(handlers):
        assert len(read_video(mp4).frames) == 6


def test_a_stopped_clip_is_silent(picture: str, sounding: Path) -> None:
    run = RunView(sound_from=str(sounding))
    run.add_sound()
    assert run.sound is None and not run.notes


def restored(handlers: Handlers, path: Path) -> Iterator[dict[str, Any]]:
    """What a bundle changes on the page, by name, while its files are there."""
    for answer in OpeningHandlers(handlers).restore(session(), str(path)):
        named = zip((*RESTORE_OUTPUTS, *SETTING_NAMES), answer, strict=True)
        yield {name: value for name, value in named if not _skipped(value)}


def test_a_bundle_brings_back_a_job_that_makes_the_same_clip(picture: str, tmp_path: Path) -> None:
    handlers = Handlers(Animator(tiny_models()))
    list(started(handlers, picture))
    bundle = tmp_path / "bundle.zip"
    for files in packed(handlers):
        bundle.write_bytes(files[-1].read_bytes())
    fresh, clips = Handlers(Animator(tiny_models())), []
    for back in restored(fresh, bundle):
        assert "are back" in back["restored"] and "other models" not in back["restored"]
        chosen = [back.get(name) for name in ("picture", "joints", "prompt", *MOTION_NAMES)]
        settings = [back[name] for name in SETTING_NAMES]
        assert back["ready"] == "" and back["clip"]["visible"]
        for answer in fresh.animate(session("c"), *chosen, *settings):
            if read(answer).get("clip"):
                clips.append(Path(read(answer)["clip"]).read_bytes())
    assert clips == [Bundle.from_bytes(bundle.read_bytes()).clip]


def test_a_bundle_of_other_models_says_so(scripted: Scripted, tmp_path: Path) -> None:
    job = Bundle(scene_at_ease().picture, load_preset("walk"), QUICK, "a girl", "others")
    (tmp_path / "job.zip").write_bytes(job.to_bytes())
    (back,) = restored(Handlers(scripted), tmp_path / "job.zip")
    assert "other models" in back["restored"]
    assert back["frames"] == QUICK.frames


def test_a_bundles_clip_is_checked_too(scripted: Scripted, tmp_path: Path) -> None:
    job = Bundle(scene_at_ease().picture, load_preset("walk"), QUICK, "", clip=b"no video at all")
    (tmp_path / "job.zip").write_bytes(job.to_bytes())
    (back,) = restored(Handlers(scripted), tmp_path / "job.zip")
    assert set(back) == {"restored"} and 'role="alert"' in back["restored"]


def test_what_is_no_bundle_changes_nothing_but_a_sentence(
    scripted: Scripted, no_picture: str
) -> None:
    (back,) = restored(Handlers(scripted), Path(no_picture))
    assert set(back) == {"restored"} and 'role="alert"' in back["restored"]


def test_stop_keeps_what_is_finished_and_leaves_others_alone(
    scripted: Scripted, picture: str
) -> None:
    handlers = Handlers(scripted)
    handlers.queue.places = 2  # both go on at once
    mine, others = started(handlers, picture), started(handlers, picture, "b")
    for run in (mine, others):
        while "step 4 of 10" not in read(next(run)).get("bar", ""):
            pass
    assert "Stopping" in read(handlers.stop(session()))["bar"]
    last = read(next(mine))
    assert "Stopped. The 4 finished frames" in words(last["bar"])
    assert len(read_video(Path(last["clip"])).frames) == 4
    assert scripted.closed == 1, "the engine's run was not closed"
    assert list(mine) == []
    assert "step 5 of 10" in str([next(others), next(others)])
    assert len([answer for answer in others if read(answer).get("clip")]) == 1


def test_a_ready_made_clip_takes_the_place_of_an_opened_one_but_not_of_ones_own(
    scripted: Scripted, picture: str
) -> None:
    handlers = Handlers(scripted)
    pair = ("room-boy", texts.FROM_PRESET, "walk")
    shown = dict(zip(RESULT_OUTPUTS, StageHandlers(handlers).chosen(session(), *pair), strict=True))
    assert "room-boy_walk" in shown["ready"]
    assert shown["clip"]["visible"] == shown["contact_sheet"]["visible"] == "hidden"
    assert read(StageHandlers(handlers).chosen(session(), None, *pair[1:]))["ready"] == ""
    run = started(handlers, picture)
    next(run)
    assert read(StageHandlers(handlers).chosen(session(), *pair)) == {}, "the run goes on"
    list(run)
    changed = read(StageHandlers(handlers).chosen(session(), *pair))
    assert changed.keys() == {"stage", "bar"} and texts.CHANGED in changed["bar"]


def test_stop_before_the_turn_has_come(scripted: Scripted, picture: str) -> None:
    handlers = Handlers(scripted)
    assert read(handlers.begin(session()))["stop"].interactive
    assert "Stopped." in read(handlers.stop(session()))["bar"]
    [answer] = started(handlers, picture)
    assert "Stopped." in read(answer)["bar"] and "clip" not in read(answer)
    assert scripted.begun == 0
    handlers.begin(session())  # the next one is not stopped
    assert "10 frames" in words(read(list(started(handlers, picture))[-1])["bar"])


def test_stop_without_a_run_does_nothing(scripted: Scripted) -> None:
    assert list(read(Handlers(scripted).stop(session()))) == ["stop"]


def test_a_predicted_frame_is_marked_in_its_place_until_it_is_finished(picture: str) -> None:
    predicted, finished = (np.full((64, 64, 3), grey, np.uint8) for grey in (100, 200))

    class Predicting(Scripted):
        def animate(self, character, motion, settings, prompt="") -> Iterator[Any]:
            alignment = self.align(character, motion, settings)
            yield Aligned(alignment, character.picture, character.mask)
            yield Frame(0, character.picture)
            yield Preview(2, predicted)
            yield Frame(2, finished)

    handlers = Handlers(Predicting(), clock=count().__next__)  # a second for every look at it
    answers = [read(answer) for answer in started(handlers, picture)]
    before, during, after = (
        answer["contact_sheet"] for answer in answers if "contact_sheet" in answer
    )
    side = (before.shape[0] - GAP_PX) // 2  # three frames in two rows
    place = np.s_[side + GAP_PX :, :side]
    for sheet in (during, after):
        elsewhere = (sheet != before).any(axis=2)
        elsewhere[place] = False
        assert not elsewhere.any()
    inside = np.s_[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]
    border = np.ones((side, side), bool)
    border[inside] = False
    assert (during[place][inside] == 100).all()
    assert (during[place][border] == PREDICTED_RGB).all()
    assert (after[place] == 200).all()


def test_a_closed_page_closes_the_run(scripted: Scripted, picture: str) -> None:
    handlers = Handlers(scripted)
    run = started(handlers, picture)
    while "step 2 of 10" not in read(next(run)).get("bar", ""):
        pass
    run.close()
    assert scripted.closed == 1
    assert list(read(handlers.stop(session()))) == ["stop"], "the run is still known"


def test_leaving_stops_a_run_that_waits(scripted: Scripted) -> None:
    handlers = Handlers(scripted)
    handlers.begin(session())
    handlers.leave(session())
    assert list(read(handlers.stop(session()))) == ["stop"]


def test_bad_settings_leave_the_last_clip_alone(scripted: Scripted, picture: str) -> None:
    wrong = values(QUICK)
    wrong[SETTING_NAMES.index("lambda_first")] = 0.9
    answers = []
    with pytest.raises(gr.Error, match="must be 1"):
        for answer in Handlers(scripted).animate(session(), picture, "", "", *WALK, *wrong):
            answers.append(read(answer))
    assert "for instance 0.7" in answers[-1]["bar"] and 'role="alert"' in answers[-1]["bar"]
    assert answers[-1]["generate"].interactive
    assert not any({"clip", "contact_sheet", "report"} & set(answer) for answer in answers)


def test_a_bad_picture_gets_a_sentence(scripted: Scripted, no_picture: str) -> None:
    with pytest.raises(gr.Error, match="not a picture"):
        list(started(Handlers(scripted), no_picture))


def test_an_error_on_the_way_keeps_what_is_finished(scripted: Scripted, picture: str) -> None:
    scripted.failure = MotionError("It broke.", "Mend it.")
    answers = []
    with pytest.raises(gr.Error, match=r"It broke\. Mend it\."):
        for answer in started(Handlers(scripted), picture):
            answers.append(read(answer))
    assert "It broke. Mend it." in answers[-1]["bar"] and "5 finished frames" in answers[-1]["bar"]
    assert answers[-1]["clip"]


def test_a_fault_of_the_program_is_logged_and_not_shown(
    scripted: Scripted, picture: str, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.failure = RuntimeError("secret detail")
    answers = []
    with pytest.raises(gr.Error, match="Something went wrong") as raised:
        for answer in started(Handlers(scripted), picture):
            answers.append(read(answer))
    assert "secret detail" in caplog.text
    assert "secret" not in str(raised.value) + str(answers)
    assert answers[-1]["clip"], "finished frames are lost"


def test_a_queue_that_is_full_gets_a_sentence(scripted: Scripted) -> None:
    handlers = Handlers(scripted)
    handlers.begin(session())
    answer = read(handlers.failed(session()))
    assert "Try again" in answer["bar"] and answer["generate"].interactive
    assert "bar" not in read(handlers.failed(session())), "an error's own sentence is overwritten"


def test_a_motion_that_can_not_be_used_leaves_the_last_clip_alone(
    scripted: Scripted, picture: str, tmp_path: Path
) -> None:
    motion = (texts.FROM_FILE, "walk", str(tmp_path / "missing.mp4"), 0, 0, 1, 0, False, None, True)
    answers = []
    with pytest.raises(gr.Error, match="file isn't there any more"):
        for answer in Handlers(scripted).animate(
            session(), picture, "", "", *motion, *values(QUICK)
        ):
            answers.append(read(answer))
    assert not any({"clip", "contact_sheet", "report"} & set(answer) for answer in answers)


def test_one_session_has_one_run(scripted: Scripted, picture: str) -> None:
    handlers = Handlers(scripted)
    handlers.begin(session())
    run = started(handlers, picture)
    next(run)
    handlers.begin(session())  # a second click: the run that goes on stays the one that Stop stops
    handlers.stop(session())
    assert "Stopped" in read(list(run)[-1])["bar"]


# The pieces ---------------------------------------------------------------------------------------


def test_texts_escape_what_comes_from_outside() -> None:
    evil = "<img src=x onerror=alert(1)>"
    run = RunView()
    run.take(Note(evil))
    for html in (
        texts.sentence(evil),
        texts.progress(evil, 0.5, evil),
        texts.ended(3, trouble=evil),
        run.notes_said(),
    ):
        assert "<img" not in html and "&lt;img" in html


def test_time_left_reads_well() -> None:
    assert texts.duration(4.4) == "4 s"
    assert texts.duration(125) == "2 min 5 s"
    assert texts.step_detail(3, 15, 12) == "step 3 of 15 · about 12 s left"
    assert texts.step_detail(3, 15, None) == "step 3 of 15"


def test_the_bar_knows_how_far_the_run_is() -> None:
    run = RunView()
    run.begin()
    run.take(Step("generation", 1, 2, 0.0))
    assert 'aria-valuenow="100"' in run.bar
    run.take(Stage("generation", 4))
    assert 'aria-valuenow="100"' in run.bar, "a new stage starts the bar again"
    run.take(Step("generation", 1, 4, 1e9))
    assert 'aria-valuenow="0"' in run.bar


def test_only_warnings_look_like_warnings() -> None:
    run = RunView()
    run.take(Note("It shows a part.", warning=False))
    assert "pa-note" in run.notes_said() and "pa-warning" not in run.notes_said()
    run.take(Note("It faces away."))
    assert "pa-warning" in run.notes_said()


def test_a_stage_says_which_frames_it_works_on() -> None:
    assert texts.stage("generation") == "Drawing frames"
    assert texts.stage("generation", (1, 4), 15) == "Drawing frames: 2 to 5 of 16"
    assert texts.stage("generation", (15, 15), 15) == "Drawing frames: 16 of 16"


@pytest.mark.parametrize("count", [2, 4, 5, 16, 240])
@pytest.mark.parametrize("size", [(128, 128), (64, 192), (512, 768)])
def test_sheets_hold_every_frame_in_its_place(count: int, size: tuple[int, int]) -> None:
    width, height = size
    sheet = ContactSheet([np.zeros((300, 200, 3), np.uint8)] * count, width, height)
    sheet.finish(count - 1, np.full((height, width, 3), 200, np.uint8))
    sheet.predict(0, np.full((height, width, 3), 100, np.uint8))
    whole = sheet.picture()
    tile_w, tile_h = sheet.tile
    row, column = divmod(count - 1, sheet.columns)
    assert whole.shape[1] <= 1030 and tile_w / tile_h == pytest.approx(width / height, rel=0.1)
    y, x = row * (tile_h + GAP_PX), column * (tile_w + GAP_PX)
    assert (whole[y : y + tile_h, x : x + tile_w] == 200).all()
    assert tuple(whole[0, 0]) == PREDICTED_RGB
    assert tuple(whole[BORDER_PX, BORDER_PX]) == (100, 100, 100)


def test_sheets_come_at_most_twice_a_second() -> None:
    clock = SimpleNamespace(now=0.0)
    run = RunView(clock=lambda: clock.now)
    run._sheet = ContactSheet([np.zeros((8, 8, 3), np.uint8)] * 4, 8, 8)
    picture = np.zeros((8, 8, 3), np.uint8)
    shown = []
    for millisecond in range(0, 2000, 10):
        run.take(Frame(1, picture))
        clock.now = millisecond / 1000
        shown.append(run.contact_sheet(throttled=True) is not None)
    assert 4 <= sum(shown) <= 5
    assert run.contact_sheet() is not None, "the last state is held back"
    assert run.contact_sheet() is None


def test_small_clips_are_enlarged() -> None:
    assert enlargement(128, 128) == 4
    assert enlargement(64, 96) == 8
    assert enlargement(512, 768) == 1
    assert enlargement(2000, 3000) == 1


def test_examples_have_captions() -> None:
    assert len(theme.example_names()) >= 3
    assert all(theme.caption(name) for name in theme.example_names())


def test_the_page_knows_no_torch() -> None:
    for path in Path(page.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in ("torch", "diffusers")]


def test_handlers_may_be_called_at_once(scripted: Scripted, picture: str) -> None:
    handlers = Handlers(scripted)
    results: dict[int, str] = {}

    def run(who: int) -> None:
        last = read(list(started(handlers, picture, str(who)))[-1])
        results[who] = words(last["bar"])

    threads = [threading.Thread(target=run, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(results.values()) == [words(texts.ended(10))] * 4
