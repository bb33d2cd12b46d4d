"""Training tasks: autoencoder, decoder alone, diffusion (U-Net, ControlNet, text encoder), perception."""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderDC, ControlNetModel, UNet2DConditionModel
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits
from transformers import CLIPTextModel

from poseanimate.pocket.perception import Perception, PerceptionNet, target_heat
from poseanimate.pocket.training.augment import (
    degrade_picture,
    join_pictures,
    make_nobody,
    read_rendered,
    vary_picture,
)
from poseanimate.pocket.training.data import HANDS, RenderedSet, render_set
from poseanimate.pocket.training.nets import (
    PAINTED_SIZE,
    PICTURE_SIZE,
    build_controlnet,
    build_scheduler,
    build_text_encoder,
    build_tokenizer,
    build_unet,
    build_vae,
    grow_decoder,
)

CHUNK = 500  # pictures encoded at a time
VALIDATION = 1000  # pictures each in validation and held-out
EVALUATED = 96  # of them, for the error of the predicted noise
# how much more a character's pixels weigh in the autoencoder's loss and, besides, those of its face and hands
ON_FIGURE, ON_DETAILS = 1.5, 3.0
WINDOW = 10  # side of the part that is decoded, in latents
SHARP = 1.0  # weight of edges being as sharp as the truth's, wherever they lie within `EDGE` px
EDGE = 4
NEAR = 0.1  # weight of a finished autoencoder's latents staying as they were
ON_BODIES, ON_HANDS = 0.4, 0.2  # shares of the diffusion loss
# Predicted pictures' errors weigh as the signal-to-noise ratio does, between these. Without the lower end next to
# nothing is learned at high noise, where it is decided whether a sleeve ends in a hand.
SNR_WEIGHTS = (0.1, 5.0)


