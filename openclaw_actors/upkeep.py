"""The upkeep of a runtime: its parts are started, their deaths are noticed, and they are started again."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import final

import msgspec

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.base import STOPPED
from openclaw_actors.clock import Clock
from openclaw_actors.counters import Counters
from openclaw_actors.health import ConditionBoard
from openclaw_actors.log import log
from openclaw_actors.reading.job import describe_error, places
from openclaw_actors.restarts import Restarts
from openclaw_actors.settings import Settings

LIVENESS_S = 2.0
"""How often it is looked, in seconds, who lives, whatever notices came; one whose notice never came is found within
twice as long."""

_SETTLED_S = 1.0
"""How long something that dies again and again has to live before others do their part for it, in seconds."""

_FEW = 3
"""So many deaths in a period are no reason to wait for that."""

_OUTSIDE = "stopped from outside"
_UNTOLD = "ended without a notice"


class Death(msgspec.Struct, frozen=True):
    """An actor's end, as the dispatcher tells of it."""

    urn: str
    name: str
    reason: str


class Part:
    """Something that is started, and started again when it could not be or, if it is an actor, when it died."""

    __slots__ = ("address", "announced_at", "has_lived", "is_foundation", "mourned", "problem", "start", "suspect")

    def __init__(self, start: Callable[[], None], address: Address | None, is_foundation: bool) -> None:
        self.start = start
        """Starts it, for the first time or again; raises when that can't be done now."""
        self.address = address
        """Where the actor is; None for what is no actor."""
        self.has_lived = False
        self.problem = ""
        """Why it can't be started; empty when it can."""
        self.is_foundation = is_foundation
        """Whether it is nothing before others do their part, so that these are told at once whenever it is started."""
        self.announced_at: float | None = None
        """When others are told that it was started again, if it lives until then; None when they need not be."""
        self.mourned = ""
        """The urn of the last incarnation whose end was taken note of."""
        self.suspect: tuple[str, float] | None = None
        """An incarnation that was found dead without a notice, and since when that is so."""


