"""What is said of a sample of measurements."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec


class Summary(msgspec.Struct, frozen=True):
    """A sample in five numbers, in the unit of its values."""

    count: int
    median: float
    p90: float
    p99: float
    max: float


def summarise(values: Iterable[float]) -> Summary | None:
    """Return the five numbers of a sample; None for an empty one."""
    ordered = sorted(values)
    if not ordered:
        return None
    return Summary(len(ordered), *(percentile(ordered, share) for share in (0.5, 0.9, 0.99, 1.0)))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of a sorted sample doesn't exceed (the nearest rank).

    Nothing is interpolated: each figure is one that was measured.

    Raises:
        ValueError: The sample is empty.
    """
    if not ordered:
        raise ValueError("an empty sample has no percentiles")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
