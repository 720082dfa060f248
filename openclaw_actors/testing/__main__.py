"""`python -m openclaw_actors.testing`: simulations of the actors."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import Progress

from openclaw_actors.testing.simulation.coverage import Coverage
from openclaw_actors.testing.simulation.planted import BUGS
from openclaw_actors.testing.simulation.report import (
    coverage_json,
    outcome_json,
    show_broken,
    show_coverage,
    show_found,
)
from openclaw_actors.testing.simulation.run import Outcome, run_script, run_seed, run_seeds, shortest
from openclaw_actors.testing.simulation.script import write_script

_MOST_SEEDS_PER_BUG = 400


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Simulations of the actors, for people who work on them."""


@main.command()
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The first seed.")
@click.option(
    "--seeds", type=click.IntRange(1), default=1, show_default=True, help="How many seeds, one after another."
)
@click.option("--steps", type=click.IntRange(1), default=500, show_default=True, help="Operations per seed.")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, show_default=True, help="Processes.")
@click.option(
    "--plant", type=click.Choice([*BUGS, "all"]), default=None, help="Put a bug in; the simulation is to find it."
)
@click.option("--shrink/--no-shrink", default=True, show_default=True, help="Look for the shortest trace.")
@click.option("--all-hit", is_flag=True, help="Fail when a message has not met a crash point that it has.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def simulate(
    seed: int, seeds: int, steps: int, jobs: int, plant: str | None, shrink: bool, all_hit: bool, as_json: bool
) -> None:
    """Run the real actors in a scripted world and check what must hold after each step.

    The world has files that change, tear and vanish, file events that get lost, clocks that jump, sources that hang and
    fail, and actors that crash at every message boundary. The same seed and steps are the same run, on any machine. A
    broken promise is printed with its seed and the shortest trace that still breaks it.

    \b
    Exit status: 0 all promises held (with --plant: the bug was found); 1 otherwise.
    """
    console = Console(file=sys.stderr if as_json else None)
    wanted = range(seed, seed + seeds)
    if plant is not None:
        found = {
            name: _find(name, seed, max(seeds, _MOST_SEEDS_PER_BUG if seeds == 1 else 1), steps)
            for name in _bugs(plant)
        }
        if as_json:
            print(json.dumps({name: outcome_json(one) if one else None for name, one in found.items()}, indent=2))
        else:
            show_found(found.items(), console)
        sys.exit(0 if all(found.values()) else 1)
    coverage, broken, outcomes = Coverage(), [], []
    with _progress(console, len(wanted)) as advance:

        def note(outcome: Outcome) -> None:
            coverage.add(outcome.coverage)
            outcomes.append(outcome_json(outcome))
            if outcome.broken is not None:
                broken.append(outcome)
            advance()

        run_seeds(wanted, steps, jobs=min(jobs, seeds), on_outcome=note)
    if broken and shrink:
        broken[0] = _shrunk(broken[0])
    missed = coverage.missed()
    if as_json:
        first = outcome_json(broken[0]) if broken else None
        print(json.dumps({"runs": outcomes, "shortest": first, "coverage": coverage_json(coverage)}, indent=2))
    else:
        if seeds > 1:
            show_coverage(coverage, console)
        for outcome in broken[:1]:
            show_broken(outcome, console)
        if len(broken) > 1:
            console.print(f"broken by the seeds {', '.join(str(one.seed) for one in broken)}", highlight=False)
        held = seeds - len(broken)
        console.print(f"{held} of {seeds} seeds of {steps} steps held every promise", highlight=False)
    sys.exit(1 if broken or (all_hit and missed) else 0)


def _bugs(plant: str) -> list[str]:
    return list(BUGS) if plant == "all" else [plant]


def _find(name: str, seed: int, seeds: int, steps: int) -> Outcome | None:
    """Return the first seed's outcome in which a planted bug breaks a promise."""
    outcomes = (run_seed(one, steps, name) for one in range(seed, seed + seeds))
    return next((outcome for outcome in outcomes if outcome.broken is not None), None)


def _shrunk(outcome: Outcome) -> Outcome:
    """Return the outcome of the shortest script that breaks the same promise, under the seed of the long one."""
    assert outcome.broken is not None
    script = shortest(write_script(outcome.seed, outcome.steps), outcome.broken.kind)
    shrunk = run_script(script, seed=outcome.seed)
    if shrunk.broken is None:
        return outcome
    shrunk.steps = outcome.steps
    return shrunk


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[], None]]:
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("seeds", total=total)
        yield lambda: progress.advance(task)


if __name__ == "__main__":
    main(prog_name="python -m openclaw_actors.testing")
