"""OpenClaw's own commands on a home without a gateway: what moves a home to newer stores, and listings."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import msgspec

from bench.peers.homes import STORE
from bench.peers.openclaw.installation import Installation
from bench.peers.openclaw.log_lines import shown
from bench.peers.openclaw.surroundings import Surroundings
from bench.peers.processes import end_group, wait_until
from bench.peers.protocol import PeerFigures, Watcher

_SHOWN = 400
_STOP_S = 2.0
_STEP_S = 0.01

_REPAIR = ("doctor", "--fix", "--non-interactive", "--yes")
"""Moves JSON stores into the database. Without it 2026.6.11 starts and sees no profile, 2026.9.6 refuses to start."""

_LIST = ("models", "list", "--json")
_STATUS = ("models", "status", "--json")


class _Done(msgspec.Struct, frozen=True):
    took_s: float
    output: str


class Commands:
    """Runs commands on a home, one at a time, and notes what they took."""

    def __init__(
        self, installation: Installation, surroundings: Surroundings, watcher: Watcher, found: PeerFigures
    ) -> None:
        self._installation = installation
        self._surroundings = surroundings
        self._watcher = watcher
        self._found = found

    def move_stores(self, limit_s: float) -> None:
        """Have the home's JSON stores moved into the database.

        Raises:
            Interrupted: The watcher asked for an early end.
        """
        done = self._run(_REPAIR, limit_s)
        if done is not None:
            self._found.add("repair_s", done.took_s)
        left = sum(1 for _ in self._surroundings.home.glob(f"agents/*/agent/{STORE}"))
        if left:
            self._found.problems.append(
                f"its repair left {left} stores in place, wholly or in part: their agents see less than they have"
            )

    def list_models(self, limit_s: float) -> None:
        """Time the listing commands, each once.

        Raises:
            Interrupted: The watcher asked for an early end.
        """
        self._time_json("cli_models_list_s", _LIST, limit_s)
        status = self._time_json("cli_models_status_s", _STATUS, limit_s)
        if status is not None:
            self._found.add("profiles_seen", profiles_in(status))

    def _time_json(self, metric: str, arguments: tuple[str, ...], limit_s: float) -> Any:
        """Time a command that answers with JSON and return the answer; None when there is none."""
        done = self._run(arguments, limit_s)
        if done is None:
            return None
        try:
            answer = json.loads(done.output)
        except ValueError:
            self._found.problems.append(f"openclaw {' '.join(arguments)} printed something else than JSON")
            return None
        self._found.add(metric, done.took_s)
        return answer

    def _run(self, arguments: tuple[str, ...], limit_s: float) -> _Done | None:
        """Run a command to its end; None when it failed or was cut off, which is noted."""
        name = f"openclaw {' '.join(arguments)}"
        self._watcher.say(name)
        env, home = self._surroundings.env(self._installation), self._surroundings.home
        output, trouble = (home / "tmp" / one for one in ("output", "trouble"))
        with output.open("wb") as out, trouble.open("wb") as err:
            began = time.monotonic()
            process = subprocess.Popen(
                [*self._installation.command, *arguments],
                cwd=home,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            try:
                in_time = wait_until(lambda: process.poll() is not None, limit_s, self._watcher, _STEP_S)
                took_s = time.monotonic() - began
            finally:
                end_group(process, _STOP_S)
        if not in_time:
            self._found.problems.append(f"{name} did not end within {limit_s:.0f} s (over the limit)")
            return None
        if process.returncode != 0:
            told = trouble.read_text("utf-8", "replace").strip()[-_SHOWN:]
            told = shown(told, str(home), str(self._installation.folder)) or "nothing"
            self._found.problems.append(f"{name} ended with status {process.returncode}; it said: {told}")
            return None
        return _Done(took_s, output.read_text("utf-8", "replace"))


def profiles_in(status: Any) -> int:
    """Return how many profiles the answer of `models status --json` counts; 0 when it counts none."""
    try:
        return sum(int(provider["profiles"]["count"]) for provider in status["auth"]["providers"])
    except (KeyError, TypeError, ValueError):
        return 0