def to_tensor(pictures: NDArray[np.uint8], device: str) -> Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB, averaged over pictures, for values in [-1, 1]."""
    error = ((a.clamp(-1, 1) - b) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * error.log10()).mean())


def _load_finished(network: Any, weights: Path) -> Any:
    """The network an earlier run saved, in float32; None if there is none."""
    return network.from_pretrained(weights).float() if weights.exists() else None


class _Pictures:
    """The rendered splits that every task reads."""

    size = PICTURE_SIZE

    def __init__(self, runs: Path, pictures: int, device: str) -> None:
        self.device = device
        self.train, self.validation, self.held_out = self.prepare(runs, pictures, 1)

    @classmethod
    def prepare(
        cls, runs: Path, pictures: int, workers: int
    ) -> tuple[RenderedSet, RenderedSet, RenderedSet]:
        counts = {"train": pictures, "validation": VALIDATION, "held-out": VALIDATION}
        train, validation, held_out = (
            render_set(split, count, cls.size, runs / "data", workers)
            for split, count in counts.items()
        )
        return train, validation, held_out


class VaeTask(_Pictures):
    """Reconstruction of pictures from their halves: L1, MSE, edges and pooled L1, weighted on the character.

    Only a window of the latents is decoded, most often around a joint, which takes 40 % of the time of all.
    Latents stay near unit deviation and, if an earlier run finished, near what they were, so that networks trained on
    them need little to follow. A finished decoder with fewer stages grows to that of `build_vae`.
    """

    name = "vae"
    size = PAINTED_SIZE

    def __init__(self, runs: Path, pictures: int, device: str) -> None:
        super().__init__(runs, pictures, device)
        finished = _load_finished(AutoencoderDC, runs / "vae" / "weights")
        self.vae = grow_decoder(finished or build_vae()).to(device)
        self.former = _encoded(runs, self.train, 1) if finished else None
        self.networks = nn.ModuleDict({"vae": self.vae})

    def count(self) -> int:
        return len(self.train.pictures)

    @classmethod
    def prepare(
        cls, runs: Path, pictures: int, workers: int
    ) -> tuple[RenderedSet, RenderedSet, RenderedSet]:
        splits = super().prepare(runs, pictures, workers)
        if (runs / "vae" / "weights").exists():
            _encoded(runs, splits[0], workers)
        return splits

    def loss(self, indices: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        x = to_tensor(self.train.pictures[indices], self.device)
        z = self._encode(x).float()
        mean, deviation = z.mean(dim=(0, 2, 3)), z.std(dim=(0, 2, 3))
        loss = 0.01 * (mean.square() + (deviation - 1).square()).mean()
        if self.former is not None:
            former = self.former[indices].to(self.device).float()
            loss = loss + NEAR * (z - former).square().mean()
        return loss + self._distance(z, x, indices, rng)

    def _encode(self, x: Tensor) -> Tensor:
        """Latents of pictures (n, 3, 2H, 2W): the encoder sees half of what the decoder paints."""
        z: Tensor = self.vae.encode(avg_pool2d(x, 2)).latent
        return z

    def _distance(
        self, z: Tensor, x: Tensor, indices: NDArray[np.int64], rng: np.random.Generator
    ) -> Tensor:
        """How far decoded windows of latents are from the pictures."""
        weight = torch.ones_like(x[:, :1])
        for share, area in (
            (ON_FIGURE, self.train.masks[indices]),
            (ON_DETAILS, self.train.draw_details(indices)),
        ):
            weight += share * torch.from_numpy(area).to(x)[:, None] / 255
        corners = choose_windows(self.train, indices, z.shape[-1], rng)
        scale = x.shape[-1] // z.shape[-1]
        z, x, weight = (
            torch.stack(
                [
                    each[:, top * k : (top + WINDOW) * k, left * k : (left + WINDOW) * k]
                    for each, (top, left) in zip(stack, corners, strict=True)
                ]
            )
            for stack, k in ((z, 1), (x, scale), (weight, scale))
        )
        # latents slightly off, like those of a U-Net
        y = self.vae.decode(z + 0.05 * torch.randn_like(z)).sample.float()
        weight = weight / weight.mean()
        error = (y - x).abs()
        loss = (weight * error).mean() + (weight * error.square()).mean()
        for dim in (2, 3):
            painted, true = y.diff(dim=dim), x.diff(dim=dim)
            here = weight.narrow(dim, 1, true.shape[dim])
            loss = loss + (here * (painted - true).abs()).mean()
            sharp = (edge_strength(painted) - edge_strength(true)).abs()
            loss = loss + SHARP * (avg_pool2d(here, EDGE, EDGE // 2) * sharp).mean()
        return loss + 0.5 * (avg_pool2d(y, 4) - avg_pool2d(x, 4)).abs().mean()

    def evaluate(self) -> dict[str, float]:
        return self._figures(self.validation, 96)

    def _figures(self, split: RenderedSet, count: int) -> dict[str, float]:
        total = []
        for first in range(0, count, 16):
            x = to_tensor(split.pictures[first : first + 16], self.device)
            total.append(psnr(self.vae.decode(self._encode(x)).sample, x))
        return {"psnr_db": float(np.mean(total))}

    def finish(self, runs: Path) -> dict[str, float]:
        """Scales latents to unit deviation per channel and saves the network."""
        self.vae.eval()
        z = torch.cat(
            [
                self._encode(to_tensor(self.train.pictures[i : i + 16], self.device))
                for i in range(0, min(self.count(), 512), 16)
            ]
        )
        deviation = z.std(dim=(0, 2, 3))
        self.vae.encoder.conv_out.weight /= deviation[:, None, None, None]
        self.vae.encoder.conv_out.bias /= deviation
        self.vae.decoder.conv_in.weight *= deviation[None, :, None, None]
        self.vae.save_pretrained(runs / "vae" / "weights")
        figures = {f"held_out_{k}": v for k, v in self._figures(self.held_out, 512).items()}
        largest_mean = float((z.mean(dim=(0, 2, 3)) / deviation).abs().max())
        return {**figures, "largest_channel_mean": largest_mean}


def edge_strength(differences: Tensor) -> Tensor:
    """Root mean square of differences of neighbouring pixels, (n, c, h, w), over squares of `EDGE` px.

    A soft edge has as much difference as a sharp one but less of its square, and errors per pixel pay for a soft edge
    wherever its place isn't certain.
    """
    return (avg_pool2d(differences.square(), EDGE, EDGE // 2) + 1e-4).sqrt()


def choose_windows(
    split: RenderedSet, indices: NDArray[np.int64], side: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Top left corners (n, 2), row and column, of windows of `WINDOW` in pictures of `side` latents.

    Four of five hold one of the first person's joints, anywhere in the window.
    """
    corners = rng.integers(side - WINDOW + 1, size=(len(indices), 2))
    for corner, body in zip(corners, split.joints[indices, 0], strict=True):
        seen = body[body[:, 2] > 0, 1::-1]
        if len(seen) and rng.random() < 0.8:
            joint = seen[rng.integers(len(seen))] * side / split.pictures.shape[1]
            corner[:] = np.clip(joint - rng.uniform(0, WINDOW, 2), 0, side - WINDOW).round()
    return corners


