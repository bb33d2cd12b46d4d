"""Means with bootstrap intervals, resampled over characters: frames of one character are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95

Case = tuple[str, str]  # character and motion


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % percentile interval; both ends equal the mean of a single character or number."""

    mean: float
    low: float
    high: float


def bootstrap(by_character: Mapping[str, Sequence[float]]) -> Interval:
    """The mean over characters of each one's mean, with its interval.

    Args:
        by_character: finite values of a metric, at least one for each character.
    """
    means = np.array([np.mean(values) for _, values in sorted(by_character.items())])
    rng = np.random.default_rng(0)
    drawn = means[rng.integers(len(means), size=(RESAMPLES, len(means)))].mean(axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(float(means.mean()), float(low), float(high))


def paired(one: Mapping[Case, float], other: Mapping[Case, float]) -> Interval:
    """`one` minus `other` on the cases that both have: an evaluation may have been stopped amid a character."""
    found: dict[str, list[float]] = {}
    for case in sorted(one.keys() & other.keys()):
        found.setdefault(case[0], []).append(one[case] - other[case])
    return bootstrap(found)
