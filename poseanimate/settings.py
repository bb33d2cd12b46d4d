"""Every setting once: its default, which is the paper's, its range and its meaning. Presets are data."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any

from poseanimate.errors import SettingsError
from poseanimate.resources import resource_folder

PRESETS = resource_folder("presets") / "settings"
FAMILIES, UNKNOWN = ("pocket", "sd15", "sdxl"), "unknown"
"""Families of models; presets that have no values for one, and for what is unknown, give it those of sd15."""
MAX_FRAMES = 240
MAX_TEXT_CHARACTERS = 200
LAMBDAS = ("lambda_first", "lambda_prev", "lambda_self")
LAMBDA_TOLERANCE = 1e-6


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A setting's default, its sentence of help and its allowed values."""
    metadata = {"help": help, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """How a character is animated. `Settings()` is the paper; where it is silent, the help says so.

    Raises:
        SettingsError: a value outside its range, or λ that don't sum to 1.
    """

    # sampling
    num_inference_steps: int = setting(50, "T, DDIM steps", low=2, high=200)
    timestep_spacing: str = setting(
        "own",
        "which T timesteps: the models' own way, or trailing, from the noisiest on, for LoRA that need few (not the "
        "paper's)",
        choices=("own", "trailing"),
    )
    guidance_scale: float = setting(7.5, "w, classifier-free guidance", low=1, high=20)
    controlnet_emphasis: float = setting(
        1.0, "ControlNet's weight where the character is new (not the paper's)", low=0, high=3
    )
    frames: int = setting(17, "frames of the clip, the source included", low=2, high=MAX_FRAMES)
    crop: bool = setting(
        False,
        "work on the part of the picture around the character, and paste frames back (not the paper's)",
    )
    start: str = setting(
        "inverted",
        "where frames start: the source's inverted noise, a draft with less noise where the character is (not the "
        "paper's), or random noise",
        choices=("inverted", "draft", "random"),
    )
    seed: int = setting(
        0, "of the random start; the inverted start needs none", low=0, high=2**31 - 1
    )
    # modules
    pata: bool = setting(True, "PATA: align the motion with the character, with a transition")
    pacm_source: bool = setting(True, "PACM, first optimisation: pose-aware inversion (Eq. 6)")
    pacm_pose: bool = setting(True, "PACM, second optimisation: one embedding per pose (Alg. 1)")
    dcam: bool = setting(True, "DCAM: dual consistency attention (Eq. 8)")
    mgdm: bool = setting(True, "MGDM: keep character and background apart in it (Eqs. 9, 10)")
    baseline: str = setting(
        "none",
        "while DCAM is off: attend to frame 0 alone, to frames 0 and i - 1 together, or that with the picture as a "
        "prompt of IP-Adapter's (not for the pocket models)",
        choices=("none", "cross_frame", "spatio_temporal", "ip_adapter"),
    )
    # DCAM
    lambda_first: float = setting(0.7, "λ1, share of frame 0", low=0, high=1)
    lambda_prev: float = setting(0.15, "λ2, share of the previous frame", low=0, high=1)
    lambda_self: float = setting(0.15, "λ3, share of the frame itself", low=0, high=1)
    # PACM
    inner_steps: int = setting(
        5, "n, Adam steps per timestep of the first optimisation", low=1, high=50
    )
    source_learning_rate: float = setting(
        1e-2, "rate of the first optimisation (the paper gives none)", low=1e-6, high=1
    )
    source_start: str = setting(
        "previous",
        "what each timestep of the first optimisation starts from: the embedding of the previous one, or the prompt's",
        choices=("previous", "prompt"),
    )
    pose_steps: int = setting(
        1, "gradient steps per timestep of the second optimisation", low=1, high=20
    )
    pose_learning_rate: float = setting(
        3e-4,
        "η of the second optimisation, on the loss's sum (the paper gives none)",
        low=0,
        high=0.5,
    )
    embedding_role: str = setting(
        "conditional",
        "guidance branch of the optimised embedding (Sec. 3.2 contradicts Fig. 2)",
        choices=("conditional", "unconditional"),
    )
    controlnet_text: str = setting(
        "optimised",
        "text that ControlNet receives, once for both guidance branches, or each branch's own",
        choices=("optimised", "prompt", "branch"),
    )
    # MGDM
    mask_form: str = setting(
        "hadamard",
        "Eq. 9 to the letter, or a softmax over the region alone",
        choices=("region", "hadamard"),
    )
    frame_masks: str = setting(
        "attention",
        "where frame masks come from; draft is not the paper's",
        choices=("attention", "skeleton", "both", "draft"),
    )
    mask_resolution: int = setting(
        16,
        "side of the attention maps for frame masks, in tokens of a square; the nearest that the models have",
        low=4,
        high=128,
    )
    mask_threshold: float = setting(
        0.5, "attention above which a place belongs to the character", low=0, high=1
    )
    mask_widening: int = setting(
        0, "latent pixels by which frame masks are widened (not the paper's)", low=0, high=8
    )
    background: str = setting(
        "sampled",
        "direct holds the background by direct inversion (not the paper's)",
        choices=("sampled", "direct"),
    )
    character_words: str = setting(
        "",
        "words of the prompt that name the character; empty: its first noun phrase (pocket: all but the place)",
    )
    # PATA
    transition_frames: int = setting(
        -1,
        "frames from the picture's pose to the motion's first; -1: from the motion's speed",
        low=-1,
        high=12,
    )
    anchor: str = setting(
        "anchored",
        "anchored keeps the driver's travel, pinned keeps the character in place",
        choices=("anchored", "pinned"),
    )
    retarget_limbs: bool = setting(True, "give the motion the character's limb lengths")
    smooth: bool = setting(True, "smooth the motion (One-Euro filter)")
    mirror: bool = setting(False, "mirror the motion: left becomes right")
    motion_scale: float = setting(1.0, "size of the aligned motion, times", low=0.2, high=4)
    shift_x: float = setting(
        0.0, "shift of the aligned motion to the right, in widths of the picture", low=-1, high=1
    )
    shift_y: float = setting(
        0.0, "shift of the aligned motion downwards, in heights of the picture", low=-1, high=1
    )
    loop: bool = setting(False, "repeat a motion that is shorter than the clip")

    def __post_init__(self) -> None:
        for each in fields(self):
            object.__setattr__(self, each.name, _checked(each, getattr(self, each.name)))
        total = sum(getattr(self, name) for name in LAMBDAS)
        if abs(total - 1) > LAMBDA_TOLERANCE:
            raise SettingsError(
                f"λ1 + λ2 + λ3 (lambda_first, lambda_prev, lambda_self) is {total:.10g}, but must be 1.",
                "Change one of them so that the three sum to 1, for instance 0.7, 0.15 and 0.15.",
            )
        if self.background == "direct" and self.start == "random":
            raise SettingsError(
                "background is direct, which follows the source's inversion, but start is random.",
                "Set start to inverted or draft, or background to sampled.",
            )
        optimised = self.pacm_source or self.pacm_pose
        if optimised and self.guidance_scale == 1 and self.embedding_role == "unconditional":
            raise SettingsError(
                "guidance_scale is 1, which leaves no unconditional branch to carry the embedding.",
                "Raise guidance_scale above 1, or set embedding_role to conditional.",
            )
        attended = self.attended
        if self.prompted_by_picture and (self.pacm_pose or attended):
            raise SettingsError(
                "IP-Adapter takes the place of the cross-attention that pacm_pose and frame masks look at.",
                "Choose another baseline, or turn pacm_pose off and set frame_masks to skeleton.",
            )

    @property
    def prompted_by_picture(self) -> bool:
        """Whether the picture is a prompt beside the text, as the baseline with IP-Adapter has it."""
        return self.baseline == "ip_adapter" and not self.dcam

    @property
    def masked(self) -> bool:
        """Whether frames need masks: for MGDM with DCAM, to hold the background, to know where the character is new."""
        decoupled = self.dcam and self.mgdm
        return decoupled or self.background == "direct" or self.controlnet_emphasis != 1

    @property
    def attended(self) -> bool:
        """Whether frame masks come from cross-attention."""
        return self.masked and self.frame_masks in ("attention", "both")

    @property
    def follows_source(self) -> bool:
        """Whether frames need something of frame 0's own pass: its keys and values, or its deviation."""
        return self.dcam or self.baseline != "none" or self.background == "direct"

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """These settings with some changed, from values or their texts.

        Where only some λ are given, the others share the rest in their old proportion.

        Raises:
            SettingsError: an unknown name, a value outside its range, or λ that can't sum to 1.
        """
        known = {each.name: each for each in fields(self)}
        for name in values:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                meant = f"Did you mean {close[0]}? " if close else ""
                raise SettingsError(
                    f"There is no setting {name!r:.80}.",
                    f"{meant}Settings are: {', '.join(sorted(known))}.",
                )
        checked = {name: _checked(known[name], value) for name, value in values.items()}
        return replace(self, **self._other_lambdas(checked), **checked)

    def _other_lambdas(self, values: Mapping[str, Any]) -> dict[str, Any]:
        others = [name for name in LAMBDAS if name not in values]
        if len(others) in (0, len(LAMBDAS)):
            return {}
        rest = max(1 - sum(values.get(name, 0.0) for name in LAMBDAS), 0.0)
        old = {name: getattr(self, name) for name in others}
        if not any(old.values()):
            old = dict.fromkeys(others, 1.0)
        # rounded, so that a rest of 0.4 doesn't read 0.39999999999999997
        return {name: round(rest * old[name] / sum(old.values()), 9) for name in others}

    @staticmethod
    def preset(name: str, family: str) -> Settings:
        """The settings of presets/settings/NAME.json over the defaults: those of all families, then `family`'s.

        Raises:
            SettingsError: there is none of this name for the family, or its file can't be used.
        """
        values = _read_preset(name)
        values.pop(JUDGED, None)
        overlays = _object(name, values.pop(OVERLAYS, {}))
        chosen = _choose(family, overlays)
        if overlays and chosen is None:
            raise SettingsError(
                f"The preset {name!r} is for the models {' and '.join(overlays)}.",
                f"Presets of these models are: {', '.join(preset_names(family))}.",
            )
        return Settings().changed({**values, **_object(name, overlays.get(chosen or "", {}))})


def is_judged(name: str, family: str) -> bool:
    """Whether somebody has looked at what a preset makes of this family's models.

    Raises:
        SettingsError: see `Settings.preset`.
    """
    judged = _read_preset(name).get(JUDGED, [family])
    if not isinstance(judged, list):
        raise SettingsError(
            f"The preset {name!r} says {judged!r:.80} where it lists the families it was judged on.",
            f"Correct or restore {PRESETS / f'{name}.json'}.",
        )
    return family in judged


NOT_JUDGED = "Nobody has judged this preset by eye on these models yet."
OVERLAYS, JUDGED = "families", "judged"  # of a preset's file, beside its settings


def _read_preset(name: str) -> dict[str, Any]:
    if name not in preset_names():
        raise SettingsError(
            f"There is no preset {name!r:.80}.", f"Presets are: {', '.join(preset_names())}."
        )
    path = PRESETS / f"{name}.json"
    try:
        return _object(name, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"The preset {name!r} can't be read ({type(error).__name__}).",
            f"Correct or restore {path}.",
        ) from error


def _object(name: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise SettingsError(
            f"The preset {name!r} is not an object of names and values.",
            f"Correct or restore {PRESETS / f'{name}.json'}.",
        )
    return dict(values)


def preset_names(family: str = "") -> list[str]:
    """The names of the presets of settings, in alphabetical order; where a family is given, of those for it.

    Raises:
        SettingsError: see `Settings.preset`.
    """
    names = sorted(path.stem for path in PRESETS.glob("*.json"))
    if not family:
        return names
    overlays = {name: _object(name, _read_preset(name).get(OVERLAYS, {})) for name in names}
    return [name for name in names if not overlays[name] or _choose(family, overlays[name])]


def _choose(family: str, overlays: Mapping[str, Any]) -> str | None:
    """Whose values a family has: its own; where there are none sd15's, but for the pocket models."""
    for each in (family,) if family == "pocket" else (family, "sd15"):
        if each in overlays:
            return each
    return None


def is_text(text: str) -> bool:
    """Whether it can be written as UTF-8, which half of a surrogate pair can't; JSON lets such halves through."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def allowed(about: Field[Any]) -> str:
    """What a setting may be, in words: "0 to 1", "inverted or random", "true or false"."""
    meta = about.metadata
    if meta["choices"]:
        return " or ".join(meta["choices"])
    if meta["low"] is not None:
        return f"{meta['low']:.10g} to {meta['high']:.10g}"
    return _KINDS[type(about.default)]


def _checked(about: Field[Any], value: Any) -> Any:
    """The value in its setting's type; raises SettingsError with the value and what is allowed."""
    meta = about.metadata
    kind = type(about.default)
    means = f"It means: {meta['help']}."
    try:
        value = _CONVERSIONS[kind](value)
    except (TypeError, ValueError, OverflowError):
        raise SettingsError(
            f"{about.name} is {value!r:.80}, but must be {_KINDS[kind]}.", means
        ) from None
    if meta["choices"] and value not in meta["choices"]:
        raise SettingsError(
            f"{about.name} is {value!r:.80}, but must be one of {', '.join(meta['choices'])}.",
            means,
        )
    if meta["low"] is not None and not meta["low"] <= value <= meta["high"]:
        raise SettingsError(
            f"{about.name} is {value:.10g}, but must lie between {meta['low']:.10g} and "
            f"{meta['high']:.10g}.",
            means,
        )
    return value


def _boolean(value: Any) -> bool:
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError
    return text in _TRUE


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError
    return number


def _whole(value: Any) -> int:
    number = _number(value)
    if not number.is_integer():
        raise ValueError
    return int(number)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARACTERS or not is_text(value):
        raise ValueError
    return value


_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_CONVERSIONS: dict[type, Callable[[Any], Any]] = {
    bool: _boolean,
    float: _number,
    int: _whole,
    str: _text,
}
_KINDS = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: f"text of at most {MAX_TEXT_CHARACTERS} characters",
}
