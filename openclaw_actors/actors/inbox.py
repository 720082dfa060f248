"""The inbox of an actor: one type for every lane."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pykka
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from openclaw_actors.forking import call_in_children

_rare = threading.Lock()
"""Guards what happens a few times in an inbox's life; one for all, since 10,000 inboxes need no lock each."""


def _renew_rare() -> None:
    global _rare
    _rare = threading.Lock()


call_in_children(_renew_rare)


def _nobody() -> None:
    """Stand in for `notify` until a lane has taken the actor."""


def is_urgent(message: object) -> bool:
    """Tell whether a message overtakes those that wait."""
    return getattr(type(message), "priority", False) is True


class Inbox:
    """Holds the envelopes of one actor: any thread puts, the actor's lane alone takes.

    First comes pykka's own stop, so that stopping doesn't wait for the backlog; then messages whose class says
    `priority: ClassVar[bool] = True`, in their order; then the others, in theirs.

    A put is two appends and a call of `notify`, without a Python-level lock: `deque.append` and `popleft` are atomic,
    and a condition variable would cost each sender two lock hand-overs (measured: `queue.Queue.put` 0.7 us).

    After `close` nothing is accepted. A put that races with it is taken back out and answered, so that an `ask` never
    waits for a reply that can't come.
    """

    __slots__ = ("_closed", "_ordinary", "_urgent", "notify", "runner", "shared")

    def __init__(self) -> None:
        # made when needed: an empty deque is 0.7 kB, and most agents' actors are never told anything
        self._ordinary: deque[Envelope[Any]] | None = None
        self._urgent: deque[Envelope[Any]] | None = None
        self._closed = False
        self.notify: Callable[[], object] = _nobody
        """Called after each put, on the sender's thread; the lane sets it."""
        self.runner: int | None = None
        """The ident of the thread that takes from here, once known; waiting for the actor on it would wait for ever."""
        self.shared = False
        """Whether that thread serves other actors too."""

    def put(self, envelope: Envelope[Any], /) -> None:
        """Accept an envelope; called by pykka's refs on any thread.

        Raises:
            pykka.ActorDeadError: the actor is dead and nobody waits for a reply.
        """
        if self._closed:
            self._refuse(envelope)
            return
        message_type = type(envelope.message)
        if message_type is _ActorStop:
            self._urgent_lane().appendleft(envelope)
        elif is_urgent(envelope.message):
            self._urgent_lane().append(envelope)
        else:
            self._ordinary_lane().append(envelope)
        if self._closed:  # closed between the two looks: nobody else will take it out
            self.close()
            return
        self.notify()

    def take(self) -> Envelope[Any] | None:
        """Take the next envelope, or None when there is none; the lane's thread only."""
        if self._urgent:
            return self._urgent.popleft()
        if self._ordinary:
            return self._ordinary.popleft()
        return None

    def get(self) -> Envelope[Any]:
        """Take the next envelope without waiting (pykka's protocol; lanes use `take`).

        Raises:
            queue.Empty: nothing waits.
        """
        envelope = self.take()
        if envelope is None:
            raise queue.Empty
        return envelope

    def empty(self) -> bool:
        """Return whether nothing waits."""
        return not self._ordinary and not self._urgent

    def __len__(self) -> int:
        return len(self._ordinary or ()) + len(self._urgent or ())

    def waiting(self) -> tuple[object, ...]:
        """Return the messages that wait, in the order in which they would be taken; exact only while nobody puts."""
        return tuple(envelope.message for envelope in (*(self._urgent or ()), *(self._ordinary or ())))

    def close(self) -> int:
        """Accept nothing from now on and answer what waits; return how many messages were dropped.

        Stops that wait are answered as done, asks with `pykka.ActorDeadError`. Safe to call twice and on any thread.
        """
        self._closed = True
        dropped = 0
        for envelopes in (self._urgent, self._ordinary):
            while envelopes:
                try:
                    envelope = envelopes.popleft()
                except IndexError:  # another thread, closing too, was faster
                    break
                if type(envelope.message) is not _ActorStop:
                    dropped += 1
                if envelope.reply_to is not None:
                    self._refuse(envelope)
        return dropped

    def _ordinary_lane(self) -> deque[Envelope[Any]]:
        if self._ordinary is None:
            with _rare:
                if self._ordinary is None:
                    self._ordinary = deque()
        return self._ordinary

    def _urgent_lane(self) -> deque[Envelope[Any]]:
        if self._urgent is None:
            with _rare:
                if self._urgent is None:
                    self._urgent = deque()
        return self._urgent

    @staticmethod
    def _refuse(envelope: Envelope[Any]) -> None:
        error = pykka.ActorDeadError("the actor is dead, the message was not handled")
        if envelope.reply_to is None:
            raise error
        if type(envelope.message) is _ActorStop:
            envelope.reply_to.set(None)
        else:
            envelope.reply_to.set_exception((pykka.ActorDeadError, error, None))
