"""The windows in which only usage is written: what they cost, by the supervisor's own counters."""

from __future__ import annotations

import msgspec

from bench.soak.journal import Window, WindowKind
from bench.soak.violations import Violations
from openclaw_actors import Stats


class WindowCosts(msgspec.Struct):
    """What all windows of one kind cost together."""

    windows: int = 0
    skipped: int = 0
    """Windows that began while an answer was still to come: nothing can be said of them."""
    provider_checks: int = 0
    sweeps: int = 0
    store_reads: int = 0
    shared_reads: int = 0
    watch_hints: int = 0


class Windows:
    """Compares the counters at a window's end with those at its begin."""

    def __init__(self, violations: Violations) -> None:
        self._violations = violations
        self.costs: dict[WindowKind, WindowCosts] = {"usage": WindowCosts(), "config": WindowCosts()}
        self._began: tuple[WindowKind, Stats] | None = None

    @property
    def current(self) -> str:
        """The kind of the window that is open; empty between windows."""
        return "" if self._began is None else self._began[0]

    def demand_one_of_each(self) -> None:
        """Take it as a violation when no window of some kind could be judged: nothing is known of what usage costs."""
        for kind, costs in self.costs.items():
            if not costs.windows:
                self._violations.add(f"no {kind} window could be judged; {costs.skipped} skipped")

    def take(self, window: Window, stats: Stats, *, is_settled: bool) -> None:
        """Take in a window's begin or end."""
        costs = self.costs[window.kind]
        if window.begins:
            self._began = (window.kind, stats) if is_settled else None
            costs.skipped += not is_settled
            return
        if self._began is None:
            return
        (kind, before), self._began = self._began, None
        costs.windows += 1
        checks, sweeps = stats.provider_checks - before.provider_checks, stats.sweeps - before.sweeps
        store_reads, shared_reads = stats.store_reads - before.store_reads, stats.shared_reads - before.shared_reads
        hints = stats.watch_hints - before.watch_hints
        costs.watch_hints += hints
        costs.provider_checks += checks
        costs.sweeps += sweeps
        costs.store_reads += store_reads
        costs.shared_reads += shared_reads
        name = f"{kind} window {costs.windows}"
        if checks or sweeps:
            self._violations.add(f"{name}: {checks} checks and {sweeps} sweeps, with nothing written but usage")
        if not (store_reads and hints):
            self._violations.add(f"{name}: {hints} hints and {store_reads} store reads, though usage was written")
        if kind == "config" and not shared_reads:
            self._violations.add(f"{name}: the config was not read, though it was written")
