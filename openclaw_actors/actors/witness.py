"""What befalls the actors of one dispatcher: counted, and told to whoever wants to know."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import msgspec

from openclaw_actors.actors.base import STOPPED
from openclaw_actors.log import log
from openclaw_actors.reading.job import describe_error

LANE_STOPPED = "its lane was stopped"
"""The reason of an end that came with the end of the whole lane: at stop, no accident."""

DeathListener = Callable[[str, str, str], None]
"""Called with an actor's urn, name and reason of death, on the thread that the actor ran on."""


class DispatchStats(msgspec.Struct, frozen=True):
    """What a dispatcher has seen; the numbers only grow."""

    spawned: int
    """Actors started."""
    deaths: int
    """Actors ended, for whatever reason."""
    handler_errors: int
    """Errors that left a handler or a hook."""
    unknown_messages: int
    """Messages without a handler."""
    dropped_messages: int
    """Messages that waited when their actor ended."""


class Witness:
    """Counts what befalls the actors of one dispatcher and passes their deaths on; safe on any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._unknown: set[tuple[str, type]] = set()
        self._listeners: tuple[DeathListener, ...] = ()

    def on_death(self, listener: DeathListener) -> None:
        """Call the listener at each end of an actor from now on, also at those that were asked for (`STOPPED`)."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def spawned(self) -> None:
        """Count a start."""
        with self._lock:
            self._counts["spawned"] += 1

    def failed(self) -> None:
        """Count an error that left a handler; the actor has logged it."""
        with self._lock:
            self._counts["handler_errors"] += 1

    def unknown(self, name: str, message_type: type) -> None:
        """Count a message without a handler, and warn at the first of its type for that actor."""
        with self._lock:
            self._counts["unknown_messages"] += 1
            first = (name, message_type) not in self._unknown
            if first and len(self._unknown) < 1_000:  # 10,000 agents that get a strange message need no 10,000 lines
                self._unknown.add((name, message_type))
            else:
                first = False
        if first:
            log.bind(actor=name, message_type=message_type.__name__).warning(
                "an actor got a message it has no handler for"
            )

    def died(self, urn: str, name: str, reason: str, dropped: int) -> None:
        """Count an end and tell the listeners."""
        with self._lock:
            self._counts["deaths"] += 1
            self._counts["dropped_messages"] += dropped
        if reason not in (STOPPED, LANE_STOPPED):
            log.bind(actor=name, reason=reason, dropped=dropped).error("an actor died")
        elif dropped:
            log.bind(actor=name, dropped=dropped).debug("an actor stopped and dropped what waited")
        for listener in self._listeners:
            try:
                listener(urn, name, reason)
            except Exception as error:
                self.failed()
                log.bind(actor=name, error=describe_error(error)).error("a listener for deaths failed")

    def stats(self) -> DispatchStats:
        """Return the counts."""
        with self._lock:
            counts = dict(self._counts)
        return DispatchStats(**{field: counts.get(field, 0) for field in DispatchStats.__struct_fields__})