@final
class Upkeep:
    """Keeps the parts up. `note`, `wake` and `stop` may be called on any thread; everything else on one at a time."""

    def __init__(
        self,
        clock: Clock,
        settings: Settings,
        conditions: ConditionBoard,
        counters: Counters,
        *,
        on_started_again: Callable[[str], None],
        on_other_due: Callable[[str], None],
        check_threads: Callable[[], None],
    ) -> None:
        """Take what is called when a part was started again, when somebody who is no part may be started again, and
        to look after threads.
        """
        self._clock = clock
        self._settings = settings
        self._conditions = conditions
        self._counters = counters
        self._on_started_again = on_started_again
        self._on_other_due = on_other_due
        self._check_threads = check_threads
        self.parts: dict[str, Part] = {}
        """By name, in the order of their start."""
        self.restarts = Restarts(settings)
        self._reasons: dict[str, str] = {}
        self._stopped_outside_at: float | None = None
        self._deaths: deque[Death] = deque()
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._is_stopping = False

    def add(
        self, name: str, start: Callable[[], None], address: Address | None = None, *, is_foundation: bool = False
    ) -> None:
        """Take a part in; `begin` starts it."""
        self.parts[name] = Part(start, address, is_foundation)

    def begin(self) -> None:
        """Start every part in order; one that can't be started is tried again later, and the others go on."""
        for name, part in self.parts.items():
            self._start(name, part)
        self._show()

    # -------------------------------------------------------------------------------------------------- any thread

    def note(self, urn: str, name: str, reason: str) -> None:
        """Take note of an actor's end; returns at once."""
        self._deaths.append(Death(urn, name, reason))
        self._woken.put(None)

    def wake(self) -> None:
        """End a `wait`; returns at once."""
        self._woken.put(None)

    def stop(self) -> None:
        """Start nothing any more; returns at once."""
        self._is_stopping = True
        self._woken.put(None)

    @property
    def is_stopping(self) -> bool:
        """Whether nothing is started any more."""
        return self._is_stopping

    # --------------------------------------------------------------------------------------------------- one thread

    def wait(self, seconds: float | None) -> None:
        """Wait until an actor ended, a stop was asked for, or the time is over; blocks."""
        try:
            self._woken.get(timeout=seconds)
            while True:  # of many deaths at once, one round takes note
                self._woken.get_nowait()
        except Empty:
            return

    def look_after(self) -> float | None:
        """Take note of the deaths that wait, look who lives, and start again what is due by now; never blocks.

        Returns:
            In how many seconds it wants to be called again, if no death wakes its caller before; None when stopping.
        """
        if self._is_stopping:
            return None
        while self._deaths:
            self._on_death(self._deaths.popleft())
        self._check_threads()
        self._look_who_lives()
        for name in self.restarts.take_due(self._clock.monotonic()):
            if name in self.parts:
                self._start_again(name, self.parts[name])
            else:
                self._on_other_due(name)
        now = self._clock.monotonic()
        announced_at = self._announce(now)
        self._show()
        if self._deaths:
            return 0.0  # of what was started just now
        times = [at for at in (self.restarts.next_at(now), announced_at) if at is not None]
        return min(LIVENESS_S, max(0.0, min(times) - now)) if times else LIVENESS_S

    def _announce(self, now: float) -> float | None:
        """Tell the others of those that were started again and live; return when to look again."""
        for name, part in self.parts.items():
            if part.announced_at is not None and part.announced_at <= now:
                part.announced_at = None
                if part.address is not None and part.address.lives:
                    self._on_started_again(name)
        return min((part.announced_at for part in self.parts.values() if part.announced_at is not None), default=None)

    def _look_who_lives(self) -> None:
        now = self._clock.monotonic()
        for name, part in self.parts.items():
            ref = part.address.ref if part.address is not None else None
            if ref is None or ref.is_alive() or ref.actor_urn == part.mourned:
                part.suspect = None
            elif part.suspect is None or part.suspect[0] != ref.actor_urn:
                # its notice may be on its way: it comes when everything that it held is closed
                part.suspect = (ref.actor_urn, now)
            elif now - part.suspect[1] >= LIVENESS_S:
                self._on_death(Death(ref.actor_urn, name, _UNTOLD))

    def _on_death(self, death: Death) -> None:
        part = self.parts.get(death.name)
        reason = death.reason
        if part is None:
            if reason == STOPPED:
                return  # by the WarmerActor
        else:
            ref = part.address.ref if part.address is not None else None
            if ref is None or ref.actor_urn != death.urn or part.mourned == death.urn:
                return  # notice of an earlier incarnation, or the second one of this
            part.mourned = death.urn
            if reason == STOPPED:
                # nobody but `stop` may end them: a host's `ActorRegistry.stop_all()`, say
                reason = _OUTSIDE
                self._stopped_outside_at = self._clock.monotonic()
            part.announced_at = None
        log.bind(actor=death.name, reason=reason).error("an actor died and is started again")
        self._reasons[death.name] = reason
        self.restarts.died(death.name, self._clock.monotonic())

    def _start_again(self, name: str, part: Part) -> None:
        ref = part.address.ref if part.address is not None else None
        if self._is_stopping:
            return
        if ref is not None and ref.is_alive():  # the start that failed has succeeded as far as that
            self.restarts.started(name)
            part.problem = ""
            return
        had_lived = part.has_lived
        if self._start(name, part):
            self._counters.restarts += had_lived
            if part.address is not None:
                now = self._clock.monotonic()
                # a whole warm for each start of something that dies at once would be a storm
                waits = self.restarts.deaths(name, now) > _FEW and not part.is_foundation
                part.announced_at = now + _SETTLED_S if waits else now

    def _start(self, name: str, part: Part) -> bool:
        try:
            part.start()
        except Exception as error:  # no thread can be started now, say: that degrades this part, and is tried again
            self.restarts.failed(name, self._clock.monotonic())
            part.problem = describe_error(error)
            if threading.main_thread().is_alive():  # at the interpreter's exit nothing can be started: no news
                log.bind(actor=name, at=places(error)).error(
                    "a part can't be started and is tried again: {}", part.problem
                )
            return False
        self.restarts.started(name)
        part.problem, part.has_lived = "", True
        return True

    def _show(self) -> None:
        """Say how the parts are."""
        now = self._clock.monotonic()
        often = self.restarts.often(now)
        if self._reasons:
            known = often.keys() | {name for name in self._reasons if self.restarts.due_at(name) is not None}
            self._reasons = {name: reason for name, reason in self._reasons.items() if name in known}
        broken = [f"{name} can't be started: {part.problem}" for name, part in self.parts.items() if part.problem]
        period_s = self._settings.restart_period_s
        dying = [
            f"{name} died {times} times in {period_s:g} s: {self._reasons.get(name, 'for several reasons')}"
            for name, times in often.items()
        ]
        down = {name: self._reasons.get(name, "") for name in self.parts if self.restarts.due_at(name) is not None}
        if broken:
            self._say(False, "CannotStart", f"{'; '.join(broken)}; it is still tried")
        elif dying:
            self._say(False, "RestartingOften", f"{'; '.join(dying)}; it is still tried")
        elif down:
            outside = _OUTSIDE in down.values()
            text = "; ".join(f"{name}: {reason}" for name, reason in down.items())
            self._say(False, "StoppedFromOutside" if outside else "Restarting", f"{text}; it is started again")
        else:
            at = self._stopped_outside_at
            if at is not None and now - at > period_s:
                at = self._stopped_outside_at = None
            self._say(
                True,
                "Alive",
                ""
                if at is None
                else "actors were stopped from outside, by pykka's stop_all() perhaps, and were started again",
            )

    def _say(self, status: bool, reason: str, message: str) -> None:
        self._conditions.set("ActorsAlive", status, reason, message)
