"""What the WarmerActor knows of its sources: which readings are wanted, running and done. Pure bookkeeping, no I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from openclaw_actors.actors.dispatch import Alarm
from openclaw_actors.catalog.home_reading import HomeReading
from openclaw_actors.few import Few
from openclaw_actors.home.facts import CliFacts, StoreFacts
from openclaw_actors.ids import AgentId

HOME = "home"
"""The source that holds config, environment and model rows."""
LOGIN_PREFIX = "cli:"
"""Sources that are logins of other programs."""
STORE_PREFIX = "store:"
"""Sources that are profile stores."""


class Asked(enum.IntEnum):
    """Why a reading is wanted; of several reasons the greatest counts."""

    RESYNC = 0
    """To compare, though nothing told of a change."""
    HINT = 1
    """A file event, or a reading before that wants another look."""
    WISH = 2
    """Somebody asked."""


@dataclass(slots=True)
class SourceRecord:
    """One source. Readings are numbered by tickets; at most one runs at a time (single flight)."""

    name: str
    value: HomeReading | CliFacts | StoreFacts | None = None
    """The last good facts."""
    problem: str = ""
    """Why the last reading failed; empty when it didn't."""
    first_ticket: int = 1
    """The first reading of it. A source that was forgotten goes on counting: a late result is of no reading since."""
    last_ticket: int = 0
    """The newest reading that was started."""
    done_ticket: int = 0
    """The newest reading that is done, well or not."""
    wanted_ticket: int = 0
    """The reading that somebody waits for."""
    running: bool = False
    started_at: float = float("-inf")
    """When the newest reading was started, monotonic seconds."""
    took_s: float = 0.0
    """How long the last reading took, if it was a good one, in seconds."""
    alarm: Alarm | None = None
    """The one alarm for the next reading, if there is to be one."""
    due_at: float = 0.0
    """When it rings, monotonic seconds."""
    failures: int = 0
    """Failed readings in a row."""
    partial: int = 0
    """Good readings in a row in which a part of the source could not be read: a dotenv file, a file of secrets."""
    there: frozenset[str] = frozenset()
    """Of the source `home`: the files that the last good reading found."""
    doubted: bool = False
    """Of the source `home`: whether a reading was not believed since the last good one; its variables held for the
    stores that were read meanwhile."""
    config_gone: bool = False
    """Of the source `home`: whether a config was there before, and isn't any more."""
    gone_since: float | None = None
    """Since when it is held to be only briefly gone, monotonic seconds."""
    told_at: float = float("-inf")
    """When a file event last told of it, monotonic seconds."""
    hinted: bool = False
    """Whether something told of it since the newest reading was started."""
    asked: Asked = Asked.WISH
    """Why the next reading is wanted."""
    cause_at: float = 0.0
    """When the cause of the next reading was seen, monotonic seconds."""
    read_for: Asked = Asked.WISH
    """Why the newest reading was started."""
    read_cause_at: float = 0.0
    """When the cause of the newest reading was seen, monotonic seconds."""
    users: Few[AgentId] = ()
    """Agents that see this store."""

    @property
    def was_read(self) -> bool:
        """Whether any reading is done, well or not."""
        return self.done_ticket >= self.first_ticket


class SourceBoard:
    """All sources by name."""

    def __init__(self) -> None:
        self.records: dict[str, SourceRecord] = {}
        self.running = 0
        """How many readings run or wait for a reader."""
        self._forgotten = 0
        """The highest ticket of the sources that were dropped: whatever comes, or comes back, counts on from there."""

    def record(self, source: str) -> SourceRecord:
        """Return the record of a source, making it at the first call."""
        record = self.records.get(source)
        if record is None:
            last = self._forgotten
            record = self.records[source] = SourceRecord(
                source, first_ticket=last + 1, last_ticket=last, done_ticket=last, wanted_ticket=last
            )
        return record

    def forget(self, source: str) -> None:
        """Drop a source that nobody reads any more."""
        record = self.records.pop(source, None)
        if record is None:
            return
        self.running -= record.running
        self._forgotten = max(self._forgotten, record.last_ticket)
        if record.alarm is not None:
            record.alarm.cancel()

    def want(self, source: str, cause_at: float, asked: Asked) -> int:
        """Note that a reading that starts from now on is wanted, and return its ticket."""
        record = self.record(source)
        if record.wanted_ticket <= record.last_ticket:
            record.cause_at, record.asked = cause_at, asked
        record.wanted_ticket = record.last_ticket + 1
        record.asked = max(record.asked, asked)
        return record.wanted_ticket

    def told_of(self, source: str, at: float) -> None:
        """Note that a file event told of a source (monotonic seconds)."""
        record = self.records.get(source)
        if record is not None:
            record.told_at = at

    def may_start(self, source: str) -> bool:
        """Tell whether a reading is wanted and none runs."""
        record = self.records[source]
        return not record.running and record.wanted_ticket > record.last_ticket

    def start(self, source: str, now: float) -> int:
        """Note that a reading starts now and return its ticket."""
        record = self.record(source)
        record.last_ticket += 1
        record.running = True
        self.running += 1
        record.started_at = now
        record.read_for, record.read_cause_at, record.hinted = record.asked, record.cause_at, False
        return record.last_ticket

    def finish(self, source: str, ticket: int) -> SourceRecord | None:
        """Note that a reading is done and return its record; None when it is a late one that nobody waits for."""
        record = self.records.get(source)
        if record is None or not record.running or ticket != record.last_ticket:
            return None
        record.running = False
        self.running -= 1
        record.done_ticket = ticket
        return record

    def done(self, source: str, ticket: int) -> bool:
        """Tell whether a reading with this ticket or a later one is done."""
        record = self.records.get(source)
        return record is None or record.done_ticket >= ticket

    def of_kind(self, prefix: str) -> list[SourceRecord]:
        """Return the sources of one kind."""
        return [record for name, record in self.records.items() if name.startswith(prefix)]
