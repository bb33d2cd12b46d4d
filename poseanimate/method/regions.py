"""Where the character is, at the resolution of an attention layer."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from poseanimate.method.extras.sorted_attention import RegionIndex


def character_tokens(masks: Tensor, grid: tuple[int, int]) -> Tensor:
    """Which tokens of an attention layer are the character's.

    Args:
        masks: (frames, H, W) in [0, 1].
        grid: (h, w) of the layer's tokens.

    Returns:
        (frames, h·w) bool; a token is the character's when at least half of it is.
    """
    return adaptive_avg_pool2d(masks[:, None].float(), grid).flatten(1) >= 0.5


def layer_grid(latent_grid: tuple[int, int], tokens: int) -> tuple[int, int]:
    """(h, w) of a layer with that many tokens: the latents' grid halved, rounding up, as often as it takes."""
    height, width = latent_grid
    while height * width > tokens:
        height, width = -(-height // 2), -(-width // 2)
    if height * width != tokens:
        raise ValueError(f"{tokens} tokens do not fit latents of {latent_grid}")
    return height, width


@dataclass(frozen=True, eq=False)
class ChunkRegions:
    """The regions of a chunk, worked out once for all of its timesteps and layers.

    masks: (1 + 1 + frames, H, W) in [0, 1], of frame 0, of the frame before the chunk and of the chunk's frames.
    latent_grid: (h, w) of the latents; a layer's grid is a power of two smaller.
    branches: of classifier-free guidance in a batch.
    """

    masks: Tensor
    latent_grid: tuple[int, int]
    branches: int
    _by_tokens: dict[int, tuple[RegionIndex, RegionIndex, RegionIndex]] = field(
        default_factory=dict
    )

    def at(self, tokens: int) -> tuple[RegionIndex, RegionIndex, RegionIndex]:
        """Of frame 0, of each frame's previous one and of itself, branches·frames each."""
        if tokens not in self._by_tokens:
            inside = character_tokens(self.masks, layer_grid(self.latent_grid, tokens))
            first, previous, own = inside[:1].expand(len(inside) - 2, -1), inside[1:-1], inside[2:]
            repeat = (self.branches, 1)
            self._by_tokens[tokens] = (
                RegionIndex(first.repeat(repeat)),
                RegionIndex(previous.repeat(repeat)),
                RegionIndex(own.repeat(repeat)),
            )
        return self._by_tokens[tokens]
