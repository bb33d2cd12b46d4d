"""Every metric: what it is called, its unit, which way is better, and what it means."""

from __future__ import annotations

from dataclasses import dataclass

OUTLINE_PX = 4  # half a token of the pocket models


@dataclass(frozen=True)
class Metric:
    """better: +1 where more is better, -1 where less is, 0 where neither; digits: after the point, in tables."""

    heading: str
    unit: str
    better: int
    meaning: str
    digits: int = 1

    @property
    def column(self) -> str:
        """The heading of a table's column: name, unit, and an arrow towards better."""
        arrow = {1: " ↑", -1: " ↓", 0: ""}[self.better]
        return f"{self.heading}{f' ({self.unit})' if self.unit else ''}{arrow}"


METRICS: dict[str, Metric] = {
    "psnr": Metric("PSNR", "dB", 1, "against the true frames"),
    "psnr_character": Metric("character", "dB", 1, "PSNR within the true character's mask"),
    "psnr_background": Metric("background", "dB", 1, "PSNR outside the true character's mask"),
    "psnr_outline": Metric(
        "outline", "dB", 1, f"PSNR of the background within {OUTLINE_PX} px of the true character"
    ),
    "psnr_disoccluded": Metric(
        "disoccluded", "dB", 1, "PSNR of the background further off, where the character was in the source"
    ),
    "ssim": Metric("SSIM", "", 1, "against the true frames", 3),
    "l1": Metric(
        "L1", "E-04", -1,
        "mean difference of 0 to 255, divided by the number of pixels, as in DisCo's evaluation", 1,
    ),
    "pck": Metric("PCK", "%", 1, "joints found within a quarter of a torso of the truth"),
    "joint_error": Metric(
        "joints", "torsos", -1, "mean distance of joints from the truth; missed ones count 1", 3
    ),
    "mask_iou": Metric("mask IoU", "", 1, "of the character that is seen against the true mask", 3),
    "identity": Metric(
        "identity", "ΔE", -1, "mean colour difference of face, top, bottom and shoes from the truth"
    ),
    "hands": Metric(
        "hands", "%", 1, "of the true frames' visible hands that are there, at most 0.15 torso lengths off"
    ),
    "forearms": Metric(
        "forearms", "ΔE", -1, "mean colour difference along forearms, each place up to 0.15 torso lengths off"
    ),
    "letter": Metric(
        "letter", "% of frames", 1,
        "that show the letter of the shirt: nearer to the truth than to any other letter or none",
    ),
    "background_change": Metric(
        "bg change", "grey levels", -1, "from the source, where the character is in neither", 2
    ),
    "flicker": Metric(
        "flicker", "grey levels", -1,
        "change from frame to frame where the character is in neither", 2,
    ),
    "dynamics": Metric(
        "dynamics", "% of truth", 0,
        "change from frame to frame, of the true clip's; a frozen clip has 0 and no flicker",
    ),
    "motion": Metric(
        "motion", "grey levels", 0,
        "change from frame to frame, where the truth isn't known; a frozen clip has 0 and no flicker", 2,
    ),
    "lpips": Metric("LPIPS", "", -1, "perceptual distance from the source (AlexNet)", 3),
    "lpips_disco": Metric(
        "LPIPS, DisCo", "", -1, "from the truth, as DisCo's released code has it (VGG, shown [0, 1])", 3
    ),
    "fid": Metric(
        "FID", "", -1, "Fréchet distance of Inception's features of all frames from the true ones' (pytorch-fid)"
    ),
    "fid_vid": Metric(
        "FID-VID", "", -1, "the same of 3D-ResNet-50's features of every 16 consecutive frames (DisCo)"
    ),
    "fvd": Metric("FVD", "", -1, "the same of I3D's logits of every 16 consecutive frames (DisCo)"),
    "clip_i": Metric("CLIP-I", "", 1, "mean cosine of the frames' embeddings with the source's", 3),
    "frame_consistency": Metric(
        "FC", "%", 1, "cosine of consecutive frames' embeddings; a frozen clip has 100"
    ),
    "warping_error": Metric(
        "WE", "", -1, "difference from the next frame warped by optical flow; a frozen clip has 0", 4
    ),
    "warping_error_released": Metric(
        "WE, released", "", -1, "the same as EvalCrafter's released code shows pictures to RAFT", 4
    ),
    "source_psnr": Metric("frame 0", "dB", 1, "PSNR of the source as the first optimisation reconstructs it"),
    "inversion_psnr": Metric(
        "frame 0, latent", "dB", 1, "the same against what the autoencoder makes of the source"
    ),
    "frame_mask_iou": Metric(
        "M_i IoU", "", 1, "of the frame masks with the true ones, or with where the character is seen in the clip", 3
    ),
    "lost_character": Metric(
        "lost, character", "%", 0, "of the character's attention that Eq. 9 gives to nothing, mean over layers' sizes"
    ),
    "lost_background": Metric("lost, background", "%", 0, "the same of the background's"),
    "seconds": Metric("seconds", "s", -1, "that the row takes alone, without loading"),
    "nfe": Metric(
        "NFE", "", -1,
        "number of function evaluations: samples through U-Net and ControlNet, forward and backward", 0,
    ),
}  # fmt: skip

DISTANCES = ("fid", "fid_vid", "fvd")
"""Metrics of all clips of a row together."""
