"""The FailureListener's usage: what was reported is gathered per store and written under OpenClaw's own lock.

What can't be written is kept and tried again, ever more slowly; a store of a kind that isn't written is looked at again
now and then. No write is begun again before the result of the one before is known, be it late: none is counted twice.
While somebody clears or removes profiles their usage is held, so that no write undoes that.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pykka

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.dispatch import Dispatcher
from openclaw_actors.actors.report_memory import Report, ReportMemory
from openclaw_actors.actors.unwritten_usage import Step, UnwrittenUsage
from openclaw_actors.auth.verdict import Candidate
from openclaw_actors.errors import StoreKindError
from openclaw_actors.health import ConditionBoard
from openclaw_actors.home.stores.usage_writer import refuse_unwritable, write_usage
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import Generation, StoreId
from openclaw_actors.log import log
from openclaw_actors.messages import ForgetUsage, HoldUsage, UsageDue, UsageWritten
from openclaw_actors.reading.job import Failure, ReadJob, ReadOutcome
from openclaw_actors.settings import Settings

_GONE = "gone"
"""What a usage write comes to when there is no store any more."""

_MOST_FORGOTTEN = 1000
"""How many removed profiles are remembered at a time."""

_LONGEST_DELAY_S = 300.0
"""How long a write that keeps failing waits for its next try, at most."""


class _OtherKind(msgspec.Struct, frozen=True):
    """What a usage write comes to in a store of a kind that isn't written."""

    problem: str


