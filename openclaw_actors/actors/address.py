"""Addresses: where to tell an actor something, whichever incarnation of it lives."""

from __future__ import annotations

import threading
from typing import Any

import pykka

from openclaw_actors.actors.base import tell
from openclaw_actors.log import log

_MOST_KEPT = 1000
"""How many messages wait for an actor that isn't there; of more, the newest."""


class Address:
    """A stable name for an actor that may be restarted. One writer (the supervisor) sets `ref`; any thread may tell.

    What is told to an actor that isn't there is lost, unless the address `keeps`: then each message is kept until the
    actor is done with it, and its next incarnation is told all that is left, in order. Only the message that it died in
    is given up, or it could kill every incarnation: that is logged, and the restart answers its attempt.
    """

    __slots__ = ("_given_up", "_handling", "_kept", "_lock", "_ref", "name")

    def __init__(self, name: str, ref: pykka.ActorRef[Any] | None = None, *, keeps: bool = False) -> None:
        """Name an actor; one that `keeps` calls `begins` and `ends` around each message that it handles."""
        self.name = name
        self._ref = ref
        self._lock = threading.Lock()  # orders what is told while an incarnation comes; nobody holds it for long
        self._kept: dict[int, object] | None = {} if keeps else None
        self._handling: object | None = None
        self._given_up = 0

    @property
    def ref(self) -> pykka.ActorRef[Any] | None:
        """The newest incarnation, be it alive or dead; None when there is none."""
        return self._ref

    @ref.setter
    def ref(self, ref: pykka.ActorRef[Any] | None) -> None:
        if self._kept is None:
            self._ref = ref
            return
        with self._lock:
            given_up, self._given_up = self._given_up, 0
            self._ref = ref
            if ref is not None:
                for message in tuple(self._kept.values()):
                    tell(ref, message)
        if given_up:  # not under the lock: a slow sink would hold up whoever tells something
            log.bind(actor=self.name, messages=given_up).warning(
                "an actor was away for so long that messages to it were given up"
            )

    def settle(self) -> None:
        """Give up the message that the last incarnation died in; before the next one is made, which has messages of its
        own.
        """
        died_in, self._handling = self._handling, None
        if died_in is None or self._kept is None:
            return
        with self._lock:
            was_kept = self._kept.pop(id(died_in), None) is not None
        if was_kept:
            log.bind(actor=self.name, message_type=type(died_in).__name__).warning(
                "the message that an actor died in is given up"
            )

    @property
    def lives(self) -> bool:
        """Whether there is an incarnation that lives."""
        ref = self._ref
        return ref is not None and ref.is_alive()

    def tell(self, message: object) -> bool:
        """Send a message and return whether an actor was there to accept it, or will be; never raises.

        What is lost while the WarmerActor is dead is made good by its restart, which warms everything again.
        """
        kept = self._kept
        if kept is None:
            ref = self._ref
            return ref is not None and tell(ref, message)
        with self._lock:
            kept[id(message)] = message
            if (self._ref is None or not tell(self._ref, message)) and len(kept) > _MOST_KEPT:
                self._give_up_oldest(kept)
        return True

    def waiting(self) -> tuple[object, ...]:
        """Return what is kept: told, and not yet done with."""
        with self._lock:
            return tuple(self._kept.values()) if self._kept is not None else ()

    def begins(self, message: object) -> None:
        """Take note that the actor begins to handle a message; on its thread."""
        self._handling = message

    def ends(self, message: object) -> None:
        """Take note that the actor is done with a message; on its thread."""
        if self._kept is not None:
            with self._lock:
                self._kept.pop(id(message), None)
        self._handling = None

    def _give_up_oldest(self, kept: dict[int, object]) -> None:
        """Drop the oldest message of an attempt, which the restart answers; the others are few."""
        for key, message in kept.items():
            if hasattr(message, "generation"):
                del kept[key]
                self._given_up += 1
                return
