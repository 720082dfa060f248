"""The failure ledger: what was reported of a very secret in this process, beside the windows on disk."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping

import msgspec

from openclaw_actors.auth.failures import active_windows
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import EvidenceId, StoreId


class LedgerKey(msgspec.Struct, frozen=True, gc=False):
    """What a report is about: an inherited profile that fails, fails for all who see its store."""

    store: StoreId | None
    evidence_id: EvidenceId
    digest: bytes | None


Times = tuple[int | None, int | None]
"""When something was last used, and when it last failed, as a store has it, in epoch milliseconds."""


class LedgerEntry(msgspec.Struct, frozen=True, gc=False):
    """The latest known windows of one secret."""

    windows: Windows
    observed_ms: int
    """When the latest report was observed, in epoch milliseconds."""
    serial: int = 0
    """Which entry of the ledger it is: of two the higher one is newer, whatever the clock said. 0 for what is expected
    of a report that the ledger doesn't have yet.
    """
    seen: Times | None = None
    """What the disk said when the report was made: as long as it says just that, it has nothing newer."""


Ledger = Mapping[LedgerKey, LedgerEntry]
"""What readers of it are given: copies that the WarmerActor makes. The FailureListener has the original."""


_MOST_ENTRIES = 4096
"""How many secrets are remembered at most; one process sees far fewer, unless secrets rotate for months."""
_PRUNED_TO = 3840
"""How many are kept when there are more: somewhat fewer, so that not every further report sorts them all."""


def latest_time(windows: Windows) -> int:
    """Return the latest time that windows hold of an observation, believable or not, in epoch milliseconds."""
    return max(windows.last_failure_at or 0, windows.last_used or 0)


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


def times_of(windows: Windows | None) -> Times:
    """Return what tells one state of the usage on disk from the next."""
    return (windows.last_used, windows.last_failure_at) if windows is not None else (None, None)


def effective_windows(on_disk: Windows | None, entry: LedgerEntry | None, now_ms: int) -> Windows | None:
    """Return the windows that count: the newer evidence wins, by the time at which it was observed.

    A report that has reached the disk is as old there as here, and then the disk counts: so whatever another process
    did since (a success, a cleared cooldown) is seen, and nothing has to remember what was written. What the disk dates
    later than `now_ms` (epoch milliseconds) counts as undated until then, and what a report was made on top of counts
    for no newer than that, whatever its date.
    """
    if entry is None:
        return on_disk
    if on_disk is None or times_of(on_disk) == entry.seen:
        return entry.windows
    return entry.windows if entry.observed_ms > newest_time(on_disk, now_ms) else on_disk


def may_turn_at(on_disk: Windows | None, entry: LedgerEntry | None, now_ms: int) -> float:
    """Return when what the disk dates later than `now_ms` counts against a report, in epoch seconds; infinity when
    nothing does.
    """
    if on_disk is None or entry is None or times_of(on_disk) == entry.seen:
        return math.inf
    return min(
        (time_ms / 1000 for time_ms in times_of(on_disk) if time_ms is not None and time_ms > now_ms), default=math.inf
    )
