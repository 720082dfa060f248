"""The reader pool: jobs that may block run here, so that one slow source delays only itself."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable

from openclaw_actors.clock import Clock
from openclaw_actors.log import log
from openclaw_actors.reading.job import Failure, ReadJob, ReadOutcome, attempt, describe_error, places
from openclaw_actors.reading.pace import Pace, pace_of_this_thread
from openclaw_actors.reading.worker import ReaderStats, Worker

IDLE_S = 5.0
"""Seconds after which an idle worker ends; the last one stays."""


class ReaderPool:
    """Runs read jobs on a few daemon threads, in order of submission; every method is safe on any thread.

    One worker at a time holds the right to run: many small reads are mostly interpreter work, and a second thread
    only makes them and the event loop beside them slower (measured: four threads take x3). A read that isn't back
    after `stall_s` must be waiting for something: its worker counts as blocked and the next job goes to another, up
    to `max_threads`.

    A job whose deadline passes is answered `overran` once; its thread, which can't be killed, is abandoned and
    replaced, and its late result is dropped unless the job wants it (`ReadJob.late`). At most `quarantine_after`
    threads may be on one source at a time; when so many of them are abandoned, or any of them while `max_threads` are
    abandoned in all, further jobs of that source are answered `quarantined` until one comes back. There are never more
    than twice `max_threads` threads, abandoned ones included: with that many hanging every job is answered so.

    The monitor thread sleeps while nothing is read; it wakes every `stall_s` while something is, and at deadlines.
    """

    def __init__(
        self, clock: Clock, *, max_threads: int = 16, stall_s: float = 0.02, quarantine_after: int = 3
    ) -> None:
        self._clock = clock
        self._max_threads = max_threads
        self._stall_s = stall_s
        self._quarantine_after = quarantine_after
        self._lock = threading.Lock()
        self._watch = threading.Condition(self._lock)
        self._watch_at: float | None = None  # when the monitor wakes up by itself; None: not before it is notified
        self._monitor: threading.Thread | None = None
        self._stopping = False
        self._pending: deque[ReadJob] = deque()
        self._parked: dict[str, deque[ReadJob]] = {}  # jobs of sources that have all the threads they may have
        self._answers: deque[tuple[ReadJob, ReadOutcome]] = deque()  # for the monitor to deliver
        self._workers: set[Worker] = set()  # everyone, dead threads are swept at the next launch
        self._busy: set[Worker] = set()
        self._lost: set[Worker] = set()
        self._idle: list[Worker] = []
        self._live = 0
        self._running = 0
        self._on_source: Counter[str] = Counter()  # threads by source, abandoned ones included
        self._lost_on: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._numbers = itertools.count(1)

    def submit(self, job: ReadJob) -> None:
        """Queue a job; never blocks on its reading. After `stop` the job is dropped and counted."""
        with self._lock:
            if self._stopping:
                self._counts["dropped"] += 1
                return
            if self._monitor is None:
                monitor = threading.Thread(target=self._observe, name="openclaw-reader-watch", daemon=True)
                monitor.start()
                self._monitor = monitor
            refusal = self._refusal(job.source)
            if refusal is not None:
                self._answer(job, Failure.QUARANTINED, refusal)
                self._watch.notify()
                return
            self._pending.append(job)
            recruit = self._grant()
        self._launch(recruit)

    def stats(self) -> ReaderStats:
        """Return what the pool is doing and has done."""
        with self._lock:
            counts = {name: self._counts[name] for name in ReaderStats.__struct_fields__[5:]}
            return ReaderStats(
                threads=self._live,
                running=self._running,
                blocked=sum(1 for worker in self._busy if worker.blocked),
                abandoned=len(self._lost),
                pending=len(self._pending) + sum(map(len, self._parked.values())),
                **counts,
            )

    def stop(self, timeout_s: float) -> tuple[str, ...]:
        """Drop what waits, let the workers end, and return the names of sources that still block a thread.

        Nothing is delivered any more once the stop has begun, except by a delivery under way. Safe to call twice; on a
        pool thread it doesn't wait for that thread.
        """
        until = time.monotonic() + timeout_s
        with self._lock:
            self._stopping = True
            self._counts["dropped"] += len(self._pending) + sum(map(len, self._parked.values())) + len(self._answers)
            self._pending.clear()
            self._parked.clear()
            self._answers.clear()
            for worker in self._idle:
                worker.gate.notify()
            self._watch.notify()
            threads = [worker.thread for worker in self._workers - self._lost] + [self._monitor]
        for thread in threads:
            if thread is not None and thread.ident is not None and thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))
        with self._lock:
            return tuple(sorted({worker.job.source for worker in self._busy | self._lost if worker.job is not None}))

    # the workers

    def _work(self, worker: Worker) -> None:
        pace = worker.pace = pace_of_this_thread()
        goes_on = True
        while goes_on:
            try:
                goes_on = self._do_next(worker, pace)
            # no read gets an error out of `attempt`; what was raised in this thread from elsewhere ends one read
            except BaseException as error:
                log.bind(error=describe_error(error)).error("a reader's thread goes on")
                self._break_off(worker)
                goes_on = not worker.abandoned
            finally:
                pace.leave_turn()

    def _do_next(self, worker: Worker, pace: Pace) -> bool:
        """Do one job, when there is one, and tell whether the worker goes on."""
        job = self._next_job(worker, pace)
        if job is None:
            return False
        pace.take_turn()
        self._set_clock(worker)
        value, error, failure = attempt(job)
        outcome = self._finish(worker, value, error, failure)
        if outcome is not None:
            self._deliver(job.late if worker.abandoned else job.deliver, outcome)
        if worker.abandoned:  # set for good by the time `_finish` is through
            return False
        pace.breathe()
        return True

    def _break_off(self, worker: Worker) -> None:
        """Answer the read that a worker was on, and have it ask for the next one like any other."""
        with self._lock:
            if worker in self._idle:
                self._idle.remove(worker)
            job = worker.job
            if worker.started_at == math.inf:
                worker.started_at = self._clock.monotonic()
        if job is not None:
            outcome = self._finish(worker, None, "its reading was broken off", Failure.RAISED_EXIT)
            if outcome is not None:
                self._deliver(job.late if worker.abandoned else job.deliver, outcome)

    def _next_job(self, worker: Worker, pace: Pace) -> ReadJob | None:
        with self._lock:
            while not self._stopping:
                if worker.granted:
                    job = self._pick()
                    if job is not None:
                        self._begin(worker, job)
                        return job
                    worker.granted = False
                    self._running -= 1
                patience_s = IDLE_S if self._idle else None  # the first to idle is the last to be called, and stays
                self._idle.append(worker)
                while not worker.granted and not self._stopping:
                    if not worker.gate.wait(patience_s) and not worker.granted:
                        self._idle.remove(worker)
                        self._live -= 1
                        return None
                pace.rested()
            self._live -= 1
            self._running -= worker.granted
            return None

    def _pick(self) -> ReadJob | None:
        while self._pending:
            job = self._pending.popleft()
            if self._on_source[job.source] < self._quarantine_after:
                return job
            self._parked.setdefault(job.source, deque()).append(job)
        return None

    def _begin(self, worker: Worker, job: ReadJob) -> None:
        worker.job = job
        worker.started_at = math.inf  # until it has its turn: whoever waits for that doesn't wait for a source
        self._busy.add(worker)
        self._on_source[job.source] += 1

    def _set_clock(self, worker: Worker) -> None:
        with self._lock:
            job = worker.job
            assert job is not None
            worker.started_at = self._clock.monotonic()
            look_at = worker.started_at + min(self._stall_s, job.deadline_s)
            if self._watch_at is None or look_at < self._watch_at:
                self._watch.notify()

    def _finish(self, worker: Worker, value: object, error: str | None, failure: Failure) -> ReadOutcome | None:
        with self._lock:
            job = worker.job
            assert job is not None
            worker.job = None
            self._on_source[job.source] -= 1
            if not self._on_source[job.source]:
                del self._on_source[job.source]
            parked = self._parked.pop(job.source, None)
            if parked:
                self._pending.extendleft(reversed(parked))  # they were first in line
            outcome = None
            if worker.abandoned:
                self._lost.discard(worker)
                self._lost_on[job.source] -= 1
                self._counts["late"] += 1
                if job.late is not None and not self._stopping:
                    outcome = ReadOutcome(job.source, value, error, failure, worker.started_at, self._clock.monotonic())
            else:
                self._busy.discard(worker)
                self._counts["finished" if failure is Failure.OK else "failed"] += 1
                if worker.blocked:
                    worker.blocked = False
                    if not self._running:
                        worker.granted = True
                        self._running += 1
                if self._stopping:
                    self._counts["dropped"] += 1
                else:
                    outcome = ReadOutcome(job.source, value, error, failure, worker.started_at, self._clock.monotonic())
            recruit = self._grant()
        self._launch(recruit)
        return outcome

    def _grant(self) -> Worker | None:
        """Hand out the right to run if nobody has it and jobs wait; return a worker whose thread must be launched."""
        if self._running or not self._pending or self._stopping:
            return None
        worker = None
        if self._idle:
            called = self._idle.pop()
            called.granted = True
            called.gate.notify()
        elif self._live < self._capacity():
            worker = Worker(self._lock)
            self._live += 1
        else:
            return None
        self._running += 1
        return worker

    def _launch(self, worker: Worker | None) -> None:
        """Start a worker's thread; without the lock, since a start waits for the new thread to get the interpreter."""
        if worker is None:
            return
        name = f"openclaw-reader-{next(self._numbers)}"
        worker.thread = threading.Thread(target=self._work, args=(worker,), name=name, daemon=True)
        with self._lock:
            self._workers = {known for known in self._workers if not known.has_ended} | {worker}
        try:
            worker.thread.start()
        except RuntimeError:  # the system has no thread left for us
            with self._lock:
                self._live -= 1
                self._running -= 1
                if not self._live:
                    self._answer_all(Failure.FAILED, "no reader thread could be started: the system has none left")
                    self._watch.notify()
            log.error("a reader thread could not be started")

    # refusals

    def _capacity(self) -> int:
        return min(self._max_threads, 2 * self._max_threads - len(self._lost))

    def _refusal(self, source: str) -> str | None:
        hanging = self._lost_on[source]
        if hanging >= self._quarantine_after or (hanging and len(self._lost) >= self._max_threads):
            return f"quarantined: {hanging} earlier reads of this source hang; it is read again when one comes back"
        if self._capacity() <= 0:
            return (
                f"quarantined: {len(self._lost)} reads hang and no thread is left; reading goes on when one comes back"
            )
        return None

    def _answer(self, job: ReadJob, failure: Failure, error: str, started_at: float | None = None) -> None:
        now = self._clock.monotonic()
        start = now if started_at is None else started_at
        self._answers.append((job, ReadOutcome(job.source, None, error, failure, start, now)))
        self._counts[failure.value] += 1

    def _answer_all(self, failure: Failure, error: str, source: str | None = None) -> None:
        """Answer every job that waits, or those of one source."""
        waiting = [*self._pending, *(job for parked in self._parked.values() for job in parked)]
        self._pending = deque(job for job in self._pending if source is not None and job.source != source)
        self._parked = {of: jobs for of, jobs in self._parked.items() if source is not None and of != source}
        for job in waiting:
            if source is None or job.source == source:
                self._answer(job, failure, error)

    def _deliver(self, deliver: Callable[[ReadOutcome], None] | None, outcome: ReadOutcome) -> None:
        try:
            if deliver is not None:
                deliver(outcome)
        except BaseException as error:  # whatever it is, this thread has other jobs to do
            log.bind(source=outcome.source, error=describe_error(error), at=places(error)).error(
                "the outcome of a read could not be delivered"
            )

    # the monitor

    def _observe(self) -> None:
        while not self._stopping:
            try:
                self._watch_once()
            # nothing here raises; what was raised in this thread from elsewhere must not end all deadlines
            except BaseException as error:
                log.bind(error=describe_error(error)).error("the thread that watches the readers goes on")

    def _watch_once(self) -> None:
        with self._lock:
            if self._stopping:
                return
            now = self._clock.monotonic()
            wake_at = self._look(now)
            recruit = self._grant()
            if recruit is None and not self._answers:
                self._watch_at = wake_at
                # at least a millisecond: a clock that stands still must not make this a busy loop
                self._watch.wait(None if wake_at is None else max(0.001, wake_at - now))
                return
        self._launch(recruit)
        while not self._stopping:
            try:
                job, outcome = self._answers.popleft()
            except IndexError:
                return
            self._deliver(job.deliver, outcome)

    def _look(self, now: float) -> float | None:
        """Mark who is blocked, abandon who overran, and return when to look again."""
        wake_at: float | None = None
        for worker in tuple(self._busy):
            assert worker.job is not None
            if worker.started_at == math.inf:
                continue
            stalls_at = worker.started_at + self._stall_s
            ends_at = worker.started_at + worker.job.deadline_s
            if now >= ends_at:
                self._abandon(worker, worker.job)
                continue
            if not worker.blocked and now >= stalls_at:
                self._yield_right(worker)
                if worker.pace is not None:
                    worker.pace.leave_turn()
                worker.blocked = True
            look_at = ends_at if worker.blocked else min(ends_at, stalls_at)
            wake_at = look_at if wake_at is None else min(wake_at, look_at)
        return wake_at

    def _yield_right(self, worker: Worker) -> None:
        if worker.granted:
            worker.granted = False
            self._running -= 1

    def _abandon(self, worker: Worker, job: ReadJob) -> None:
        self._yield_right(worker)
        worker.abandoned = True
        if worker.pace is not None:
            worker.pace.retire()
        self._busy.discard(worker)
        self._lost.add(worker)
        self._live -= 1
        self._lost_on[job.source] += 1
        self._answer(job, Failure.OVERRAN, f"not read within its deadline of {job.deadline_s:g} s", worker.started_at)
        refusal = self._refusal(job.source)
        log.bind(source=job.source, deadline_s=job.deadline_s, quarantined=refusal is not None).warning(
            "a read overran its deadline, its thread is abandoned"
        )
        if refusal is not None:
            self._answer_all(Failure.QUARANTINED, refusal, None if self._capacity() <= 0 else job.source)
