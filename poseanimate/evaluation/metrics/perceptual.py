"""Metrics that use a network: those of Table 1 and the Fréchet distances of Table 2.

The formulas take the network as a function, so that they can be tested on known inputs; `loaders` loads the real
ones. Frames are (n, 3, H, W) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import qr, svdvals
from torch import Tensor
from torch.nn.functional import cosine_similarity, grid_sample, interpolate, pad

WINDOW = 16  # consecutive frames for FVD and FID-VID

Embed = Callable[[Tensor], Tensor]
"""Frames -> image embeddings (n, d), with the network's own preprocessing."""

Flow = Callable[[Tensor, Tensor], Tensor]
"""Two pictures (1, 3, h, w) in [-1, 1], sides a multiple of 8 -> flow (1, 2, h, w) in pixels, x first: where each
place of the first is found in the second."""

Features = Callable[[Tensor], Tensor]
"""Frames (n, 3, H, W), or windows of them (n, 16, 3, H, W), in [0, 1] -> features (n, d), with the network's own
preprocessing."""

Distance = Callable[[Tensor, Tensor], Tensor]
"""Two sets of pictures (n, 3, H, W) in [-1, 1] -> LPIPS of each pair (n,)."""


def lpips(distance: Distance, frames: Tensor, others: Tensor, released: bool = False) -> float:
    """LPIPS: mean perceptual distance of the frames to the source (Table 1), or to the true frames (Table 2).

    Args:
        others: (1 or n, 3, H, W).
        released: as in DisCo's released code, which gives the network [0, 1] instead of [-1, 1].
    """
    pairs = (frames, others.expand_as(frames))
    one, other = pairs if released else (2 * x - 1 for x in pairs)
    return float(distance(one, other).mean())


def clip_i(embed: Embed, frames: Tensor, source: Tensor) -> float:
    """CLIP-I: mean cosine of the frames' embeddings with that of the source (1, 3, H, W) (IP-Adapter's definition)."""
    return float(cosine_similarity(embed(frames), embed(source)).mean())


def frame_consistency(embed: Embed, frames: Tensor) -> float:
    """FC: mean cosine of consecutive frames' embeddings, times 100 (Gen-1). A frozen clip reaches 100."""
    embeddings = embed(frames)
    return float(100 * cosine_similarity(embeddings[:-1], embeddings[1:]).mean())


def warping_error(flow: Flow, frames: Tensor, released: bool = False) -> float:
    """WE: squared difference of each frame from the next one warped onto it, where nothing is occluded (EvalCrafter).

    At half the size; summed over colour channels, so three times a mean over values. A frozen clip reaches 0.

    Args:
        released: as in EvalCrafter's released code, which scales pictures to [0, 1] twice before the flow
            network sees them, nearly black; the paper's 0.0384 was presumably measured so.
    """
    small = interpolate(frames, scale_factor=0.5, mode="bilinear", align_corners=False)
    height, width = small.shape[2:]
    small = pad(small, (0, -width % 8, 0, -height % 8), mode="replicate")
    seen = 2 * (small / 255 if released else small) - 1
    errors = []
    for i in range(len(small) - 1):
        forward, backward = (
            flow(seen[i : i + 1], seen[i + 1 : i + 2]),
            flow(seen[i + 1 : i + 2], seen[i : i + 1]),
        )
        clear = ~occluded(forward, backward)[:, None]
        difference = (warp(small[i + 1 : i + 2], forward) - small[i : i + 1]).square() * clear
        count = int(clear.sum())
        errors.append(float(difference.sum()) / (count or difference.numel()))
    return float(np.mean(errors))


def warp(pictures: Tensor, flow: Tensor) -> Tensor:
    """Pictures (n, c, h, w) sampled where `flow` (n, 2, h, w) points, zero outside."""
    height, width = pictures.shape[2:]
    rows, columns = torch.meshgrid(
        torch.arange(height, device=flow.device),
        torch.arange(width, device=flow.device),
        indexing="ij",
    )
    x, y = columns + flow[:, 0], rows + flow[:, 1]
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], dim=-1)
    return grid_sample(pictures, grid.to(pictures.dtype), align_corners=True)


def occluded(forward: Tensor, backward: Tensor) -> Tensor:
    """(n, h, w) bool: places that the other frame hides, or at a motion's boundary (fast_blind_video_consistency)."""
    back = warp(backward, forward)
    apart = (back + forward).square().sum(1)
    lengths = back.square().sum(1) + forward.square().sum(1)
    hidden = apart > 0.01 * lengths + 0.5
    gradient = torch.zeros_like(apart)
    gradient[:, :, :-1] += forward.diff(dim=3).square().sum(1)
    gradient[:, :-1] += forward.diff(dim=2).square().sum(1)
    boundary = gradient > 0.01 * forward.square().sum(1) + 0.002
    return hidden | boundary


def frechet_distance(made: NDArray[np.float32], true: NDArray[np.float32]) -> float:
    """Fréchet distance of two sets of features (n, d), taken as Gaussians: FID, FID-VID or FVD by what they are of.

    |m_1 - m_2|² + Tr(S_1 + S_2 - 2 (S_1 S_2)^½). With features A and B less their means and divided by (n - 1)^½,
    S = AᵀA, and the last trace is the sum of the singular values of A Bᵀ: exact also where there are fewer features
    than dimensions, where roots of the covariances are not.

    Raises:
        ValueError: fewer than two of either.
    """
    if min(len(made), len(true)) < 2:
        raise ValueError("a covariance needs two features at least")
    m_1, m_2 = (x.mean(0, dtype=np.float64) for x in (made, true))
    a, b = (made - m_1) / np.sqrt(len(made) - 1), (true - m_2) / np.sqrt(len(true) - 1)
    # a rotation of the samples changes nothing
    r_a, r_b = (qr(x, mode="economic")[1] for x in (a, b))
    overlap = svdvals(r_a @ r_b.T).sum()
    distance = ((m_1 - m_2) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * overlap
    return max(float(distance), 0.0)  # but for rounding


def windows(frames: Tensor, length: int = WINDOW) -> Tensor:
    """Every run of `length` consecutive frames, (n, length, 3, H, W), as FVD and FID-VID count them.

    Raises:
        ValueError: the clip is shorter.
    """
    if len(frames) < length:
        raise ValueError(f"{len(frames)} frames give no window of {length}")
    return frames.unfold(0, length, 1).movedim(-1, 1)
