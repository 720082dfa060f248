"""`python -m openclaw_actors.testing`: simulations of the actors."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import Progress

from openclaw_actors.testing.simulation.coverage import Coverage
from openclaw_actors.testing.simulation.planted import BUGS, planted
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
_INTERRUPTED = 130
"""What a shell makes of Ctrl-C."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Simulations of the actors, for people who work on them."""


@main.command()
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The first seed.")
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=None,
    help=f"How many seeds, one after another.  [default: 1; with --plant at most {_MOST_SEEDS_PER_BUG}]",
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
    seed: int, seeds: int | None, steps: int, jobs: int, plant: str | None, shrink: bool, all_hit: bool, as_json: bool
) -> None:
    """Run the real actors in a scripted world and check what must hold after each step.

    The world has files that change, tear and vanish, file events that get lost, clocks that jump, sources that hang and
    fail, and actors that crash at every message boundary. The same seed and steps are the same run, on any machine. A
    broken promise is printed with its seed and the shortest trace that still breaks it.

    With --plant the seeds run in one process until the bug is found.

    \b
    Exit status:
      0    all promises held (with --plant: the bug was found)
      1    a promise was broken (with --plant: the bug was not found), or --all-hit missed something
      130  interrupted; what was found by then is printed
    """
    console = Console(file=sys.stderr if as_json else None)
    # as Ctrl-C: the processes that simulate end, and what was found is told
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if plant is not None:
        sys.exit(_look_for(plant, range(seed, seed + (seeds or _MOST_SEEDS_PER_BUG)), steps, shrink, as_json, console))
    sys.exit(_hold(range(seed, seed + (seeds or 1)), steps, jobs, shrink, all_hit, as_json, console))


def _hold(seeds: range, steps: int, jobs: int, shrink: bool, all_hit: bool, as_json: bool, console: Console) -> int:
    """Run seeds that are to hold every promise; return the exit status."""
    coverage, broken, outcomes = Coverage(), [], []
    interrupted = False
    with _progress(console, len(seeds)) as advance:

        def note(outcome: Outcome) -> None:
            coverage.add(outcome.coverage)
            outcomes.append(outcome)
            if outcome.broken is not None:
                broken.append(outcome)
            advance()

        try:
            run_seeds(seeds, steps, jobs=min(jobs, len(seeds)), on_outcome=note)
        except KeyboardInterrupt:
            interrupted = True
    shortest_one = _shrunk(broken[0]) if broken and shrink and not interrupted else broken[0] if broken else None
    missed = coverage.missed()
    if as_json:
        first = outcome_json(shortest_one) if shortest_one is not None else None
        runs = [outcome_json(one) for one in outcomes]
        print(json.dumps({"runs": runs, "shortest": first, "coverage": coverage_json(coverage)}, indent=2))
    else:
        show_coverage(coverage, console)
        if shortest_one is not None:
            show_broken(shortest_one, console)
        if len(broken) > 1:
            console.print(f"broken by the seeds {', '.join(str(one.seed) for one in broken)}", highlight=False)
        held = f"{len(outcomes) - len(broken)} of {len(outcomes)} seeds of {steps} steps held every promise"
        console.print(f"{held}{f'; {len(seeds)} were asked for' if interrupted else ''}", highlight=False)
        if all_hit and missed:
            console.print("--all-hit: not every message met every crash point that it has", highlight=False)
    return _INTERRUPTED if interrupted else 1 if broken or (all_hit and missed) else 0


def _look_for(plant: str, seeds: range, steps: int, shrink: bool, as_json: bool, console: Console) -> int:
    """Run seeds until each planted bug is found; return the exit status."""
    names = list(BUGS) if plant == "all" else [plant]
    found: dict[str, Outcome | None] = {}
    with _progress(console, len(names)) as advance:
        for name in names:
            outcomes = (run_seed(one, steps, name) for one in seeds)
            outcome = next((outcome for outcome in outcomes if outcome.broken is not None), None)
            found[name] = _shrunk(outcome, name) if outcome is not None and shrink and len(names) == 1 else outcome
            advance()
    if as_json:
        print(json.dumps({name: outcome_json(one) if one else None for name, one in found.items()}, indent=2))
    elif len(names) > 1:
        show_found(found.items(), console)
    elif (only := found[plant]) is not None:
        show_broken(only, console, plant)
    else:
        console.print(f"{plant} was not found by {len(seeds)} seeds", highlight=False)
    return 0 if all(found.values()) else 1


def _shrunk(outcome: Outcome, plant: str = "") -> Outcome:
    """Return the outcome of the shortest script that breaks the same promise, under the seed of the long one."""
    assert outcome.broken is not None
    script = shortest(write_script(outcome.seed, outcome.steps), outcome.broken.kind, plant)
    with planted(plant):
        shrunk = run_script(script, seed=outcome.seed)
    if shrunk.broken is None:
        return outcome
    shrunk.steps, shrunk.broken.at = outcome.steps, outcome.broken.at
    return shrunk


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[], None]]:
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("simulating", total=total)
        yield lambda: progress.advance(task)


if __name__ == "__main__":
    main(prog_name="python -m openclaw_actors.testing")
