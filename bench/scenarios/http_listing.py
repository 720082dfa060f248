"""HTTP listing: `GET /v1/models` and `GET /models` of a running gateway under many connections, beside the same bytes
from a file (Starlette's `StaticFiles`) and from memory (one `Response`), by the same process, server and event loop.

A round is a fresh gateway of a home of many agents, as `openclaw-actors serve` runs it, and a process that asks it:
each connection is kept and asks again as soon as it has its answer, for a few agents in turn. The first load is the
first warm itself: from `start()` until these agents are published; an answer that isn't there yet is a 503. Then slices
of a fraction of a second, all variants in turn, forwards and backwards: first with nothing else going on, then while
all agents are rechecked without end (every source read, every answer folded anew, the next time asked for when the last
is answered). Variants: ours; ours to a poller that has the answer (304); ours compressed, where the gateway does that;
the file; memory. The last two are beside the gateway, not behind its check of hosts and tokens, so that all that is
ours is in the ratios. These are per round, of the percentiles of a variant's whole round.

Processor time is that of the gateway's whole process, so it is given only where nothing warms. The loop of the gateway
ticks every millisecond (`bench/loop_gap.py`). Under a closed loop a tick is late by what is answered at a time, which
is some 60 answers; compare with memory.
"""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bench.context import Context
from bench.crowd import Crowd
from bench.gateway import wrk
from bench.gateway.load import Answers, Clients, request
from bench.gateway.routes import MEMORY, STATIC, Seen
from bench.gateway.server import HOST, Server, ServerOrder
from bench.limits import Amount, Count, CountOrNone
from bench.results import Measured, Role
from bench.samples import series_of_rounds, series_of_values
from bench.statistics import percentile

_TARGETS = ("/v1/models", "/models")
_IDLE, _LOADED = "", ", re-warming"
_FIRST = ", first warm"
_FIRST_WARM_S = 300.0
_SLICE_OF_FIRST_WARM_S = 0.05
_ROLES = {"static file": Role.BASELINE, "memory": Role.FLOOR}


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of this kind may say."""

    profiles: Count = 40
    """In each store."""
    connections: Count = 64
    asked: Count = 20
    """Agents that are asked for in turn; no more than there are beside main."""
    slices: Count = 6
    """Of each variant in each phase of a round."""
    slice_s: Amount = 0.25
    """How long each is, in seconds."""
    wrk_s: CountOrNone = 1
    """How long `wrk` asks for each figure, in seconds, where it is installed; 0 leaves it out."""


class Order(msgspec.Struct, frozen=True):
    """What a child is to do."""

    crowd: Crowd
    folder: str
    """Where bodies may be put for the static files."""
    parameters: Parameters


class Load(msgspec.Struct):
    """What one variant gave in one phase of a round."""

    latencies: list[float] = []
    """In milliseconds."""
    seconds: float = 0.0
    late: list[float] = []
    """How late ticks came of the gateway's loop meanwhile, in milliseconds."""
    cpu_s: float = 0.0
    """Processor time of the gateway's process meanwhile, in seconds."""
    refused: int = 0
    """Answers that were 503."""

    def add(self, answers: Answers, before: Seen, after: Seen) -> None:
        """Take in another slice, with what the gateway had seen before it and after it."""
        self.latencies += answers.latencies
        self.seconds += answers.seconds
        self.late += after.late_ms
        self.cpu_s += after.cpu_s - before.cpu_s
        self.refused += answers.statuses.get(503, 0)


class HttpFigures(msgspec.Struct):
    """What a child measured."""

    loads: dict[str, Load] = {}
    """By variant and phase."""
    first_warm: Load = msgspec.field(default_factory=Load)
    sizes: dict[str, int] = {}
    """Of bodies, in bytes, by target and coding."""
    warms: int = 0
    """Warms of everything that were finished while it was loaded."""
    by_wrk: dict[str, wrk.WrkFigures] = {}


