"""The WarmerActor's desk for readings: what is read when, what a failed reading means, and when to try again.

Decides only: the reading itself is a job for the reader pool, whose outcome comes back as a message.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import msgspec
import pykka

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.base import tell
from openclaw_actors.actors.breaker import Breaker
from openclaw_actors.actors.dispatch import Alarm, Dispatcher
from openclaw_actors.actors.readings import Readings
from openclaw_actors.actors.remembered import Remembered
from openclaw_actors.actors.source_board import HOME, LOGIN_PREFIX, STORE_PREFIX, Asked, SourceBoard, SourceRecord
from openclaw_actors.actors.source_problems import SourceProblems
from openclaw_actors.auth.shared import CLI_PROVIDERS
from openclaw_actors.catalog.home_reading import HomeReading
from openclaw_actors.counters import Counters
from openclaw_actors.health import ConditionBoard
from openclaw_actors.home.facts import CliFacts, StoreFacts
from openclaw_actors.home.providers import auth_provider
from openclaw_actors.ids import ProviderId
from openclaw_actors.log import log
from openclaw_actors.messages import BudgetOver, ReadDue, Reading, SourceRead, Stamps, UnwatchSource, WatchSource
from openclaw_actors.reading.job import Failure, ReadJob, ReadOutcome
from openclaw_actors.settings import Settings


@dataclass(frozen=True, slots=True)
class TakenReading:
    """A reading that was taken in."""

    record: SourceRecord
    old: HomeReading | CliFacts | StoreFacts | None
    new: HomeReading | CliFacts | StoreFacts | None
    """None when it failed, or when what was read is not believed yet; what an earlier warmer read, if that is all."""
    recovered: bool = False
    """Whether the source could not be read before."""
    broke: bool = False
    """Whether the source could be read before and can't now."""

    @property
    def hinted(self) -> str:
        """The source, when a file event alone asked for the reading; else empty."""
        return self.record.name if self.record.read_for is Asked.HINT else ""

    @property
    def drifted(self) -> bool:
        """Whether a resync found it to be another than it was."""
        return self.record.read_for is Asked.RESYNC and None is not self.old != self.new is not None


