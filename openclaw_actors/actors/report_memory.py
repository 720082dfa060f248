"""What outlives a FailureListener: kept with the supervisor, written by the living listener alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from openclaw_actors.actors.unwritten_usage import UnwrittenUsage
from openclaw_actors.auth.ledger import LedgerEntry, LedgerKey
from openclaw_actors.ids import Generation, StoreId
from openclaw_actors.messages import ReportFailure, ReportSuccess

LedgerBook = dict[LedgerKey, LedgerEntry]

Report = ReportFailure | ReportSuccess


@dataclass(slots=True)
class ReportMemory:
    """All that was reported, as far as it isn't on disk and published. Any thread may look; none but the listener's
    writes.
    """

    ledger: LedgerBook = field(default_factory=dict)
    """What is known of each secret."""
    entries: int = 0
    """How many entries the ledger has had."""
    unwritten: dict[StoreId, UnwrittenUsage] = field(default_factory=dict)
    """Usage that is not on disk yet, also what a write under way took. That write's result is told to whichever
    incarnation lives then, so none is done twice because of a death."""
    forgotten: dict[tuple[StoreId, str], Generation] = field(default_factory=dict)
    """Up to which attempt what was reported of a profile isn't to be written: it was removed or cleared then."""
    held: dict[tuple[StoreId, str], int] = field(default_factory=dict)
    """Profiles that are being removed or cleared, by how many at a time. Writing threads look, too."""
    early: deque[Report] = field(default_factory=deque)
    """Reports for agents that aren't published yet."""

    @property
    def is_unfinished(self) -> bool:
        """Whether anything waits to be written."""
        return any(waiting.writing or waiting.steps for waiting in list(self.unwritten.values()))

    def reports(self, told: Iterable[object]) -> set[Generation]:
        """Return the attempts that a listener will answer: of reports that wait here, and of those told to it."""
        found = {report.generation for report in list(self.early)}
        return found | {message.generation for message in told if isinstance(message, ReportFailure | ReportSuccess)}
