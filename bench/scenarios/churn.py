"""Churn: another process edits the config, agents leave and come back, and an unrelated key changes, while reads go on.

Reads: `has_auth` of random agents and providers on the main thread, each timed by itself (the clock's own cost is in
it), in batches of 20 a millisecond apart; first with nothing going on, then throughout the edits. Taken in: from just
before the rename until a look between two batches finds it so, which adds up to a millisecond: agents are gone from
`agent_ids()`; agents are there and published; the config was read once more (`stats().shared_reads`). A round is a
fresh process.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import msgspec

from bench.cold import WARM_TIMEOUT_S
from bench.context import Context
from bench.crowd import Crowd
from bench.editor import Editor
from bench.homes import KEY_PROVIDERS, json_text
from bench.limits import Count
from bench.results import Role
from bench.samples import series_of_rounds
from bench.scenario import ScenarioError
from openclaw_actors import AuthSupervisor

_BATCH = 20
_PAUSE_S = 0.001
_TAKEN_IN_S = 30.0
_BETWEEN = 100


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of this kind may say."""

    profiles: Count = 40
    edits: Count = 10
    """Of each sort, in a round."""
    moving: Count = 5
    """Agents that leave and come back at a time."""


class Order(msgspec.Struct, frozen=True):
    """What a child is to do."""

    crowd: Crowd
    parameters: Parameters


class ChurnFigures(msgspec.Struct):
    """What a child measured."""

    idle_ns: list[float] = []
    """Each read, with nothing going on."""
    read_ns: list[float] = []
    """Each read, throughout the edits."""
    removed_ms: list[float] = []
    added_ms: list[float] = []
    unrelated_ms: list[float] = []


class _Reader:
    def __init__(self, supervisor: AuthSupervisor, crowd: Crowd) -> None:
        self._supervisor = supervisor
        self._chance = random.Random(crowd.seed)
        self._agents = crowd.agent_ids

    def batch(self, found: list[float]) -> None:
        """Make some reads, and rest."""
        has_auth, clock, chance = self._supervisor.has_auth, time.perf_counter_ns, self._chance
        for agent, provider in zip(
            chance.choices(self._agents, k=_BATCH), chance.choices(KEY_PROVIDERS, k=_BATCH), strict=True
        ):
            began_at = clock()
            has_auth(provider, agent_id=agent)
            found.append(clock() - began_at)
        time.sleep(_PAUSE_S)


def measure(order: Order) -> ChurnFigures:
    """Read in this process while another one edits.

    Raises:
        RuntimeError: An edit was not taken in.
    """
    crowd, wanted, found = order.crowd, order.parameters, ChurnFigures()
    moving = crowd.agent_ids[-wanted.moving :]
    with AuthSupervisor(crowd.path, env=crowd.env) as supervisor, Editor() as editor:
        if not supervisor.wait_warm(WARM_TIMEOUT_S):
            raise RuntimeError("the home did not become warm")
        reader = _Reader(supervisor, crowd)

        def edit(text: str, is_in: Callable[[], bool]) -> float:
            renamed_at = editor.replace(crowd.config_path, text)
            while not is_in():
                if time.monotonic() - renamed_at > _TAKEN_IN_S:
                    raise RuntimeError(f"an edit was not taken in within {_TAKEN_IN_S:g} s")
                reader.batch(found.read_ns)
            taken_in_at = time.monotonic()
            for _ in range(_BETWEEN):
                reader.batch(found.read_ns)
            return (taken_in_at - renamed_at) * 1000

        for _ in range(wanted.edits * 3 * _BETWEEN):
            reader.batch(found.idle_ns)
        for number in range(1, wanted.edits + 1):
            gone = lambda: not set(moving) & set(supervisor.agent_ids())  # noqa: E731
            back = lambda: all(supervisor.snapshot(one).revision for one in moving)  # noqa: E731
            found.removed_ms.append(edit(_config(crowd, number - 1, wanted.moving), gone))
            found.added_ms.append(edit(_config(crowd, number - 1, 0), back))
            reads = supervisor.stats().shared_reads
            read = lambda reads=reads: supervisor.stats().shared_reads > reads  # noqa: E731
            found.unrelated_ms.append(edit(_config(crowd, number, 0), read))
        editor.replace(crowd.config_path, _config(crowd, 0, 0))
    return found


def _config(crowd: Crowd, number: int, without: int) -> str:
    config = crowd.config(without)
    config["gateway"]["port"] += number
    return json_text(config)


def run(context: Context, parameters: Parameters) -> None:
    """Measure for each number of agents."""
    measured = context.measured
    for agents in context.agents:
        crowd = context.crowd(f"home-{agents}", agents=agents, profiles=parameters.profiles)
        if agents <= parameters.moving:
            raise ScenarioError(
                f"{agents} agents, of which {parameters.moving} move: give more --agents, or less moving"
            )
        order = Order(crowd, parameters)
        (rounds,) = context.interleave({"edits": context.each_in_child(measure, order)}).values()
        idle = series_of_rounds("idle", Role.IDLE, "time per read", "ns", [one.idle_ns for one in rounds], agents)
        ours = series_of_rounds(
            "ours, while edited", Role.OURS, "time per read", "ns", [one.read_ns for one in rounds], agents
        )
        measured.series += [ours, idle]
        measured.add_ratio("ratio_to_idle", ours, idle)
        for metric, values in (
            (f"{parameters.moving} agents leave → taken in", [one.removed_ms for one in rounds]),
            (f"{parameters.moving} agents come → taken in", [one.added_ms for one in rounds]),
            ("unrelated key → taken in", [one.unrelated_ms for one in rounds]),
        ):
            measured.series.append(series_of_rounds("ours", Role.OURS, metric, "ms", values, agents))