class ReadingDesk:
    """Wants, paces, starts and takes in readings."""

    def __init__(
        self,
        actor: pykka.ActorRef[Any],
        watcher: Address,
        dispatcher: Dispatcher,
        readings: Readings,
        remembered: Remembered,
        breaker: Breaker,
        counters: Counters,
        conditions: ConditionBoard,
        settings: Settings,
        chance: random.Random,
    ) -> None:
        self._actor = actor
        self._watcher = watcher
        self._breaker = breaker
        self._dispatcher = dispatcher
        self._clock = dispatcher.clock
        self._readings = readings
        self._remembered = remembered
        self._counters = counters
        self._settings = settings
        self._chance = chance
        self._budget: Alarm | None = None
        self.board = SourceBoard()
        self._stale_logins: frozenset[ProviderId] | None = None
        """Providers of logins that are not known as they are now; None when a reading since may have changed that."""
        self._problems = SourceProblems(self.board, conditions, settings)
        self.grace_is_over = False
        """Whether first publications have stopped waiting for slow login files."""

    @property
    def login_sources(self) -> tuple[str, ...]:
        """The sources that are logins of other programs."""
        return self._readings.login_sources

    @property
    def home(self) -> HomeReading | None:
        """The newest good reading of config, environment and model rows."""
        value = self.board.record(HOME).value
        return value if isinstance(value, HomeReading) else None

    def want(self, source: str, cause_at: float, asked: Asked = Asked.WISH) -> int:
        """Want a reading that starts from now on, start it if none runs, and return its ticket."""
        ticket = self.board.want(source, cause_at, asked)
        self.start_wanted(self.board.records[source])
        return ticket

    def first_read(self, source: str, cause_at: float) -> int:
        """Return the ticket of the first reading of a source, wanting it if nobody has yet."""
        record = self.board.record(source)
        if record.last_ticket < record.first_ticket:
            return self.want(source, cause_at)
        return record.first_ticket

    def hint(self, source: str, cause_at: float) -> None:
        """Read a source again because something may have changed: at once the first time, then at its pace."""
        record = self.board.records.get(source)
        if record is None:
            return
        wait_s = record.started_at + self._pace_s(record) - self._clock.monotonic()
        if wait_s <= 0 and not record.running:
            self.want(source, cause_at, Asked.HINT)
            return
        if not record.hinted:
            # the first of those that wait; an alarm that is set already (a retry) has another cause
            record.hinted, record.cause_at = True, cause_at
        self._read_later(record, max(wait_s, 0.001))

    def _pace_s(self, record: SourceRecord) -> float:
        # what takes long to read rests as long: a large store that is rewritten all the time must not fill a core
        return max(self._breaker.pace_s(record.name), 2 * record.took_s)

    def on_due(self, source: str) -> None:
        """Read a source whose alarm rang."""
        record = self.board.records.get(source)
        if record is None or record.alarm is None or self._clock.monotonic() < record.due_at:
            return  # it rang just before it was replaced, or before a reading began that does as well
        record.alarm = None
        if record.failures:
            self._counters.retries += 1
        self.want(source, record.cause_at, Asked.HINT)

    def start_wanted(self, record: SourceRecord) -> None:
        """Start the reading of a source if one is wanted and none runs."""
        if record.name not in self.board.records or not self.board.may_start(record.name):
            return
        if record.alarm is not None:
            # whatever it was set for, this reading is that one
            record.alarm.cancel()
            record.alarm = None
        source, actor, readings = record.name, self._actor, self._readings
        ticket = self.board.start(source, self._clock.monotonic())

        def deliver(outcome: ReadOutcome) -> None:
            value = outcome.value
            tell(
                actor,
                SourceRead(
                    source=source,
                    ticket=ticket,
                    reading=value if isinstance(value, Reading) else None,
                    problem=outcome.problem,
                    took_s=outcome.took_s,
                    overran=outcome.failure is Failure.OVERRAN,
                ),
            )

        job = ReadJob(source, lambda: readings.read(source), deliver, self._settings.source_deadline_s)
        self._dispatcher.read(job)
        self._set_budget(self._settings.sweep_budget_s)

    def overdue(self) -> list[SourceRead]:
        """Return a failure for each reading that has waited or lasted for the whole budget of a sweep.

        A deadline counts from when a reading begins; a budget also ends the wait for a thread, which is long when many
        sources block at once.
        """
        self._budget = None
        now, budget_s = self._clock.monotonic(), self._settings.sweep_budget_s
        running = [record for record in self.board.records.values() if record.running]
        late = [record for record in running if record.started_at + budget_s <= now]
        if len(late) < len(running):
            next_at = min(record.started_at for record in running if record.started_at + budget_s > now) + budget_s
            self._set_budget(next_at - now)
        problem = f"it was not read within {budget_s:g} s: other sources block the readers. They are tried again"
        return [
            SourceRead(
                source=record.name,
                ticket=record.last_ticket,
                reading=None,
                problem=f"{record.name.partition(':')[2] or record.name}: {problem}",
                overran=True,
            )
            for record in late
        ]

    def take(self, message: SourceRead) -> TakenReading | None:
        """Take a reading in; None when it is a late one that nobody waits for."""
        record = self.board.finish(message.source, message.ticket)
        if record is None:
            self._counters.discarded_results += 1
            return None
        if self._budget is not None and not self.board.running:
            self._budget.cancel()
            self._budget = None
        if record.name.startswith(STORE_PREFIX):
            self._counters.store_reads += 1
        else:
            self._counters.shared_reads += 1
            self._stale_logins = None
        if message.overran:
            self._counters.deadline_overruns += 1
        reading = message.reading
        if reading is not None and self._is_torn_login(record, reading.facts):
            assert isinstance(reading.facts, CliFacts)
            why = (
                f"{reading.facts.path}: {reading.facts.problem}. Log in again, or remove it; it still counts meanwhile"
            )
            reading = msgspec.structs.replace(reading, facts=None, problem=why)
        old, new = record.value, reading.facts if reading is not None else None
        record.took_s = 0.0 if new is None else message.took_s
        if new is None:
            broke = self._failed(record, reading, message.problem)
            if old is None:
                # an earlier warmer could read it: that is the last good answer
                record.value = self._remembered.facts.get(record.name)
                return TakenReading(record, None, record.value, broke=broke)
            return TakenReading(record, old, None, broke=broke)
        assert reading is not None
        recovered = bool(record.problem)
        record.failures, record.problem = 0, ""
        if recovered and record.name != HOME:
            self._problems.show(record)
        if self._is_briefly_gone(record, old, new, reading.stamps):
            record.doubted = True
            return TakenReading(record, old, None, recovered=recovered)
        record.gone_since = None
        new = record.value = self._remembered.take(record.name, new, int(self._clock.epoch() * 1000))
        self._watcher.tell(WatchSource(source=record.name, stamps=reading.stamps))
        if reading.look_again_s:
            self._read_later(record, max(reading.look_again_s, self._pace_s(record)))
        self._problems.show_permissions(record.name, new)
        if isinstance(new, HomeReading):
            record.there = frozenset(path for path, found in reading.stamps if found is not None)
            self._look_again_at_parts(record, new)
            had_config = record.config_gone or (isinstance(old, HomeReading) and old.home.config.exists)
            record.config_gone = had_config and not new.home.config.exists
            self._problems.show(record)
        if record.read_for is Asked.HINT and old == new:
            self._counters.watch_noops += 1
        return TakenReading(record, old, new, recovered=recovered)

    def forget(self, source: str) -> None:
        """Drop a source that nobody reads any more."""
        record = self.board.records.get(source)
        self.board.forget(source)
        self._problems.show_permissions(source, None)
        if record is not None and record.problem:
            self._problems.show(record)
        self._breaker.forget(source)
        self._remembered.forget(source)
        self._watcher.tell(UnwatchSource(source=source))

    def stale(self, *stores: str) -> frozenset[ProviderId] | None:
        """Return the providers whose answers stand only because a source could not be read; None for all.

        Args:
            stores: The sources that are the agent's stores.
        """
        for source in (HOME, *stores):
            known = self.board.records.get(source)
            if known is not None and known.problem:
                return None
        if self._stale_logins is None:
            self._stale_logins = self._find_stale_logins()
        return self._stale_logins

    def _find_stale_logins(self) -> frozenset[ProviderId]:
        found: set[ProviderId] = set()
        for source in self.login_sources:
            known = self.board.records.get(source)
            if known is not None and (known.problem or not known.was_read):
                provider = CLI_PROVIDERS[source.removeprefix(LOGIN_PREFIX)]
                found |= {provider, auth_provider(provider)}
        return frozenset(found)

    def logins(self) -> tuple[tuple[CliFacts, ...], tuple[tuple[str, str], ...]]:
        """Return the newest logins of other programs, and why those that were never read are not."""
        found, unread = [], []
        for source in self.login_sources:
            record = self.board.record(source)
            login = record.value or self._remembered.facts.get(source)
            if isinstance(login, CliFacts):
                found.append(login)
            elif record.problem:
                unread.append((source, record.problem))
            else:
                unread.append((source, f"{source.removeprefix(LOGIN_PREFIX)} login is still being read"))
        return tuple(found), tuple(unread)

    def _set_budget(self, delay_s: float) -> None:
        """Set the one alarm for the earliest end of a budget."""
        if self._budget is None:
            self._budget = self._dispatcher.tell_later(delay_s, self._actor, BudgetOver())

    def _is_torn_login(self, record: SourceRecord, facts: object) -> bool:
        """Tell whether a login that was there can't be made out any more, rather than being gone."""
        known = record.value or self._remembered.facts.get(record.name)
        return isinstance(facts, CliFacts) and facts.is_broken and isinstance(known, CliFacts) and known.found

    def _look_again_at_parts(self, record: SourceRecord, new: HomeReading) -> None:
        """Have a config read again whose dotenv files or files of secrets are torn: soon, then ever more slowly."""
        if all(finding.code not in _TORN_PARTS for finding in new.home.config.findings):
            record.partial = 0
            return
        settings = self._settings
        self._read_later(record, min(settings.torn_retry_s * 2 ** min(record.partial, 30), settings.retry_max_s))
        record.partial += 1

    def _failed(self, record: SourceRecord, reading: Reading | None, problem: str) -> bool:
        """Try again: soon at first, then ever more slowly, for ever. Return whether the source could be read before."""
        broke = not record.problem
        problem = reading.problem if reading is not None else problem
        record.failures += 1
        record.problem = problem
        settings = self._settings
        delay_s = settings.torn_retry_s
        if record.failures > 1:
            ceiling = min(settings.retry_max_s, settings.retry_first_s * 2 ** min(record.failures - 2, 30))
            delay_s = self._chance.uniform(settings.torn_retry_s, max(settings.torn_retry_s, ceiling))
        self._read_later(record, delay_s)
        if broke:
            log.bind(source=record.name).warning("a source can't be read and is tried again: {}", problem)
        if reading is not None and reading.stamps:
            # what has to be mended may be a file that no good reading depended on
            self._watcher.tell(WatchSource(source=record.name, stamps=reading.stamps))
        elif broke and record.value is None:
            self._watcher.tell(WatchSource(source=record.name, stamps=self._readings.default_stamps(record.name)))
        self._problems.show(record)
        return broke

    def _is_briefly_gone(self, record: SourceRecord, old: object, new: object, stamps: Stamps) -> bool:
        """Tell whether something that was there has just vanished: it is believed only when it stays away."""
        vanished = any(found is None and path in record.there for path, found in stamps)
        if not vanished and (not _is_something(old) or _is_something(new)):
            return False
        now = self._clock.monotonic()
        if record.gone_since is None:
            record.gone_since = now
        left_s = record.gone_since + self._settings.gone_grace_s - now
        if left_s <= 0:
            return False
        self._read_later(record, left_s)
        return True

    def _read_later(self, record: SourceRecord, delay_s: float) -> None:
        """Set the one alarm of a source, unless it rings as early already.

        One alarm, however many reasons there are to read: with one each, every hint would start a chain of retries.
        """
        due_at = self._clock.monotonic() + delay_s
        if record.alarm is not None:
            if record.due_at <= due_at:
                return
            record.alarm.cancel()
        record.due_at = due_at
        record.alarm = self._dispatcher.tell_later(delay_s, self._actor, ReadDue(source=record.name))


_TORN_PARTS = frozenset({"torn-secret-file", "dotenv-unreadable"})
"""Findings in a config that is good about files beside it that can't be read, perhaps just now."""


def _is_something(facts: object) -> bool:
    """Tell whether a config, a store or a login was there."""
    if isinstance(facts, HomeReading):
        return facts.home.config.exists
    if isinstance(facts, StoreFacts):
        return facts.kind != "none"
    return isinstance(facts, CliFacts) and facts.found
