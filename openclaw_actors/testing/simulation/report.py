"""What people see of simulations: the trace of a broken promise, the coverage, the bugs that were found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from openclaw_actors.testing.crashes import CrashPoint
from openclaw_actors.testing.simulation.coverage import ALL_TYPES, Coverage
from openclaw_actors.testing.simulation.run import Outcome

COMMAND = "python -m openclaw_actors.testing simulate"


def show_broken(outcome: Outcome, console: Console, plant: str = "") -> None:
    """Print a broken promise, how to see it again, and what led to it."""
    broken = outcome.broken
    assert broken is not None
    console.print(f"[bold red]broken[/]: {escape(broken.promise)}", highlight=False)
    console.print(f"  at {broken.at}", highlight=False)
    for line in outcome.trace:
        console.print(f"  - {escape(line)}", highlight=False)
    more = f" --plant {plant}" if plant else ""
    console.print(f"again: {COMMAND} --seed {outcome.seed} --steps {outcome.steps}{more}", highlight=False)


def show_coverage(coverage: Coverage, console: Console) -> None:
    """Print how often each message type met each crash point."""
    table = Table(
        title="actors that crashed, by message and by where in its handling",
        title_justify="left",
        caption="before: with the message in the mailbox; entry: as the handler begins; effect: after it told "
        "somebody, asked for a read or set an alarm; after: when it is done. –: no such effect was seen",
        caption_justify="left",
    )
    table.add_column("message")
    for heading in ("handled", *CrashPoint):
        table.add_column(str(heading), justify="right")
    missed = set(coverage.missed())
    for kind in ALL_TYPES:
        cells = [str(coverage.handled[kind])]
        for point in CrashPoint:
            count = coverage.crashed[kind, str(point)]
            # a handler that tells nobody, asks for no read and sets no alarm has nothing to crash after
            cells.append(str(count) if count else "[red]0[/]" if (kind, str(point)) in missed else "[dim]–[/]")
        table.add_row(kind, *cells)
    console.print(table)
    if missed:
        console.print(f"[yellow]not met yet[/]: {len(missed)} crash points; more seeds meet more", highlight=False)
    else:
        console.print("[green]every message met every crash point that it has[/]")


def show_found(found: Iterable[tuple[str, Outcome | None]], console: Console) -> None:
    """Print which planted bug was found by which seed."""
    table = Table(title="planted bugs", title_justify="left")
    for heading in ("bug", "seed", "broken promise"):
        table.add_column(heading)
    for name, outcome in found:
        if outcome is None or outcome.broken is None:
            table.add_row(name, "–", "[red]not found[/]")
        else:
            table.add_row(name, str(outcome.seed), escape(outcome.broken.promise))
    console.print(table)


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain data."""
    broken = outcome.broken
    return {
        "seed": outcome.seed,
        "steps": outcome.steps,
        "digest": outcome.digest,
        "broken": None if broken is None else {"promise": broken.promise, "at": broken.at, "trace": outcome.trace},
    }


def coverage_json(coverage: Coverage) -> dict[str, Any]:
    """Return the coverage as plain data."""
    return {
        "handled": {kind: coverage.handled[kind] for kind in ALL_TYPES},
        "crashed": {
            kind: {str(point): coverage.crashed[kind, str(point)] for point in CrashPoint} for kind in ALL_TYPES
        },
        "missed": [list(pair) for pair in coverage.missed()],
        "operations": dict(sorted(coverage.done.items())),
    }
