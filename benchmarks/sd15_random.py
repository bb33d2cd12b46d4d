"""Stable Diffusion 1.5 and its OpenPose ControlNet with random weights, in the hub's folder layout.

`python benchmarks/sd15_random.py FOLDER [VOCABULARY]` writes 2.9 GB. The networks have the exact configurations, so
shapes, memory and speed are those of the real ones; the output is noise. The tokenizer is CLIP's own if its byte-pair
vocabulary is given (bpe_simple_vocab_16e6.txt.gz, or a wheel of the package clip-anytorch, which contains it) or that
package is installed, otherwise one of the same size with single bytes only. The pocket models' detector and segmenter
are included, so pictures of their world can be animated through every stage.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from poseanimate.models.files import PERCEPTION_FOLDER, POCKET

VOCABULARY = 49408
TOKENS = 77
VOCABULARY_FILE = "bpe_simple_vocab_16e6.txt.gz"
REPEATED = 999_983  # random numbers; a prime, so that no two rows of a weight are equal
MERGES = VOCABULARY - 2 * 256 - 2  # pairs that CLIP's tokenizer joins


def unet(side: int = 512) -> UNet2DConditionModel:
    """860 million parameters; diffusers' defaults are Stable Diffusion 1's except for the text width.

    side: of the generated pictures, px; no weight depends on it.
    """
    size = side // 8
    return UNet2DConditionModel(sample_size=size, cross_attention_dim=768, attention_head_dim=8)


def controlnet() -> ControlNetModel:
    """361 million parameters."""
    return ControlNetModel(
        cross_attention_dim=768,
        attention_head_dim=8,
        conditioning_embedding_out_channels=(16, 32, 96, 256),
    )


def vae() -> AutoencoderKL:
    """84 million parameters."""
    return AutoencoderKL(
        sample_size=512,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )


def text_encoder() -> CLIPTextModel:
    """123 million parameters: the text half of CLIP ViT-L/14."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=VOCABULARY, hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
            num_attention_heads=12, max_position_embeddings=TOKENS, hidden_act="quick_gelu",
            projection_dim=768, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        )
    )  # fmt: skip


NETWORKS = {
    "unet": unet,
    "controlnet": controlnet,
    "vae": vae,
    "text_encoder": text_encoder,
}


def write(
    folder: Path,
    side: int = 512,
    variant: str | None = "fp16",
    vocabulary: Path | None = None,
) -> Path:
    """Fills a folder, one network at a time.

    side: see `unet`. variant: of the weight files, always in half precision. vocabulary: see `merges`.
    """
    for seed, (name, build) in enumerate(NETWORKS.items()):
        with torch.device("meta"):
            network = (build(side) if build is unet else build()).half()
        network.to_empty(device="cpu")
        randomise(network, torch.Generator().manual_seed(seed))
        network.save_pretrained(folder / name, variant=variant)
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    write_tokenizer(folder / "tokenizer", vocabulary)
    shutil.copytree(POCKET / PERCEPTION_FOLDER, folder / PERCEPTION_FOLDER, dirs_exist_ok=True)
    index = {"_class_name": "StableDiffusionPipeline", "vae": ["diffusers", "AutoencoderKL"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@torch.no_grad()
def randomise(network: nn.Module, generator: torch.Generator) -> None:
    """Sets weights that keep the size of activations: scales 1, biases 0, the rest by the width of the input.

    Repeats a million random numbers, since a billion take half a minute.
    """
    numbers = torch.rand(REPEATED, generator=generator) * 2 - 1
    for name, weight in network.named_parameters():
        if weight.ndim == 1:
            weight.fill_(1.0 if name.endswith("weight") else 0.0)
        else:
            bound = weight[0].numel() ** -0.5
            repeats = -(-weight.numel() // REPEATED)
            weight.copy_((bound * numbers).repeat(repeats)[: weight.numel()].view_as(weight))


SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}


# The tokenizer -------------------------------------------------------------------------------------


def write_tokenizer(folder: Path, vocabulary: Path | None = None) -> None:
    """Writes Stable Diffusion's tokenizer in its four files."""
    begin, end = "<|startoftext|>", "<|endoftext|>"
    pairs = list(merges(vocabulary))
    symbols = list(bytes_as_letters())
    words = [*symbols, *(f"{symbol}</w>" for symbol in symbols), *("".join(p) for p in pairs)]
    filler = (f"<|{i}|>" for i in range(VOCABULARY - 2 - len(words)))
    words += [*filler, begin, end]
    marks = {"bos_token": begin, "eos_token": end, "unk_token": end, "pad_token": end}
    about = {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": TOKENS, "do_lower_case": True,
        "add_prefix_space": False, "errors": "replace", **marks,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in pairs)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(marks))
    (folder / "tokenizer_config.json").write_text(json.dumps(about))


def merges(vocabulary: Path | None = None) -> Iterator[tuple[str, str]]:
    """The pairs that CLIP's tokenizer joins, most frequent first; none if its vocabulary isn't available.

    vocabulary: the file, or a wheel that contains it; by default the installed package's.
    """
    packed = None if vocabulary is None else _packed(vocabulary)
    if packed is None:
        spec = find_spec("clip")
        if spec is None or not spec.submodule_search_locations:
            print(
                "CLIP's vocabulary isn't here: the tokenizer knows single bytes alone.",
                file=sys.stderr,
            )
            return
        packed = (Path(spec.submodule_search_locations[0]) / VOCABULARY_FILE).read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").split("\n")
    for line in lines[1 : MERGES + 1]:
        first, second = line.split()
        yield first, second


def _packed(vocabulary: Path) -> bytes:
    """Raises FileNotFoundError if there is no such file, or none in the wheel."""
    if not vocabulary.is_file():
        raise FileNotFoundError(f"CLIP's vocabulary isn't at {vocabulary}")
    if vocabulary.suffix != ".whl":
        return vocabulary.read_bytes()
    with zipfile.ZipFile(vocabulary) as wheel:
        for name in wheel.namelist():
            if name.endswith(VOCABULARY_FILE):
                return wheel.read(name)
    raise FileNotFoundError(f"{vocabulary} holds no {VOCABULARY_FILE}")


def bytes_as_letters() -> Iterator[str]:
    """A printable letter for each byte, in the order of the vocabulary (byte-level BPE, Radford et al. 2019)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    printable += range(ord("®"), ord("ÿ") + 1)
    yield from map(chr, printable)
    yield from (chr(256 + i) for i in range(256 - len(printable)))


if __name__ == "__main__":
    write(Path(sys.argv[1]), vocabulary=Path(sys.argv[2]) if len(sys.argv) > 2 else None)
