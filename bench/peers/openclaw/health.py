"""Asks the gateway's HTTP probes all the time, from outside: the slowest answer shows how long its loop was blocked."""

from __future__ import annotations

import http.client
import threading
import time
from types import TracebackType
from typing import Self

import msgspec

from bench.peers.openclaw.surroundings import LOOPBACK

READY = "/readyz"
"""The probe that says 200 once the gateway takes requests."""

LIVE = "/healthz"
"""The cheapest probe: it says that the HTTP server answers."""

_PAUSE_S = 0.02
_PATIENCE_S = 3600.0


class Probe(msgspec.Struct, frozen=True):
    """One question, with monotonic times."""

    asked_at: float
    answered_at: float
    """Or when the connection broke: until then there was no answer, so it counts alike."""

    @property
    def took_s(self) -> float:
        """How long it took."""
        return self.answered_at - self.asked_at


class HealthWatch:
    """Asks the readiness probe until it says yes, then the liveness probe every 20 ms, one question at a time, for as
    long as the `with` lasts.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="bench-health", daemon=True)
        self._probes: list[Probe] = []
        self._asking_since: float | None = None
        self.ready_at: float | None = None
        """When readiness was first answered with yes, monotonic."""

    def slowest_s(self, since: float, until: float) -> float | None:
        """Return the slowest answer to a question that was open between two times; None when nobody asked.

        A question that has no answer yet counts with how long it has been open by then.
        """
        probes = list(self._probes)
        asking = self._asking_since
        if asking is not None:
            probes.append(Probe(asking, max(asking, until)))
        taken = [one.took_s for one in probes if one.asked_at <= until and one.answered_at >= since]
        return max(taken, default=None)

    def _ask(self) -> None:
        while not self._over.wait(_PAUSE_S):
            asked_at = time.monotonic()
            is_ready = self.ready_at is not None
            self._asking_since = asked_at if is_ready else None
            says_yes = self._says_yes(LIVE if is_ready else READY)
            now = time.monotonic()
            if is_ready:
                self._probes.append(Probe(asked_at, now))
                self._asking_since = None
            elif says_yes:
                self.ready_at = now

    def _says_yes(self, path: str) -> bool:
        """Ask once, on a connection of its own: after a long block, Node closes those that waited as idle."""
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=_PATIENCE_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop asking. The gateway must have ended, so that no question stays open."""
        self._over.set()
        self._thread.join()
