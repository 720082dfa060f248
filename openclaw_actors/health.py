"""Health: conditions, each true when all is well, with a reason and a remedy when it isn't."""

from __future__ import annotations

import threading
from typing import final

import msgspec

from openclaw_actors.clock import Clock
from openclaw_actors.forking import mend_in_children

STORE_PERMISSIONS = "StorePermissions"
"""The condition that says which stores others than their owner may reach."""


class Condition(msgspec.Struct, frozen=True):
    """One thing that can be well or not."""

    type: str
    """`Warm`, `Watching`, `ConfigValid`, `StoresReadable`, `StorePermissions` (false while others than the owner may
    reach a store's files: its message names them, their modes and the `chmod` that mends it; they are read all the
    same), `LoginsReadable`, `SecretFilesReadable`, `DotenvReadable`, `SourcesSettled`, `UsagePersisted`,
    `AgentDirsDistinct`, `ActorsAlive`; with `Settings.control_socket` also `ControlSocket`, whose message is the
    socket's path while all is well.
    """
    status: bool
    """True is good."""
    reason: str
    """One word for machines."""
    message: str
    """What is wrong, where, and what to do; for people."""
    since: float
    """When the status last changed, epoch seconds."""


class Health(msgspec.Struct, frozen=True):
    """All conditions at one moment."""

    ok: bool
    """Whether every condition is true."""
    conditions: tuple[Condition, ...]

    def condition(self, kind: str) -> Condition | None:
        """Return one condition by its type."""
        return next((condition for condition in self.conditions if condition.type == kind), None)


class Progress(msgspec.Struct, frozen=True):
    """How far the warm is, and what is still under way."""

    agents: int
    """How many agents the config has; 0 until it was read."""
    published: int
    """How many of them have answers."""
    generation: int
    """The newest attempt that was asked for."""
    open: int
    """How many attempts are unanswered."""


@final
class ConditionBoard:
    """Where the actors write down how they are. Any thread may write and read; each condition has one writer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._conditions: dict[str, Condition] = {}
        mend_in_children(self)

    def after_fork(self) -> None:
        """Take a lock that nobody holds, in a forked child."""
        self._lock = threading.Lock()

    def set(self, kind: str, status: bool, reason: str, message: str = "") -> bool:
        """Write down a condition and return whether its status or message changed."""
        with self._lock:
            known = self._conditions.get(kind)
            if known is not None and (known.status, known.reason, known.message) == (status, reason, message):
                return False
            since = known.since if known is not None and known.status == status else self._clock.epoch()
            self._conditions[kind] = Condition(kind, status, reason, message, since)
            return True

    def health(self) -> Health:
        """Return all conditions as they are now."""
        conditions = tuple(self._conditions.values())
        return Health(ok=all(condition.status for condition in conditions), conditions=conditions)
