"""Sets that nearly always have one member, of which there are tens of thousands: a tuple takes a quarter of the memory.

Not safe on several threads, like a `set`.
"""

from __future__ import annotations

from typing import TypeAlias, TypeVar

_T = TypeVar("_T")

Few: TypeAlias = tuple[_T, ...] | set[_T]
"""Distinct members in no order: a tuple while they are few, then a set."""

_MOST = 8


def with_member(few: Few[_T], member: _T) -> Few[_T]:
    """Return a collection with one member more; a set is changed in place."""
    if isinstance(few, set):
        few.add(member)
        return few
    if member in few:
        return few
    return (*few, member) if len(few) < _MOST else {*few, member}


def without_member(few: Few[_T], member: _T) -> Few[_T]:
    """Return a collection without a member; a set is changed in place."""
    if isinstance(few, set):
        few.discard(member)
        return few
    return tuple(one for one in few if one != member) if member in few else few