def measure(order: Order) -> HttpFigures:
    """Have a gateway served by another process, and ask it from this one.

    Raises:
        RuntimeError: It answers something else than it should.
    """
    found, wanted = HttpFigures(), order.parameters
    with (
        Server(ServerOrder(order.crowd, order.folder)) as server,
        Clients((HOST, server.port), wanted.connections) as clients,
    ):
        agents = order.crowd.agent_ids[1:][: wanted.asked] or order.crowd.agent_ids
        found.first_warm = _first_warm(server, clients, _each(server, "/v1/models", agents))
        variants = _variants(server, agents, Path(order.folder), found)
        found.loads = {name + phase: Load() for phase in (_IDLE, _LOADED) for name in variants}
        for phase in (_IDLE, _LOADED):
            if phase == _LOADED:
                server.rewarm(on=True)
            began = seen = server.seen()
            for turn in range(wanted.slices):
                for name in list(variants)[:: -1 if turn % 2 else 1]:
                    answers = clients.ask(variants[name], wanted.slice_s)
                    expected = {304 if name.endswith("304") else 200}
                    if set(answers.statuses) != expected:
                        raise RuntimeError(f"{name}{phase}: {answers.statuses} in place of {expected}")
                    before, seen = seen, server.seen()
                    found.loads[name + phase].add(answers, before, seen)
            found.warms = seen.warms - began.warms
            if wanted.wrk_s and wrk.is_there():
                base = f"http://{HOST}:{server.port}"
                for name, path in (("/v1/models", f"/v1/models?agent={agents[0]}"), *_compared("/v1/models")):
                    found.by_wrk[name + phase] = wrk.ask(base + path, wanted.connections, wanted.wrk_s)
    return found


def _first_warm(server: Server, clients: Clients, requests: list[bytes]) -> Load:
    """Ask from before the first warm until every one of these is answered with a list."""
    load = Load()
    seen = server.seen()
    server.start()
    while load.seconds < _FIRST_WARM_S:
        answers = clients.ask(requests, _SLICE_OF_FIRST_WARM_S)
        before, seen = seen, server.seen()
        load.add(answers, before, seen)
        if set(answers.statuses) == {200}:
            break
    server.wait_warm()
    return load


def _variants(server: Server, agents: tuple[str, ...], folder: Path, found: HttpFigures) -> dict[str, list[bytes]]:
    """Return the requests of each variant, and put the bodies down that they are compared with."""
    variants: dict[str, list[bytes]] = {}
    for target in _TARGETS:
        path = f"{target}?agent={agents[0]}"
        _, body = server.get(path)
        (folder / _file(target)).write_bytes(body)
        found.sizes[target] = len(body)
        variants[target] = _each(server, target, agents)
        if target == _TARGETS[0]:
            variants[f"{target}, 304"] = [
                request(_host(server), asked, if_none_match=server.get(asked)[0]["etag"])
                for asked in (f"{target}?agent={agent}" for agent in agents)
            ]
        headers, short = server.get(path, {"accept-encoding": "gzip"})
        if headers.get("content-encoding") == "gzip":
            found.sizes[f"{target}, gzip"] = len(short)
            variants[f"{target}, gzip"] = _each(server, target, agents, accept_encoding="gzip")
        for name, path in _compared(target):
            variants[name] = [request(_host(server), path)]
    return variants


def _each(server: Server, target: str, agents: tuple[str, ...], **headers: str) -> list[bytes]:
    return [request(_host(server), f"{target}?agent={agent}", **headers) for agent in agents]


def _compared(target: str) -> tuple[tuple[str, str], ...]:
    """Return names and paths of what answers with the same bytes."""
    return (f"static file, {target}", STATIC + _file(target)), (f"memory, {target}", MEMORY + _file(target))


def _file(target: str) -> str:
    return f"{target.strip('/').replace('/', '-')}.json"


def _host(server: Server) -> str:
    return f"{HOST}:{server.port}"


