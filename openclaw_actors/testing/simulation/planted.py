"""Bugs to be found: each is put in for the length of a run, and some promise must not survive it.

A simulation that finds none of them proves nothing. Each stands for a fault that this kind of software has really had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from typing import Any
from unittest.mock import patch

from openclaw_actors.actors.agent_board import AgentRecord
from openclaw_actors.actors.auth_state import AuthStateActor
from openclaw_actors.actors.evaluations import Evaluations
from openclaw_actors.actors.failure_listener import FailureListener
from openclaw_actors.actors.publisher import Publisher
from openclaw_actors.actors.store_changes import StoreChanges
from openclaw_actors.actors.sweeps import Sweeps
from openclaw_actors.actors.tables import Tables
from openclaw_actors.actors.usage_desk import UsageDesk
from openclaw_actors.actors.wakings import Wakings
from openclaw_actors.actors.warmer import WarmerActor
from openclaw_actors.actors.watcher import WatcherActor
from openclaw_actors.auth.diff import changed_by_usage
from openclaw_actors.events import Events
from openclaw_actors.home.facts import StoreFacts
from openclaw_actors.messages import (
    AgentActorDied,
    ForgiveScope,
    PathsTouched,
    ReportAnswered,
    ReportFailure,
    RescanNeeded,
)
from openclaw_actors.notifier import Notifier
from openclaw_actors.testing.simulation.invariants import CANARY
from openclaw_actors.upkeep import Upkeep

Patch = Any
"""What `unittest.mock.patch` makes."""


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Put a bug in for a while; an empty name puts in none.

    Raises:
        KeyError: There is no such bug.
    """
    with ExitStack() as stack:
        for one in BUGS[name]() if name else ():
            stack.enter_context(one)
        yield


