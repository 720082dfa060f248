"""Re-warm one: one agent of many is answered anew, from `invalidate` until its generation is answered.

Inside the clock: the call, reading again whatever its answers depend on (config, logins, both stores: an explicit
invalidation trusts nothing), folding, publication, and waking the waiting event loop (`aio.fresh`). Beside it: one
provider of that agent, everything at once (what the incumbent does for any event), and the floor, which reads and
decodes the agent's store. A round is a fresh process with a warmed home.
"""

from __future__ import annotations

import asyncio
import random
import time

import msgspec

from bench.cold import WARM_TIMEOUT_S
from bench.context import Context
from bench.crowd import Crowd
from bench.floors import read_and_decode
from bench.limits import Count
from bench.results import Role
from bench.samples import series_of_rounds, series_of_values
from openclaw_actors import AuthSupervisor, Scope

_PROVIDER = "groq"


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of this kind may say."""

    profiles: Count = 40
    times: Count = 50
    """How often in a round."""


class Order(msgspec.Struct, frozen=True):
    """What a child is to do."""

    crowd: Crowd
    parameters: Parameters


class RewarmFigures(msgspec.Struct):
    """What a child measured, in milliseconds."""

    agent: list[float] = []
    cell: list[float] = []
    everything: list[float] = []
    floor: list[float] = []
    agent_checks: list[int] = []
    """Provider checks of each re-warm of one agent."""


def measure(order: Order) -> RewarmFigures:
    """Re-warm in this process."""
    return asyncio.run(_measure(order))


async def _measure(order: Order) -> RewarmFigures:
    crowd, found, chance = order.crowd, RewarmFigures(), random.Random(order.crowd.seed)
    async with AuthSupervisor(crowd.path, env=crowd.env) as supervisor:
        if not await supervisor.aio.wait_warm(WARM_TIMEOUT_S):
            raise RuntimeError("the home did not become warm")
        for _ in range(order.parameters.times):
            agent = chance.choice(crowd.agent_ids)
            before = supervisor.stats().provider_checks
            found.agent.append(await _answered(supervisor, Scope.agent(agent), agent))
            found.agent_checks.append(supervisor.stats().provider_checks - before)
            found.cell.append(await _answered(supervisor, Scope.cells([(agent, _PROVIDER)]), agent))
            began_at = time.perf_counter()
            read_and_decode([str(crowd.store_path(agent))])
            found.floor.append((time.perf_counter() - began_at) * 1000)
        found.everything.append(await _answered(supervisor, Scope.everything(), crowd.agent_ids[-1]))
    return found


async def _answered(supervisor: AuthSupervisor, scope: Scope, agent: str) -> float:
    began_at = time.perf_counter()
    generation = supervisor.invalidate(scope, "bench")
    verdict = await supervisor.aio.fresh(_PROVIDER, agent_id=agent, generation=generation, timeout_s=WARM_TIMEOUT_S)
    took_ms = (time.perf_counter() - began_at) * 1000
    if not verdict.has_auth:
        raise RuntimeError(f"{agent} has no {_PROVIDER}: {verdict.reason}")
    return took_ms


def run(context: Context, parameters: Parameters) -> None:
    """Measure for each number of agents."""
    measured = context.measured
    for agents in context.agents:
        crowd = context.crowd(f"home-{agents}", agents=agents, profiles=parameters.profiles)
        order = Order(crowd, parameters)
        (rounds,) = context.interleave({"all variants": context.each_in_child(measure, order)}).values()
        metric = "asked → answered"
        ours = series_of_rounds("one agent", Role.OURS, metric, "ms", [one.agent for one in rounds], agents)
        everything = series_of_rounds(
            "everything, for the sake of one", Role.BASELINE, metric, "ms", [one.everything for one in rounds], agents
        )
        measured.series += [
            ours,
            series_of_rounds("one provider of it", Role.OURS, metric, "ms", [one.cell for one in rounds], agents),
            series_of_rounds("floor", Role.FLOOR, "its store read", "ms", [one.floor for one in rounds], agents),
            everything,
            series_of_values(
                "one agent", Role.OURS, "provider checks", "", [max(one.agent_checks) for one in rounds], agents
            ),
        ]
        measured.add_ratio("faster_than_everything", everything, ours)
        measured.add_figure("median_ms", ours.median, agents)