class DecoderTask(VaeTask):
    """The decoder alone: latents don't change, so networks trained on them stay valid."""

    name = "decoder"

    def __init__(self, runs: Path, pictures: int, device: str) -> None:
        super().__init__(runs, pictures, device)
        self.networks = nn.ModuleDict({"decoder": self.vae.decoder})

    def loss(self, indices: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        x = to_tensor(self.train.pictures[indices], self.device)
        assert self.former is not None, "train the autoencoder first"
        return self._distance(self.former[indices].to(self.device).float(), x, indices, rng)

    def finish(self, runs: Path) -> dict[str, float]:
        self.vae.save_pretrained(runs / "vae" / "weights")
        return {f"held_out_{k}": v for k, v in self._figures(self.held_out, 512).items()}


class DiffusionTask(_Pictures):
    """Noise prediction (Eq. 3) by U-Net, ControlNet and text encoder together, from scratch."""

    name = "diffusion"
    empty_tokens: Tensor
    guided = (0.10, 0.05)  # shares of dropped captions and skeletons
    shortened = 0.15  # share of captions that lose some of their clauses

    def __init__(self, runs: Path, pictures: int, device: str) -> None:
        super().__init__(runs, pictures, device)
        weights = runs / "diffusion" / "weights"
        unet = _load_finished(UNet2DConditionModel, weights / "unet") or build_unet()
        self.networks = nn.ModuleDict(
            {
                "unet": unet,
                "controlnet": _load_finished(ControlNetModel, weights / "controlnet")
                or build_controlnet(unet),
                "text_encoder": _load_finished(CLIPTextModel, weights / "text_encoder")
                or build_text_encoder(),
            }
        )
        with TemporaryDirectory() as folder:
            self.tokenizer = build_tokenizer(Path(folder))
        self.runs = runs
        self.alphas = build_scheduler().alphas_cumprod.to(device)
        self.singles = self.train.single
        self.latents = _encoded(runs, self.train, 1)
        self.tokens = self._tokenize(self.train)

    def count(self) -> int:
        return len(self.singles)

    def loss(self, indices: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        rows = self.singles[indices]
        count = len(rows)
        tokens = self.tokens[rows].clone()
        skeletons = self._draw_skeletons(self.train, rows)
        for at in np.flatnonzero(rng.random(count) < self.shortened):
            tokens[at] = self._tokens([shortened(self.train.captions[rows[at]], rng)])[0]
        tokens[torch.from_numpy(rng.random(count) < self.guided[0])] = self.empty_tokens
        skeletons[torch.from_numpy(rng.random(count) < self.guided[1])] = 0
        # stratified: one timestep from each of `count` equal parts of the schedule
        t = torch.from_numpy(
            ((rng.permutation(count) + rng.random(count)) / count * 1000).astype(np.int64)
        )
        weight = balanced(self._bodies(self.train, rows), self._hands(self.train, rows))
        error = self._error(self.latents[rows], tokens, skeletons, t.to(self.device), None)
        snr = (self.alphas / (1 - self.alphas))[t.to(self.device)]
        per_sample = (weight * error).mean(dim=(1, 2, 3))
        return (per_sample * snr.clamp(*SNR_WEIGHTS) / snr).mean()

    def evaluate(self) -> dict[str, float]:
        return self._figures(self.validation)

    def _figures(self, split: RenderedSet) -> dict[str, float]:
        """Mean error of the predicted noise over `EVALUATED` pictures, with one timestep and noise each.

        "character" and "hands" are means over their pixels, the others over the whole picture.
        """
        fixed = split.single[:EVALUATED]
        z = _encoded(self.runs, split, 1)[fixed]
        t = torch.linspace(10, 990, len(fixed)).long().to(self.device)
        noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
        tokens, skeletons = self._tokenize(split)[fixed], self._draw_skeletons(split, fixed)
        areas = {"character": self._bodies(split, fixed), "hands": self._hands(split, fixed)}
        figures = {}
        for name, words, poses in (
            ("eps_mse", tokens, skeletons),
            ("without_skeleton", tokens, torch.zeros_like(skeletons)),
            ("without_caption", self.empty_tokens.expand_as(tokens), skeletons),
        ):
            error = [
                self._error(z[part], words[part], poses[part], t[part], noise[part])
                for part in torch.arange(len(z)).split(24)
            ]
            each = torch.cat(error).cpu()
            figures[name] = float(each.mean())
            if name == "eps_mse":
                for area, inside in areas.items():
                    part = inside.cpu()
                    figures[area] = float((part * each).sum() / (part.sum() * each.shape[1]))
        return figures

    def _bodies(self, split: RenderedSet, rows: NDArray[np.int64]) -> Tensor:
        """(n, 1, h, w): the fraction of each latent pixel that a character covers."""
        return self._fractions(split.masks[rows])

    def _hands(self, split: RenderedSet, rows: NDArray[np.int64]) -> Tensor:
        """(n, 1, h, w): the fraction of each latent pixel that visible hands cover."""
        return self._fractions(split.draw_details(rows, HANDS))

    def _fractions(self, masks: NDArray[np.uint8]) -> Tensor:
        return avg_pool2d(torch.from_numpy(masks).float()[:, None] / 255, 8).to(self.device)

    def finish(self, runs: Path) -> dict[str, float]:
        networks: dict[str, Any] = dict(self.networks.items())
        for name, network in networks.items():
            home = runs / "diffusion" / "weights" / name
            shutil.rmtree(home, ignore_errors=True)  # otherwise adopted shards would remain
            network.save_pretrained(home)
        build_scheduler().save_pretrained(runs / "diffusion" / "weights" / "scheduler")
        return {f"held_out_{k}": v for k, v in self._figures(self.held_out).items()}

    def _error(
        self, z: Tensor, tokens: Tensor, skeletons: Tensor, t: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Squared error of the predicted noise, (n, c, h, w)."""
        z = z.to(self.device).float()
        noise = torch.randn_like(z) if noise is None else noise.to(self.device)
        alpha = self.alphas[t][:, None, None, None]
        z_t = alpha.sqrt() * z + (1 - alpha).sqrt() * noise
        text = self.networks["text_encoder"](tokens.to(self.device)).last_hidden_state
        down, mid = self.networks["controlnet"](
            z_t, t, text, controlnet_cond=skeletons.to(self.device), return_dict=False
        )
        eps = self.networks["unet"](
            z_t, t, text, down_block_additional_residuals=down, mid_block_additional_residual=mid
        ).sample
        return (eps.float() - noise).square()

    def _draw_skeletons(self, split: RenderedSet, rows: NDArray[np.int64]) -> Tensor:
        """Skeletons as input for ControlNet, (n, 3, H, W) in [0, 1]."""
        return torch.from_numpy(split.draw_skeletons(rows)).permute(0, 3, 1, 2).float() / 255

    def _tokenize(self, split: RenderedSet) -> Tensor:
        self.empty_tokens = self._tokens([""])[0]
        return self._tokens(split.captions)

    def _tokens(self, captions: list[str]) -> Tensor:
        return self.tokenizer(
            captions, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids

    @classmethod
    def prepare(
        cls, runs: Path, pictures: int, workers: int
    ) -> tuple[RenderedSet, RenderedSet, RenderedSet]:
        splits = super().prepare(runs, pictures, workers)
        for split in splits:
            _encoded(runs, split, workers)
        return splits


def balanced(bodies: Tensor, hands: Tensor) -> Tensor:
    """Weights of mean 1, (n, 1, h, w): `ON_BODIES` of a picture's loss is on the pixels a character touches.

    Small characters then count as much as large ones, and thin limbs as much as the body. `ON_HANDS` of it is on its
    hands, or on the whole picture where none is seen.

    Args:
        bodies: fraction of each latent pixel that a character covers, (n, 1, h, w) in [0, 1]; not all 0 in any picture.
        hands: that its hands cover, all 0 where none is seen.
    """
    weight = torch.full_like(bodies, 1 - ON_BODIES - ON_HANDS)
    for share, area in ((ON_BODIES, (bodies > 0).to(bodies)), (ON_HANDS, hands)):
        mean = area.mean(dim=(1, 2, 3), keepdim=True)
        weight = weight + share * torch.where(mean > 0, area / mean.clamp(min=1e-9), 1)
    return weight


def shortened(caption: str, rng: np.random.Generator) -> str:
    """A caption as people write it: "a boy" or "a girl" and some of the clauses about them and the place, in order."""
    who, *more = caption.split(", ")
    clauses = [who if rng.random() < 0.5 else " ".join(who.split()[:2])]
    return ", ".join([*clauses, *(clause for clause in more if rng.random() < 0.5)])


def _encoded(runs: Path, split: RenderedSet, workers: int) -> Tensor:
    """Latents (N, c, h, w) of a split in float16, stored next to the autoencoder that encoded them."""
    count = len(split.pictures)
    weights = load_file(runs / "vae" / "weights" / "diffusion_pytorch_model.safetensors")
    digest = hashlib.sha256()
    for name in sorted(weights):
        if name.startswith("encoder."):
            digest.update(weights[name].float().numpy().tobytes())
    size, digits = split.pictures.shape[1], digest.hexdigest()[:8]
    path = runs / "vae" / f"latents-{split.name}-{size}-{count}-{digits}.safetensors"
    if not path.exists():
        parts = [split.pictures[i : i + CHUNK] for i in range(0, count, CHUNK)]
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            encoded = list(pool.map(_encode, [runs] * len(parts), parts))
        save_file({"latents": torch.cat([torch.from_numpy(part) for part in encoded])}, path)
    return load_file(path)["latents"]


@torch.no_grad()
def _encode(runs: Path, pictures: NDArray[np.uint8]) -> NDArray[np.float16]:
    torch.set_num_threads(1)
    diffusers.utils.logging.set_verbosity_error()
    vae = AutoencoderDC.from_pretrained(runs / "vae" / "weights").eval()
    shrink = pictures.shape[1] // PICTURE_SIZE
    parts = [
        vae.encode(avg_pool2d(to_tensor(pictures[i : i + 16], "cpu"), shrink)).latent.half()
        for i in range(0, len(pictures), 16)
    ]
    return np.asarray(torch.cat(parts).contiguous().numpy())


class PerceptionTask(_Pictures):
    """Heat maps and mask, on the pictures of augment.py: crowds, small people, nobody, all degraded."""

    name = "perception"

    def __init__(self, runs: Path, pictures: int, device: str) -> None:
        super().__init__(runs, pictures, device)
        weights = runs / "perception" / "weights"
        self.net = PerceptionNet.load(weights).train() if weights.exists() else PerceptionNet()
        self.networks = nn.ModuleDict({"net": self.net})

    def count(self) -> int:
        return len(self.train.pictures)

    def loss(self, indices: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        seen = [vary_picture(self.train, int(i), rng) for i in indices]
        pictures = np.stack([degrade_picture(one.picture, rng) for one in seen])
        target = np.stack([target_heat(one.joints, PICTURE_SIZE) for one in seen])
        masks = np.stack([one.mask for one in seen])
        mask = torch.from_numpy(masks).to(self.device).float()[:, None] / 255
        heat, logits = self.net(to_tensor(pictures, self.device))
        truth = torch.from_numpy(target).to(self.device)
        # joints cover little of a heat map: give them more weight
        weighted = (heat.float().sigmoid() - truth).square() * (1 + 20 * truth)
        return 30 * weighted.mean() + binary_cross_entropy_with_logits(logits.float(), mask)

    def evaluate(self) -> dict[str, float]:
        return self._figures(self.validation, 96)

    def _figures(self, split: RenderedSet, count: int) -> dict[str, float]:
        perception = Perception(self.net)
        errors, found, iou, counted = [], [], [], []
        rng = np.random.default_rng(0)
        pairs, none = [], []
        for i in range(count):
            people = perception.detect(split.pictures[i])
            counted.append(len(people) == split.people[i])
            empty = make_nobody(read_rendered(split, i), rng)
            none.append(not perception.detect(empty.picture))
            if i + 1 < count and split.people[i] == split.people[i + 1] == 1:
                pair = join_pictures([read_rendered(split, i), read_rendered(split, i + 1)], 2)
                pairs.append(len(perception.detect(pair.picture)) == 2)
            truth_mask = split.masks[i] > 127
            seen_mask = perception.segment(split.pictures[i]) > 0.5
            if split.people[i] != 1 or not people:
                continue
            iou.append((truth_mask & seen_mask).sum() / max((truth_mask | seen_mask).sum(), 1))
            truth = split.joints[i, 0]
            both = (truth[:, 2] > 0) & (people[0].body[:, 2] > 0)
            found.append(both.sum() / (truth[:, 2] > 0).sum())
            errors += list(np.linalg.norm(people[0].body[both, :2] - truth[both, :2], axis=1))
        return {
            "joint_error_px": float(np.mean(errors)) if errors else float("nan"),
            "joints_found": float(np.mean(found)) if found else 0.0,
            "mask_iou": float(np.mean(iou)) if iou else 0.0,
            "people_counted": float(np.mean(counted)),
            "pairs_counted": float(np.mean(pairs)) if pairs else float("nan"),
            "nobody_refused": float(np.mean(none)),
        }

    def finish(self, runs: Path) -> dict[str, float]:
        self.net.save(runs / "perception" / "weights")
        return {f"held_out_{k}": v for k, v in self._figures(self.held_out, 500).items()}


TASKS = {task.name: task for task in (VaeTask, DecoderTask, DiffusionTask, PerceptionTask)}
