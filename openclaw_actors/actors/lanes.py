"""The threads that actors run on: one for each of the few, one for all of the many."""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue

from openclaw_actors.actors.base import BaseActor, Lane
from openclaw_actors.actors.inbox import is_urgent
from openclaw_actors.actors.witness import LANE_STOPPED, DispatchStats, Witness
from openclaw_actors.errors import NoThreadError
from openclaw_actors.log import log
from openclaw_actors.reading.job import describe_error
from openclaw_actors.reading.pace import Pace, pace_of_this_thread

__all__ = ["BATCH_MESSAGES", "BATCH_S", "DispatchStats", "Lane", "Seat", "SharedLane", "ThreadLane", "Witness"]

BATCH_MESSAGES = 16
"""How many messages an actor of a shared lane handles before the next one's turn."""

BATCH_S = 0.001
"""Seconds after which an actor of a shared lane gives way, even with less than a batch handled."""


class ThreadLane:
    """One daemon thread for one actor.

    A token per put makes the thread's wait a single C call; items are taken from the inbox itself, which knows the
    order.
    """

    registered = True

    def __init__(self, name: str, witness: Witness) -> None:
        self._name = name
        self._witness = witness
        self._tokens: SimpleQueue[None] = SimpleQueue()
        self.thread: threading.Thread | None = None
        """The actor's thread, once it is started."""
        self._actor: BaseActor | None = None

    @property
    def name(self) -> str:
        """What the actor is called."""
        return self._name

    def enter(self, actor: BaseActor) -> None:
        """Start the actor's thread.

        Raises:
            NoThreadError: the system has no thread left; the actor is ended then.
        """
        inbox = actor.inbox
        inbox.notify = self._arrived
        # pykka's refs hold it weakly, and it must be there to be ended when its thread is gone
        self._actor = actor
        self.thread = threading.Thread(target=self._run, args=(actor,), name=f"openclaw-{self._name}", daemon=True)
        try:
            self.thread.start()
        except RuntimeError:
            self.thread = None
            actor.run_end("its thread could not be started")
            raise NoThreadError(f"the system starts no thread for the actor {self._name} now") from None
        inbox.runner = self.thread.ident

    def failed(self, error: BaseException) -> None:
        """Count the error."""
        self._witness.failed()

    def unknown(self, message_type: type) -> None:
        """Count the message, warn once."""
        self._witness.unknown(self._name, message_type)

    def died(self, urn: str, name: str, reason: str, dropped: int) -> None:
        """Pass the death on."""
        self._actor = None
        self._witness.died(urn, name, reason, dropped)

    def end_if_lost(self) -> bool:
        """End the actor if its thread has ended without it, and tell whether that was so; any thread."""
        actor, thread = self._actor, self.thread
        if actor is None or thread is None or thread.ident is None or thread.is_alive():
            return False
        actor.run_end("its thread ended")
        return True

    def _arrived(self) -> None:
        self._tokens.put(None)

    def _run(self, actor: BaseActor) -> None:
        inbox, stopped, pace = actor.inbox, actor.actor_stopped, pace_of_this_thread()
        was_urgent = True
        try:
            actor.run_start()
            while not stopped.is_set():
                if self._tokens.empty():
                    pace.leave_turn()
                    if not was_urgent:
                        pace.doze()
                    self._tokens.get()
                    pace.rested()
                    pace.take_turn()
                else:
                    self._tokens.get()
                    pace.breathe()
                envelope = inbox.take()
                if envelope is not None:
                    was_urgent = is_urgent(envelope.message)
                    actor.run_one(envelope)
                del envelope  # while the thread waits nothing may keep the last message alive
        # outside of a handler only what was raised in this thread from elsewhere comes by
        except BaseException as error:
            actor.run_end(f"{describe_error(error)} on its thread")
        finally:
            pace.leave_turn()


class Seat:
    """One actor's place on a shared lane."""

    __slots__ = ("_actor", "_begun", "_lane", "_name", "_ready")

    def __init__(self, name: str, lane: SharedLane) -> None:
        self._name = name
        self._lane = lane
        self._actor: BaseActor | None = None
        self._begun = False
        # A lock as a flag that can be tested and set at once: held while the seat is in the lane's queue or has its
        # turn.
        self._ready = threading.Lock()

    @property
    def name(self) -> str:
        """What the actor is called."""
        return self._name

    @property
    def registered(self) -> bool:
        """False: pykka's registry is a list that is scanned at each removal; emptying it of 10,000 takes seconds."""
        return False

    def enter(self, actor: BaseActor) -> None:
        """Queue the actor for its first turn."""
        self._actor = actor
        inbox = actor.inbox
        inbox.shared = True
        inbox.runner = self._lane.seat(actor.actor_urn, self)
        if inbox.runner is None:
            actor.run_end(LANE_STOPPED)
            return
        inbox.notify = self._arrived
        self._arrived()

    def failed(self, error: BaseException) -> None:
        """Count the error."""
        self._lane.witness.failed()

    def unknown(self, message_type: type) -> None:
        """Count the message, warn once."""
        self._lane.witness.unknown(self._name, message_type)

    def died(self, urn: str, name: str, reason: str, dropped: int) -> None:
        """Leave the lane and pass the death on."""
        self._actor = None
        self._lane.leave(urn)
        self._lane.witness.died(urn, name, reason, dropped)

    def turn(self) -> None:
        """Run the actor for one batch, then queue it again if more waits; the lane's thread only."""
        actor = self._actor
        if actor is None:
            return
        inbox = actor.inbox
        if not self._begun:
            self._begun = True
            actor.run_start()
        until = time.perf_counter() + BATCH_S
        for _ in range(BATCH_MESSAGES):
            if self._actor is None:
                return  # dead: the flag stays up, so nothing queues this seat again
            envelope = inbox.take()
            if envelope is None:
                break
            actor.run_one(envelope)
            if time.perf_counter() >= until:
                break
        # First the flag down, then the look: whoever puts after the look finds the flag down and queues the seat. The
        # other way round a put between look and flag would be slept through.
        if self._ready.locked():  # whom `recover` has queued may have it down already
            self._ready.release()
        if not inbox.empty():
            self._arrived()

    def recover(self, runner: int | None) -> None:
        """Queue the actor whatever its flag says, for the lane's thread has lost count of its queue."""
        actor = self._actor
        if actor is not None:
            actor.inbox.runner = runner
            self._lane.ready.put(self)

    def end(self, reason: str) -> None:
        """End the actor with its lane; the lane's thread only."""
        if self._actor is not None:
            self._actor.run_end(reason)

    def _arrived(self) -> None:
        if self._ready.acquire(blocking=False):
            self._lane.ready.put(self)


