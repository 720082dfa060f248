"""What simulations have been through: which message types met which crash, and which operations did something."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import product

from openclaw_actors import messages
from openclaw_actors.testing.crashes import CrashPoint

ALL_TYPES = tuple(
    sorted(
        name
        for name, one in vars(messages).items()
        if isinstance(one, type) and issubclass(one, messages.Message) and one is not messages.Message
    )
)
"""Every message of the protocol."""


@dataclass(slots=True)
class Coverage:
    """Counts; those of several runs add up."""

    handled: Counter[str] = field(default_factory=Counter)
    """Message types that were handed to an actor."""
    crashed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(message type, crash point): actors that ended there."""
    with_effect: Counter[str] = field(default_factory=Counter)
    """Message types whose handlers told somebody, asked for a read or set an alarm."""
    done: Counter[str] = field(default_factory=Counter)
    """Operations that did something."""

    def add(self, other: Coverage) -> None:
        """Add another run's counts."""
        self.handled.update(other.handled)
        self.crashed.update(other.crashed)
        self.with_effect.update(other.with_effect)
        self.done.update(other.done)

    def missed(self) -> list[tuple[str, str]]:
        """Return the (message type, crash point) pairs that no run has met.

        A handler that never has an effect has no point between two effects.
        """
        return [
            (kind, str(point))
            for kind, point in product(ALL_TYPES, CrashPoint)
            if not self.crashed[kind, str(point)] and (point is not CrashPoint.EFFECT or self.with_effect[kind])
        ]
