"""The reader pool: one runs, the blocked don't hold others up, the hanging are given up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from loguru import logger

from openclaw_actors.clock import SystemClock
from openclaw_actors.errors import StoreUnreadableError
from openclaw_actors.reading.job import Failure, ReadJob, ReadOutcome, describe_error
from openclaw_actors.reading.pool import ReaderPool

WAIT_S = 10.0
PATIENT_S = 60.0


class Outcomes:
    """Collects outcomes and lets the test wait for a number of them."""

    def __init__(self) -> None:
        self.all: list[ReadOutcome] = []
        self.changed = threading.Condition()

    def deliver(self, outcome: ReadOutcome) -> None:
        with self.changed:
            self.all.append(outcome)
            self.changed.notify_all()

    def wait_for(self, number: int) -> list[ReadOutcome]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.all) >= number, WAIT_S), self.all
            return list(self.all)

    def of(self, source: str) -> list[Failure]:
        return [outcome.failure for outcome in self.all if outcome.source == source]


class Hanging:
    """Reads that hang until they are let go."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.begun = threading.Semaphore(0)
        self.threads: list[threading.Thread] = []

    def read(self) -> str:
        self.threads.append(threading.current_thread())
        self.begun.release()
        self.go_on.wait(PATIENT_S)
        return "late"

    def wait_begun(self, number: int) -> None:
        for _ in range(number):
            assert self.begun.acquire(timeout=WAIT_S)

    def end(self) -> None:
        self.go_on.set()

    def join(self) -> None:
        self.end()
        for thread in self.threads:
            thread.join(WAIT_S)
            assert not thread.is_alive()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    made = Hanging()
    yield made
    made.end()


@pytest.fixture
def pool_of(hanging: Hanging) -> Iterator[Callable[..., ReaderPool]]:
    made: list[ReaderPool] = []

    def make(**knobs: float) -> ReaderPool:
        made.append(ReaderPool(SystemClock(), **knobs))  # type: ignore[arg-type]
        return made[-1]

    yield make
    hanging.end()
    for pool in made:
        pool.stop(WAIT_S)
    for thread in hanging.threads:
        thread.join(WAIT_S)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("openclaw-reader")]


@pytest.fixture
def logs() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda text: lines.append(str(text)), format="{message} {extra}", level=0, diagnose=True)
    logger.enable("openclaw_actors")
    yield lines
    logger.disable("openclaw_actors")
    logger.remove(sink)


PoolOf = Callable[..., ReaderPool]


def test_quick_reads_run_one_at_a_time_in_order(pool_of: PoolOf) -> None:
    """Reads that don't block share one thread: two are never at work at once, and first come is first served."""
    pool, outcomes, inside, overlaps = pool_of(stall_s=PATIENT_S), Outcomes(), threading.Lock(), []
    order: list[int] = []

    def read(number: int) -> int:
        if not inside.acquire(blocking=False):
            overlaps.append(number)
            return number
        order.append(number)
        inside.release()
        return number

    for number in range(500):
        pool.submit(ReadJob(f"s{number % 7}", lambda number=number: read(number), outcomes.deliver, 5.0))  # type: ignore[misc]
    found = outcomes.wait_for(500)
    assert overlaps == []
    assert order == [outcome.value for outcome in found] == list(range(500))
    assert {outcome.failure for outcome in found} == {Failure.OK}
    assert pool.stats().threads == 1


def test_a_blocked_read_does_not_hold_up_the_others(pool_of: PoolOf, hanging: Hanging) -> None:
    """While one read waits for something, the next one is done by another thread."""
    pool, outcomes = pool_of(stall_s=0.01), Outcomes()
    pool.submit(ReadJob("slow", hanging.read, outcomes.deliver, PATIENT_S))
    pool.submit(ReadJob("quick", lambda: 1, outcomes.deliver, PATIENT_S))
    assert outcomes.wait_for(1)[0].source == "quick"
    assert pool.stats().blocked == 1
    hanging.end()
    assert outcomes.wait_for(2)[1].value == "late"


def test_as_many_reads_may_block_as_there_are_threads(pool_of: PoolOf, hanging: Hanging) -> None:
    """Blocked workers are joined by others up to the limit; then jobs wait."""
    pool, outcomes = pool_of(stall_s=0.005, max_threads=4), Outcomes()
    for number in range(6):
        pool.submit(ReadJob(f"s{number}", hanging.read, outcomes.deliver, PATIENT_S))
    hanging.wait_begun(4)
    stats = pool.stats()
    assert (stats.threads, stats.pending) == (4, 2)
    hanging.end()
    assert len(outcomes.wait_for(6)) == 6


