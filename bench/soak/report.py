"""The report of a soak: the figures, as JSON and as a table."""

from __future__ import annotations

import msgspec
from rich.console import Console
from rich.table import Table

from bench.machine import Footprint, Machine
from bench.soak.journal import WindowKind
from bench.soak.matching import Slow
from bench.soak.windows import WindowCosts
from bench.statistics import Summary


class ChangeFigures(msgspec.Struct, frozen=True):
    """Changes of answers: each expected one was seen once, or it was missed."""

    expected: int
    seen: int
    missed: int
    unexpected: int
    of_guests: int
    """Of agents that left the config or came back: seen when that was written, at most once each, and not demanded."""


class LatencyFigures(msgspec.Struct, frozen=True):
    """Latencies in milliseconds; None where there was nothing to measure."""

    rename_to_callback: Summary | None
    """From a rename in the other process to the subscriber's callback in this one."""
    due_to_callback: Summary | None
    """From an expiry or the end of a rest to the callback."""
    seen_to_published: Summary | None
    """`Change.latency_s`: from seeing the cause to publishing the answer."""
    agents_and_default: Summary | None
    """From a rename of the config until a poll found the new agents or default published."""


class ReadFigures(msgspec.Struct, frozen=True):
    """Reads by the main thread while all this went on."""

    done: int
    longest_ms: float
    longest_absence_ms: float
    """The longest time between two batches of reads, which are 4 ms apart: more than that is the machine's doing, or
    another thread's, and shows in the latencies too.
    """


class StillFigures(msgspec.Struct, frozen=True):
    """Cells about which nothing but usage was written."""

    agents: int
    cells: int
    moved: int
    """How many of them were answered again all the same."""
    usage_only_agents: int
    """Agents among these whose own store got nothing but usage."""


class Report(msgspec.Struct, frozen=True):
    """All figures of one run."""

    scenario: str
    package_version: str
    machine: Machine
    seconds: float
    agents: int
    seed: int
    resync_interval_s: float
    interrupted: bool
    edits: dict[str, int]
    changes: ChangeFigures
    windows: dict[WindowKind, WindowCosts]
    still: StillFigures
    latency_ms: LatencyFigures
    slowest: list[Slow]
    """Of the slowest edits, the change that took longest."""
    reads: ReadFigures
    footprint_start: Footprint
    footprint_end: Footprint
    compared_with_fresh: int
    """Answers that a fresh supervisor was asked for too, in the end."""
    warm_ms: float
    """How long the first warm took."""
    stats: dict[str, int]
    """The supervisor's own counters, in the end."""
    violations: list[str]
    """The first ones."""
    violations_total: int

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        return self.violations_total == 0

    @property
    def verdict(self) -> str:
        """What to say in the end: nothing is clean of which no window could be judged."""
        if not self.is_clean:
            return f"{self.violations_total} violations"
        if not all(costs.windows for costs in self.windows.values()):
            return "no violations, but what usage costs was not judged: no window fitted"
        return "clean"

    def json(self) -> bytes:
        """Return the figures as JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def show(report: Report, console: Console) -> None:
    """Print the figures as a table, and what went wrong."""
    table = Table("what", "measured", title=f"soak, {report.seconds:.0f} s", title_justify="left")
    for name, value in _rows(report):
        table.add_row(name, value)
    console.print(table)
    for text in report.violations:
        console.print(f"violation: {text}", style="red", markup=False, highlight=False)
    hidden = report.violations_total - len(report.violations)
    if hidden:
        console.print(f"… and {hidden} more violations", style="red")
    console.print(report.verdict, style="bold")


def _rows(report: Report) -> list[tuple[str, str]]:
    changes, reads, still = report.changes, report.reads, report.still
    begin, end, latency = report.footprint_start, report.footprint_end, report.latency_ms
    rows = [
        ("agents, seed, resync", f"{report.agents}, {report.seed}, every {report.resync_interval_s:g} s"),
        ("first warm", f"{report.warm_ms:.0f} ms"),
        *((f"edits: {kind}", f"{count:,}") for kind, count in sorted(report.edits.items())),
        ("changes of answers: expected", f"{changes.expected:,}"),
        ("changes of answers: seen once, in order", f"{changes.seen:,}"),
        ("changes of answers: missed / unexpected", f"{changes.missed:,} / {changes.unexpected:,}"),
        ("changes of agents that left or came back", f"{changes.of_guests:,}"),
    ]
    for kind, costs in report.windows.items():
        what = "usage alone is written" if kind == "usage" else "an unrelated part of the config is, too"
        skipped = f" ({costs.skipped} more skipped)" if costs.skipped else ""
        judged = f"{costs.windows}" if costs.windows else "no window fitted; run longer"
        rows.append((f"windows in which {what}", f"{judged}{skipped}"))
        rows.append(
            (
                "  checks / sweeps / file events / store reads / shared reads",
                f"{costs.provider_checks:,} / {costs.sweeps:,} / {costs.watch_hints:,} / {costs.store_reads:,} /"
                f" {costs.shared_reads:,}",
            )
        )
    rows += [
        (
            "cells that only usage could touch / answered again",
            f"{still.cells:,} of {still.agents} agents ({still.usage_only_agents} usage only) / {still.moved:,}",
        ),
        ("store reads / shared reads in all", f"{report.stats['store_reads']:,} / {report.stats['shared_reads']:,}"),
        ("checks / sweeps in all", f"{report.stats['provider_checks']:,} / {report.stats['sweeps']:,}"),
        ("resyncs / drifts", f"{report.stats['resyncs']:,} / {report.stats['resync_drifts']:,}"),
        ("rename → callback", _latency(latency.rename_to_callback)),
        ("expiry or end of a rest → callback", _latency(latency.due_to_callback)),
        ("cause seen → published", _latency(latency.seen_to_published)),
        ("config renamed → agents and default are there (polled)", _latency(latency.agents_and_default)),
        ("slowest", "\n".join(f"{one.ms:.1f} ms: {one.cause}, {one.agent}/{one.provider}" for one in report.slowest)),
        (
            "reads / longest one / longest time between two batches",
            f"{reads.done:,} / {reads.longest_ms:.3f} ms / {reads.longest_absence_ms:.1f} ms",
        ),
        ("answers that a fresh supervisor agrees with", f"{report.compared_with_fresh:,} compared"),
        ("RSS, start → end", f"{begin.rss_mib:.1f} → {end.rss_mib:.1f} MiB"),
        ("threads, start → end", f"{begin.threads} → {end.threads}"),
        ("descriptors, start → end", f"{begin.descriptors} → {end.descriptors}"),
        ("on", f"{report.machine.python}, {report.machine.cores} cores, {report.machine.platform}"),
    ]
    return rows


def _latency(summary: Summary | None) -> str:
    if summary is None:
        return "nothing to measure"
    return (
        f"median {summary.median:.1f}, p90 {summary.p90:.1f}, p99 {summary.p99:.1f}, max {summary.max:.1f} ms"
        f" ({summary.count:,})"
    )
