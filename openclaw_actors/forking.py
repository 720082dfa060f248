"""Forks: a child has one thread, and every lock that another one held at that moment is held there for ever.

What a child may call without waiting (reads, `health`, `stop`, the asyncio face) gets locks of its own here. It never
gets the parent's work: events raise `ForkedError`, and nothing is published or told in the child.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Protocol


class Forkable(Protocol):
    """Something that holds a lock and lives in two processes after a fork."""

    def after_fork(self) -> None:
        """Renew the lock; called in the child, on its only thread. A lock is replaced, not released: whoever forked
        inside a `with` releases the old one.
        """
        ...


_OWNERS: weakref.WeakSet[Forkable] = weakref.WeakSet()
_CALLS: list[Callable[[], None]] = []


def mend_in_children(owner: Forkable) -> None:
    """Have an object's `after_fork` called in each forked child, as long as somebody holds the object."""
    _OWNERS.add(owner)


def call_in_children(call: Callable[[], None]) -> None:
    """Have a function called in each forked child: for the lock of a module."""
    _CALLS.append(call)


def _mend() -> None:
    for call in _CALLS:
        call()
    for owner in list(_OWNERS):
        owner.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mend)