class SharedLane:
    """One daemon thread for many actors: each has a batch per turn, first come, first served.

    One thread and not several: the work is pure Python, so a second thread adds no speed, only lateness for the event
    loop beside it (measured: four of them take x3 as long and triple the loop's lag). It breathes about every
    millisecond. Its actors must not wait for each other.

    What is raised in the thread from elsewhere ends the actor whose turn it was, and nobody else: the thread goes on,
    or `check` starts another.
    """

    def __init__(self, thread_name: str, witness: Witness) -> None:
        self._thread_name = thread_name
        self.witness = witness
        """Where errors and deaths go."""
        self.ready: SimpleQueue[Seat | None] = SimpleQueue()
        """The seats with something to do, in the order of their turns; None wakes the thread to stop."""
        self._lock = threading.Lock()
        self._seats: dict[str, Seat] = {}  # holds the actors alive: pykka's refs do so weakly
        self._thread: threading.Thread | None = None
        self._turn: Seat | None = None
        self._stopping = False

    def seat(self, urn: str, seat: Seat) -> int | None:
        """Take an actor in, start the thread if it is the first, and return the thread's ident; None when stopped.

        Raises:
            NoThreadError: the system has no thread left.
        """
        with self._lock:
            if self._stopping:
                return None
            if self._thread is None:
                self._thread = self._started()
            self._seats[urn] = seat
            return self._thread.ident

    def check(self) -> bool:
        """Start another thread if the lane's has ended by itself, and tell whether that was so; any thread.

        Raises:
            NoThreadError: the system has no thread left; it may be tried again.
        """
        thread = self._thread
        if thread is None or thread.is_alive():
            return False
        with self._lock:
            if self._stopping or self._thread is not thread:
                return False
            self._thread = self._started()
        return True

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, args=(self._thread is not None,), name=self._thread_name)
        thread.daemon = True
        try:
            thread.start()
        except RuntimeError:
            raise NoThreadError("the system starts no thread for the agents' actors now") from None
        return thread

    def leave(self, urn: str) -> None:
        """Let an actor go."""
        with self._lock:
            self._seats.pop(urn, None)

    def stop(self, timeout_s: float) -> threading.Thread | None:
        """End the thread after the turn it is in, and the actors that still sit here with it.

        Returns:
            The thread if it didn't end within the timeout (or is the caller's own), else None.
        """
        with self._lock:
            self._stopping = True
            thread = self._thread
        if thread is None:
            return None
        self.ready.put(None)
        if thread is threading.current_thread():
            return thread
        thread.join(max(0.0, timeout_s))
        return thread if thread.is_alive() else None

    def _run(self, is_lost: bool) -> None:
        pace, done = pace_of_this_thread(), False
        try:
            while not done:
                try:
                    if is_lost:
                        self._recover()
                        is_lost = False
                    self._serve(pace)
                    done = True
                # outside of a handler only what was raised in this thread from elsewhere comes by
                except BaseException as error:
                    is_lost = True
                    log.bind(lane=self._thread_name, error=describe_error(error)).error("a lane's thread goes on")
        finally:
            pace.leave_turn()

    def _recover(self) -> None:
        """Begin anew: whose turn it was may have lost a message, and is ended; all others get a turn."""
        seat, self._turn = self._turn, None
        if seat is not None:
            seat.end("its turn was broken off")
        with self._lock:
            seats = list(self._seats.values())
        for seat in seats:
            seat.recover(threading.get_ident())

    def _serve(self, pace: Pace) -> None:
        while not self._stopping:
            if self.ready.empty():
                pace.leave_turn()
                pace.doze()
                seat = self.ready.get()
                pace.rested()
                pace.take_turn()
            else:
                seat = self.ready.get()
                pace.breathe()
            if seat is not None:
                self._turn = seat
                seat.turn()
                self._turn = None
            del seat
        with self._lock:
            left = list(self._seats.values())
        for seat in left:
            seat.end(LANE_STOPPED)
