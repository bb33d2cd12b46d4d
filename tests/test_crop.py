"""Crop and paste back: any figure, any window, and what lies outside stays as it was."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from diffusers import AutoencoderDC
from helpers.animation import PROMPT, fast, frames_of, walk
from helpers.tiny import SIDE, scene_at_ease, tiny_models
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from poseanimate.animator import Animator, Character
from poseanimate.events import Aligned, Done, Frame, Preview
from poseanimate.inputs.aligner import MAX_CLIP_PIXELS, MAX_FULL_SIDE, full_side
from poseanimate.media.similarity import psnr_db
from poseanimate.models.family import Models
from poseanimate.pipeline.crop import Crop, Window, find_window
from poseanimate.pocket.body import Angles
from poseanimate.pocket.world.motions import sample_motion
from poseanimate.pocket.world.scene import Rendered, Scene
from poseanimate.poses.motion import Motion
from poseanimate.poses.pata import Alignment
from poseanimate.poses.skeleton import MAX_COORDINATE, Pose
from poseanimate.settings import MAX_FRAMES, Settings

WIDTH, HEIGHT = 210, 140


def render(height: float = 0.5, angles: Angles | None = None) -> Rendered:
    scene = replace(Scene.sample("train", 3), height=height, x=0.4)
    return scene.render(angles or Angles(), WIDTH, HEIGHT)


def character(height: float = 0.5) -> Character:
    seen = render(height)
    return Character(seen.picture, seen.pose, seen.mask)


def crop(who: Character, *poses: Pose, window: Window | None = None, size=(64, 64)) -> Crop:
    window = window or find_window(who, poses)
    return Crop(who, Alignment((who.pose, *poses), 0, 12.0, ()), window, size)


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


# --- the whole picture ---


def test_without_a_crop_frames_are_what_the_models_paint_even_where_that_is_larger() -> None:
    who = character()
    whole = Window(0, 0, WIDTH, HEIGHT)
    for size in ((WIDTH, HEIGHT), (WIDTH // 2, HEIGHT // 2)):
        view = Crop(who, Alignment((who.pose, who.pose), 0, 12.0, ()), whole, size, pasted=False)
        assert view.inside.picture.shape == (size[1], size[0], 3)
        painted = noise(WIDTH, HEIGHT)
        assert np.array_equal(view.paste(painted, view.place(1)), painted)


def upscaling_models(seen: Rendered) -> Models:
    """Tiny models with a decoder of a stage more than its encoder."""
    torch.manual_seed(0)
    vae = AutoencoderDC(
        latent_channels=3, encoder_block_types="ResBlock", decoder_block_types="ResBlock",
        encoder_block_out_channels=(8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8),
        encoder_layers_per_block=(0, 1, 1), decoder_layers_per_block=(0, 1, 1, 1),
        encoder_qkv_multiscales=((),) * 3, decoder_qkv_multiscales=((),) * 4,
        downsample_block_type="pixel_unshuffle", upsample_block_type="pixel_shuffle",
        encoder_out_shortcut=False, decoder_in_shortcut=False,
    )  # fmt: skip
    return replace(tiny_models(seen), vae=vae.eval().requires_grad_(False))


@pytest.mark.parametrize("crop", [False, True])
def test_a_decoder_of_twice_the_size_makes_clips_of_twice_the_size(crop: bool) -> None:
    seen = scene_at_ease(side=2 * SIDE)
    models = upscaling_models(seen)
    assert (models.scale, models.painted_side, models.inputs.scale) == (2, 2 * SIDE, 2)
    animator = Animator(models)
    settings = fast(crop=crop, pacm_source=True)
    who = animator.character(Image.fromarray(seen.picture), most_side=full_side(settings))
    assert who.picture.shape == (2 * SIDE, 2 * SIDE, 3)
    *events, done = animator.animate(who, walk(2), settings, PROMPT)
    assert isinstance(done, Done) and done.source_psnr_db is not None
    assert {frame.shape for frame in done.frames} == {(2 * SIDE, 2 * SIDE, 3)}
    assert {e.picture.shape for e in events if isinstance(e, Preview)} <= {(2 * SIDE, 2 * SIDE, 3)}
    masks = [e.mask for e in events if isinstance(e, Frame) and e.mask is not None]
    assert {mask.shape for mask in masks} <= {(2 * SIDE, 2 * SIDE)}


# --- the window ---


def poses(limit: float) -> st.SearchStrategy[Pose]:
    """Any joints, most of them far outside a picture."""
    number = st.floats(-limit, limit, width=32)
    joint = st.tuples(number, number, st.sampled_from([0.0, 0.2, 1.0]))
    return st.lists(joint, min_size=18, max_size=18).map(lambda rows: Pose(np.array(rows)))


@given(st.data())
def test_any_figure_gives_a_frame(data: st.DataObject) -> None:
    """Tiny or none, larger than the picture, and moving far outside it."""
    width, height = (data.draw(st.integers(16, 300)) for _ in range(2))
    mask = np.zeros((height, width), np.float32)
    left, right = sorted(data.draw(st.integers(0, width)) for _ in range(2))
    top, bottom = sorted(data.draw(st.integers(0, height)) for _ in range(2))
    mask[top:bottom, left:right] = 1
    limit = data.draw(st.sampled_from([50.0, 400.0, MAX_COORDINATE]))
    source, target = data.draw(poses(limit)), data.draw(poses(limit))
    who = Character(noise(width, height), source, mask)
    window = find_window(who, [target])
    assert 0 <= window.left < window.left + window.width <= width
    assert 0 <= window.top < window.top + window.height <= height
    cut = crop(who, target, window=window, size=(48, 40))
    assert cut.inside.picture.shape == (40, 48, 3)
    assert np.isfinite(cut.alignment_inside.poses[1].body).all()
    place = cut.place(1)
    assert place.shape == (40, 48) and place.min() >= 0 and place.max() <= 1
    assert cut.paste(noise(48, 40, seed=1), place).shape == who.picture.shape


def test_the_window_holds_the_motion_with_a_margin() -> None:
    who = character()
    target = who.pose.shifted(20, -5)
    window = find_window(who, [target])
    for pose in (who.pose, target):
        x, y = pose.xy[pose.visible()].T
        assert window.left < x.min() and x.max() < window.left + window.width
        assert window.top < y.min() and y.max() < window.top + window.height
    assert window.width == window.height < HEIGHT
    assert find_window(who, [target, who.pose.shifted(400, 0)]).width > window.width


def test_a_figure_that_fills_the_picture_leaves_it_whole() -> None:
    who = character()
    everywhere = [who.pose.shifted(-WIDTH, -HEIGHT), who.pose.shifted(WIDTH, HEIGHT)]
    assert find_window(who, everywhere) == (0, 0, WIDTH, HEIGHT)
    nobody = Character(who.picture, Pose.absent(), np.zeros_like(who.mask))
    assert find_window(nobody, []) == (0, 0, WIDTH, HEIGHT)


# --- there and back ---


@given(
    st.integers(0, WIDTH - 32), st.integers(0, HEIGHT - 32),
    st.integers(32, WIDTH), st.integers(32, HEIGHT), st.integers(0, 2**16),
)  # fmt: skip
def test_outside_every_pixel_is_the_pictures_own(
    left: int, top: int, width: int, height: int, seed: int
) -> None:
    who = character()
    window = Window(left, top, min(width, WIDTH - left), min(height, HEIGHT - top))
    cut = crop(who, who.pose.shifted(15, 0), window=window)
    place = cut.place(1)
    made = cut.paste(noise(64, 64, seed), place)
    size = (window.width, window.height)
    touched = np.zeros((HEIGHT, WIDTH), bool)
    touched[window.pixels] = cv2.resize(place, size, interpolation=cv2.INTER_LINEAR) > 0
    assert np.array_equal(made[~touched], who.picture[~touched])


def test_what_was_taken_and_pasted_unchanged_is_the_picture() -> None:
    who = character()
    window = find_window(who, [])
    same = crop(who, who.pose, window=window, size=(window.width, window.height))
    assert np.array_equal(same.paste(same.inside.picture, same.place(1)), who.picture)
    finer = crop(who, who.pose, window=window, size=(2 * window.width, 2 * window.height))
    assert psnr_db(finer.paste(finer.inside.picture, finer.place(1)), who.picture) > 40


def test_old_and_new_place_are_the_models_and_the_edge_is_soft() -> None:
    who, moved = character(), render(angles=sample_motion("jumping-jacks", 8)[4])
    window = find_window(who, [moved.pose])
    cut = crop(who, moved.pose, window=window, size=(window.width, window.height))
    white = np.full((window.height, window.width, 3), 255, np.uint8)
    made = cut.paste(white, cut.place(1))
    assert (made[who.mask > 0.5] == 255).all()
    assert (made[moved.mask > 0.5] == 255).all(axis=1).mean() > 0.97
    place = cut.place(1)
    assert np.abs(np.diff(place, axis=0)).max() < 0.7 and ((place > 0) & (place < 1)).any()
    around = np.ones((window.height, window.width), np.float32)
    assert cut.place(1, around).min() == 0, "at the window's own sides"


def test_a_mask_counts_where_the_skeleton_does_not() -> None:
    who = character()
    cut = crop(who, who.pose)
    hat = np.zeros((64, 64), np.float32)
    hat[30:34, 8:12] = 1
    assert cut.place(1)[32, 10] == 0 < cut.place(1, hat)[32, 10]
    whole = cut.enlarge(hat)
    assert whole.shape == (HEIGHT, WIDTH) and set(np.unique(whole)) == {0, 1}
    assert whole.sum() == pytest.approx(16 * (cut.window.width / 64) ** 2, rel=0.3)


def test_poses_and_pixels_move_together() -> None:
    who = character()
    cut = crop(who, size=(96, 96))
    inside = cut.inside
    assert cut.alignment_inside.poses[0].equals(inside.pose)
    for joint in (2, 5, 8, 11):  # shoulders and hips are on the character
        x, y = inside.pose.xy[joint].astype(int)
        assert inside.mask[y, x] > 0.5


# --- through the animator ---


class Looking:
    """Sees a scene's character wherever the picture is resized to."""

    identity = "looking"

    def __init__(self, seen: Rendered) -> None:
        self.seen = seen

    def detect(self, image: np.ndarray) -> list[Pose]:
        height, width = image.shape[:2]
        return [self.seen.pose.scaled(width / WIDTH, height / HEIGHT)]

    def segment(self, image: np.ndarray) -> np.ndarray:
        return cv2.resize(self.seen.mask, image.shape[1::-1])


