"""Failure storm: a provider refuses a credential, once, and a thousand times at once.

Single: from calling `report_failure` until `has_auth` is false on the reporting thread, which gives the interpreter
away between two looks; another agent's own key each time. Storm: every agent reports the same key, which all inherit
from main; until none counts it any more, and until the last report is answered by its checks (on an event loop, by
`aio.fresh`). Inside the clock: the calls themselves. A round is a fresh process on a home that nothing was reported of:
reports are written into stores, as OpenClaw does.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from bench.cold import WARM_TIMEOUT_S
from bench.context import Context
from bench.crowd import Crowd
from bench.limits import Count
from bench.results import Measured, Role
from bench.samples import series_of_rounds, series_of_values
from openclaw_actors import AuthSupervisor

_PROVIDER = "groq"
_PROFILE = "groq:default"
_GONE_S = 10.0
_PAUSE_S = 0.01


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of this kind may say."""

    profiles: Count = 40
    single_agents: Count = 200
    """Agents with stores of their own, for the single reports."""
    reports: Count = 100
    """Single reports in a round; at most one per agent."""


class Order(msgspec.Struct, frozen=True):
    """What a child is to do."""

    crowd: Crowd
    reports: int


class SingleFigures(msgspec.Struct):
    """Single reports, in microseconds."""

    gone_us: list[float] = []
    """Called → no longer counted."""
    call_us: list[float] = []
    """The call alone."""


class StormFigures(msgspec.Struct, frozen=True):
    """All agents at once."""

    gone_ms: float
    """First report → no agent counts it."""
    answered_ms: float
    """First report → the last one is answered by its checks."""
    checks: int
    store_reads: int


def single(order: Order) -> SingleFigures:
    """Report one failure after the other in this process.

    Raises:
        RuntimeError: A refused credential went on counting.
    """
    crowd, found = order.crowd, SingleFigures()
    with AuthSupervisor(crowd.path, env=crowd.env) as supervisor:
        if not supervisor.wait_warm(WARM_TIMEOUT_S):
            raise RuntimeError("the home did not become warm")
        for agent in crowd.agent_ids[1 : order.reports + 1]:
            _check_counted(supervisor, agent)
            began_at = time.perf_counter()
            supervisor.report_failure(_PROFILE, "auth", agent_id=agent)
            called_at = time.perf_counter()
            _wait_gone(supervisor, agent)
            found.gone_us.append((time.perf_counter() - began_at) * 1e6)
            found.call_us.append((called_at - began_at) * 1e6)
            time.sleep(_PAUSE_S)
    return found


def storm(order: Order) -> StormFigures:
    """Have every agent report at once, in this process."""
    return asyncio.run(_storm(order.crowd))


async def _storm(crowd: Crowd) -> StormFigures:
    async with AuthSupervisor(crowd.path, env=crowd.env) as supervisor:
        if not await supervisor.aio.wait_warm(WARM_TIMEOUT_S):
            raise RuntimeError("the home did not become warm")
        for agent in crowd.agent_ids:
            _check_counted(supervisor, agent)
        before = supervisor.stats()
        began_at = time.perf_counter()
        for agent in crowd.agent_ids:
            generation = supervisor.report_failure(_PROFILE, "auth", agent_id=agent)
        for agent in crowd.agent_ids:
            _wait_gone(supervisor, agent)
        gone_at = time.perf_counter()
        await supervisor.aio.fresh(_PROVIDER, agent_id=agent, generation=generation, timeout_s=WARM_TIMEOUT_S)
        answered_at = time.perf_counter()
        after = supervisor.stats()
    return StormFigures(
        (gone_at - began_at) * 1000,
        (answered_at - began_at) * 1000,
        after.provider_checks - before.provider_checks,
        after.store_reads - before.store_reads,
    )


def _check_counted(supervisor: AuthSupervisor, agent: str) -> None:
    if not supervisor.has_auth(_PROVIDER, agent_id=agent):
        raise RuntimeError(f"{agent} has no {_PROVIDER} to begin with")


def _wait_gone(supervisor: AuthSupervisor, agent: str) -> None:
    deadline = time.perf_counter() + _GONE_S
    while supervisor.has_auth(_PROVIDER, agent_id=agent):
        if time.perf_counter() > deadline:
            raise RuntimeError(f"{agent} goes on counting what was refused")
        time.sleep(0)


def run(context: Context, parameters: Parameters) -> None:
    """Measure single reports, and a storm for each number of agents."""
    measured = context.measured

    def singly(number: int) -> SingleFigures:
        crowd = context.crowd(f"single-{number}", agents=parameters.single_agents, profiles=parameters.profiles)
        return context.in_child(single, Order(crowd, parameters.reports))

    (rounds,) = context.interleave({"single reports": singly}).values()
    metric = "reported → no longer counted"
    gone = series_of_rounds("one report", Role.OURS, metric, "µs", [one.gone_us for one in rounds])
    calls = series_of_rounds("one report", Role.OURS, "the call alone", "µs", [one.call_us for one in rounds])
    measured.series += [gone, calls]
    measured.add_figure("median_us", gone.median)
    for agents in context.agents:
        _add_storm(context, measured, parameters, agents)


def _add_storm(context: Context, measured: Measured, parameters: Parameters, agents: int) -> None:
    def all_at_once(number: int) -> StormFigures:
        name = f"storm-{agents}-{number}"
        crowd = context.crowd(name, agents=agents, profiles=parameters.profiles, sharing=True)
        return context.in_child(storm, Order(crowd, 0))

    (rounds,) = context.interleave({f"storm of {agents:,}": all_at_once}).values()
    checks = [one.checks / agents for one in rounds]
    for metric, unit, values in (
        ("first report → no agent counts it", "ms", [one.gone_ms for one in rounds]),
        ("first report → all are answered", "ms", [one.answered_ms for one in rounds]),
        ("provider checks per agent", "", checks),
        ("store reads", "", [float(one.store_reads) for one in rounds]),
    ):
        measured.series.append(series_of_values("storm", Role.OURS, metric, unit, values, agents))
    measured.add_figure("checks_per_agent", max(checks), agents)
