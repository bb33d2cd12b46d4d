"""How sharp the pocket family's decoder paints: held-out pictures through the autoencoder, against themselves.

    python benchmarks/decoder.py [--before VAE] [--pictures 200]

Pictures of 256 px are halved, encoded and decoded. An older autoencoder that paints 128 px (`--before`, its folder) is
scaled up by Lanczos. Edge width: the way from 10 to 90 % of the step at edges of the true picture, median, px.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import cv2
import numpy as np
import torch
from diffusers import AutoencoderDC
from numpy.typing import NDArray

from poseanimate.media.similarity import psnr_db
from poseanimate.models.family import Models, to_pixels, to_tensor
from poseanimate.models.loading import load_models
from poseanimate.pocket.training.data import render_sample

Picture = NDArray[np.uint8]

SIDE, FRAMES = 256, 16
REACH, STEP = 6.0, 0.25  # of an edge's profile to both sides, and between its samples, px
LEAST_CONTRAST, EDGES = 60.0, 400  # grey levels; of a picture


def edge_profiles(picture: Picture, at: NDArray[np.float64], along: NDArray[np.float64]) -> NDArray:
    """Brightness across edges, (n, samples): at points (n, 2) along unit vectors (n, 2)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    offsets = np.arange(-REACH, REACH + STEP / 2, STEP)
    where = (at[:, None] + offsets[:, None] * along[:, None]).astype(np.float32)
    return cv2.remap(
        grey, where[..., 0], where[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def find_edges(truth: Picture) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and directions of single steps: level for at least 2 px at both ends, with nothing else between."""
    grey = cv2.cvtColor(truth, cv2.COLOR_RGB2GRAY)
    rows, columns = np.nonzero(cv2.Canny(grey, 100, 200))
    inside = (np.minimum(rows, columns) > REACH) & (np.maximum(rows, columns) < SIDE - REACH - 1)
    rows, columns = rows[inside], columns[inside]
    slope = [cv2.Sobel(grey, cv2.CV_64F, *d)[rows, columns] for d in ((1, 0), (0, 1))]
    along = np.stack(slope, axis=1)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    at = np.stack([columns, rows], axis=1).astype(np.float64)
    seen = edge_profiles(truth, at, along)
    level = round(2 / STEP)
    flat = np.maximum(np.ptp(seen[:, :level], axis=1), np.ptp(seen[:, -level:], axis=1)) < 6
    good = flat & (seen[:, -1] - seen[:, 0] > LEAST_CONTRAST) & (np.diff(seen, axis=1) > -3).all(1)
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(good))[:EDGES]
    return at[chosen], along[chosen]


def edge_widths(profiles: NDArray) -> NDArray[np.float64]:
    """From the last sample below 10 % of the step to the first above 90 %, px."""
    low, high = profiles[:, :1], profiles[:, -1:]
    share = (profiles - low) / np.maximum(high - low, 1e-6)
    count = share.shape[1]
    middle = count // 2
    last = middle - np.argmax((share <= 0.1)[:, middle::-1], axis=1)
    first = middle + np.argmax((share >= 0.9)[:, middle:], axis=1)
    return (first - last) * STEP


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", help="folder of an older autoencoder")
    parser.add_argument("--vae", help="folder of another autoencoder than the shipped one")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--show", help="a file for a picture of truth, before and after")
    args = parser.parse_args()
    models = load_models("pocket", "cpu")
    if args.vae:
        models = replace(models, vae=AutoencoderDC.from_pretrained(args.vae).float().eval())
    painted = {"after": models}
    if args.before:
        vae = AutoencoderDC.from_pretrained(args.before).float().eval()
        painted = {"before, by Lanczos": replace(models, vae=vae), **painted}
    psnrs: dict[str, list[float]] = {name: [] for name in painted}
    widths: dict[str, list[NDArray]] = {name: [] for name in ("truth", *painted)}
    shown = []
    for index in range(args.pictures):
        truth = render_sample("held-out", index, SIDE)[2]
        edges = find_edges(truth)
        widths["truth"].append(edge_widths(edge_profiles(truth, *edges)))
        row = [truth]
        for name, each in painted.items():
            made = reconstruct(each, truth)
            psnrs[name].append(psnr_db(made, truth))
            widths[name].append(edge_widths(edge_profiles(made, *edges)))
            row.append(made)
        if len(shown) < 6:
            shown.append(np.concatenate(row))
    true_width = float(np.median(np.concatenate(widths["truth"])))
    print(f"{args.pictures} held-out pictures, {SIDE} px; edges of the truth {true_width:.2f} px")
    for name in painted:
        width = float(np.median(np.concatenate(widths[name])))
        print(
            f"{name}: {np.mean(psnrs[name]):.2f} dB, edges {width:.2f} px ({width / true_width - 1:+.0%})"
        )
    z = models.encode(torch.rand(1, 3, SIDE // 2, SIDE // 2))
    models.decode(z)
    started = time.perf_counter()
    for _ in range(FRAMES):
        models.decode(z)
    print(
        f"decoding {FRAMES} frames: {time.perf_counter() - started:.2f} s, {torch.get_num_threads()} threads"
    )
    if args.show:
        cv2.imwrite(args.show, np.concatenate(shown, axis=1)[..., ::-1])


def reconstruct(models: Models, truth: Picture) -> Picture:
    """A picture's half through an autoencoder, at the picture's size."""
    half = cv2.resize(truth, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    made = to_pixels(models.decode(models.encode(to_tensor(half[None], models.device))))[0]
    size = truth.shape[1::-1]
    return (
        made
        if made.shape == truth.shape
        else cv2.resize(made, size, interpolation=cv2.INTER_LANCZOS4)
    )


if __name__ == "__main__":
    main()
