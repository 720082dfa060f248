"""Loop lag: how long an event loop was kept from running, by ticks a millisecond apart (`bench/loop_gap.py`).

A round is two fresh processes. In each the loop ticks alone first, with the package imported and nothing going on
(`idle`); then the load begins on the same loop. `warm`: cold warms of all agents, one after the other, until there are
enough ticks between a `start()` and its warm; stops, and a collection between two warms, lie outside. `slow sources`:
one cold warm of many agents while all logins of other programs and some stores block for seconds, until it is warm.
Figures are per process: the p99 under load less the p99 idle, likewise the longest gap.
"""

from __future__ import annotations

import asyncio
import gc
import importlib

import msgspec

from bench.cold import LOADED_BY_A_WARM, WARM_TIMEOUT_S
from bench.context import Context
from bench.crowd import Crowd
from bench.limits import Amount, Count, CountOrNone
from bench.loop_gap import LoopTicks, thinned
from bench.results import Role, Timeline
from bench.samples import series_of_rounds, series_of_values
from bench.slow_sources import slow_sources
from bench.statistics import summarise
from openclaw_actors import AuthSupervisor

_PLOT_STEP_S = 0.004
_PAUSE_S = 0.02
_SLOW = "slow sources"
_WARM = "warm"


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of this kind may say."""

    profiles: Count = 40
    ticks: Count = 1000
    """At least, idle and under load each."""
    slow_agents: CountOrNone = 1000
    """For the load with sources that block; 0 leaves it out."""
    slow_profiles: Count = 54
    """In each of their stores; 54 are of 50 providers."""
    slow_stores: Count = 8
    """How many of them block."""
    slow_s: Amount = 2.0
    """How long, in seconds."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is to do."""

    crowd: Crowd
    ticks: int
    slow_stores: int = 0
    slow_s: float = 0.0


class LagFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a child measured: lateness of ticks, in milliseconds."""

    idle: list[float]
    loaded: list[float]
    points: list[tuple[float, float]]
    """(seconds, lateness), the latest of every 4 ms, idle and under load."""
    spans: list[tuple[float, float]]
    """From when to when the load was on."""


def warms(order: Order) -> LagFigures:
    """Warm again and again in this process, until there are enough ticks."""
    return asyncio.run(_warms(order))


async def _warms(order: Order) -> LagFigures:
    _import()
    spans: list[tuple[float, float]] = []
    with LoopTicks() as ticks:
        await ticks.until(order.ticks)
        idle_until = ticks.now_s
        while len(ticks.within(spans)) < order.ticks:
            await asyncio.sleep(_PAUSE_S)  # counting keeps the loop from ticking: that is no warm's doing
            spans.append(await _one_warm(order.crowd, ticks))
            gc.collect()
    return _figures(ticks, idle_until, spans)


def slow_warm(order: Order) -> LagFigures:
    """Warm once in this process while some sources block.

    Raises:
        RuntimeError: Nothing blocked.
    """
    return asyncio.run(_slow_warm(order))


async def _slow_warm(order: Order) -> LagFigures:
    _import()
    crowd = order.crowd
    stores = {str(crowd.store_path(agent).parent) for agent in crowd.agent_ids[-order.slow_stores :]}
    spans: list[tuple[float, float]] = []
    with LoopTicks() as ticks:
        await ticks.until(order.ticks)
        idle_until = ticks.now_s
        while len(ticks.within(spans)) < order.ticks:
            await asyncio.sleep(_PAUSE_S)
            with slow_sources(stores, order.slow_s) as blocked:
                spans.append(await _one_warm(crowd, ticks))
            if not stores <= set(blocked):
                raise RuntimeError(f"only {len(blocked)} sources blocked")
            gc.collect()
    return _figures(ticks, idle_until, spans)


async def _one_warm(crowd: Crowd, ticks: LoopTicks) -> tuple[float, float]:
    supervisor = AuthSupervisor(crowd.path, env=crowd.env)
    began_s = ticks.now_s
    supervisor.start()
    if not await supervisor.aio.wait_warm(WARM_TIMEOUT_S):
        raise RuntimeError("the home did not become warm")
    ended_s = ticks.now_s
    await supervisor.aio.stop()
    return began_s, ended_s


def _import() -> None:
    for name in (*LOADED_BY_A_WARM, "openclaw_actors.aio"):
        importlib.import_module(name)


def _figures(ticks: LoopTicks, idle_until: float, spans: list[tuple[float, float]]) -> LagFigures:
    return LagFigures(
        idle=ticks.within([(0.0, idle_until)]),
        loaded=ticks.within(spans),
        points=thinned(ticks.pairs_within([(0.0, idle_until), *spans]), _PLOT_STEP_S),
        spans=spans,
    )


def run(context: Context, parameters: Parameters) -> None:
    """Measure the warm for each number of agents, and the slow sources beside it."""
    for agents in context.agents:
        crowd = context.crowd(f"home-{agents}", agents=agents, profiles=parameters.profiles)
        order = Order(crowd=crowd, ticks=parameters.ticks)
        loads = {_WARM: (agents, context.each_in_child(warms, order))}
        if parameters.slow_agents and agents == context.agents[0]:
            slow = context.crowd("slow", agents=parameters.slow_agents, profiles=parameters.slow_profiles)
            order = Order(
                crowd=slow,
                ticks=parameters.ticks,
                slow_stores=min(parameters.slow_stores, parameters.slow_agents),
                slow_s=parameters.slow_s,
            )
            loads[_SLOW] = (parameters.slow_agents, context.each_in_child(slow_warm, order))
        rounds = context.interleave({name: measure for name, (_, measure) in loads.items()})
        for name, figures in rounds.items():
            _add(context, name, loads[name][0], figures)


def _add(context: Context, load: str, agents: int, rounds: list[LagFigures]) -> None:
    measured, metric = context.measured, "lateness of a 1 ms tick"
    for variant, role, values in (
        (load, Role.OURS, [one.loaded for one in rounds]),
        (f"idle, before {load}", Role.IDLE, [one.idle for one in rounds]),
    ):
        measured.series.append(series_of_rounds(variant, role, metric, "ms", values, agents))
    for name in ("p99", "max"):
        above = []
        for one in rounds:
            loaded, idle = summarise(one.loaded), summarise(one.idle)
            assert loaded is not None  # neither is empty: both waited for ticks
            assert idle is not None
            above.append(getattr(loaded, name) - getattr(idle, name))
        series = series_of_values(load, Role.OURS, f"{name} above idle", "ms", above, agents)
        measured.series.append(series)
        measured.add_figure(f"{name}_above_idle, {load}", series.median, agents)
    worst, at = max(
        ((late, at - low) for one in rounds for low, high in one.spans for at, late in one.points if low <= at <= high),
        default=(0.0, 0.0),
    )
    measured.notes.append(
        f"{load}, {agents:,} agents: the longest gap of all, {worst:.1f} ms, ended {at:.3f} s after start()"
    )
    first = rounds[0]
    measured.timelines.append(Timeline(variant=f"{load}, {agents:,} agents", points=first.points, load=first.spans))
