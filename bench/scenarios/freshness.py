"""Freshness: another process replaces one agent's store, with one credential changed; until a subscriber is called.

Inside the clock: from just before the rename in the other process to the first line of the callback in this one: the
kernel's file event, reading the store again, comparing, the checks, publication, the notifier thread. Outside: writing
the temporary file. Edits of random agents are a pause apart, so that each is the first hint of its file; each takes the
key out of one profile or puts it back, so that exactly one answer changes, and any other change is an error. The checks
of an edit are counted until the next one.

Baseline: the mean staleness of `ttl-10s`, measured once: entries that were filled at even times over its ten seconds,
then all of their stores edited, then asked every few milliseconds.
"""

from __future__ import annotations

import random
import statistics
import time
from queue import Empty, SimpleQueue

import msgspec

from bench.baselines import TTL_S, NoPrewarm, TtlCache
from bench.cold import WARM_TIMEOUT_S
from bench.context import Context
from bench.crowd import Crowd
from bench.editor import Editor
from bench.homes import json_text
from bench.limits import Amount, Count, CountOrNone
from bench.results import Role
from bench.samples import series_of_rounds, series_of_values
from openclaw_actors import AuthSupervisor, Change

_PROVIDER = "groq"
_PROFILE = "groq:default"
_SEEN_S = 10.0
_LOOK_S = 0.005


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of this kind may say."""

    profiles: Count = 40
    edits: Count = 100
    """In a round."""
    pause_ms: Amount = 60.0
    """Between two edits: longer than the package's pause between two readings of one file."""
    ttl_edits: CountOrNone = 40
    """Entries of `ttl-10s` that are looked at; 0 leaves it out."""
    ttl_s: Amount = TTL_S
    """Its time to live, in seconds."""


class Order(msgspec.Struct, frozen=True):
    """What a child is to do."""

    crowd: Crowd
    parameters: Parameters


class FreshFigures(msgspec.Struct):
    """What a child measured."""

    seen_ms: list[float] = []
    """Rename → callback."""
    published_ms: list[float] = []
    """The package's own figure: cause seen → published."""
    checks: list[int] = []
    """Provider checks of each edit."""


def measure(order: Order) -> FreshFigures:
    """Follow the edits of another process in this one.

    Raises:
        RuntimeError: A change was missed, or another one came.
    """
    crowd, wanted, found = order.crowd, order.parameters, FreshFigures()
    chance, keys = random.Random(crowd.seed), _Keys(crowd)
    with AuthSupervisor(crowd.path, env=crowd.env) as supervisor, Editor() as editor:
        if not supervisor.wait_warm(WARM_TIMEOUT_S):
            raise RuntimeError("the home did not become warm")
        seen: SimpleQueue[tuple[float, Change]] = SimpleQueue()
        supervisor.subscribe(lambda change: seen.put((time.monotonic(), change)))
        for _ in range(wanted.edits):
            agent = chance.choice(crowd.agent_ids)
            if not seen.empty():
                raise RuntimeError("an answer changed that was not edited")
            before = supervisor.stats().provider_checks
            renamed_at = editor.replace(crowd.store_path(agent), keys.toggled(agent))
            try:
                seen_at, change = seen.get(timeout=_SEEN_S)
            except Empty:
                raise RuntimeError(f"no change was seen within {_SEEN_S:g} s") from None
            if (change.agent_id, change.provider) != (agent, _PROVIDER):
                raise RuntimeError(f"{change.agent_id}/{change.provider} changed in place of {agent}/{_PROVIDER}")
            found.seen_ms.append((seen_at - renamed_at) * 1000)
            found.published_ms.append(change.latency_s * 1000)
            time.sleep(wanted.pause_ms / 1000)
            found.checks.append(supervisor.stats().provider_checks - before)
        keys.restore(editor)
    return found


def staleness(order: Order) -> list[float]:
    """Return how long each entry of a cache with a time to live was wrong, in milliseconds."""
    crowd, wanted, keys = order.crowd, order.parameters, _Keys(order.crowd)
    cache = TtlCache(NoPrewarm(crowd), wanted.ttl_s)
    agents = crowd.agent_ids[-min(wanted.ttl_edits, crowd.agents) :]
    found: list[float] = []
    with Editor() as editor:
        began_at = time.monotonic()
        for at, agent in enumerate(agents):
            time.sleep(max(0.0, began_at + wanted.ttl_s * at / len(agents) - time.monotonic()))
            cache.has_auth(_PROVIDER, agent)
        edited = {agent: editor.replace(crowd.store_path(agent), keys.toggled(agent)) for agent in agents}
        while edited:
            right = [one for one in edited if not cache.has_auth(_PROVIDER, one)]
            found += [(time.monotonic() - edited.pop(one)) * 1000 for one in right]
            time.sleep(_LOOK_S)
        keys.restore(editor)
    return found


class _Keys:
    """Takes the key of one profile away and puts it back, agent by agent."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._without: set[str] = set()

    def toggled(self, agent: str) -> str:
        """Return the text of an agent's store after the next edit of it."""
        if agent in self._without:
            self._without.discard(agent)
            return self._crowd.store_text(agent)
        self._without.add(agent)
        profiles = self._crowd.profiles_of(agent)
        profiles[_PROFILE] = {**profiles[_PROFILE], "key": ""}
        return json_text({"version": 1, "profiles": profiles})

    def restore(self, editor: Editor) -> None:
        """Put all keys back."""
        for agent in sorted(self._without):
            editor.replace(self._crowd.store_path(agent), self._crowd.store_text(agent))


def run(context: Context, parameters: Parameters) -> None:
    """Measure for each number of agents."""
    measured = context.measured
    for agents in context.agents:
        crowd = context.crowd(f"home-{agents}", agents=agents, profiles=parameters.profiles)
        order = Order(crowd, parameters)
        (rounds,) = context.interleave({"edits": context.each_in_child(measure, order)}).values()
        metric = "rename → subscriber called"
        ours = series_of_rounds("ours", Role.OURS, metric, "ms", [one.seen_ms for one in rounds], agents)
        checks = [float(count) for one in rounds for count in one.checks]
        measured.series += [
            ours,
            series_of_rounds(
                "ours", Role.OURS, "cause seen → published", "ms", [one.published_ms for one in rounds], agents
            ),
            series_of_values(
                "ours, mean", Role.OURS, metric, "ms", [statistics.fmean(one.seen_ms) for one in rounds], agents
            ),
            series_of_values(
                "ours", Role.OURS, "most provider checks of an edit", "", [max(one.checks) for one in rounds], agents
            ),
        ]
        assert ours.distribution is not None  # there is at least one round with edits
        measured.add_figure("median_ms", ours.median, agents)
        measured.add_figure("p99_ms", ours.distribution.p99, agents)
        providers = len({name.partition(":")[0] for name in crowd.profiles_of("main")})
        measured.add_figure("checks_beyond_the_store", max(0.0, max(checks) - providers), agents)
        if parameters.ttl_edits:
            context.say(f"ttl-10s ({2 * parameters.ttl_s:g} s)")
            stale = context.in_child(staleness, order)
            measured.series.append(series_of_rounds("ttl-10s", Role.BASELINE, metric, "ms", [stale], agents))
            measured.series.append(
                series_of_values("ttl-10s, mean", Role.BASELINE, metric, "ms", [statistics.fmean(stale)], agents)
            )
