"""Hot read: one `has_auth` on an event loop, beside a bare two-level dict, idle and while every agent is re-warmed.

A batch is some thousand reads of one provider for 20 agents in turn, written out one after the other, so that the loop
around them weighs next to nothing; its time by `perf_counter` is divided by its reads. Batches of all variants take
turns in one coroutine, forwards and backwards, with a pause of a millisecond after all of them, and the ratio is that
of neighbours. Batches are long because a pause leaves the caches cold, which costs the faster one relatively more: with
batches of 500 reads the ratio to the dict comes out a tenth too good. The collector stays on. A round is a fresh
process with a warmed home.

While re-warmed: `invalidate(Scope.everything(), …)` is asked again as soon as the last one is answered, so every store
is read and every answer folded anew, without end. A batch of ours is shorter than the interpreter's switch interval of
5 ms, so its median says what a reader sees, and its p99 and mean how often another thread comes in between.
Baselines: `ttl-10s` is
read the same way within its ten seconds, `no-prewarm` by single calls.
"""

from __future__ import annotations

import asyncio
import statistics
import time
import timeit
from collections.abc import Callable

import msgspec

from bench.baselines import NoPrewarm, TtlCache
from bench.cold import WARM_TIMEOUT_S
from bench.context import Context
from bench.crowd import Crowd
from bench.limits import Count
from bench.results import Measured, Role
from bench.samples import series_of_rounds, series_of_values
from openclaw_actors import AuthSupervisor, Scope

_AGENTS = 20
_PROVIDER = "openai"
_PAUSE_S = 0.001


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of this kind may say."""

    profiles: Count = 40
    """In each store; at least 10, or there is none of openai."""
    batches: Count = 100
    """Of each variant in each phase of a round."""
    reads: Count = 10_000
    """In a batch."""
    sweeps: Count = 50
    """Calls of `no-prewarm` in a round."""


class Order(msgspec.Struct, frozen=True):
    """What a child is to do."""

    crowd: Crowd
    parameters: Parameters


class ReadFigures(msgspec.Struct):
    """What a child measured: nanoseconds per read of each batch."""

    bare: list[float] = []
    ours: list[float] = []
    ttl: list[float] = []
    bare_loaded: list[float] = []
    ours_loaded: list[float] = []
    no_prewarm: list[float] = []
    warms: int = 0
    """Warms of everything that were finished while it was loaded."""


def read(order: Order) -> ReadFigures:
    """Read on a loop of this process."""
    return asyncio.run(_read(order))


async def _read(order: Order) -> ReadFigures:
    crowd, wanted, found = order.crowd, order.parameters, ReadFigures()
    async with AuthSupervisor(crowd.path, env=crowd.env) as supervisor:
        if not await supervisor.aio.wait_warm(WARM_TIMEOUT_S):
            raise RuntimeError("the home did not become warm")
        ids = supervisor.agent_ids()
        table = {one: {name: cell.has_auth for name, cell in supervisor.snapshot(one).verdicts.items()} for one in ids}
        sweeper = NoPrewarm(crowd)
        cache = TtlCache(sweeper)
        agents = [ids[at * len(ids) // _AGENTS % len(ids)] for at in range(_AGENTS)]
        bare = _batch("table[{agent}][provider]", agents, wanted.reads, table=table)
        ours = _batch("has_auth(provider, agent_id={agent})", agents, wanted.reads, has_auth=supervisor.has_auth)
        kept = _batch("has_auth(provider, {agent})", agents, wanted.reads, has_auth=cache.has_auth)
        for one in (bare, ours, kept):
            one()
        await _take_turns(wanted.batches, (bare, found.bare), (ours, found.ours), (kept, found.ttl))
        for at in range(wanted.sweeps):
            began_at = time.perf_counter()
            sweeper.has_auth(_PROVIDER, agents[at % _AGENTS])
            found.no_prewarm.append((time.perf_counter() - began_at) * 1e9)
        before = supervisor.stats().warms
        load = asyncio.create_task(_rewarm(supervisor, ids[-1]))
        while supervisor.stats().warms < before + 1:
            await _take_turns(wanted.batches, (bare, found.bare_loaded), (ours, found.ours_loaded))
        found.warms = supervisor.stats().warms - before
        load.cancel()
    return found


async def _rewarm(supervisor: AuthSupervisor, agent_id: str) -> None:
    """Have everything answered anew, again and again."""
    while True:
        generation = supervisor.invalidate(Scope.everything(), "bench")
        await supervisor.aio.fresh(_PROVIDER, agent_id=agent_id, generation=generation, timeout_s=WARM_TIMEOUT_S)


async def _take_turns(batches: int, *variants: tuple[Callable[[], float], list[float]]) -> None:
    for at in range(batches):
        # whoever comes first after the pause finds colder caches
        for batch, found in variants if at % 2 else variants[::-1]:
            found.append(batch())
        await asyncio.sleep(_PAUSE_S)


def _batch(statement: str, agents: list[str], reads: int, **names: object) -> Callable[[], float]:
    """Return what runs a batch and gives its nanoseconds per read."""
    lines = "\n".join(statement.format(agent=f"agent_{at}") for at in range(len(agents)))
    bound = {"provider": _PROVIDER, **{f"agent_{at}": one for at, one in enumerate(agents)}, **names}
    timer = timeit.Timer(lines, setup="import gc; gc.enable()", globals=bound)
    loops = max(1, reads // len(agents))
    return lambda: timer.timeit(loops) / (loops * len(agents)) * 1e9


def run(context: Context, parameters: Parameters) -> None:
    """Measure for each number of agents."""
    measured = context.measured
    for agents in context.agents:
        crowd = context.crowd(f"home-{agents}", agents=agents, profiles=parameters.profiles)
        order = Order(crowd, parameters)
        (rounds,) = context.interleave({"all variants": context.each_in_child(read, order)}).values()
        _report(measured, agents, rounds)


def _report(measured: Measured, agents: int, rounds: list[ReadFigures]) -> None:
    def series(variant: str, role: Role, values: list[list[float]]) -> None:
        measured.series.append(series_of_rounds(variant, role, "time per read", "ns", values, agents))

    series("ours", Role.OURS, [one.ours for one in rounds])
    series("bare dict", Role.FLOOR, [one.bare for one in rounds])
    series("ours, re-warming", Role.OURS, [one.ours_loaded for one in rounds])
    series("bare dict, re-warming", Role.FLOOR, [one.bare_loaded for one in rounds])
    series("ttl-10s", Role.BASELINE, [one.ttl for one in rounds])
    series("no-prewarm", Role.BASELINE, [one.no_prewarm for one in rounds])
    by_dict = [statistics.median(map(_divide, one.ours, one.bare)) for one in rounds]
    by_idle = [statistics.median(one.ours_loaded) / statistics.median(one.ours) for one in rounds]
    for metric, ours, other, pairs in (
        ("ratio_to_dict", "ours", "bare dict", by_dict),
        ("ratio_to_idle", "ours, re-warming", "ours", by_idle),
    ):
        measured.add_pairs(metric, ours, other, pairs, agents)
    means = [statistics.fmean(one.ours_loaded) for one in rounds]
    measured.series.append(series_of_values("ours, re-warming", Role.OURS, "mean time per read", "ns", means, agents))
    warms = statistics.median(one.warms for one in rounds)
    measured.notes.append(f"{agents:,} agents: warms of everything finished while loaded, median of rounds: {warms:g}")


def _divide(one: float, other: float) -> float:
    return one / other
