"""For tests of this package and of what embeds it: time that stands still, actors that move one step at a time."""

from __future__ import annotations

from openclaw_actors.testing.clock import VirtualClock
from openclaw_actors.testing.stepped import SteppedDispatcher

__all__ = ["SteppedDispatcher", "VirtualClock"]
