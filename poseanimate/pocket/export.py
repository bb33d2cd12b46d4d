"""Puts finished weights into the package: one diffusers folder, fp16 safetensors in shards, with a model card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from diffusers import AutoencoderDC, ControlNetModel, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel

from poseanimate.pocket.nets import PICTURE_SIZE, build_tokenizer
from poseanimate.pocket.perception import PerceptionNet

WEIGHTS = Path(__file__).resolve().parent / "weights"
SHARD = "8MB"
PARTS = ("vae", "diffusion", "perception")


def export(runs: Path, target: Path = WEIGHTS) -> None:
    """Writes what `train` left under `runs` to `target`, replacing what was there."""
    with TemporaryDirectory(dir=target.parent) as folder:
        built = Path(folder)
        _networks(runs, built)
        (built / "README.md").write_text(model_card(runs))
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(built, target)
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _networks(runs: Path, target: Path) -> None:
    trained = runs / "diffusion" / "weights"
    networks = {
        "vae": AutoencoderDC.from_pretrained(runs / "vae" / "weights"),
        "unet": UNet2DConditionModel.from_pretrained(trained / "unet"),
        "controlnet": ControlNetModel.from_pretrained(trained / "controlnet"),
        "text_encoder": CLIPTextModel.from_pretrained(trained / "text_encoder"),
    }
    for name, network in networks.items():
        network.to(torch.float16).save_pretrained(target / name, max_shard_size=SHARD)
        _forget_paths(target / name / "config.json")
    build_tokenizer(target / "tokenizer").save_pretrained(target / "tokenizer")
    DDIMScheduler.from_pretrained(trained / "scheduler").save_pretrained(target / "scheduler")
    PerceptionNet.load(runs / "perception" / "weights").save(target / "perception")
    index = {
        "_class_name": "StableDiffusionControlNetPipeline",
        "controlnet": ["diffusers", "ControlNetModel"],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderDC"],
        "feature_extractor": [None, None],
        "safety_checker": [None, None],
        "requires_safety_checker": False,
    }
    (target / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def _forget_paths(config: Path) -> None:
    """Configurations remember where they were loaded from; the shipped ones should not."""
    values = json.loads(config.read_text())
    values.pop("_name_or_path", None)
    config.write_text(json.dumps(values, indent=2) + "\n")


def model_card(runs: Path) -> str:
    """What was trained on what, for how long, and how good it is."""
    summaries = {part: json.loads((runs / part / "summary.json").read_text()) for part in PARTS}
    lines = [
        "# The pocket models",
        "",
        "Tiny networks (Stable Diffusion 1.5's classes and AutoencoderDC) for pictures of",
        f"{PICTURE_SIZE} x {PICTURE_SIZE} px of the",
        "pocket world, a world of paper dolls rendered by this package. They know nothing else: photographs and",
        "drawings from elsewhere are outside what they can see or paint.",
        "",
        "- Data: pictures rendered by `poseanimate/pocket` (split `train`); no outside data.",
        "- Licence: that of the package.",
        "- Figures are from the splits `held-out` and `validation`, whose characters appear in no other.",
        "",
        "| part | samples seen | steps | minutes | figures |",
        "|---|---|---|---|---|",
    ]
    for part, summary in summaries.items():
        figures = {k: v for k, v in summary.items() if k not in ("samples", "steps", "minutes")}
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        lines.append(
            f"| {part} | {summary['samples']} | {summary['steps']} | {summary['minutes']:.0f} | {shown} |"
        )
    lines += [
        "",
        "Trained with `python -m poseanimate.pocket.train {vae,diffusion,perception}`.",
        "",
    ]
    return "\n".join(lines)