def test_a_read_past_its_deadline_is_given_up_once_and_its_result_dropped(pool_of: PoolOf, hanging: Hanging) -> None:
    """`overran` is the only answer; when the thread comes back at last it ends, and its result is counted as late."""
    pool, outcomes = pool_of(stall_s=0.005), Outcomes()
    pool.submit(ReadJob("slow", hanging.read, outcomes.deliver, 0.03))
    outcome = outcomes.wait_for(1)[0]
    assert outcome.failure is Failure.OVERRAN
    assert outcome.value is None
    assert outcome.error is not None
    assert "0.03 s" in outcome.error
    assert outcome.took_s >= 0.03
    assert pool.stats().abandoned == 1
    hanging.join()
    pool.submit(ReadJob("slow", lambda: "fresh", outcomes.deliver, PATIENT_S))
    assert [found.value for found in outcomes.wait_for(2)] == [None, "fresh"]
    stats = pool.stats()
    assert (stats.abandoned, stats.late, stats.overran) == (0, 1, 1)


def test_a_source_that_hangs_is_quarantined_until_it_comes_back(pool_of: PoolOf, hanging: Hanging) -> None:
    """After three abandoned threads further jobs are refused at once, in words; others go on; then it is read again."""
    pool, outcomes = pool_of(stall_s=0.005, quarantine_after=3), Outcomes()
    for _ in range(5):
        pool.submit(ReadJob("nfs", hanging.read, outcomes.deliver, 0.05))
    outcomes.wait_for(5)
    assert sorted(outcomes.of("nfs")) == [Failure.OVERRAN] * 3 + [Failure.QUARANTINED] * 2
    assert len(hanging.threads) == 3
    pool.submit(ReadJob("nfs", lambda: "never", outcomes.deliver, PATIENT_S))
    refused = outcomes.wait_for(6)[5]
    assert refused.failure is Failure.QUARANTINED
    assert refused.error is not None
    assert "3 earlier reads of this source hang" in refused.error
    pool.submit(ReadJob("local", lambda: "fine", outcomes.deliver, PATIENT_S))
    assert outcomes.wait_for(7)[6].value == "fine"
    hanging.join()
    pool.submit(ReadJob("nfs", lambda: "back", outcomes.deliver, PATIENT_S))
    assert outcomes.wait_for(8)[7].value == "back"


def test_one_source_cannot_take_all_threads(pool_of: PoolOf, hanging: Hanging) -> None:
    """Long before any deadline, the jobs of a hanging source stand aside for those of others, and keep their order."""
    pool, outcomes = pool_of(stall_s=0.005, max_threads=8, quarantine_after=2), Outcomes()
    for _ in range(20):
        pool.submit(ReadJob("nfs", hanging.read, outcomes.deliver, PATIENT_S))
    pool.submit(ReadJob("local", lambda: "fine", outcomes.deliver, PATIENT_S))
    assert outcomes.wait_for(1)[0].value == "fine"
    hanging.wait_begun(2)
    assert len(hanging.threads) == 2
    hanging.end()
    assert outcomes.wait_for(21)[20].failure is Failure.OK


def test_the_number_of_threads_is_bounded_even_if_everything_hangs(pool_of: PoolOf, hanging: Hanging) -> None:
    """With twice max_threads threads hanging, each on another source, every job is refused until one comes back."""
    pool, outcomes = pool_of(stall_s=0.005, max_threads=2, quarantine_after=3), Outcomes()
    for number in range(10):
        pool.submit(ReadJob(f"s{number}", hanging.read, outcomes.deliver, 0.03))
    outcomes.wait_for(10)
    failures = [outcome.failure for outcome in outcomes.all]
    assert failures.count(Failure.OVERRAN) == 4
    assert failures.count(Failure.QUARANTINED) == 6
    assert len(hanging.threads) == 4
    hanging.join()
    pool.submit(ReadJob("s0", lambda: "back", outcomes.deliver, PATIENT_S))
    assert outcomes.wait_for(11)[10].value == "back"


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_an_exit_raised_by_a_read_stays_in_it(pool_of: PoolOf, kind: type[BaseException]) -> None:
    """What isn't an Exception is an outcome like others, and its thread goes on to the next job."""

    def read() -> object:
        raise kind

    pool, outcomes = pool_of(stall_s=PATIENT_S), Outcomes()
    pool.submit(ReadJob("rude", read, outcomes.deliver, 5.0))
    pool.submit(ReadJob("polite", lambda: 1, outcomes.deliver, 5.0))
    found = outcomes.wait_for(2)
    assert [outcome.failure for outcome in found] == [Failure.RAISED_EXIT, Failure.OK]
    assert found[0].error == kind.__name__
    assert pool.stats().threads == 1


def test_an_error_is_told_without_values(pool_of: PoolOf, logs: list[str]) -> None:
    """A bug in a reader gives its type in the outcome and its place in the log; what it held is nowhere."""

    def read() -> object:
        api_key = "sk-canary-1234567890"
        raise ValueError(f"can't parse {api_key}")

    pool, outcomes = pool_of(), Outcomes()
    pool.submit(ReadJob("buggy", read, outcomes.deliver, 5.0))
    outcome = outcomes.wait_for(1)[0]
    assert (outcome.failure, outcome.error) == (Failure.FAILED, "ValueError")
    text = "".join(logs)
    assert "test_reading_pool.py" in text
    assert "canary" not in text


