"""The training loop on a toy task, and the whole way from rendered pictures to a models folder that loads."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partialmethod
from itertools import count, pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.tiny import ToldEyes, scene_at_ease
from PIL import Image
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from poseanimate.animator import Animator
from poseanimate.events import Done
from poseanimate.models.loading import load_models
from poseanimate.pocket.training import data, nets, tasks, trainer
from poseanimate.pocket.training import train as command
from poseanimate.pocket.training.export import adopt, export
from poseanimate.pocket.training.trainer import Average, TrainingPlan, learning_rate, train
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.motion import load_preset
from poseanimate.settings import Settings


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every look at the clock finds it a second later, so that a step takes a second."""
    seconds = count()
    monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    threads = torch.get_num_threads()
    yield
    torch.set_flush_denormal(False)
    torch.set_num_threads(threads)


class Line:
    """Finds y = 2 a - b."""

    name = "line"

    def __init__(self, fails_at: int = -1) -> None:
        torch.manual_seed(0)
        self.networks = nn.ModuleDict({"net": nn.Linear(2, 1)})
        self.points = torch.randn(64, 2, generator=torch.Generator().manual_seed(1))
        self.calls, self.fails_at = 0, fails_at

    def count(self) -> int:
        return len(self.points)

    def loss(self, indices: np.ndarray, rng: np.random.Generator) -> Tensor:
        if self.calls == self.fails_at:
            raise KeyboardInterrupt
        self.calls += 1
        assert self.networks.training
        return self._error(self.points[indices])

    def evaluate(self) -> dict[str, float]:
        assert not self.networks.training
        return {"error": float(self._error(self.points).detach())}

    def _error(self, x: Tensor) -> Tensor:
        return (self.networks["net"](x)[:, 0] - (2 * x[:, 0] - x[:, 1])).square().mean()


def plan(runs: Path, steps: int = 30, **changes) -> TrainingPlan:
    values = {"batch": 8, "learning_rate": 0.1, "workers": 1, "device": "cpu", "bf16": False}
    return TrainingPlan(minutes=steps / 60, runs=runs, **values | changes)


def test_the_learning_rate_is_flat_and_then_falls(tmp_path: Path) -> None:
    half = plan(tmp_path, flat=0.5)
    rates = [learning_rate(progress, half) for progress in np.linspace(0, 1, 101)]
    assert rates[:50] == [0.1] * 50
    assert all(later < earlier for earlier, later in pairwise(rates[50:]))
    assert rates[75] == pytest.approx(0.1 * (0.01 + 0.99 / 2))
    assert rates[-1] == pytest.approx(0.001)
    assert learning_rate(1.2, half) == pytest.approx(0.001)


def test_small_and_thin_characters_weigh_as_much_as_large_ones() -> None:
    bodies = torch.zeros(3, 1, 16, 16)
    bodies[0, :, 4:12, 4:12] = 1.0  # a quarter of the picture
    bodies[1, :, 7:9, 7:9] = 1.0  # a small one
    bodies[2, :, 7:9, 7:9] = 0.1  # and the same so thin that it fills no latent pixel
    weight = tasks.balanced(bodies, torch.zeros_like(bodies))
    assert weight.mean(dim=(1, 2, 3)).tolist() == pytest.approx([1.0] * 3)
    beyond = [float((w - w.min()).sum()) for w in weight]  # what the character has over the rest
    assert beyond == pytest.approx([tasks.ON_BODIES * 256] * 3, rel=1e-5)


def test_hands_have_their_share_of_the_loss_however_small_they_are() -> None:
    bodies, hands = torch.zeros(2, 3, 1, 16, 16)
    bodies[:, :, 4:12, 4:12] = 1.0
    hands[0, :, 4, 4], hands[1, :, 4, 4:6] = 0.25, 1.0  # none in the third
    weight = tasks.balanced(bodies, hands)
    assert weight.mean(dim=(1, 2, 3)).tolist() == pytest.approx([1.0] * 3)
    beyond = weight - weight[:, :, 11:12, 11:12]  # what hands have over the rest of the character
    assert beyond[:, 0, 4, 4:6].sum(dim=1).tolist() == pytest.approx(
        [tasks.ON_HANDS * 256] * 2 + [0], rel=1e-5
    )


