"""Runs: one seed or many, and the shortest script that still breaks the same promise."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from openclaw_actors.log import log
from openclaw_actors.reading.job import describe_error, places
from openclaw_actors.testing.simulation.coverage import Coverage
from openclaw_actors.testing.simulation.invariants import Invariants
from openclaw_actors.testing.simulation.planted import planted
from openclaw_actors.testing.simulation.promise import Violation
from openclaw_actors.testing.simulation.script import Op, write_script
from openclaw_actors.testing.simulation.world import World

SETTLING = "settling"
"""Where a promise was broken that must hold in the end."""


@dataclass(slots=True)
class Broken:
    """A promise that didn't hold."""

    promise: str
    at: str
    """After which operation: its number in the script, or `settling`."""

    @property
    def kind(self) -> str:
        """The promise without what it was broken by."""
        return self.promise.partition(":")[0]


@dataclass(slots=True)
class Outcome:
    """What became of one run."""

    seed: int
    steps: int
    broken: Broken | None
    coverage: Coverage
    took_s: float
    trace: list[str] = field(default_factory=list)
    """What was done, for people; the last line came last."""
    digest: str = ""
    """Tells two runs apart: of all messages, in order."""


def run_script(script: Iterable[Op], *, seed: int = 0) -> Outcome:
    """Carry out a script in a new world, in a temporary folder, and hold it against what must hold.

    Anything that isn't an injected crash and comes out of the actors or a read is a broken promise, too.
    """
    began = time.perf_counter()
    script = tuple(script)
    with _folder() as folder:
        world = World(folder)
        broken: Broken | None = None
        at = "the start"
        try:
            invariants = Invariants(world)
            world.start()
            for number, op in enumerate(script):
                at = f"operation {number}, {op}"
                if op.name == "hold_snapshot":
                    invariants.hold_snapshot(op.a)
                if world.do(op):
                    invariants.check()
            at = SETTLING
            world.settle()
            invariants.check_settled()
            at = "stopping"
            world.finish()
            invariants.check_stopped()
        except Violation as violation:
            broken = Broken(str(violation), at)
        except Exception as error:  # whatever our own code raises where nothing may
            broken = Broken(f"nothing is raised: {describe_error(error)} at {places(error, 3)}", at)
        finally:
            _end(world)
        kinds = " ".join(f"{name}:{type(message).__name__}" for name, message in world.supervisor.history)
        return Outcome(
            seed,
            len(script),
            broken,
            world.coverage,
            time.perf_counter() - began,
            world.trace if broken is not None else [],
            _short(kinds),
        )


def run_seed(seed: int, steps: int, plant: str = "") -> Outcome:
    """Run one seed, with a planted bug if one is named."""
    with planted(plant):
        return run_script(write_script(seed, steps), seed=seed)


def run_seeds(
    seeds: Iterable[int], steps: int, *, jobs: int = 1, plant: str = "", on_outcome: Callable[[Outcome], None]
) -> None:
    """Run many seeds, several at a time, and hand over each outcome as it comes. `KeyboardInterrupt` ends it early,
    with its processes.
    """
    if jobs <= 1:
        for seed in seeds:
            on_outcome(run_seed(seed, steps, plant))
        return
    # not forked: a child must not begin with the threads' locks of whoever calls this; leaving it ends the processes
    with get_context("spawn").Pool(jobs, _be_quiet) as pool:
        for outcome in pool.imap(_of, ((seed, steps, plant) for seed in seeds), chunksize=4):
            on_outcome(outcome)


def shortest(script: Iterable[Op], kind: str, plant: str = "", *, budget_s: float = 60.0) -> tuple[Op, ...]:
    """Return a script that breaks the same promise and of which no part can be left out, as far as time allows.

    Args:
        script: One that breaks it.
        kind: `Broken.kind`.
        plant: The planted bug, if one is.
        budget_s: How long to look for a shorter one, in seconds.
    """
    until = time.monotonic() + budget_s
    found = tuple(script)
    part = max(1, len(found) // 2)
    while time.monotonic() < until:
        shorter = _without_a_part(found, part, kind, plant, until)
        if shorter is not None:
            found = shorter
            part = min(part, max(1, len(found) // 2))
        elif part == 1:
            break
        else:
            part = max(1, part // 2)
    return found


def _without_a_part(script: tuple[Op, ...], part: int, kind: str, plant: str, until: float) -> tuple[Op, ...] | None:
    removed = False
    begin = 0
    while begin < len(script) and time.monotonic() < until:
        shorter = script[:begin] + script[begin + part :]
        with planted(plant):  # anew for each run: some bugs count
            broken = run_script(shorter).broken
        if broken is not None and broken.kind == kind:
            script, removed = shorter, True
        else:
            begin += part
    return script if removed else None


def _be_quiet() -> None:
    """Leave Ctrl-C to the process that asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _of(arguments: tuple[int, int, str]) -> Outcome:
    return run_seed(*arguments)


def _end(world: World) -> None:
    try:
        world.supervisor.stop()
    except Exception as error:
        log.debug("a simulated supervisor didn't stop well: {}", describe_error(error))


def _short(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def _folder() -> Iterator[Path]:
    # in memory where there is such a place: a run writes some hundred small files
    memory = Path("/dev/shm")  # noqa: S108  # a new folder in it, with a random name
    folder = Path(tempfile.mkdtemp(prefix="openclaw-simulation-", dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
