"""Scale: time, memory and threads of a cold warm from one agent to thousands, in three sorts of homes.

`10 profiles` and `40 profiles`: each agent has its own store of that size. `sharing`: no agent but main has a store.
What is inside of the clock: `bench/cold.py`; memory is the RSS that a fresh process grew by, after a collection, and
contains whatever the allocator didn't give back. Per agent: what it grew by, less what it grew by for one agent,
divided by the other agents. Linearity is the slope on log axes through the points from `linear_from` agents on: below
that, what is done once outweighs the agents.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from bench.cold import ColdFigures, floor, warm
from bench.context import Context
from bench.limits import Count, CountOrNone
from bench.profiling import describe, profile_warm
from bench.results import Measured, Role, Series
from bench.samples import log_slope, series_of_values

_SHARING = "sharing"


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of this kind may say."""

    profiles: tuple[Count, ...] = (10, 40)
    """Store sizes for homes in which each agent has its own."""
    sharing: bool = True
    """Whether homes in which all share main's store are measured too (40 profiles)."""
    linear_from: CountOrNone = 100
    """Fewer agents don't count for the slope."""
    profiled: bool = True
    """Whether one more warm of the most agents with the largest stores is profiled, for the notes."""


def run(context: Context, parameters: Parameters) -> None:
    """Measure each sort of home for each number of agents."""
    measured = context.measured
    sorts = [(f"{count} profiles", count, False) for count in parameters.profiles]
    if parameters.sharing:
        sorts.append((_SHARING, 40, True))
    for sort, profiles, sharing in sorts:
        curves: dict[int, list[ColdFigures]] = {}
        for agents in sorted(context.agents):
            crowd = context.crowd(f"{sort}-{agents}", agents=agents, profiles=profiles, sharing=sharing)
            label = f"{sort}, {agents:,} agents"
            below, above = context.interleave(
                {
                    f"floor, {label}": context.each_in_child(floor, crowd),
                    f"warm, {label}": context.each_in_child(warm, crowd),
                }
            ).values()
            curves[agents] = above
            _add_time(measured, sort, agents, above, below)
        measured.notes.append(_peak_note(sort, curves))
        if parameters.profiled and not sharing and profiles == max(parameters.profiles):
            most = context.crowd(f"{sort}-{max(curves)}", agents=max(curves), profiles=profiles)
            measured.notes.append(describe(context.in_child(profile_warm, most), most.agents))
        _add_growth(measured, sort, curves, parameters.linear_from)
    threads = [int(value) for one in measured.series if one.metric == "threads" for value in one.samples]
    measured.add_figure("threads", max(threads))


def _add_time(
    measured: Measured, sort: str, agents: int, above: Sequence[ColdFigures], below: Sequence[ColdFigures]
) -> None:
    ours = _series(sort, Role.OURS, "cold warm", "ms", [one.seconds * 1000 for one in above], agents)
    least = _series(f"floor, {sort}", Role.FLOOR, "cold warm", "ms", [one.seconds * 1000 for one in below], agents)
    measured.series += [
        ours,
        least,
        _series(sort, Role.OURS, "memory grown", "KiB", [one.grown_kib for one in above], agents),
        _series(sort, Role.OURS, "threads", "", [one.threads for one in above], agents),
    ]
    measured.add_ratio(f"ratio_to_floor, {sort}", ours, least)
    measured.add_figure(f"seconds, {sort}", ours.median / 1000, agents)


def _add_growth(measured: Measured, sort: str, curves: dict[int, list[ColdFigures]], linear_from: int) -> None:
    first, last = min(curves), max(curves)
    if first < last:
        per_agent = [
            (many.grown_kib - few.grown_kib) / (last - first)
            for few, many in zip(curves[first], curves[last], strict=False)
        ]
        series = _series(sort, Role.OURS, f"memory per agent above {first:,}", "KiB", per_agent, last)
        measured.series.append(series)
        measured.add_figure(f"kib_per_agent, {sort}", series.median, last)
    large = [agents for agents in curves if agents >= linear_from]
    if len(large) > 1:
        seconds = [(agents, statistics.median(one.seconds for one in curves[agents])) for agents in large]
        measured.add_figure(f"time_slope, {sort}", log_slope(seconds))
        grown = [(agents, statistics.median(one.grown_kib for one in curves[agents])) for agents in large]
        if all(kib > 0 for _, kib in grown):
            measured.add_figure(f"memory_slope, {sort}", log_slope(grown))


def _peak_note(sort: str, curves: dict[int, list[ColdFigures]]) -> str:
    """Say how much more than in the end was held meanwhile, with the most agents."""
    most = max(curves)
    peak = max(one.peak_kib for one in curves[most])
    grown = max(one.grown_kib for one in curves[most])
    return f"{sort}, {most:,} agents: memory grew by {peak:,} KiB at its peak, {grown:,} KiB in the end"


def _series(variant: str, role: Role, metric: str, unit: str, values: Sequence[float], agents: int) -> Series:
    return series_of_values(variant, role, metric, unit, values, agents)