def test_nothing_but_hands_is_drawn_for_them(small: None, tmp_path: Path) -> None:
    pictures = rendered(tmp_path)
    hands = pictures.draw_details(pictures.single, data.HANDS)
    assert not (hands & ~pictures.draw_details(pictures.single)).any()
    seen = pictures.joints[pictures.single, 0][:, [3, 4, 6, 7], 2].reshape(-1, 2, 2).all(axis=2)
    within = hands.reshape(len(hands), -1).any(axis=1)
    assert not within[~seen.any(axis=1)].any() and within.mean() > 0.5


def test_a_compiled_training_learns_the_same(tmp_path: Path, monkeypatch) -> None:
    compiler = CompileCounter()
    compiled = partialmethod(nn.Module.compile, backend=compiler)
    monkeypatch.setattr(nn.Module, "compile", compiled)
    monkeypatch.setattr(trainer, "REPORT_EVERY_S", 10.0)
    results = []
    for runs, choice in (("plain", False), ("compiled", True)):
        task = Line()
        train(task, plan(tmp_path / runs, compiled=choice), 0)
        results.append(task.networks.state_dict())
        assert compiler.frame_count == choice  # once: what evaluates is of other shapes
    torch.testing.assert_close(*results)


def test_a_shortened_caption_says_less_of_the_same_in_the_same_order() -> None:
    caption = Scene.sample("train", 5).caption
    found = {tasks.shortened(caption, np.random.default_rng(i)) for i in range(300)}
    assert caption in found and caption.split(" with ")[0] in found
    for short in found:
        clauses = iter(caption.split(", "))
        assert all(any(own.startswith(said) for own in clauses) for said in short.split(", "))


def test_the_average_follows_the_weights() -> None:
    net = nn.BatchNorm1d(1)
    average = Average(net)
    expected = 1.0
    for step in range(30):
        with torch.no_grad():
            net.weight.fill_(step)
            net.num_batches_tracked.fill_(step)
        average.update(net, step)
        decay = (1 + step) / (10 + step)
        expected = decay * expected + (1 - decay) * step
        assert float(average.weights["weight"]) == pytest.approx(expected, rel=1e-5)
        assert int(average.weights["num_batches_tracked"]) == step
    assert float(net.weight.detach()) == 29
    own = average.swap(net)
    assert float(net.weight.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(own["weight"]) == 29


def test_the_average_of_a_long_run_reaches_back_a_thousand_steps() -> None:
    net = nn.Linear(1, 1, bias=False)
    average = Average(net)
    before = float(average.weights["weight"])
    with torch.no_grad():
        net.weight.fill_(before + 1)
    average.update(net, 1_000_000)
    assert float(average.weights["weight"]) - before == pytest.approx(0.001, rel=1e-3)


@pytest.mark.parametrize("bf16", [False, True])
def test_training_uses_its_minutes_and_learns(tmp_path: Path, bf16: bool) -> None:
    task = Line()
    task.networks.eval()
    before = task.evaluate()["error"]
    found = train(task, plan(tmp_path, 200, bf16=bf16), 0)
    assert found == {"samples": 8 * 200, "steps": 200, "minutes": pytest.approx(200 / 60)}
    assert task.evaluate()["error"] < 0.05 * before


def test_the_averaged_weights_are_the_result(tmp_path: Path, monkeypatch) -> None:
    seen = {}
    update = Average.update

    def spy(self, networks, step) -> None:
        update(self, networks, step)
        seen.update({name: value.clone() for name, value in self.weights.items()})

    monkeypatch.setattr(Average, "update", spy)
    task = Line()
    train(task, plan(tmp_path), 0)
    for name, value in task.networks.state_dict().items():
        assert torch.equal(value, seen[name])


def test_training_goes_on_where_its_checkpoint_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(trainer, "REPORT_EVERY_S", 10.0)
    assert train(Line(), plan(tmp_path, 30), 0)["steps"] == 30
    assert len(capsys.readouterr().out.splitlines()) == 2  # after steps 11 and 22
    again = Line()
    found = train(again, plan(tmp_path, 60), 0)
    assert found["steps"] == 60
    assert found["samples"] == 60 * 8
    assert again.calls == 30
    report = capsys.readouterr().out.splitlines()[0]
    assert report.startswith("line 0.7/1 min, 328 samples") and "error" in report
    assert train(Line(), plan(tmp_path, 60), 0)["steps"] == 60  # nothing is left to do


def test_a_finished_network_is_trained_on_under_a_new_plan(tmp_path: Path) -> None:
    earlier = {"samples": 1000, "steps": 100, "minutes": 2.5}
    (tmp_path / "line").mkdir()
    (tmp_path / "line" / "summary.json").write_text(json.dumps(earlier))
    found = train(Line(), plan(tmp_path, 30), 0)
    assert found == {"samples": 1000 + 240, "steps": 130, "minutes": pytest.approx(3.0)}
    found = train(Line(), plan(tmp_path, 60), 0)  # from its checkpoint: counted once
    assert found == {"samples": 1000 + 480, "steps": 160, "minutes": pytest.approx(3.5)}


def test_a_new_optimiser_begins_slowly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    step = torch.optim.AdamW.step

    def spy(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    train(Line(), plan(tmp_path, 300, flat=0.5), 0)
    ramp = 0.1 * np.arange(1, trainer.RAMP_STEPS + 1) / trainer.RAMP_STEPS
    assert rates[: trainer.RAMP_STEPS + 20] == pytest.approx([*ramp, *[0.1] * 20])
    rates.clear()
    train(Line(), plan(tmp_path, 640, flat=0.5), 0)
    assert rates[:5] == pytest.approx([0.1] * 5)  # the optimiser came with the checkpoint


def test_an_interrupted_run_loses_only_what_came_after_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "REPORT_EVERY_S", 10.0)
    with pytest.raises(KeyboardInterrupt):
        train(Line(fails_at=15), plan(tmp_path), 0)
    assert [path.name for path in (tmp_path / "line").iterdir()] == ["checkpoint.pt"]
    task = Line()
    assert train(task, plan(tmp_path), 0)["steps"] == 30
    assert task.calls == 30 - 11


def test_a_checkpoint_holds_the_raw_and_the_averaged_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "REPORT_EVERY_S", 10.0)
    train(Line(), plan(tmp_path, 12), 0)
    saved = torch.load(tmp_path / "line" / "checkpoint.pt", weights_only=True)
    assert saved["step"] == 12 and saved["samples"] == 96
    assert not torch.equal(saved["networks"]["net.weight"], saved["average"]["net.weight"])


