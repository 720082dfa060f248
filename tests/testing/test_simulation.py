"""Simulations hold every promise, are the same each time, meet every crash, and find the bugs that are planted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from openclaw_actors.testing.crashes import CrashPoint
from openclaw_actors.testing.simulation.coverage import ALL_TYPES, Coverage
from openclaw_actors.testing.simulation.planted import BUGS
from openclaw_actors.testing.simulation.run import run_script, run_seed, shortest
from openclaw_actors.testing.simulation.script import Op, write_script
from openclaw_actors.testing.simulation.world import World

STEPS = 500
SEEDS = 300
CHUNK = 20
AGAIN = "python -m openclaw_actors.testing simulate --seed"
SEEDS_PER_BUG = 150


def held(seed: int) -> Coverage:
    """Run a seed, fail with what shows it again if it breaks a promise, and return its coverage."""
    outcome = run_seed(seed, STEPS)
    assert outcome.broken is None, f"{outcome.broken} ({AGAIN} {seed} --steps {STEPS})"
    return outcome.coverage


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_seed_holds_every_promise(first: int) -> None:
    """Whatever befalls the files, clocks, sources and actors: nothing is lost, hidden wrongly or left unanswered."""
    for seed in range(first, first + CHUNK):
        held(seed)


@pytest.mark.stress
@pytest.mark.timeout(7200)
def test_ten_thousand_seeds_hold_every_promise_and_meet_every_crash() -> None:
    """The same, often enough that every message type has met every crash point that it has."""
    done = simulate("--seeds", "10000", "--steps", str(STEPS), "--all-hit", "--json")
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_breaks_a_promise(bug: str) -> None:
    """A simulation that finds no bug proves nothing: each of these is found soon, and is no false alarm."""
    for seed in range(SEEDS_PER_BUG):
        outcome = run_seed(seed, STEPS, bug)
        if outcome.broken is not None:
            assert run_seed(seed, STEPS).broken is None, "the same seed holds without the bug"
            assert outcome.trace
            return
    raise AssertionError(f"{bug} was not found by {SEEDS_PER_BUG} seeds")


def test_a_seed_is_one_run_in_any_process() -> None:
    """Neither the hashes of texts nor earlier runs change what a seed does."""
    runs = []
    for hash_seed in ("1", "2"):
        done = simulate("--seed", "7", "--seeds", "3", "--jobs", "1", "--json", PYTHONHASHSEED=hash_seed)
        assert done.returncode == 0, done.stderr
        runs.append([run["digest"] for run in json.loads(done.stdout)["runs"]])
    assert runs[0] == runs[1] == [run_seed(seed, STEPS).digest for seed in (7, 8, 9)]
    assert len(set(runs[0])) == 3


def test_a_broken_promise_is_shown_with_its_seed_and_a_short_trace() -> None:
    """What leads to a planted bug's failure shrinks to a few operations that break the same promise."""
    outcome = next(one for one in (run_seed(seed, STEPS, "told-twice") for seed in range(20)) if one.broken is not None)
    assert outcome.broken is not None
    script = shortest(write_script(outcome.seed, STEPS), outcome.broken.kind, "told-twice", budget_s=20.0)
    assert len(script) < 20


def test_the_command_finds_planted_bugs_and_says_how_to_see_a_failure_again() -> None:
    """`--plant` ends well when the bug was found; its table names the promise."""
    done = simulate("--plant", "secret-in-message")
    assert (done.returncode, done.stderr) == (0, "")
    assert "messages hold no secret" in done.stdout


def test_the_command_shows_the_coverage() -> None:
    """Every message type has a row, and what was not met says so."""
    done = simulate("--seeds", "3", "--steps", "50", "--jobs", "1", "--all-hit")
    assert done.returncode == 1, "three short seeds meet few crashes"
    assert all(kind in done.stdout for kind in ALL_TYPES)
    assert "not met yet" in done.stdout


def test_any_part_of_a_script_is_a_script(tmp_path: Path) -> None:
    """Operations that find nothing to act on do nothing, so that traces can be shortened."""
    script = write_script(3, STEPS)
    for part in (script[::2], script[250:], tuple(op for op in script if op.name != "step")):
        assert run_script(part).broken is None


def test_every_operation_does_something(tmp_path: Path) -> None:
    """No operation of the world is dead: each has acted in some seed."""
    done = Coverage()
    for seed in range(40):
        done.add(run_seed(seed, STEPS).coverage)
    acts = {name.removeprefix("_do_") for name in dir(World) if name.startswith("_do_")} - {"crash_at"}
    assert acts <= set(done.done)
    assert {point for _, point in done.crashed} == {str(point) for point in CrashPoint}


def test_a_script_depends_on_its_seed_and_length_alone() -> None:
    """The same seed gives the same operations; another one gives others."""
    assert write_script(5, 40) == write_script(5, 40)
    assert write_script(5, 40) != write_script(6, 40)
    assert all(isinstance(op, Op) for op in write_script(5, 40))


def simulate(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command as people do."""
    command = [sys.executable, "-m", "openclaw_actors.testing", "simulate", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200", **env}, check=False
    )