def animated(settings: Settings, picture: Image.Image | None = None) -> list:
    seen = render()
    models = replace(tiny_models(), detector=Looking(seen), segmenter=Looking(seen))
    source = picture or Image.fromarray(seen.picture)
    return list(Animator(models, chunk_size=2).animate(source, walk(), settings, PROMPT))


def test_a_clip_has_the_pictures_own_size() -> None:
    source = render().picture
    events = animated(fast(crop=True, pacm_source=False, num_inference_steps=5))
    frames = frames_of(events)
    assert frames.shape[1:] == source.shape
    assert np.array_equal(frames[0], source)
    [aligned] = [event for event in events if isinstance(event, Aligned)]
    assert aligned.picture.shape == source.shape and aligned.mask.shape == source.shape[:2]
    shown = [event for event in events if isinstance(event, Frame | Preview)]
    assert any(isinstance(event, Preview) for event in shown)
    assert all(event.picture.shape == source.shape for event in shown)
    for event in shown:
        if isinstance(event, Frame) and event.index:
            assert np.array_equal(event.picture, frames[event.index])
            assert event.mask.shape == source.shape[:2] and 0 < event.mask.mean() < 0.5
    kept = (frames == source).all(axis=-1)
    assert 0.4 < kept.mean() < 1  # the models paint noise on the rest


