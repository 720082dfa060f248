"""The failure ledger: what was reported of a very secret in this process, beside the windows on disk.

Also what of it waits to be written there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field

import msgspec

from openclaw_actors.auth.failures import active_windows
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import EvidenceId, StoreId


class LedgerKey(msgspec.Struct, frozen=True, gc=False):
    """What a report is about: an inherited profile that fails, fails for all who see its store."""

    store: StoreId | None
    evidence_id: EvidenceId
    digest: bytes | None


class LedgerEntry(msgspec.Struct, frozen=True, gc=False):
    """The latest known windows of one secret."""

    windows: Windows
    observed_ms: int
    """When the latest report was observed, in epoch milliseconds."""


Ledger = Mapping[LedgerKey, LedgerEntry]
"""Never mutated once handed out: its one writer, the FailureListener, publishes a new mapping for each change."""


Step = Callable[[Windows | None], Windows | None]
"""What one report does to the usage stats that are on disk by then."""

_MOST_STEPS = 50
"""How many reports of one profile wait for a write; older ones hardly matter to what its windows are."""

_MOST_ENTRIES = 4096
"""How many secrets are remembered at most; one process sees far fewer, unless secrets rotate for months."""
_PRUNED_TO = 3840
"""How many are kept when there are more: somewhat fewer, so that not every further report sorts them all."""


def newest_time(windows: Windows | None, now_ms: int) -> int:
    """Return when something was last observed of a profile, in epoch milliseconds; 0 when nothing was.

    A time that is still to come was written by a clock that was wrong: it proves nothing.
    """
    if windows is None:
        return 0
    times = (windows.last_failure_at or 0, windows.last_used or 0)
    return max((time for time in times if time <= now_ms), default=0)


def prune(book: MutableMapping[LedgerKey, LedgerEntry], now_ms: int) -> None:
    """Drop entries when there are too many: the oldest whose windows are over, then the oldest. For its one writer."""
    if len(book) <= _MOST_ENTRIES:
        return
    order = sorted(book.items(), key=lambda item: (bool(active_windows(item[1].windows, now_ms)), item[1].observed_ms))
    for key, _ in order[: len(book) - _PRUNED_TO]:
        del book[key]


def effective_windows(on_disk: Windows | None, entry: LedgerEntry | None, now_ms: int) -> Windows | None:
    """Return the windows that count: the newer evidence wins, by the time at which it was observed.

    A report that has reached the disk is as old there as here, and then the disk counts: so whatever another process
    did since (a success, a cleared cooldown) is seen, and nothing has to remember what was written. What the disk dates
    later than `now_ms` (epoch milliseconds) counts as undated.
    """
    if entry is None:
        return on_disk
    if on_disk is None:
        return entry.windows
    return entry.windows if entry.observed_ms > newest_time(on_disk, now_ms) else on_disk


@dataclass(slots=True)
class UnwrittenUsage:
    """Usage of one store that is not written yet."""

    steps: dict[str, list[Step]] = field(default_factory=dict)
    last_good: dict[str, str] = field(default_factory=dict)
    written: dict[str, list[Step]] = field(default_factory=dict)
    """What the write that is under way took, until it is known to be on disk; `written_last_good` likewise."""
    written_last_good: dict[str, str] = field(default_factory=dict)
    due: bool = False
    writing: bool = False
    failures: int = 0
    problem: str = ""

    def add(self, profile: str, step: Step) -> None:
        """Take a step that is to be written."""
        self.steps[profile] = [*self.steps.get(profile, ()), step][-_MOST_STEPS:]

    def begin(self) -> tuple[dict[str, list[Step]], dict[str, str]]:
        """Hand out all that waits, for a write that begins."""
        self.written, self.steps = self.steps, {}
        self.written_last_good, self.last_good = self.last_good, {}
        self.writing = True
        return self.written, self.written_last_good

    def end(self, *, failed: bool) -> None:
        """End a write; what a failed one took goes before whatever came since."""
        if failed:
            for profile, steps in self.written.items():
                self.steps[profile] = [*steps, *self.steps.get(profile, ())][-_MOST_STEPS:]
            self.last_good = self.written_last_good | self.last_good
        self.written, self.written_last_good, self.writing = {}, {}, False

    def forget(self, profiles: tuple[str, ...]) -> None:
        """Drop what waits for these profiles, also for the case that the write under way fails."""
        for steps in (self.steps, self.written):
            for profile in profiles:
                steps.pop(profile, None)
        for last_good in (self.last_good, self.written_last_good):
            for provider in [one for one, name in last_good.items() if name in profiles]:
                del last_good[provider]
