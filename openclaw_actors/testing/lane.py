"""Where actors stand still: the lanes and alarms of a stepped dispatcher."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import pykka

from openclaw_actors.actors.base import BaseActor
from openclaw_actors.testing.crashes import Crash, CrashPoint, InjectedCrash

if TYPE_CHECKING:
    from openclaw_actors.testing.stepped import SteppedDispatcher


class SteppedLane:
    """Where one actor stands still until it is stepped."""

    registered = False

    def __init__(self, name: str, home: SteppedDispatcher, *, pooled: bool) -> None:
        self._name = name
        self.pooled = pooled
        self._home = home
        self.actor: BaseActor | None = None
        self.arrivals: deque[int] = deque()

    @property
    def name(self) -> str:
        return self._name

    def enter(self, actor: BaseActor) -> None:
        self.actor = actor
        actor.inbox.notify = self._arrived
        self._home._lanes.append(self)
        actor.run_start()

    def failed(self, error: BaseException) -> None:
        self._home._witness.failed()
        if not isinstance(error, InjectedCrash):
            self._home._escaped.append(error)

    def unknown(self, message_type: type) -> None:
        self._home._witness.unknown(self._name, message_type)
        assert self.actor is not None
        text = f"{self._name}: {type(self.actor).__name__} has no handler for {message_type.__name__}"
        self._home._escaped.append(AssertionError(text))

    def died(self, urn: str, name: str, reason: str, dropped: int) -> None:
        self.actor = None
        self.arrivals.clear()
        self._home._lanes.remove(self)
        self._home._witness.died(urn, name, reason, dropped)

    def deliver(self) -> None:
        """Hand the actor its next message."""
        assert self.actor is not None
        self.arrivals.popleft()
        envelope = self.actor.inbox.take()
        assert envelope is not None
        self._home.history.append((self._name, envelope.message))
        self._home._handling = True
        try:
            self.actor.run_one(envelope)
        finally:
            self._home._handling = False

    def crash(self, crash: Crash) -> None:
        """Have the actor end around its next message."""
        actor = self.actor
        assert actor is not None
        if crash.point is CrashPoint.BEFORE:
            actor.run_end(f"crashed before {type(actor.inbox.waiting()[0]).__name__}")
        elif crash.point is CrashPoint.AFTER:
            self.deliver()
            actor.run_end(f"crashed after {type(self._home.history[-1][1]).__name__}")
        else:
            self._home._crash_after = crash.effect if crash.point is CrashPoint.EFFECT else 0
            if crash.point is CrashPoint.ENTRY:
                actor._handlers = dict.fromkeys(actor._handlers, _crash)  # type: ignore[misc]  # of this one alone, once
            try:
                self.deliver()
            finally:
                self._home._crash_after = 0
                vars(actor).pop("_handlers", None)

    def _arrived(self) -> None:
        self.arrivals.append(next(self._home._order))
        self._home._had_effect()


def _crash(actor: BaseActor, message: object) -> None:
    vars(actor).pop("_handlers", None)
    raise InjectedCrash(f"entering {type(message).__name__}")


class SteppedAlarm:
    """One alarm in virtual time."""

    def __init__(self, due: float, order: int, ref: pykka.ActorRef[Any], message: object) -> None:
        self.due = due
        self.order = order
        self.ref = ref
        self.message = message
        self.cancelled = False

    def __lt__(self, other: SteppedAlarm) -> bool:
        return (self.due, self.order) < (other.due, other.order)

    def cancel(self) -> None:
        self.cancelled = True
