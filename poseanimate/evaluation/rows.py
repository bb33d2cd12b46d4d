"""What is compared: the method, with and without each module (the paper's Fig. 5), and baselines (Table 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from poseanimate.settings import Settings

FULL, VAE_BOUND, SOURCE_COPY, DRAFT = "full", "vae-bound", "source-copy", "draft"
REFERENCES = {
    VAE_BOUND: "the VAE reconstruction of the true frames: the best that these models can do",
    SOURCE_COPY: "the source picture in every frame",
    DRAFT: "the character cut out and moved, without any network",
}
"""Rows to compare with, which no method generates."""

MODULES = ("pacm_source", "pacm_pose", "dcam", "mgdm")
ALL: dict[str, object] = dict.fromkeys(MODULES, True)
OFF: dict[str, object] = dict.fromkeys(MODULES, False)
WITHOUT_DRAFTS: dict[str, object] = {"start": "inverted", "frame_masks": "skeleton"}
DRAFTED: dict[str, object] = {"start": "draft", "frame_masks": "draft"}
PAPER: dict[str, object] = {
    "start": "inverted",
    "frame_masks": "attention",
    "mask_form": "hadamard",
    "background": "sampled",
    "controlnet_emphasis": 1.0,
}
NONE: dict[str, object] = {**OFF, **PAPER}
PEERS: dict[str, object] = {"controlnet_text": "branch"}
"""As diffusers' pipeline has it, so that baselines are what a peer would run."""


@dataclass(frozen=True)
class Row:
    """A way to make a clip.

    changes: settings that differ from the evaluation's.
    driver: "own", the character's own true poses, which tests the method alone; or "another", poses detected in
        pictures of a character of another size in another place, which tests PATA too.
    meaning: a phrase for the report.
    """

    changes: Mapping[str, object]
    meaning: str
    driver: str = "own"

    def settings(self, base: Settings) -> Settings:
        """The row's settings: PATA only with another character's motion, no transition frames, the whole picture."""
        always = {"pata": self.driver == "another", "transition_frames": 0, "crop": False}
        return base.changed({**always, **self.changes})


ROWS: dict[str, Row] = {
    "controlnet-random": Row(
        {**NONE, **PEERS, "start": "random"}, "plain ControlNet per frame from random noise"
    ),
    "controlnet": Row(
        {**NONE, **PEERS}, "plain ControlNet per frame from the source's inverted noise"
    ),
    "cross-frame": Row(
        {**NONE, **PEERS, "baseline": "cross_frame"},
        "plain ControlNet from the inverted noise, every frame attending to frame 0 alone",
    ),
    "cross-frame-direct": Row(
        {**NONE, **PEERS, "baseline": "cross_frame", "background": "direct"},
        "cross-frame attention with direct inversion, as in the preset `balanced`",
    ),
    "controlnet-plus": Row(
        {**OFF, **PEERS},
        "plain ControlNet with what the preset adds to the paper: drafts, direct inversion, emphasis",
    ),
    "cross-frame-plus": Row(
        {**OFF, **PEERS, "baseline": "cross_frame"},
        "cross-frame attention with what the preset adds to the paper",
    ),
    "spatio-temporal": Row(
        {**NONE, **PEERS, "baseline": "spatio_temporal"},
        "plain ControlNet from the inverted noise, every frame attending to frames 0 and i - 1; "
        "for the pocket models it stands in for IP+CtrlN",
    ),
    "spatio-temporal-plus": Row(
        {**OFF, **PEERS, "baseline": "spatio_temporal"},
        "spatio-temporal attention with what the preset adds to the paper",
    ),
    "ip-adapter": Row(
        {
            **NONE,
            **PEERS,
            "start": "random",
            "baseline": "ip_adapter",
        },
        "IP+CtrlN of Table 1: IP-Adapter, ControlNet and attention to frames 0 and i - 1, from random noise",
    ),
    "only-pacm-source": Row({**NONE, "pacm_source": True}, "the first optimisation alone"),
    "full": Row(ALL, "the method with all of its modules, otherwise the preset"),
    "paper-only": Row(
        {**ALL, **PAPER}, "the paper's modules alone, without drafts, direct inversion and emphasis"
    ),
    "without-direct": Row({**ALL, "background": "sampled"}, "without direct inversion"),
    "without-emphasis": Row(
        {**ALL, "controlnet_emphasis": 1.0},
        "without ControlNet's emphasis where the character is new",
    ),
    "without-pacm": Row(
        {**ALL, "pacm_source": False, "pacm_pose": False}, "without both optimisations"
    ),
    "without-pacm-pose": Row({**ALL, "pacm_pose": False}, "without the second optimisation"),
    "without-dcam": Row(
        {**ALL, "dcam": False}, "without dual consistency attention, and so without MGDM"
    ),
    "without-mgdm": Row(
        {**ALL, "mgdm": False}, "without the decoupling of character and background"
    ),
    "without-drafts": Row(WITHOUT_DRAFTS, "the preset without drafts"),
    "draft-start": Row(
        {**WITHOUT_DRAFTS, "start": "draft"}, "frames start from the inversion of their drafts"
    ),
    "draft-masks": Row(
        {**WITHOUT_DRAFTS, "frame_masks": "draft"}, "frame masks are the drafts' silhouettes"
    ),
    "drafted": Row(
        DRAFTED, "both: frames start from their drafts, whose silhouettes are the masks"
    ),
    "negative-prompt": Row(
        {
            "pacm_source": False,
            "pacm_pose": False,
            "guidance_scale": 1.0,
            "background": "sampled",
        },
        "negative-prompt inversion instead of both optimisations: with the same prompt this is guidance 1",
    ),
    "direct": Row(
        {"pacm_source": False, "pacm_pose": False, "background": "direct"},
        "direct inversion instead of both optimisations",
    ),
    "preset": Row({}, "the preset as it is, but of the whole picture"),
    "crop": Row({"crop": True}, "the preset with crop and paste back"),
    "driven": Row(ALL, "the method with another character's motion, through PATA", "another"),
    "driven-without-pata": Row({**ALL, "pata": False}, "the same without PATA", "another"),
}


KEPT = ("pata", "transition_frames", "crop", "frames", "seed")
"""Settings that no row takes from another preset: they are the evaluation's."""


def list_rows(settings: Settings, family: str) -> dict[str, Row]:
    """All rows by name, those above and `fast`, the family's preset."""
    changes = find_changes(settings, Settings.preset("fast", family))
    return {**ROWS, "fast": Row(changes, "the preset `fast`")}


def find_changes(settings: Settings, others: Settings) -> dict[str, object]:
    """By name, the values of others that differ, but for `KEPT`."""
    own, values = asdict(settings), asdict(others).items()
    return {name: value for name, value in values if value != own[name] and name not in KEPT}


def make_sweep(text: str) -> dict[str, Row]:
    """The rows of a sweep, "lambda_first=0.5,0.7,0.9": the preset with each of these values."""
    name, _, values = text.partition("=")
    return {
        f"{name}={value}": Row({name: value}, f"the preset with {name} {value}")
        for value in values.split(",")
    }
