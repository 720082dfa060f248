"""One round with one version of OpenClaw, on a home that it may write in.

A version that keeps its stores elsewhere moves them. Then the gateway is started and asked by HTTP without a pause;
once its warm is over, `models.list` and `/models` are asked over one connection; it is ended; the listing commands are
timed without it.
"""

from __future__ import annotations

import time
from typing import Any

from bench.peers.openclaw.commands import Commands
from bench.peers.openclaw.gateway import Gateway
from bench.peers.openclaw.health import HealthWatch
from bench.peers.openclaw.installation import Installation
from bench.peers.openclaw.log_lines import Warmed, WarmFailed
from bench.peers.openclaw.release import Release
from bench.peers.openclaw.rpc import RpcClient, RpcError
from bench.peers.openclaw.surroundings import Surroundings
from bench.peers.processes import wait_until
from bench.peers.protocol import Limits, PeerFigures, Watcher

_MAIN_SESSION = "agent:main:main"


class Round:
    """Measures once; what it finds goes into the given figures as it is found."""

    def __init__(
        self,
        release: Release,
        installation: Installation,
        surroundings: Surroundings,
        limits: Limits,
        watcher: Watcher,
        found: PeerFigures,
    ) -> None:
        self._release = release
        self._installation = installation
        self._surroundings = surroundings
        self._limits = limits
        self._watcher = watcher
        self._found = found

    def run(self) -> None:
        """Measure; leaves no process behind.

        Raises:
            Interrupted: The watcher asked for an early end.
        """
        found, limits = self._found, self._limits
        commands = Commands(self._installation, self._surroundings, self._watcher, found)
        if not self._release.keeps_json:
            found.notes.append(
                "the home's JSON stores were moved into this version's database before the gateway started"
            )
            commands.move_stores(limits.ready_s)
        with (
            HealthWatch(self._surroundings.port) as health,
            Gateway(self._installation, self._surroundings) as gateway,
        ):
            if self._get_ready(gateway, health) and self._warm(gateway, health):
                self._ask()
                found.add("rss_mib", gateway.memory.rss_mib())
            found.add("rss_peak_mib", gateway.memory.peak_mib)
            if gateway.has_ended():
                found.problems.append(gateway.account())
        commands.list_models(limits.call_s)

    def _get_ready(self, gateway: Gateway, health: HealthWatch) -> bool:
        """Note how long the gateway takes to get ready, and return whether it did."""
        self._watcher.say("the gateway starts")
        limit_s = self._limits.ready_s
        if not wait_until(lambda: health.ready_at is not None or gateway.has_ended(), limit_s, self._watcher):
            self._found.problems.append(f"not ready within {limit_s:.0f} s (over the limit); {gateway.account()}")
        if health.ready_at is None:
            return False
        self._found.add("ready_s", health.ready_at - gateway.started_at)
        return True

    def _warm(self, gateway: Gateway, health: HealthWatch) -> bool:
        """Note warm and stall, and return whether the gateway can be asked questions."""
        prewarms, ready_at = self._release.prewarms, health.ready_at
        assert ready_at is not None
        self._watcher.say("the gateway warms" if prewarms else "the gateway is watched for stalls")
        limit_s = self._limits.warm_s if prewarms else self._limits.settle_s
        wait_until(lambda: gateway.warm_at is not None or gateway.has_ended(), limit_s, self._watcher)
        warm_at = gateway.warm_at
        stall_s = health.slowest_s(ready_at, time.monotonic() if warm_at is None else warm_at)
        if stall_s is not None:
            self._found.add("real_stall_s", stall_s)
        if isinstance(gateway.warm, Warmed) and warm_at is not None:
            self._found.add("warm_s", gateway.warm.took_s)
            self._found.add("warm_seen_s", warm_at - ready_at)
            if gateway.warm.event_loop_max_s is not None:
                self._found.add("logged_event_loop_max_s", gateway.warm.event_loop_max_s)
        elif isinstance(gateway.warm, WarmFailed):
            self._found.problems.append(f"its log says that the pre-warm failed; {gateway.account()}")
        elif not prewarms:
            self._found.notes.append(
                f"no pre-warm in this version: the stall is the slowest answer in {limit_s:.0f} s from ready"
            )
        elif not gateway.has_ended():
            self._found.problems.append(
                f"no pre-warm line in its log within {limit_s:.0f} s from ready (over the limit): the warm was cut "
                "off, the stall is what was seen until then"
            )
        return not gateway.has_ended()

    def _ask(self) -> None:
        """Ask `models.list` and `/models`, each first and later, and note the times."""
        limits, found = self._limits, self._found
        try:
            with RpcClient(
                self._surroundings.port, self._surroundings.token, limits.call_s, self._watcher.is_over
            ) as client:
                rows = [self._list_models(client, _turn(again)) for again in range(1 + limits.later_calls)]
                self._watcher.say("/models")
                for again in range(1 + limits.later_calls):
                    began = time.monotonic()
                    client.chat(_MAIN_SESSION, "/models")
                    found.add(f"slash_models_{_turn(again)}_s", time.monotonic() - began)
                rows.append(self._list_models(client, "later"))
        except RpcError as error:
            found.problems.append(str(error))
            return
        found.add("models_list_rows", rows[-1])
        if rows[0] != rows[-1]:
            found.notes.append(
                f"models.list had {rows[0]} rows at first and {rows[-1]} in the end: its catalogue was not ready yet"
            )

    def _list_models(self, client: RpcClient, turn: str) -> int:
        """Ask `models.list` once, note the time, and return how many models it listed."""
        self._watcher.say("models.list")
        began = time.monotonic()
        answer = client.call("models.list", {})
        self._found.add(f"models_list_{turn}_s", time.monotonic() - began)
        return _rows(answer)


def _turn(again: int) -> str:
    return "later" if again else "first"


def _rows(answer: Any) -> int:
    models = answer.get("models") if isinstance(answer, dict) else None
    return len(models) if isinstance(models, list) else 0
