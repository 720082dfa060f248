"""Simulations hold every promise, are the same each time, meet every crash, and find the bugs that are planted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from openclaw_actors.testing.crashes import CrashPoint
from openclaw_actors.testing.simulation.coverage import ALL_TYPES, Coverage
from openclaw_actors.testing.simulation.planted import BUGS
from openclaw_actors.testing.simulation.run import run_script, run_seed, shortest
from openclaw_actors.testing.simulation.script import Op, write_script
from openclaw_actors.testing.simulation.world import World

STEPS = 500
SEEDS = 200
CHUNK = 20
AGAIN = "python -m openclaw_actors.testing simulate --seed"
SEEDS_PER_BUG = 100


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


BROKEN_BY = {
    "all-providers-are-swept": (5, "an edit checks what it touches"),
    "any-result-counts": (94, "one sweep per agent runs"),
    "changing-snapshot": (3, "a snapshot that a reader holds never changes"),
    "cleared-before-refill": (0, "the last good answer stays"),
    "costly-use": (1, "a use costs no check"),
    "dropped-result": (1, "every attempt is answered"),
    "forgives-nothing": (5, "a recheck forgives"),
    "forgotten-ledger": (7, "any history ends in what a fresh start would answer"),
    "forgotten-revision": (1, "revisions never go back"),
    "forgotten-scope": (10, "every attempt is answered"),
    "generation-goes-back": (1, "a cell's generation never goes back"),
    "ignored-rescan": (5, "what an overflow hides is looked for"),
    "ignored-rest": (5, "what is rate limited rests"),
    "lost-hint": (26, "a new credential shows within 0.4 s"),
    "no-alarm": (1, "any history ends in what a fresh start would answer"),
    "no-restart-of-the-listener": (0, "every attempt is answered"),
    "no-restart-of-the-warmer": (0, "every attempt is answered"),
    "no-restart-of-the-watcher": (7, "every condition is true again"),
    "secret-in-message": (0, "messages hold no secret"),
    "told-twice": (0, "each change is told once, in order"),
    "unanswered-report": (2, "every attempt is answered"),
    "unhiding-sweep": (33, "what was refused stays hidden"),
    "unwritten-usage": (24, "what was reported is written"),
}
"""Each planted bug, with a seed to look at first and the promise that it breaks."""


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_breaks_its_promise(bug: str) -> None:
    """A simulation that finds no bug proves nothing: each of these is found, for the right reason."""
    first, promise = BROKEN_BY[bug]
    found = set()
    for seed in (first, *range(SEEDS_PER_BUG)):
        outcome = run_seed(seed, STEPS, bug)
        if outcome.broken is not None:
            assert outcome.trace
            assert run_seed(seed, STEPS).broken is None, "the same seed holds without the bug"
            found.add(outcome.broken.kind)
            if promise in found:
                return
    raise AssertionError(f"{bug} broke {found or 'nothing'} in {SEEDS_PER_BUG} seeds, not {promise!r}")


def test_a_seed_is_one_run_in_any_folder() -> None:
    """Paths differ from run to run; what happens doesn't."""
    for seed in range(6):
        assert run_seed(seed, STEPS).digest == run_seed(seed, STEPS).digest, f"seed {seed}"


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
    """`--plant` ends well when the bug was found, and shows what led to it and how to see it again."""
    done = simulate("--plant", "secret-in-message")
    assert (done.returncode, done.stderr) == (0, "")
    assert "messages hold no secret" in done.stdout
    assert (
        "again: python -m openclaw_actors.testing simulate --seed 0 --steps 500 --plant secret-in-message"
        in done.stdout
    )
    assert simulate("--plant", "unhiding-sweep", "--seeds", "1").returncode == 1, "one seed is one seed"


def test_the_command_tells_what_it_has_when_it_is_interrupted() -> None:
    """Ctrl-C and SIGTERM end it with its processes, and with what was found by then."""
    for number in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen(
            [sys.executable, "-m", "openclaw_actors.testing", "simulate", "--seeds", "5000", "--jobs", "2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            children = wait_for(lambda: len(psutil.Process(process.pid).children(recursive=True)) >= 2 and process)
            assert children is not None
            before = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(number)
            said, _ = process.communicate(timeout=30)
            assert process.returncode == 130
            assert "5000 were asked for" in said
            wait_for(partial(all_gone, before))


def all_gone(processes: list[psutil.Process]) -> bool:
    """Tell whether none of these processes runs any more."""
    return not any(process.is_running() for process in processes)


def wait_for(is_so: Callable[[], object], timeout_s: float = 20.0) -> object:
    """Wait until something is so, and return it."""
    until = time.monotonic() + timeout_s
    while not (found := is_so()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)
    return found


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
    acts = {name.removeprefix("_do_") for name in dir(World) if name.startswith("_do_")} - {"crash_at"}
    points = {str(point) for point in CrashPoint}
    for seed in range(40):
        done.add(run_seed(seed, STEPS).coverage)
        if acts <= set(done.done) and {point for _, point in done.crashed} == points:
            return
    assert (acts - set(done.done), points - {point for _, point in done.crashed}) == (set(), set())


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
