"""Means with bootstrap intervals, resampled over characters: frames of one character are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95


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


def paired(one: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]) -> Interval:
    """`one` minus `other` on the characters that both have."""
    both = sorted(one.keys() & other.keys())
    return bootstrap({name: [float(np.mean(one[name]) - np.mean(other[name]))] for name in both})
