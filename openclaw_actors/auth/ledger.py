"""The failure ledger: what was reported of a very secret in this process, beside the windows on disk."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

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


def effective_windows(on_disk: Windows | None, entry: LedgerEntry | None) -> Windows | None:
    """Return the windows that count: the newer evidence wins, by the time at which it was observed.

    A report that has reached the disk is as old there as here, and then the disk counts: so whatever another process
    did since (a success, a cleared cooldown) is seen, and nothing has to remember what was written.
    """
    if entry is None:
        return on_disk
    if on_disk is None:
        return entry.windows
    newest = max(on_disk.last_failure_at or 0, on_disk.last_used or 0)
    return entry.windows if entry.observed_ms > newest else on_disk
