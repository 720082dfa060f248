"""The stepped dispatcher: real actors, no threads; nothing moves until the test says so."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pykka

from openclaw_actors.actors.alarms import Alarm
from openclaw_actors.actors.base import BaseActor
from openclaw_actors.actors.dispatch import StopReport
from openclaw_actors.actors.witness import LANE_STOPPED, DispatchStats, Witness
from openclaw_actors.errors import NotRunningError
from openclaw_actors.reading.job import ReadJob
from openclaw_actors.testing.clock import VirtualClock
from openclaw_actors.testing.crashes import Crash, InjectedCrash
from openclaw_actors.testing.lane import SteppedAlarm, SteppedLane
from openclaw_actors.testing.sources import ScriptedSources

A = TypeVar("A", bound=BaseActor)


class SteppedDispatcher:
    """A `Dispatcher` for tests: every delivery is one step, time is virtual, and a seed replays an interleaving.

    Without a seed things happen in the order in which they came: an actor's turns come in the order of its arrivals,
    and at its turn it gets what its inbox gives first (a priority message overtakes there). With a seed, each step
    picks at random among the actors with messages, the reads and the earliest due alarm; one actor's own order always
    holds.

    `on_start` runs within `spawn`. With `strict`, an error that leaves a handler or hook, and a message without a
    handler (as AssertionError), is raised by the call that made the step, after the actor has dealt with it as ever.

    All methods belong to the test's thread; messages may be told from any.
    """

    def __init__(self, clock: VirtualClock | None = None, seed: int | None = None, *, strict: bool = True) -> None:
        self.clock = clock or VirtualClock()
        """The virtual time."""
        self.history: list[tuple[str, object]] = []
        """Every message handed to an actor: (the actor's name, the message), pykka's stop included."""
        self.sources = ScriptedSources(self.clock)
        """The reads, which may hang and fail as a test says."""
        self.effects = 0
        """How often handlers have told, asked for a read or set an alarm, all together."""
        self._handling = False
        self._crash_after = 0
        self._random = None if seed is None else random.Random(seed)  # noqa: S311  # replayable is the point
        self._strict = strict
        self._witness = Witness()
        self._order = itertools.count()
        self._lanes: list[SteppedLane] = []
        self._alarms: list[SteppedAlarm] = []
        self._escaped: list[BaseException] = []
        self._acting = False
        self._stopped = False

    # the dispatcher

    def spawn(
        self, actor_class: type[A], /, *args: Any, pooled: bool = False, name: str, **kwargs: Any
    ) -> pykka.ActorRef[A]:
        """Make an actor and run its `on_start`; a pooled one ends with the dispatcher.

        Raises:
            NotRunningError: the dispatcher is stopped.
        """
        if self._stopped:
            raise NotRunningError("the dispatcher is stopped and starts no actors; make a new one")
        self._witness.spawned()
        ref = actor_class.start(*args, lane=SteppedLane(name, self, pooled=pooled), **kwargs)
        self._raise_escaped()
        return ref

    def tell_later(self, delay_s: float, ref: pykka.ActorRef[Any], message: object) -> Alarm:
        """Have a message told when the virtual time has come."""
        due = self.clock.monotonic() + max(0.0, delay_s)
        alarm = SteppedAlarm(due, next(self._order), ref, message)
        if not self._stopped:
            heapq.heappush(self._alarms, alarm)
            self._had_effect()
        return alarm

    def read(self, job: ReadJob) -> None:
        """Queue a read; a step does it."""
        if not self._stopped:
            self.sources.add(job, next(self._order))
            self._had_effect()

    def on_death(self, listener: Callable[[str, str, str], None]) -> None:
        """Call the listener with urn, name and reason at each actor's end."""
        self._witness.on_death(listener)

    def check_threads(self) -> tuple[str, ...]:
        """Find nothing: there are no threads here."""
        return ()

    def stats(self) -> DispatchStats:
        """Return what has befallen the actors."""
        return self._witness.stats()

    def stop_actors(
        self, refs: Iterable[pykka.ActorRef[Any]], timeout_s: float = 0.0
    ) -> tuple[pykka.ActorRef[Any], ...]:
        """Stop these actors now, in this order; whatever else waits stays where it is."""
        for ref in refs:
            for lane in tuple(self._lanes):
                if lane.actor is not None and lane.actor.actor_urn == ref.actor_urn:
                    ref.stop(block=False)
                    lane.deliver()
        self._raise_escaped()
        return ()

    def stop(self, timeout_s: float = 0.0) -> StopReport:
        """End pooled actors, forget alarms and reads; report what would still block and who still lives."""
        self._stopped = True
        for lane in tuple(self._lanes):
            if lane.pooled and lane.actor is not None:
                lane.actor.run_end(LANE_STOPPED)
        self._alarms.clear()
        blocking = self.sources.clear()
        return StopReport(blocking_sources=blocking, live_actors=tuple(lane.name for lane in self._lanes))

    # moving

    def step(self, pick: int | None = None) -> bool:
        """Let one thing happen (a message handled, a read done or overrun, an alarm told); return whether any could.

        Args:
            pick: Which of all that could happen, counted round; None leaves it to the order or to the seed.
        """
        choices = self._choices()
        if not choices:
            return False
        if pick is not None:
            _, act = choices[pick % len(choices)]
        elif self._random is None:
            _, act = min(choices, key=lambda choice: choice[0])
        else:
            _, act = self._random.choice(choices)
        self._act(act)
        return True

    def run_until_idle(self, max_steps: int = 100_000) -> int:
        """Step until nothing is left to do at this moment and return how many steps it took.

        Raises:
            AssertionError: the steps were used up, so there is probably a loop of messages.
        """
        for steps in range(max_steps):
            if not self.step():
                return steps
        names = sorted({name for name, _ in self.pending()})
        raise AssertionError(f"not idle after {max_steps} steps; messages wait for {names}")

    def advance(self, seconds: float, *, run: bool = True) -> None:
        """Let virtual time pass; stop at each due alarm and overrun read, and run to idle there.

        With `run=False` time only passes: what came due waits for steps, earliest first.
        """
        target = self.clock.monotonic() + seconds
        while run:
            self.run_until_idle()
            due_s = self.next_due_s
            if due_s is None or self.clock.monotonic() + due_s > target:
                break
            self.clock.advance(max(0.0, due_s))
        self.clock.advance(max(0.0, target - self.clock.monotonic()))
        if run:
            self.run_until_idle()

    def step_actor(self, name: str) -> bool:
        """Let the actor of this name handle its next message and return whether there was one."""
        lane = self._lane(name)
        if not lane.arrivals:
            return False
        self._act(lane.deliver)
        return True

    def crash(self, name: str, crash: Crash) -> bool:
        """Have the actor of this name end around its next message; return whether one waited.

        What it raises is no error of the test's, however strict. Nobody restarts it but a supervisor.

        Raises:
            LookupError: No living actor is called so.
        """
        lane = self._lane(name)
        if not lane.arrivals:
            return False
        self._act(lambda: lane.crash(crash))
        return True

    def kill(self, name: str) -> None:
        """End the actor of this name as a thread's death does: what waits for it is dropped.

        Raises:
            LookupError: No living actor is called so.
        """
        actor = self.actor(name)
        self._act(lambda: actor.run_end("killed by a test"))

    def actor(self, name: str) -> BaseActor:
        """Return the living actor of this name, to be looked at.

        Raises:
            LookupError: No living actor is called so.
        """
        actor = self._lane(name).actor
        assert actor is not None
        return actor

    def inject(self, ref: pykka.ActorRef[Any], message: object) -> None:
        """Tell an actor something, as another would.

        Raises:
            pykka.ActorDeadError: it is dead.
        """
        ref.tell(message)

    def ask(self, ref: pykka.ActorRef[Any], message: object) -> Any:
        """Ask an actor from outside, run to idle and return its reply; a blocking `ref.ask` would wait for ever."""
        future = ref.ask(message, block=False)
        self.run_until_idle()
        return future.get(timeout=0)

    # looking

    def pending(self) -> list[tuple[str, object]]:
        """Return the messages that wait: (the actor's name, the message), per actor in the order it would get them."""
        return [(lane.name, message) for lane in self._lanes if lane.actor for message in lane.actor.inbox.waiting()]

    @property
    def living(self) -> tuple[str, ...]:
        """The names of the actors that live, in the order in which they were spawned."""
        return tuple(lane.name for lane in self._lanes)

    @property
    def busy(self) -> tuple[str, ...]:
        """The names of the actors for whom a message waits, in the order in which they were spawned."""
        return tuple(lane.name for lane in self._lanes if lane.arrivals)

    @property
    def alarms(self) -> list[tuple[float, str, object]]:
        """The alarms that are set: (seconds from now, the name of the actor's class, the message), earliest first."""
        now = self.clock.monotonic()
        return [
            (alarm.due - now, alarm.ref.actor_class.__name__, alarm.message)
            for alarm in sorted(self._alarms)
            if not alarm.cancelled
        ]

    @property
    def next_due_s(self) -> float | None:
        """In how many seconds the next alarm rings, or a read that hangs is given up; None when none will."""
        times = [alarm.due for alarm in self._alarms if not alarm.cancelled]
        times.extend(self.sources.deadlines())
        return min(times) - self.clock.monotonic() if times else None

    # inside

    def _choices(self) -> list[tuple[int, Callable[[], None]]]:
        now = self.clock.monotonic()
        choices: list[tuple[int, Callable[[], None]]] = [
            (lane.arrivals[0], lane.deliver) for lane in self._lanes if lane.arrivals
        ]
        choices.extend(self.sources.choices())
        while self._alarms and self._alarms[0].cancelled:
            heapq.heappop(self._alarms)
        if self._alarms and self._alarms[0].due <= now:
            choices.append((self._alarms[0].order, self._ring))
        return choices

    def _ring(self) -> None:
        alarm = heapq.heappop(self._alarms)
        if alarm.ref.is_alive():
            alarm.ref.tell(alarm.message)

    def _lane(self, name: str) -> SteppedLane:
        for lane in reversed(self._lanes):
            if lane.name == name:
                return lane
        raise LookupError(f"no living actor is called {name!r}; there are {sorted(lane.name for lane in self._lanes)}")

    def _had_effect(self) -> None:
        """Count what a handler did to others, and crash it when its time has come."""
        if not self._handling:
            return
        self.effects += 1
        if self._crash_after:
            self._crash_after -= 1
            if not self._crash_after:
                raise InjectedCrash

    def _act(self, act: Callable[[], None]) -> None:
        self._acting = True
        try:
            act()
        finally:
            self._acting = False
        self._raise_escaped()

    def _raise_escaped(self) -> None:
        if (
            self._acting
        ):  # a handler that spawns or stops doesn't see another's error, as on real threads; the step does
            return
        escaped, self._escaped = self._escaped, []
        if self._strict and escaped:
            raise escaped[0]