def _sometimes_no(every: int, act: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does nothing each so many times."""
    numbers = count(1)

    def acting(*args: Any, **kwargs: Any) -> Any:
        return None if next(numbers) % every == 0 else act(*args, **kwargs)

    return acting


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    return None


def _dropped_result() -> list[Patch]:
    return [patch.object(AuthStateActor, "_finish", _sometimes_no(9, AuthStateActor._finish))]


def _unhiding_sweep() -> list[Patch]:
    def as_swept(_self: Tables, table: Any, _evaluation: Any, _now: float) -> Any:
        return table

    return [patch.object(Tables, "with_newer_reports", as_swept), patch.object(AgentRecord, "overtake", _nothing)]


def _any_result_counts() -> list[Patch]:
    def finish(self: Sweeps, record: Any, _message: Any) -> Any:
        sweep = record.running if record is not None else None
        if sweep is not None:
            record.running, record.swept = None, True
        return sweep

    return [patch.object(Sweeps, "finish", finish)]


def _lost_hint() -> list[Patch]:
    handler = WatcherActor._handlers[PathsTouched]
    return [patch.dict(WatcherActor._handlers, {PathsTouched: _sometimes_no(3, handler)})]


def _cleared_before_refill() -> list[Patch]:
    take = StoreChanges.take

    def clearing(self: StoreChanges, taken: Any) -> None:
        take(self, taken)
        if taken.broke and isinstance(taken.record.value, StoreFacts):
            self._facts.set_store(taken.record.name, None, taken.record.problem)
            self._sweeps.dirty_now(self._roster.users(taken.record.name), None, "planted", 0.0)

    return [patch.object(StoreChanges, "take", clearing)]


def _forgotten_scope() -> list[Patch]:
    return [patch.dict(WarmerActor._handlers, {AgentActorDied: _nothing})]


def _no_alarm() -> list[Patch]:
    return [patch.object(Wakings, "set_end", _nothing)]


def _unanswered_report() -> list[Patch]:
    return [patch.dict(WarmerActor._handlers, {ReportAnswered: _nothing})]


def _changing_snapshot() -> list[Patch]:
    swap = Publisher._swap

    def changing(self: Publisher, auth: Any, changes: Any) -> None:
        old = self._map.agents.get(auth.agent_id)
        swap(self, auth, changes)
        if old is not None:
            old.revision = auth.revision

    return [patch.object(Publisher, "_swap", changing)]


def _secret_in_message() -> list[Patch]:
    make = Events._make_warm

    def telling(self: Events, scope: Any, reason: str, reread: Any, **more: Any) -> Any:
        return make(self, scope, f"{reason} {CANARY}of-somebody", reread, **more)

    return [patch.object(Events, "_make_warm", telling)]


def _costly_use() -> list[Patch]:
    take = StoreChanges._take_facts

    def costly(self: StoreChanges, taken: Any, old: Any, new: Any) -> None:
        take(self, taken, old, new)
        if old is not None and self._facts.index is not None and old.windows != new.windows:
            rested, used = changed_by_usage(old, new, self._facts.index.answered)
            if rested | used:
                self._sweeps.dirty_now(self._roster.users(taken.record.name), rested | used, "planted", 0.0)

    return [patch.object(StoreChanges, "_take_facts", costly)]


def _told_twice() -> list[Patch]:
    post, numbers = Notifier.post, count(1)

    def again(self: Notifier, changes: Any) -> None:
        post(self, changes)
        if next(numbers) % 5 == 0:
            post(self, changes)

    return [patch.object(Notifier, "post", again)]


def _forgotten_revision() -> list[Patch]:
    retire = Publisher.retire

    def forgetting(self: Publisher, agent_id: Any, cause_at: float) -> None:
        retire(self, agent_id, cause_at)
        self._map.last_revisions.pop(agent_id, None)

    return [patch.object(Publisher, "retire", forgetting)]


def _forgotten_ledger() -> list[Patch]:
    begin = Evaluations.__init__

    def empty(self: Evaluations, _ledger: Any) -> None:
        begin(self, {})

    return [patch.object(Evaluations, "__init__", empty), patch.object(Evaluations, "set_ledger", _nothing)]


def _generation_goes_back() -> list[Patch]:
    accept = Publisher._accept

    def taking(
        self: Publisher, old: Any, table: Any, generation: Any, providers: Any, overtaken: Any
    ) -> tuple[Any, Any, Any]:
        _, newer, table = accept(self, old, table, generation, providers, overtaken)
        if providers is None:
            return generation, {}, table
        return old.generation, {**newer, **dict.fromkeys(providers, generation)}, table

    return [patch.object(Publisher, "_accept", taking)]


def _no_restart(name: str) -> list[Patch]:
    start_again = Upkeep._start_again

    def choosy(self: Upkeep, who: str, part: Any) -> None:
        if who != name:
            start_again(self, who, part)

    return [patch.object(Upkeep, "_start_again", choosy)]


def _unwritten_usage() -> list[Patch]:
    return [patch.object(UsageDesk, "add", _nothing)]


def _ignored_rescan() -> list[Patch]:
    return [patch.dict(WatcherActor._handlers, {RescanNeeded: _nothing})]


def _everybody_is_swept() -> list[Patch]:
    dirty_now = Sweeps.dirty_now

    def all_of_them(
        self: Sweeps, records: Any, _providers: Any, reason: str, cause_at: float, source: str = ""
    ) -> None:
        dirty_now(self, records, None, reason, cause_at, source)

    return [patch.object(Sweeps, "dirty_now", all_of_them)]


def _forgives_nothing() -> list[Patch]:
    def only_warm(self: FailureListener, message: ForgiveScope) -> None:
        self._warmer.tell(message.warm)

    return [patch.dict(FailureListener._handlers, {ForgiveScope: only_warm})]


def _ignored_rest() -> list[Patch]:
    handler = FailureListener._handlers[ReportFailure]

    def only_refusals(self: FailureListener, message: ReportFailure) -> None:
        if message.reason in ("rate_limit", "overloaded"):
            self._warmer.tell(ReportAnswered(generation=message.generation))
        else:
            handler(self, message)

    return [patch.dict(FailureListener._handlers, {ReportFailure: only_refusals})]


BUGS: dict[str, Callable[[], list[Patch]]] = {
    "all-providers-are-swept": _everybody_is_swept,
    "any-result-counts": _any_result_counts,
    "changing-snapshot": _changing_snapshot,
    "cleared-before-refill": _cleared_before_refill,
    "costly-use": _costly_use,
    "dropped-result": _dropped_result,
    "forgives-nothing": _forgives_nothing,
    "forgotten-ledger": _forgotten_ledger,
    "forgotten-revision": _forgotten_revision,
    "forgotten-scope": _forgotten_scope,
    "generation-goes-back": _generation_goes_back,
    "ignored-rescan": _ignored_rescan,
    "ignored-rest": _ignored_rest,
    "lost-hint": _lost_hint,
    "no-alarm": _no_alarm,
    "no-restart-of-the-listener": partial(_no_restart, "failure-listener"),
    "no-restart-of-the-warmer": partial(_no_restart, "warmer"),
    "no-restart-of-the-watcher": partial(_no_restart, "watcher"),
    "secret-in-message": _secret_in_message,
    "told-twice": _told_twice,
    "unanswered-report": _unanswered_report,
    "unhiding-sweep": _unhiding_sweep,
    "unwritten-usage": _unwritten_usage,
}
"""Every planted bug by name: what makes its patches, anew for each run."""