def test_only_the_first_process_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(trainer, "REPORT_EVERY_S", 1.0)
    train(Line(), plan(tmp_path), 1)
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "line").exists()


# --- the whole way ---


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few pictures, and everything in this process."""
    monkeypatch.setattr(tasks, "VALIDATION", 16)
    monkeypatch.setattr(trainer, "REPORT_EVERY_S", 1.5)
    monkeypatch.setattr(data, "ProcessPoolExecutor", lambda workers: ThreadPoolExecutor(1))
    monkeypatch.setattr(
        tasks, "ProcessPoolExecutor", lambda workers, mp_context=None: ThreadPoolExecutor(1)
    )
    monkeypatch.setattr(command.mp, "spawn", lambda process, args, nprocs: process(0, *args))
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "0")
    for task in (tasks.VaeTask, tasks.PerceptionTask):
        whole = task._figures

        def figures(self, split, pictures, whole=whole):
            return whole(self, split, min(pictures, len(split.pictures)))

        monkeypatch.setattr(task, "_figures", figures)


def trained(monkeypatch: pytest.MonkeyPatch, runs: Path, part: str, steps: int) -> dict:
    options = {"minutes": steps / 60, "pictures": 24, "batch": 2, "workers": 1, "runs": runs}
    told = [f"--{name}={value}" for name, value in options.items()]
    monkeypatch.setattr(sys, "argv", ["train", part, *told, "--device=cpu"])
    command.main()
    summary = json.loads((runs / part / "summary.json").read_text())
    assert {"samples", "steps", "minutes"} < set(summary)
    return summary


def assert_unit_deviation(runs: Path) -> None:
    """Of the latents that diffusion learns from, by channel."""
    pictures = tasks._Pictures(runs, 24, "cpu").train.pictures
    vae = tasks.AutoencoderDC.from_pretrained(runs / "vae" / "weights").eval()
    with torch.no_grad():
        z = vae.encode(tasks.to_tensor(pictures, "cpu")).latent
    torch.testing.assert_close(z.std(dim=(0, 2, 3)), torch.ones(z.shape[1]), atol=0.02, rtol=0.02)


def rendered(folder: Path, count: int = 60) -> data.RenderedSet:
    return data.render_set("train", count, 128, folder, 1)


def test_details_are_faces_and_hands(small: None, tmp_path: Path) -> None:
    pictures = rendered(tmp_path)
    discs = pictures.draw_details(np.arange(60))
    assert discs.shape == (60, 128, 128) and set(np.unique(discs)) == {0, 255}
    assert not discs[pictures.people == 0].any()
    for disc, people in zip(discs, pictures.joints, strict=True):
        for body in people:
            if body[0, 2] and body[1, 2]:
                x, y = body[0, :2].astype(int)
                assert disc[y, x] == 255
    both = pictures.single[:20]
    assert 0.005 < (pictures.draw_details(both) > 0).mean() < 0.2


def test_windows_are_parts_and_most_hold_a_joint(small: None, tmp_path: Path) -> None:
    pictures = rendered(tmp_path)
    indices, side = np.tile(pictures.single, 8), 16
    corners = tasks.choose_windows(pictures, indices, side, np.random.default_rng(0))
    assert corners.min() == 0 and corners.max() == side - tasks.WINDOW
    held = 0
    for corner, body in zip(corners, pictures.joints[indices, 0], strict=True):
        joints = body[body[:, 2] > 0, 1::-1] * side / 128 - corner
        # rounding to whole latents may leave half of one outside
        held += bool(((joints >= -0.5) & (joints <= tasks.WINDOW + 0.5)).all(axis=1).any())
    assert held > 0.8 * len(indices)
    assert len(np.unique(corners, axis=0)) > 20


def test_a_soft_edge_is_weaker_than_a_sharp_one_of_the_same_height_wherever_it_lies() -> None:
    rows = torch.zeros(4, 1, 16, 32)
    rows[0, ..., 16:] = 1.0
    rows[1, ..., 17:] = 1.0  # a pixel further
    for at, level in enumerate((0.25, 0.5, 0.75)):
        rows[2, ..., 15 + at] = level
    rows[2, ..., 18:] = 1.0
    sharp, moved, soft, flat = tasks.edge_strength(rows.diff(dim=3)).mean(dim=(1, 2, 3))
    assert float(flat) == pytest.approx(0.01)
    assert float(moved) == pytest.approx(float(sharp), rel=1e-5)
    assert float(flat) < float(soft) < 0.8 * float(sharp)
    strong = tasks.edge_strength(3 * rows[:1].diff(dim=3)).mean()
    assert float(strong) > 2.5 * float(sharp)


def test_a_finished_autoencoder_stays_near_its_latents(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(monkeypatch, tmp_path, "vae", 1)
    task = tasks.VaeTask(tmp_path, 24, "cpu")
    monkeypatch.setattr(task, "_distance", lambda z, *_: 0.0 * z.sum())
    at, rng = np.arange(8), np.random.default_rng(0)
    with torch.no_grad():
        near = float(task.loss(at, rng))
        task.vae.encoder.conv_out.bias += 1.0
        off = float(task.loss(at, rng))
        task.former = None
        free = float(task.loss(at, rng))
    assert off - free == pytest.approx(tasks.NEAR, rel=0.02)  # each latent is 1 away
    assert near < off


def test_a_decoder_grows_a_stage_and_keeps_the_others() -> None:
    config = dict(nets.build_vae().config)
    config |= {
        "decoder_block_out_channels": (16, 32, 64, 128),
        "decoder_layers_per_block": (0, 3, 3, 4),
        "decoder_qkv_multiscales": ((),) * 4,
    }
    small = tasks.AutoencoderDC.from_config(config)
    large = nets.grow_decoder(small)
    x, z = torch.randn(1, 3, 32, 32), torch.randn(1, nets.LATENT_CHANNELS, 4, 4)
    with torch.no_grad():
        assert torch.equal(large.encode(x).latent, small.encode(x).latent)
        one, other = (vae.decoder.conv_in(z) for vae in (small, large))
        for i in range(3, 0, -1):
            one, other = small.decoder.up_blocks[i](one), large.decoder.up_blocks[i + 1](other)
        assert torch.equal(one, other)
        assert small.decode(z).sample.shape == (1, 3, 32, 32)
        assert large.decode(z).sample.shape == (1, 3, 64, 64)
    assert nets.grow_decoder(large) is large


@pytest.mark.slow
def test_from_rendered_pictures_to_a_family_that_animates(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    assert trained(monkeypatch, runs, "vae", 3)["steps"] == 3
    summary = trained(monkeypatch, runs, "vae", 4)  # goes on where it ended
    assert (summary["steps"], summary["samples"]) == (4, 8)
    assert summary["held_out_psnr_db"] > 3
    assert_unit_deviation(runs)
    diffusion = trained(monkeypatch, runs, "diffusion", 2)
    assert diffusion["steps"] == 2 and diffusion["held_out_eps_mse"] > 0
    assert 0 <= trained(monkeypatch, runs, "perception", 2)["held_out_mask_iou"] <= 1

    target = tmp_path / "package" / "weights"
    target.mkdir(parents=True)
    (target / "stale.txt").write_text("of an older family")
    export(runs, target)
    assert not (target / "stale.txt").exists()
    assert list(target.parent.iterdir()) == [target]
    files = [path for path in target.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".json", ".txt", ".md"}
    assert max(path.stat().st_size for path in files) < 9_000_000
    assert sum(path.stat().st_size for path in files) < 40_000_000
    assert not any(str(tmp_path) in path.read_text() for path in target.rglob("*.json"))
    card = (target / "README.md").read_text()
    assert "| vae | 24 | 8 | 4 |" in card and "held_out_psnr_db" in card

    on = tmp_path / "on"
    adopt(on, target)
    again = trained(monkeypatch, on, "diffusion", 1)
    assert (again["steps"], again["samples"]) == (3, 6)
    before, after = (tasks.DiffusionTask(r, 24, "cpu").networks.state_dict() for r in (runs, on))
    moved = max(float((before[name] - after[name]).abs().max()) for name in before)
    assert 0 < moved < 0.01  # it began where the shipped weights are, and went on
    task, seen = tasks.DiffusionTask(on, 24, "cpu"), []
    monkeypatch.setattr(task, "_error", lambda z, tokens, *_: seen.append(tokens) or z.float())
    task.guided = (0.0, 0.0)
    for task.shortened in (0.0, 1.0):
        task.loss(np.arange(8), np.random.default_rng(0))
    full = task.tokens[task.singles[:8]]
    assert torch.equal(seen[0], full)
    assert (seen[1] != full).any(dim=1).sum() >= 6  # a caption that loses nothing is rare
    with pytest.raises(FileExistsError, match="vae"):
        adopt(on, target)

    latents = set((on / "vae").glob("latents-*"))
    before = tasks.AutoencoderDC.from_pretrained(on / "vae" / "weights").state_dict()
    assert trained(monkeypatch, on, "decoder", 2)["held_out_psnr_db"] > 3
    after = tasks.AutoencoderDC.from_pretrained(on / "vae" / "weights").state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder"}
    assert latents and set((on / "vae").glob("latents-*")) > latents  # they stay valid
    export(on, target)
    assert "| decoder | 24 | 4 | 2 |" in (target / "README.md").read_text()

    models = load_models(str(target), "cpu")
    assert (models.side, models.factor) == (128, 8) and models.places
    shipped = models.unet.conv_in.weight
    assert torch.equal(shipped, shipped.half().float())
    scene = scene_at_ease("held-out", 2, 128)
    eyes = ToldEyes((scene.pose,), scene.mask)
    settings = Settings(num_inference_steps=2, inner_steps=1, frames=2)
    animator = Animator(replace(models, detector=eyes, segmenter=eyes))
    *_, done = animator.animate(
        Image.fromarray(scene.picture), load_preset("walk"), settings, "a girl"
    )
    assert isinstance(done, Done)
    assert [frame.shape for frame in done.frames] == [(256, 256, 3)] * 2
