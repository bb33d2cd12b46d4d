"""Copies finished weights into the package and back: a diffusers folder, fp16 safetensors shards, a model card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from diffusers import AutoencoderDC, ControlNetModel, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel

from poseanimate.pocket.perception import PerceptionNet
from poseanimate.pocket.training.nets import PAINTED_SIZE, PICTURE_SIZE, build_tokenizer

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
SUMMARIES = "training.json"
SHARD = "8MB"
PARTS = ("vae", "decoder", "diffusion", "perception")
DIFFUSION = ("unet", "controlnet", "text_encoder", "scheduler")


def export(runs: Path, target: Path = WEIGHTS) -> None:
    """Writes what `train` saved under `runs` to `target`, replacing its content."""
    with TemporaryDirectory(dir=target.parent) as folder:
        built = Path(folder)
        _export_networks(runs, built)
        told = {part: runs / part / "summary.json" for part in PARTS}
        summaries = {p: json.loads(t.read_text()) for p, t in told.items() if t.exists()}
        (built / SUMMARIES).write_text(json.dumps(summaries, indent=1) + "\n")
        (built / "README.md").write_text(write_model_card(summaries))
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(built, target)
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def adopt(runs: Path, shipped: Path = WEIGHTS) -> None:
    """The reverse: copies shipped weights to where `train` saves and looks for finished ones.

    Raises FileExistsError for a part already trained under `runs`, and leaves that part unchanged.
    """
    homes = {name: runs / "diffusion" / "weights" / name for name in DIFFUSION}
    homes |= {name: runs / name / "weights" for name in ("vae", "perception")}
    for part, summary in json.loads((shipped / SUMMARIES).read_text()).items():
        (runs / part).mkdir(parents=True, exist_ok=True)
        if any((runs / part / name).exists() for name in ("weights", "checkpoint.pt")):
            raise FileExistsError(f"{runs / part} holds a training already: remove it first.")
        (runs / part / "summary.json").write_text(json.dumps(summary, indent=1))
    for name, home in homes.items():
        shutil.copytree(shipped / name, home)


def _export_networks(runs: Path, target: Path) -> None:
    trained = runs / "diffusion" / "weights"
    networks = {
        "vae": AutoencoderDC.from_pretrained(runs / "vae" / "weights"),
        "unet": UNet2DConditionModel.from_pretrained(trained / "unet"),
        "controlnet": ControlNetModel.from_pretrained(trained / "controlnet"),
        "text_encoder": CLIPTextModel.from_pretrained(trained / "text_encoder"),
    }
    for name, network in networks.items():
        network.to(torch.float16).save_pretrained(target / name, max_shard_size=SHARD)
        _remove_paths(target / name / "config.json")
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


def _remove_paths(config: Path) -> None:
    """Removes the path that a configuration was loaded from; shipped ones should not have it."""
    values = json.loads(config.read_text())
    values.pop("_name_or_path", None)
    config.write_text(json.dumps(values, indent=2) + "\n")


def write_model_card(summaries: dict[str, dict[str, float]]) -> str:
    """What was trained on what, for how long and how well; `summaries` by part."""
    lines = [
        "# The pocket models",
        "",
        "Tiny networks (Stable Diffusion 1.5's classes and AutoencoderDC) for pictures of",
        f"{PICTURE_SIZE} x {PICTURE_SIZE} px of the pocket world, a world of paper dolls rendered by this package.",
        f"What they paint has {PAINTED_SIZE} x {PAINTED_SIZE} px, for the decoder has a stage more than the encoder.",
        "They know nothing else: photographs and drawings from elsewhere are outside what they can see or paint.",
        "",
        "- Data: pictures rendered by `poseanimate/pocket` (split `train`); no outside data.",
        "- Licence: that of the package.",
        "- Figures are from the split `held-out`: 1 of its 1000 characters looks like one in training, elsewhere.",
        "- How often plain samples show the pose and the clothes they should: `docs/results/samples.md`.",
        "",
        "| part | pictures | samples seen | steps | minutes | figures |",
        "|---|---|---|---|---|---|",
    ]
    counted = ("pictures", "samples", "steps", "minutes")
    for part, summary in summaries.items():
        counts = " | ".join(f"{summary[name]:.0f}" for name in counted)
        figures = {name: value for name, value in summary.items() if name not in counted}
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        lines.append(f"| {part} | {counts} | {shown} |")
    trained = "Trained with `python -m poseanimate.pocket.training.train`, part by part."
    return "\n".join([*lines, "", trained, ""])
