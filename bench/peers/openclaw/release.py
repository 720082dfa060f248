"""What the bench must know of a version of OpenClaw before it starts it."""

from __future__ import annotations

import msgspec


class Release(msgspec.Struct, frozen=True):
    """A version, and how it differs from others in what is measured."""

    wanted: str
    """Its number, or `newest`."""
    keeps_json: bool
    """Whether its stores are JSON files. Since 2026.6 they are in a database, and a home is moved there first."""
    prewarms: bool
    """Whether it warms the auth state of all agents at its start, and says in its log when it is done."""
