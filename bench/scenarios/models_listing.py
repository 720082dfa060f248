"""Models listing: the service call behind `/models`, warmed: `models(view="all")` and its JSON, for one agent.

Inside the clock: the call and the bytes of a JSON array of its rows. Outside: HTTP, and what only the first call after
a change of the agent's answers does: arranging the rows of each provider, which is measured beside it (`ours, first
after a change`). The floor joins the very same rows, encoded before, into the very same bytes. `no-prewarm` has nothing
that tells it of changes: each call reads config, environment, catalogue, logins and stores, folds all providers, builds
the list and encodes it. `no-prewarm, config kept` reads just logins and stores, as if nothing else ever changed, and
has its rows encoded. All take turns in one process; a round is a fresh process. A few agents are asked in turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import msgspec

from bench.baselines import NoPrewarm
from bench.cold import WARM_TIMEOUT_S
from bench.context import Context
from bench.crowd import Crowd
from bench.limits import Count
from bench.results import Role
from bench.samples import series_of_rounds
from openclaw_actors import AuthSupervisor
from openclaw_actors.auth.cells import CellTable
from openclaw_actors.catalog.load import built_in_rows
from openclaw_actors.listing.shelves import Shelf

_AGENTS = 8
"""How many agents are asked in turn."""


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of this kind may say."""

    models: Count = 955
    """In the list; what the built-in catalogue hasn't comes from the config."""
    profiles: Count = 40
    calls: Count = 200
    """Of the listing and of its floor, in a round."""
    sweeps: Count = 20
    """Calls of `no-prewarm` in a round."""


class Order(msgspec.Struct, frozen=True):
    """What a child is to do."""

    crowd: Crowd
    parameters: Parameters


class ListFigures(msgspec.Struct):
    """What a child measured, in microseconds per call."""

    ours: list[float] = []
    first: list[float] = []
    """With answers that nobody has asked a list of yet."""
    floor: list[float] = []
    config_kept: list[float] = []
    no_prewarm: list[float] = []
    size: int = 0
    """Of the JSON, in bytes."""


def measure(order: Order) -> ListFigures:
    """List in this process.

    Raises:
        RuntimeError: There are other models than were to be listed, or other bytes than the floor's.
    """
    crowd, wanted, found = order.crowd, order.parameters, ListFigures()
    with AuthSupervisor(crowd.path, env=crowd.env) as supervisor:
        if not supervisor.wait_warm(WARM_TIMEOUT_S):
            raise RuntimeError("the home did not become warm")
        agents = supervisor.agent_ids()[:_AGENTS]
        rows = {agent: supervisor.models(agent_id=agent, view="all").rows for agent in agents}
        encoded = {agent: [msgspec.json.encode(row) for row in rows[agent]] for agent in agents}
        sweeper = NoPrewarm(crowd)
        home = supervisor.snapshot(agents[0]).home
        assert home is not None
        shelf = Shelf(home.catalog, home.home.config, (), None)
        found.size = len(_ours(supervisor, agents[0]))
        for at in range(wanted.calls):
            agent = agents[at % len(agents)]
            ours, text = _timed(partial(_ours, supervisor, agent))
            floor, joined = _timed(partial(_join, encoded[agent]))
            if len(rows[agent]) != wanted.models or text != joined:
                raise RuntimeError(f"{len(rows[agent])} models, not {wanted.models}; same bytes: {text == joined}")
            table = supervisor.snapshot(agent).table
            first, again = _timed(partial(_first, shelf, CellTable(table.shared, table.own)))
            if again != text:
                raise RuntimeError("the first list after a change is another one")
            found.ours.append(ours)
            found.first.append(first)
            found.floor.append(floor)
        for at in range(wanted.sweeps):
            agent = agents[at % len(agents)]
            for call, times in (
                (partial(_sweep, sweeper, agent), found.config_kept),
                (partial(_sweep_all, crowd, agent), found.no_prewarm),
            ):
                took, text = _timed(call)
                if len(text) != found.size:
                    raise RuntimeError("no-prewarm lists something else")
                times.append(took)
    return found


def _ours(supervisor: AuthSupervisor, agent: str) -> bytes:
    return supervisor.models(agent_id=agent, view="all").json()


def _first(shelf: Shelf, table: CellTable) -> bytes:
    return shelf.arranged(table, None, "all").encoded.whole()


def _join(rows: list[bytes]) -> bytes:
    return b"[" + b",".join(rows) + b"]"


def _sweep(sweeper: NoPrewarm, agent: str) -> bytes:
    return sweeper.listing(agent, "all")


def _sweep_all(crowd: Crowd, agent: str) -> bytes:
    return _sweep(NoPrewarm(crowd), agent)


def _timed(call: Callable[[], bytes]) -> tuple[float, bytes]:
    began_at = time.perf_counter()
    text = call()
    return (time.perf_counter() - began_at) * 1e6, text


def run(context: Context, parameters: Parameters) -> None:
    """Measure for each number of agents."""
    measured = context.measured
    extra = parameters.models - len(built_in_rows()[1])
    if extra < 0:
        measured.notes.append(f"the built-in catalogue alone has {parameters.models - extra} models")
    for agents in context.agents:
        crowd = context.crowd(f"home-{agents}", agents=agents, profiles=parameters.profiles, extra_models=max(0, extra))
        order = Order(crowd, parameters)
        (rounds,) = context.interleave({"all variants": context.each_in_child(measure, order)}).values()
        ours, first, floor, sweeps, cold_sweeps = (
            series_of_rounds(variant, role, "time per listing", "µs", values, agents)
            for variant, role, values in (
                ("ours", Role.OURS, [one.ours for one in rounds]),
                ("ours, first after a change", Role.OURS, [one.first for one in rounds]),
                ("join of encoded rows", Role.FLOOR, [one.floor for one in rounds]),
                ("no-prewarm, config kept", Role.BASELINE, [one.config_kept for one in rounds]),
                ("no-prewarm", Role.BASELINE, [one.no_prewarm for one in rounds]),
            )
        )
        measured.series += [ours, first, floor, sweeps, cold_sweeps, *context.peer_series(crowd)]
        pairs = [
            statistics.median(mine / least for mine, least in zip(one.ours, one.floor, strict=True)) for one in rounds
        ]
        measured.add_pairs("ratio_to_join", ours.variant, floor.variant, pairs, agents)
        measured.add_ratio("ratio_to_join, first after a change", first, floor)
        measured.add_ratio("faster_than_no_prewarm_config_kept", sweeps, ours)
        measured.add_ratio("faster_than_no_prewarm", cold_sweeps, ours)
        measured.notes.append(f"{parameters.models} models are {rounds[0].size:,} bytes of JSON")
