"""What a run found out, as it stands in the JSON file and in the report."""

from __future__ import annotations

import enum
import statistics
from typing import Any

import msgspec

from bench.machine import Machine
from bench.statistics import Summary


class Role(enum.StrEnum):
    """What a series is compared as."""

    OURS = "ours"
    FLOOR = "floor"
    """The least work that could do: a bare dict, reading and decoding the files."""
    BASELINE = "baseline"
    """What this design replaces, made as fast as we can."""
    PEER = "peer"
    """Another program, through its public interface."""
    IDLE = "idle"
    """The same thing with nothing going on."""


class Bucket(msgspec.Struct, frozen=True):
    """One bar of a histogram: how many values from `low` to below `high`."""

    low: float
    high: float
    count: int


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One thing measured in each round."""

    variant: str
    """`ours`, `bare dict`, `no-prewarm`, the name of a peer…"""
    role: Role
    metric: str
    """What was measured, in words: `time per read`."""
    unit: str
    agents: int | None = None
    samples: list[float]
    """One per round: the value, or the median where a round has many."""
    distribution: Summary | None = None
    """Of all values of all rounds, where a round has many."""
    histogram: list[Bucket] | None = None

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.samples)


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """Two things measured next to each other, divided pair by pair."""

    metric: str
    ours: str
    """The variant above the line."""
    other: str
    """The variant below it."""
    agents: int | None = None
    per_pair: list[float]
    median: float


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A number that goals look at."""

    metric: str
    value: float
    agents: int | None = None


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Gaps of an event loop over time."""

    variant: str
    points: list[tuple[float, float]]
    """(seconds since the first tick, lateness of the tick in milliseconds)."""
    load: list[tuple[float, float]] = []
    """From when to when the load was on, in the same seconds."""


class Measured(msgspec.Struct, kw_only=True):
    """What one scenario measured; its module fills it."""

    series: list[Series] = []
    ratios: list[Ratio] = []
    figures: list[Figure] = []
    timelines: list[Timeline] = []
    notes: list[str] = []
    """What a reader has to know: how it was measured, what was left out and why."""

    def add_ratio(self, metric: str, ours: Series, other: Series) -> None:
        """Add the ratio of two series by pairs, and a figure of the same name with its median.

        Raises:
            ValueError: They have different numbers of samples.
        """
        pairs = [one / below for one, below in zip(ours.samples, other.samples, strict=True)]
        self.add_pairs(metric, ours.variant, other.variant, pairs, ours.agents)

    def add_pairs(self, metric: str, ours: str, other: str, pairs: list[float], agents: int | None = None) -> None:
        """Add a ratio that was made elsewhere, and a figure of the same name with its median."""
        median = statistics.median(pairs)
        self.ratios.append(Ratio(metric=metric, ours=ours, other=other, agents=agents, per_pair=pairs, median=median))
        self.add_figure(metric, median, agents)

    def add_figure(self, metric: str, value: float, agents: int | None = None) -> None:
        """Add a number that goals may look at."""
        self.figures.append(Figure(metric=metric, value=value, agents=agents))


class GoalResult(msgspec.Struct, frozen=True, kw_only=True):
    """A goal and what became of it."""

    title: str
    metric: str
    goal: str
    """Such as `≤ 5 x`."""
    measured: float | None
    unit: str
    met: bool | None
    """None: it was not measured."""
    why: str = ""
    """Why it was not measured."""


class ScenarioResult(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario of a run."""

    name: str
    summary: str
    kind: str
    agents: list[int]
    rounds: int
    parameters: dict[str, Any]
    seconds: float
    goals: list[GoalResult]
    measured: Measured
    others_share: float | None = None
    """Which share of all processor time other programs had meanwhile; None where that can't be known."""
    error: str = ""
    """Why it failed; empty when it didn't."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the bench."""

    package_version: str
    machine: Machine
    started: str
    """ISO 8601, UTC."""
    seconds: float
    interrupted: bool
    scenarios: list[ScenarioResult]

    def json(self) -> bytes:
        """Return everything as JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"
