"""Addresses: where to tell an actor something, whichever incarnation of it lives."""

from __future__ import annotations

from typing import Any

import pykka

from openclaw_actors.actors.base import tell


class Address:
    """A stable name for an actor that may be restarted. One writer (the supervisor) sets `ref`; any thread may tell."""

    __slots__ = ("name", "ref")

    def __init__(self, name: str, ref: pykka.ActorRef[Any] | None = None) -> None:
        self.name = name
        self.ref = ref

    def tell(self, message: object) -> bool:
        """Send a message and return whether an actor was there to accept it; never raises.

        What is lost while an actor is dead is made good by its restart, which warms everything again.
        """
        ref = self.ref
        return ref is not None and tell(ref, message)