def run(context: Context, parameters: Parameters) -> None:
    """Measure for each number of agents."""
    for agents in context.agents:
        crowd = context.crowd(f"home-{agents}", agents=agents, profiles=parameters.profiles)
        folder = context.workdir / f"bodies-{agents}"
        folder.mkdir()
        order = Order(crowd, str(folder), parameters)
        (rounds,) = context.interleave({"all variants": context.each_in_child(measure, order)}).values()
        _report(context.measured, agents, rounds)


def _report(measured: Measured, agents: int, rounds: list[HttpFigures]) -> None:
    first = rounds[0]
    loads = {name: [one.loads[name] for one in rounds] for name in first.loads}
    loads[f"/v1/models{_FIRST}"] = [one.first_warm for one in rounds]
    for name, found in loads.items():
        role = _ROLES.get(name.partition(",")[0], Role.OURS)
        latencies, late = [one.latencies for one in found], [one.late for one in found]
        rates = [len(one.latencies) / one.seconds for one in found]
        measured.series += [
            series_of_rounds(name, role, "latency", "ms", latencies, agents),
            series_of_values(name, role, "answers per second", "", rates, agents),
            series_of_rounds(name, role, "lateness of a 1 ms tick", "ms", late, agents),
        ]
        if not name.endswith((_LOADED, _FIRST)):
            spent = [one.cpu_s / len(one.latencies) * 1e6 for one in found]
            measured.series.append(series_of_values(name, role, "processor time per answer", "µs", spent, agents))
    for name in loads:
        _compare(measured, agents, name, loads)
    sizes = ", ".join(f"{name} {size:,}" for name, size in first.sizes.items())
    measured.notes.append(f"bytes of a body: {sizes}; HTTP is parsed by {'httptools' if _is_fast() else 'h11'}")
    warms = statistics.median(one.warms for one in rounds)
    measured.notes.append(f"{agents:,} agents: warms of everything finished while loaded, median of rounds: {warms:g}")
    refused = statistics.median(one.first_warm.refused / len(one.first_warm.latencies) for one in rounds)
    measured.notes.append(f"first warm of {agents:,} agents: {refused:.0%} of the answers were 503, not warm yet")
    for name in first.by_wrk:
        _report_wrk(measured, agents, name, [one.by_wrk[name] for one in rounds])


def _is_fast() -> bool:
    """Tell whether uvicorn finds the parser that is written in C."""
    return importlib.util.find_spec("httptools") is not None


def _compare(measured: Measured, agents: int, name: str, loads: Mapping[str, list[Load]]) -> None:
    """Add the ratios of a variant of ours to what answers with the same bytes under the same load."""
    target = name.partition(",")[0]
    if target not in _TARGETS or name.endswith(_FIRST):
        return
    phase = _LOADED if name.endswith(_LOADED) else _IDLE
    for other in ("static file", "memory") if name == target + phase else ("memory",):
        below = f"{other}, {target}{phase}"
        for share, metric in ((0.5, "p50"), (0.99, "p99")):
            pairs = [
                _percentile(one, share) / _percentile(least, share)
                for one, least in zip(loads[name], loads[below], strict=True)
            ]
            measured.add_pairs(f"{metric}_over_{other.replace(' ', '_')}, {name}", name, below, pairs, agents)


def _percentile(load: Load, share: float) -> float:
    return percentile(sorted(load.latencies), share)


def _report_wrk(measured: Measured, agents: int, name: str, rounds: list[wrk.WrkFigures]) -> None:
    p50, p99, rate = (
        statistics.median(getattr(one, metric) for one in rounds) for metric in ("p50_ms", "p99_ms", "per_second")
    )
    for metric, value in (("p50_ms", p50), ("p99_ms", p99), ("per_second", rate)):
        measured.add_figure(f"{metric} by wrk, {name}", value, agents)
    failed = "; some were errors" if any(one.errors for one in rounds) else ""
    measured.notes.append(f"{name}, by wrk: p50 {p50:.1f} ms, p99 {p99:.1f} ms, {rate:,.0f} per second{failed}")
