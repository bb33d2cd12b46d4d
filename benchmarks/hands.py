"""Where the pocket family loses hands: held-out close-ups, made from later and later noise.

    python benchmarks/hands.py [--models FOLDER] [--pictures 64]

Each true picture is encoded, noised up to a timestep and sampled back under its own caption and skeleton. What the
row "autoencoder" lacks is the autoencoder's fault, what is lost at low noise is the U-Net's at low timesteps, and what
is lost from noise alone is ControlNet's or the U-Net's at high ones. In per cent of the hands that the truth shows;
forearms in ΔE; PSNR of the character in dB.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np
import torch

from poseanimate.evaluation.metrics.limbs import forearm_error, hands_shown
from poseanimate.method.ddim import DDIM
from poseanimate.method.denoiser import Denoiser
from poseanimate.models.family import to_pixels, to_tensor
from poseanimate.models.loading import load_models
from poseanimate.pocket.training.data import sample_training_angles
from poseanimate.pocket.world.scene import Scene
from poseanimate.poses.skeleton import draw_pose

STEPS, GUIDANCE, CONTROL = 25, 3.0, 1.6
STARTS = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)  # of the schedule


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default="pocket")
    parser.add_argument("--pictures", type=int, default=64)
    options = parser.parse_args()
    models = load_models(options.models, device="cpu")
    ddim = DDIM.from_scheduler(models.scheduler, STEPS)
    size, side = models.painted_side, models.side
    rows: dict[str, list[tuple[list[bool], float, float]]] = {}
    for index in range(options.pictures):
        rng = np.random.default_rng([index, 12])
        scene, angles = Scene.sample("held-out", index), sample_training_angles(rng)
        whole, view = scene.close_up(size, rng)
        truth = scene.render(angles, whole, whole, view)
        tanned = scene.tanned().render(angles, whole, whole, view).picture
        skin = (truth.picture != tanned).any(axis=2)
        inside = truth.mask > 0.5
        drawing = draw_pose(truth.pose.scaled(side / size, side / size), side, side)
        eps = Denoiser(
            models.unet, models.controlnet, models.embed(scene.caption), models.embed(""), GUIDANCE,
            controlnet_text="prompt", controlnet_scale=CONTROL,
        )  # fmt: skip
        with torch.no_grad():
            pose_cond = eps.embed_poses(to_tensor(drawing[None], models.device))
            seen = cv2.resize(truth.picture, (side, side), interpolation=cv2.INTER_AREA)
            z_0 = models.encode(to_tensor(seen[None], models.device))
            noise = torch.randn(z_0.shape, generator=torch.Generator().manual_seed(index))
            made = {"truth": truth.picture, "autoencoder": to_pixels(models.decode(z_0))[0]}
            for start in STARTS:
                first = round(start * STEPS)
                alpha = float(models.scheduler.alphas_cumprod[ddim.timestep(first)])
                z = alpha**0.5 * z_0 + (1 - alpha) ** 0.5 * noise
                if start == 1:
                    z = noise
                for k in range(first, 0, -1):
                    z = ddim.step(z, eps.predict(z, ddim.timestep(k), eps.prompt, pose_cond), k)
                made[f"from {start:.0%}"] = to_pixels(models.decode(z))[0]
        for name, picture in made.items():
            error = np.square((picture[inside].astype(float) - truth.picture[inside]) / 255).mean()
            rows.setdefault(name, []).append(
                (
                    hands_shown(picture, truth.picture, truth.pose, skin),
                    forearm_error(picture, truth.picture, truth.pose),
                    -10 * np.log10(max(float(error), 1e-10)),
                )
            )
    print("| row | hands (%) | forearms (ΔE) | character (dB) |\n|---|---|---|---|")
    for name, found in rows.items():
        hands = [shown for each, _, _ in found for shown in each]
        forearms, character = (np.nanmean([each[n] for each in found]) for n in (1, 2))
        share = f"{100 * np.mean(hands):.1f} of {len(hands)}"
        print(f"| {name} | {share} | {forearms:.1f} | {character:.1f} |")


if __name__ == "__main__":
    main()