class UsageDesk:
    """Writes usage. What it has still to write is kept with the supervisor: the next incarnation goes on with it."""

    def __init__(
        self,
        actor: pykka.ActorRef[Any],
        me: Address,
        dispatcher: Dispatcher,
        conditions: ConditionBoard,
        settings: Settings,
        memory: ReportMemory,
        on_flushed: Callable[[], None],
    ) -> None:
        self._actor = actor
        self._me = me
        self._dispatcher = dispatcher
        self._conditions = conditions
        self._settings = settings
        self._on_flushed = on_flushed
        self._waiting = memory.unwritten
        self._forgotten = memory.forgotten
        self._held = memory.held
        self._given_up = threading.Event()
        """Set when nobody waits for writes any more: one that waits for a lock ends then, or it would write later."""
        self._last_added: Generation | None = None
        self._flushing = False

    def give_up(self) -> None:
        """End the writes that wait for a lock."""
        self._given_up.set()

    def take_over(self) -> None:
        """Go on with what an earlier incarnation left: its alarms are gone, the result of its writes comes here."""
        for store, waiting in list(self._waiting.items()):
            waiting.due = False
            if not waiting.writing and (waiting.steps or waiting.memory_only):
                self._schedule(store, waiting)

    def add(
        self, candidate: Candidate, step: Step, report: Report, *, last_good: tuple[str, str] | None = None
    ) -> None:
        """Have a report written, together with others of its store that come soon; the same one again is nothing."""
        store = candidate.store
        if report.generation == self._last_added:
            return
        if store is None or candidate.evidence.source != "profile":
            return
        if self._forgotten.get((store, candidate.evidence.id), 0) >= report.generation:
            return
        waiting = self._waiting.setdefault(store, UnwrittenUsage())
        if waiting.memory_only:
            return
        waiting.add(candidate.evidence.id, step, report.generation)
        self._last_added = report.generation
        if last_good is not None:
            waiting.last_good[last_good[0]] = last_good[1]
        if self._flushing:
            self._start_write(store, waiting)
        elif not waiting.due and not waiting.writing:
            self._schedule(store, waiting)

    def on_due(self, store: StoreId) -> None:
        """Write what waits for a store."""
        waiting = self._waiting.get(store)
        if waiting is None:
            return
        waiting.due = False
        if self._flushing:
            return  # all is written already, or said that it can't be
        if not waiting.writing and not waiting.steps and not waiting.memory_only:
            del self._waiting[store]
            self._show_persisted()
        self._start_write(store, waiting)

    def on_written(self, message: UsageWritten) -> None:
        """Take the result of a write, and go on with what is left."""
        store = message.store
        waiting = self._waiting.setdefault(store, UnwrittenUsage())
        if message.hangs and waiting.writing and not self._flushing:
            # it may have written by now, or do so later: begun again, it would count everything twice
            log.bind(store=store).warning("usage of a store can't be written now: {}", message.problem)
            waiting.problem, waiting.hangs = message.problem, True
            self._show_persisted()
            return
        waiting.end(failed=bool(message.problem))
        is_news = message.problem != waiting.problem or not message.permanent
        waiting.problem = message.problem
        waiting.failures = waiting.failures + 1 if message.problem else 0
        if message.problem and is_news:
            log.bind(store=store).warning("usage of a store can't be written now: {}", message.problem)
        waiting.memory_only = message.permanent
        if message.gone or message.permanent or (message.problem and self._flushing):
            waiting.drop()
        if self._flushing:
            self._start_write(store, waiting)  # what could not be written stays known, for the condition
        elif waiting.due:
            pass
        elif waiting.steps or waiting.memory_only:
            self._schedule(store, waiting)
        else:
            del self._waiting[store]
        self._show_persisted()
        self._show_flushed()

    def hold(self, message: HoldUsage) -> None:
        """Write no usage of some profiles until that is over, which another message says."""
        for profile in message.profiles:
            count = self._held.get((message.store, profile), 0) + (-1 if message.over else 1)
            if count > 0:
                self._held[message.store, profile] = count
            else:
                self._held.pop((message.store, profile), None)
        waiting = self._waiting.get(message.store)
        if message.over and waiting is not None and waiting.steps:
            if self._flushing:
                self._start_write(message.store, waiting)
            elif not waiting.due and not waiting.writing:
                self._schedule(message.store, waiting)

    def forget(self, message: ForgetUsage) -> None:
        """Drop what waits for profiles that are being removed."""
        for name in message.profiles:
            self._forgotten.pop((message.store, name), None)
            self._forgotten[message.store, name] = message.until
        while len(self._forgotten) > _MOST_FORGOTTEN:
            del self._forgotten[next(iter(self._forgotten))]  # the oldest: what was reported before it is long taken in
        waiting = self._waiting.get(message.store)
        if waiting is not None:
            waiting.forget(message.profiles, message.until)
            if not waiting.steps and not waiting.writing and not waiting.memory_only:
                waiting.problem = ""
                self._show_persisted()
                self._show_flushed()

    def flush(self) -> None:
        """Write everything now, and whatever still comes at once."""
        self._flushing = True
        for store, waiting in list(self._waiting.items()):
            self._start_write(store, waiting)
        self._show_flushed()

    def _schedule(self, store: StoreId, waiting: UnwrittenUsage) -> None:
        waiting.due = True
        delay_s = min(_LONGEST_DELAY_S, self._settings.usage_flush_s * 2 ** min(waiting.failures, 20))
        if waiting.memory_only:
            delay_s = _LONGEST_DELAY_S
        self._dispatcher.tell_later(delay_s, self._actor, UsageDue(store=store))

    def _start_write(self, store: StoreId, waiting: UnwrittenUsage) -> None:
        """Write what waits, or see whether a store that isn't written is of another kind by now."""
        held = {profile for of, profile in self._held if of == store}
        if waiting.writing or not (waiting.steps.keys() - held or (waiting.memory_only and not self._flushing)):
            return
        me, timeout_s, given_up = self._me, self._settings.lock_timeout_s, self._given_up
        steps, waiting_last_good = waiting.begin(held)
        last_good = dict(waiting_last_good)  # the other is the actor's to change
        changes = {
            profile: partial(_unless, partial(self._skips, store, profile, waiting.skipped), partial(_in_turn, each))
            for profile, each in steps.items()
        }

        def write() -> object:
            if not os.path.isdir(store):
                return _GONE  # with its agent; it is nobody's business to make it again
            try:
                refuse_unwritable(store)
                return write_usage(store, changes, last_good=last_good, lock_timeout_s=timeout_s, given_up=given_up)
            except StoreKindError as error:
                return _OtherKind(str(error))

        def deliver(outcome: ReadOutcome) -> None:
            value = outcome.value
            is_other = isinstance(value, _OtherKind)
            problem = value.problem if isinstance(value, _OtherKind) else outcome.problem
            # to whichever incarnation lives then: what was written must not be written again
            gone, hangs = value == _GONE, outcome.failure is Failure.OVERRAN
            me.tell(UsageWritten(store=store, problem=problem, permanent=is_other, gone=gone, hangs=hangs))

        # the lock may be held by another process for as long as the deadline of a reading, so it gets time beside it
        deadline_s = timeout_s + self._settings.source_deadline_s
        job = ReadJob(f"usage:{store}", write, deliver, deadline_s, late=deliver)
        try:
            self._dispatcher.read(job)
        except BaseException:  # no thread is to be had, say: nothing was begun
            waiting.end(failed=True)
            waiting.failures += 1
            self._schedule(store, waiting)
            raise

    def _skips(self, store: StoreId, profile: str, skipped: set[str]) -> bool:
        """Tell whether a write is to leave a profile alone, since whoever had the lock before clears it. On the writing
        thread.
        """
        if (store, profile) not in self._held:
            return False
        skipped.add(profile)
        return True

    def _show_persisted(self) -> None:
        problems = [each.problem for each in self._waiting.values() if each.problem]
        self._conditions.set(
            "UsagePersisted", not problems, "Unwritable" if problems else "Written", "; ".join(problems)
        )

    def _show_flushed(self) -> None:
        # nobody waits at a stop for what hangs: the condition says what isn't written
        left = [waiting for waiting in self._waiting.values() if not waiting.hangs]
        if self._flushing and not any(waiting.writing or waiting.steps for waiting in left):
            self._on_flushed()


def _unless(skips: Callable[[], bool], step: Step, windows: Windows | None) -> Windows | None:
    return windows if skips() else step(windows)


def _in_turn(steps: list[Step], windows: Windows | None) -> Windows | None:
    for step in steps:
        windows = step(windows)
    return windows