def test_errors_are_described_by_what_may_be_trusted() -> None:
    """Own errors with their text, system errors with errno and file, anything else by its type."""
    own = StoreUnreadableError("/h/auth-profiles.json", "is torn", "It is read again.")
    assert describe_error(own) == "StoreUnreadableError: /h/auth-profiles.json: is torn. It is read again."
    with pytest.raises(FileNotFoundError) as missing, open("/nonexistent/openclaw.json"):
        pass
    text = "FileNotFoundError ENOENT (No such file or directory): /nonexistent/openclaw.json"
    assert describe_error(missing.value) == text
    assert describe_error(OSError("sk-canary")) == "OSError"
    assert describe_error(PermissionError(13, "sk-canary")) == "PermissionError EACCES (Permission denied)"
    assert describe_error(UnicodeDecodeError("utf-8", b"sk-canary", 0, 1, "bad")) == "UnicodeDecodeError"


def test_the_repr_of_jobs_and_outcomes_shows_no_value() -> None:
    """Whatever a read returned or closes over isn't printed by accident."""
    outcome = ReadOutcome("s", {"key": "sk-canary"}, None, Failure.OK, 1.0, 1.5)
    job = ReadJob("s", lambda: "sk-canary", print, 2.0)
    assert repr(outcome) == "ReadOutcome('s', ok, error=None, took_s=0.5000)"
    assert repr(job) == "ReadJob('s', deadline_s=2.0)"
    assert "canary" not in str(outcome.__rich_repr__()) + str(job.__rich_repr__())
    assert outcome.ok


def test_a_delivery_that_fails_harms_nobody(pool_of: PoolOf) -> None:
    """A throwing receiver, even one that exits, costs its own outcome and nothing else."""

    def refuse(outcome: ReadOutcome) -> None:
        raise SystemExit

    pool, outcomes = pool_of(stall_s=PATIENT_S), Outcomes()
    pool.submit(ReadJob("a", lambda: 1, refuse, 5.0))
    pool.submit(ReadJob("b", lambda: 2, outcomes.deliver, 5.0))
    assert outcomes.wait_for(1)[0].value == 2
    assert pool.stats().threads == 1


def test_stop_drops_what_waits_and_names_what_blocks(pool_of: PoolOf, hanging: Hanging) -> None:
    """A stop returns in time with the sources that still block; nothing is delivered afterwards, nothing accepted."""
    pool, outcomes = pool_of(stall_s=0.005, max_threads=2), Outcomes()
    for source in ("b", "a", "c", "d"):
        pool.submit(ReadJob(source, hanging.read, outcomes.deliver, PATIENT_S))
    hanging.wait_begun(2)
    assert pool.stop(0.05) == ("a", "b")
    pool.submit(ReadJob("e", lambda: 1, outcomes.deliver, 5.0))
    hanging.join()
    assert pool.stop(WAIT_S) == ()
    assert outcomes.all == []
    assert pool.stats().dropped == 5
    assert pool.stats().threads == 0


def test_a_delivery_may_stop_the_pool(pool_of: PoolOf) -> None:
    """A stop from one of the pool's own threads doesn't wait for itself."""
    pool, done = pool_of(), threading.Event()

    def stop(outcome: ReadOutcome) -> None:
        pool.stop(WAIT_S)
        done.set()

    pool.submit(ReadJob("a", lambda: 1, stop, 5.0))
    assert done.wait(WAIT_S)


def test_an_unused_pool_has_no_threads_and_stops_at_once(pool_of: PoolOf) -> None:
    """Threads are started by the first need."""
    pool = pool_of()
    assert pool.stats().threads == 0
    assert pool.stop(0.0) == ()
    assert pool.stop(0.0) == ()


@pytest.mark.parametrize("place", ["_begin", "_set_clock", "_finish", "_deliver"])
def test_what_is_raised_in_a_readers_thread_from_elsewhere_costs_one_read_at_most(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it hits, the read under way is answered, and the thread goes on with the next one."""
    pool, outcomes, raised = ReaderPool(SystemClock()), Outcomes(), threading.Event()
    genuine = getattr(pool, place)

    def broken(*arguments: object) -> object:
        first = not raised.is_set()
        raised.set()
        if first and place != "_begin":
            raise SystemExit
        result = genuine(*arguments)
        if first:
            raise SystemExit
        return result

    monkeypatch.setattr(pool, place, broken)
    try:
        pool.submit(ReadJob("a", lambda: 1, outcomes.deliver, WAIT_S))
        if place == "_deliver":
            assert raised.wait(WAIT_S)
        else:
            assert outcomes.wait_for(1)[0].failure is Failure.RAISED_EXIT
        for number in range(2, 6):
            pool.submit(ReadJob("a", lambda: 1, outcomes.deliver, WAIT_S))
            outcomes.wait_for(number - (place == "_deliver"))
        assert outcomes.all[-1].failure is Failure.OK
        stats = pool.stats()
        assert (stats.threads, stats.abandoned, stats.blocked, stats.pending) == (1, 0, 0, 0)
    finally:
        assert pool.stop(WAIT_S) == ()
