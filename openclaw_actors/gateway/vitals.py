"""How the gateway itself is, for those who look on: told once a second, whoever asks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor

EVERY_S = 1.0
"""How often it is told, in seconds."""

GAP_WITHIN_S = 10.0
"""How far back the event loop's longest gap is looked for, in seconds."""


class Vitals:
    """Made at most twice a second, however many look on. For the event loop alone."""

    def __init__(self, supervisor: AuthSupervisor) -> None:
        self._supervisor = supervisor
        self._made_at = 0.0
        self._kept = b""

    def encoded(self) -> bytes:
        """Return them as JSON."""
        now = time.monotonic()
        if not self._kept or now - self._made_at >= EVERY_S / 2:
            self._made_at = now
            self._kept = msgspec.json.encode(self._made())
        return self._kept

    def _made(self) -> dict[str, Any]:
        supervisor = self._supervisor
        health = supervisor.health()
        gap_s = supervisor.loop_gap_s(GAP_WITHIN_S)
        return {
            "at": time.time(),
            "home": str(supervisor.home_path),
            "sequence": supervisor.sequence,
            "progress": supervisor.progress(),
            "warm_s": supervisor.warm_time_s,
            "loop_gap_ms": None if gap_s is None else round(gap_s * 1000, 2),
            "roster": hash(supervisor.agent_ids()) & 0xFFFFFFFF,
            "stats": supervisor.stats(),
            "ok": health.ok,
            "wrong": [
                {"type": one.type, "reason": one.reason, "message": one.message, "since": one.since}
                for one in health.conditions
                if not one.status
            ],
        }
