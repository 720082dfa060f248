"""Scripted sources: reads that wait for a step, and hang, fail or answer as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import final

import msgspec

from openclaw_actors.clock import Clock
from openclaw_actors.reading.job import Failure, ReadJob, ReadOutcome, attempt, describe_error


class WaitingRead:
    """One read that waits; a held one counts as begun, so its deadline runs."""

    def __init__(self, job: ReadJob, order: int, now: float, *, held: bool) -> None:
        self.job = job
        self.order = order
        self.submitted_at = now
        self.begun_at: float | None = now if held else None

    @property
    def deadline(self) -> float:
        """When it is given up, monotonic seconds; never while it hasn't begun."""
        return float("inf") if self.begun_at is None else self.begun_at + self.job.deadline_s


@final
class ScriptedSources:
    """The reads of a stepped dispatcher, by source (`home`, `cli:NAME`, `store:DIR`, `usage:DIR`…).

    A read is really done, on the test's thread, when its step comes; before that a test may have its source hang, fail
    or answer at once. All methods belong to the test's thread.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reads: list[WaitingRead] = []
        self._held: set[str] = set()
        self._broken: dict[str, BaseException | Failure] = {}
        self.on_done: Callable[[str], object] = lambda source: None
        """Called with the source of each read that was really done, before its outcome is delivered."""

    @property
    def waiting(self) -> dict[str, tuple[ReadJob, ...]]:
        """The reads that wait, held ones too, by source."""
        found: dict[str, tuple[ReadJob, ...]] = {}
        for read in self._reads:
            found[read.job.source] = (*found.get(read.job.source, ()), read.job)
        return found

    @property
    def held(self) -> frozenset[str]:
        """The sources whose reads hang."""
        return frozenset(self._held)

    @property
    def broken(self) -> frozenset[str]:
        """The sources whose reads fail."""
        return frozenset(self._broken)

    def hold(self, source: str) -> None:
        """Let the reads of a source hang from now on: begun, never back, given up at their deadline."""
        self._held.add(source)
        for read in self._reads:
            if read.job.source == source:
                read.begun_at = self._clock.monotonic()

    def release(self, source: str) -> None:
        """Let the reads of a source go on; steps do them."""
        self._held.discard(source)
        for read in self._reads:
            if read.job.source == source:
                read.begun_at = None

    def damage(self, source: str, error: BaseException | Failure) -> None:
        """Let the reads of a source fail from now on: with what they raise, or in one of the ways of the pool."""
        self._broken[source] = error

    def mend(self, source: str) -> None:
        """Let the reads of a source neither fail nor hang any more."""
        self._broken.pop(source, None)
        self.release(source)

    def finish(self, source: str) -> None:
        """Do the oldest waiting read of a source now, held or not.

        Raises:
            LookupError: No read of that source waits.
        """
        self.do(self._oldest(source))

    def fail(self, source: str, error: BaseException | Failure) -> None:
        """Let the oldest waiting read of a source fail now: with what it raised, or in one of the ways of the pool.

        Raises:
            LookupError: No read of that source waits.
        """
        self._refuse(self._oldest(source), error)

    # for the dispatcher

    def add(self, job: ReadJob, order: int) -> None:
        """Take a read that waits for its step."""
        self._reads.append(WaitingRead(job, order, self._clock.monotonic(), held=job.source in self._held))

    def choices(self) -> Iterator[tuple[int, Callable[[], None]]]:
        """Yield what could happen now: the order in which it came, and what does it."""
        now = self._clock.monotonic()
        for read in self._reads:
            if read.deadline <= now:
                yield read.order, lambda read=read: self._overrun(read)  # type: ignore[misc]
            elif read.begun_at is None and not self._is_away(read):
                yield read.order, lambda read=read: self.do(read)  # type: ignore[misc]

    def deadlines(self) -> Iterator[float]:
        """Yield when reads that hang will be given up, monotonic seconds."""
        for read in self._reads:
            if read.begun_at is not None and read.deadline != inf:
                yield read.deadline

    def clear(self) -> tuple[str, ...]:
        """Forget all reads; return the sources of those that hang."""
        blocking = tuple(sorted({read.job.source for read in self._reads if read.begun_at is not None}))
        self._reads.clear()
        return blocking

    def do(self, read: WaitingRead) -> None:
        """Do one read now."""
        error = self._broken.get(read.job.source)
        if error is not None:
            self._refuse(read, error)
        else:
            result = attempt(read.job)
            self.on_done(read.job.source)
            self._answer(read, *result)

    # inside

    def _is_away(self, read: WaitingRead) -> bool:
        """Tell whether a read that was given up is not back yet."""
        return read.job.deadline_s == inf and self._broken.get(read.job.source) is Failure.OVERRAN

    def _refuse(self, read: WaitingRead, error: BaseException | Failure) -> None:
        if isinstance(error, Failure):
            self._answer(read, None, f"scripted: {error.value}", error)
        else:
            failure = Failure.FAILED if isinstance(error, Exception) else Failure.RAISED_EXIT
            self._answer(read, None, describe_error(error), failure)

    def _overrun(self, read: WaitingRead) -> None:
        text = f"not read within its deadline of {read.job.deadline_s:g} s"
        self._answer(read, None, text, Failure.OVERRAN)

    def _answer(self, read: WaitingRead, value: object, error: str | None, failure: Failure) -> None:
        if read in self._reads:
            self._reads.remove(read)
            now = self._clock.monotonic()
            started_at = now if read.begun_at is None else read.begun_at  # before its step it waits for a reader
            outcome = ReadOutcome(read.job.source, value, error, failure, started_at, now)
            read.job.deliver(outcome)
            if failure is Failure.OVERRAN and read.job.late is not None:  # it comes back in a later step
                late = msgspec.structs.replace(read.job, deliver=read.job.late, late=None, deadline_s=inf)
                self.add(late, read.order)

    def _oldest(self, source: str) -> WaitingRead:
        for read in self._reads:
            if read.job.source == source:
                return read
        raise LookupError(f"no read of {source!r} waits; there are {sorted(self.waiting)}")


__all__ = ["ScriptedSources", "WaitingRead"]
