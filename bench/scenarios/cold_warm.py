"""Cold warm: from `start()` until `wait_warm` is true, in a fresh process each time, beside the floor in another one.

What is inside of the clock: `bench/cold.py`. Each agent has its own store, with the same profiles as the others' but
for their secrets and accounts; `varied stores` also differ by expiries, use and which profiles there are, so that far
fewer answers are shared.
"""

from __future__ import annotations

import msgspec

from bench.cold import ColdFigures, floor, warm
from bench.context import Context
from bench.limits import Count
from bench.profiling import describe, profile_warm
from bench.results import Measured, Role, Series
from bench.samples import series_of_values

_VARIED = "varied stores"


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of this kind may say."""

    profiles: Count = 40
    """In each store; 40 are about 18 kB."""
    varied: bool = True
    """Whether the most agents are measured with stores that differ by more than their secrets, too."""
    profiled: bool = True
    """Whether one more warm of the most agents is profiled, for the notes."""


def run(context: Context, parameters: Parameters) -> None:
    """Measure for each number of agents."""
    measured = context.measured
    late = 0
    for agents in context.agents:
        crowd = context.crowd(f"home-{agents}", agents=agents, profiles=parameters.profiles)
        found = context.interleave(
            {
                f"floor, {agents:,} agents": context.each_in_child(floor, crowd),
                f"warm, {agents:,} agents": context.each_in_child(warm, crowd),
            }
        )
        below, above = found.values()
        ours, least = _series("ours", Role.OURS, above, agents), _series("floor", Role.FLOOR, below, agents)
        measured.series += [ours, least]
        measured.add_ratio("ratio_to_floor", ours, least)
        late = max(late, *(one.late_imports for one in above))
        _add_peers(measured, ours, context.peer_series(crowd))
        if parameters.varied and agents == max(context.agents):
            _add_varied(context, agents, parameters.profiles)
        if parameters.profiled and agents == max(context.agents):
            measured.notes.append(describe(context.in_child(profile_warm, crowd), agents))
    measured.notes.append(f"modules imported while the clock ran, at most: {late}")


def _add_varied(context: Context, agents: int, profiles: int) -> None:
    crowd = context.crowd(f"varied-{agents}", agents=agents, profiles=profiles, varied=True)
    below, above = context.interleave(
        {
            f"floor, {_VARIED}": context.each_in_child(floor, crowd),
            f"warm, {_VARIED}": context.each_in_child(warm, crowd),
        }
    ).values()
    ours = _series(f"ours, {_VARIED}", Role.OURS, above, agents)
    least = _series(f"floor, {_VARIED}", Role.FLOOR, below, agents)
    context.measured.series += [ours, least]
    context.measured.add_ratio(f"ratio_to_floor, {_VARIED}", ours, least)


def _add_peers(measured: Measured, ours: Series, peers: list[Series]) -> None:
    for peer in peers:
        measured.series.append(peer)
        if (peer.metric, peer.unit) == (ours.metric, ours.unit):
            measured.add_figure(f"faster_than_{peer.variant}", peer.median / ours.median, ours.agents)


def _series(variant: str, role: Role, figures: list[ColdFigures], agents: int) -> Series:
    return series_of_values(variant, role, "cold warm", "ms", [one.seconds * 1000 for one in figures], agents)