def test_without_it_frames_have_the_models_size() -> None:
    frames = frames_of(animated(fast(pacm_source=False)))
    assert frames.shape[1] * frames.shape[2] == pytest.approx(SIDE**2, rel=0.15)


def test_the_crops_pixels_are_what_is_cached() -> None:
    """So a change far from the character changes neither stages nor their keys."""
    seen = render()
    other = seen.picture.copy()
    other[:20, -20:] = 0
    alignment = Animator(tiny_models()).align(character(), walk(), fast())
    window = find_window(character(), alignment.poses)
    assert window.left + window.width < WIDTH - 20
    cuts = [
        Crop(Character(p, seen.pose, seen.mask), alignment, window, (64, 64))
        for p in (seen.picture, other)
    ]
    assert np.array_equal(cuts[0].inside.picture, cuts[1].inside.picture)


def test_a_large_photograph_is_kept_outside_the_figure() -> None:
    photograph = Image.fromarray(data.astronaut()).resize((1920, 1080))
    seen = render(0.3)
    models = replace(tiny_models(), detector=Looking(seen), segmenter=Looking(seen))
    settings = fast(crop=True, pacm_source=False, pacm_pose=False, frame_masks="skeleton")
    events = Animator(models).animate(photograph, walk(), settings, PROMPT)
    done = next(event for event in events if isinstance(event, Done))
    assert {frame.shape for frame in done.frames} == {(1080, 1920, 3)}
    same = (done.frames[1] == np.asarray(photograph)).all(axis=-1)
    assert same.mean() > 0.7


@pytest.mark.parametrize(("size", "kept"), [((4000, 3000), False), ((463, 615), True)])
def test_pictures_keep_their_size_up_to_full_hd(size: tuple[int, int], kept: bool) -> None:
    aligner = Animator(tiny_models())
    height, width = aligner.fit_picture(Image.new("RGB", size), MAX_FULL_SIDE).shape[:2]
    assert ((width, height) == size) == kept
    assert width * height <= 1.001 * MAX_FULL_SIDE**2


@given(st.integers(2, MAX_FRAMES))
def test_all_frames_of_a_clip_together_are_bounded(frames: int) -> None:
    side = full_side(Settings(crop=True, frames=frames))
    assert side is not None and frames * side**2 <= MAX_CLIP_PIXELS
    assert full_side(Settings(frames=frames)) is None


def test_a_tiny_figure_in_a_picture_of_noise_is_animated() -> None:
    who = Character(
        noise(300, 200),
        Pose(np.array([(150 + j % 3, 100 + j // 3, 1.0) for j in range(18)])),
        np.zeros((200, 300), np.float32),
    )
    settings = fast(crop=True, pata=False, pacm_source=False, pacm_pose=False, frames=3)
    driver = Motion((who.pose.shifted(2, 0),) * 2, 300, 200, 12.0, "still")
    events = Animator(tiny_models()).animate(who, driver, settings, PROMPT)
    assert frames_of(list(events)).shape == (3, 200, 300, 3)
