"""Addresses: where to tell an actor something, whichever incarnation of it lives."""

from __future__ import annotations

from collections import deque
from typing import Any

import pykka

from openclaw_actors.actors.base import tell

_MOST_KEPT = 1000
"""How many messages wait for an actor that was never there yet; of more, the newest."""


class Address:
    """A stable name for an actor that may be restarted. One writer (the supervisor) sets `ref`; any thread may tell."""

    __slots__ = ("_kept", "_ref", "name")

    def __init__(self, name: str, ref: pykka.ActorRef[Any] | None = None, *, keeps: bool = False) -> None:
        """Name an actor; one that `keeps` gets what was told before it was first there."""
        self.name = name
        self._ref = ref
        self._kept: deque[object] | None = deque(maxlen=_MOST_KEPT) if keeps and ref is None else None

    @property
    def ref(self) -> pykka.ActorRef[Any] | None:
        """The incarnation that lives; None when there is none."""
        return self._ref

    @ref.setter
    def ref(self, ref: pykka.ActorRef[Any] | None) -> None:
        self._ref = ref
        if ref is not None:
            self._hand_over(ref)

    def tell(self, message: object) -> bool:
        """Send a message and return whether an actor was there to accept it; never raises.

        What is lost while an actor is dead is made good by its restart, which warms everything again.
        """
        ref = self._ref
        if ref is None:
            kept = self._kept
            if kept is None:
                return False
            kept.append(message)
            ref = self._ref
            if ref is not None:  # it has come between the two looks
                self._hand_over(ref)
            return True
        return tell(ref, message)

    def _hand_over(self, ref: pykka.ActorRef[Any]) -> None:
        kept, self._kept = self._kept, None
        while kept:
            try:
                message = kept.popleft()
            except IndexError:  # another thread was faster
                return
            tell(ref, message)
