"""Series made of what was measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from bench.results import Bucket, Role, Series
from bench.statistics import summarise

_FEWEST_BUCKETS, _MOST_BUCKETS = 8, 48


def series_of_values(
    variant: str, role: Role, metric: str, unit: str, values: Sequence[float], agents: int | None = None
) -> Series:
    """Return a series of which each round measured one value."""
    return Series(variant=variant, role=role, metric=metric, unit=unit, agents=agents, samples=list(values))


def series_of_rounds(
    variant: str, role: Role, metric: str, unit: str, rounds: Sequence[Sequence[float]], agents: int | None = None
) -> Series:
    """Return a series of which each round measured many values: the median of each, and the distribution of all."""
    everything = [value for one in rounds for value in one]
    return Series(
        variant=variant,
        role=role,
        metric=metric,
        unit=unit,
        agents=agents,
        samples=[statistics.median(one) for one in rounds],
        distribution=summarise(everything),
        histogram=log_histogram(everything),
    )


def log_histogram(values: Sequence[float]) -> list[Bucket]:
    """Return a histogram whose buckets grow by a constant factor, as many as the root of the values, 48 at most.

    What is not above zero is left out.
    """
    positive = [value for value in values if value > 0]
    if not positive:
        return []
    low, high = min(positive), max(positive)
    if low == high:
        return [Bucket(low, high, len(positive))]
    buckets = max(_FEWEST_BUCKETS, min(_MOST_BUCKETS, math.isqrt(len(positive))))
    step = math.log(high / low) / buckets
    counts = [0] * buckets
    for value in positive:
        counts[min(buckets - 1, int(math.log(value / low) / step))] += 1
    return [
        Bucket(low * math.exp(step * at), low * math.exp(step * (at + 1)), count) for at, count in enumerate(counts)
    ]


def log_slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the line of least squares through points on log axes: 1 is linear, 2 quadratic.

    Raises:
        ValueError: There are fewer than two points, or one isn't above zero.
    """
    if len(points) < 2 or any(x <= 0 or y <= 0 for x, y in points):
        raise ValueError("a slope on log axes takes two points above zero")
    fit = statistics.linear_regression([math.log(x) for x, _ in points], [math.log(y) for _, y in points])
    return fit.slope
