"""Peers as they are measured: real processes, probes and connections, with a small program in OpenClaw's place."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

sys.path.append(str(Path(__file__).parents[2]))  # the bench is run from the project root and not installed

from bench.app import run
from bench.peers.cache import CACHE_VARIABLE
from bench.peers.homes import distinct_home
from bench.peers.openclaw.health import HealthWatch
from bench.peers.openclaw.installation import Receipt, node_package_here
from bench.peers.openclaw.rpc import RpcClient, RpcError
from bench.peers.processes import wait_until
from bench.peers.protocol import Interrupted, Limits, PeerFigures
from bench.peers.registry import find

FAKE = Path(__file__).parents[1] / "data" / "peers" / "fake_openclaw.py"
WITH_MAP, WITHOUT_MAP = "2026.6.11", "newest"
LIMITS = Limits(ready_s=30, warm_s=30, settle_s=0, call_s=30, later_calls=2)


class Follower:
    """Follows a measurement; wants an early end once a word was said."""

    def __init__(self, end_at: str = "never") -> None:
        self._end_at = end_at
        self.said: list[str] = []

    def say(self, what: str) -> None:
        """Note it."""
        self.said.append(what)

    def is_over(self) -> bool:
        """Look whether the word was said."""
        return any(self._end_at in one for one in self.said)


Measure = Callable[..., PeerFigures]


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Measure]:
    """Return a function that measures the fake with a behaviour; in the end, none of its processes is left."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))

    def measured(
        behaviour: str, wanted: str = WITH_MAP, limits: Limits = LIMITS, follower: Follower | None = None
    ) -> PeerFigures:
        install_fake(tmp_path / "cache" / f"openclaw-{wanted}", behaviour)
        home = distinct_home(tmp_path / "home", agents=2, seed=1)
        home.write()
        (peer,) = find(f"openclaw@{wanted}")
        return peer.measure(home.path, limits, follower or Follower())

    yield measured
    left = [process for process in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(process.info["cmdline"])]
    assert left == []


def install_fake(folder: Path, behaviour: str) -> None:
    """Make an installation whose Node is this Python and whose program is the fake."""
    node = folder / "node_modules" / node_package_here() / "bin" / "node"
    program = folder / "node_modules" / "openclaw" / "openclaw.mjs"
    for one in (node, program):
        one.parent.mkdir(parents=True)
    node.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    node.chmod(0o755)
    shutil.copy(FAKE, program)
    program.with_name("behaviour").write_text(behaviour)
    (folder / "receipt.json").write_bytes(msgspec.json.encode(Receipt(version="1.2.3", node="v0")))


# ------------------------------------------------------------------------------------------------------------ one round


def test_a_round_has_every_figure(measure: Measure) -> None:
    """From the start to the commands, each asked once and then as often as wanted."""
    found = measure("well")
    assert found.problems == []
    assert (found.peer, found.version, found.agents) == ("openclaw@2026.6.11", "1.2.3", 2)
    assert {name: len(values) for name, values in found.figures.items()} == {
        **dict.fromkeys(("repair_s", "ready_s", "real_stall_s", "warm_s", "warm_seen_s", "logged_event_loop_max_s"), 1),
        **{"models_list_first_s": 1, "models_list_rows": 1, "models_list_later_s": 3},
        **{"slash_models_first_s": 1, "slash_models_later_s": 2, "rss_mib": 1, "rss_peak_mib": 1},
        **{"cli_models_list_s": 1, "cli_models_status_s": 1, "profiles_seen": 1},
    }
    assert (found.figures["warm_s"], found.figures["logged_event_loop_max_s"]) == ([1.5], [0.0205])
    assert found.figures["models_list_rows"] == [2]
    assert 0 < found.figures["rss_mib"][0] <= found.figures["rss_peak_mib"][0]


def test_a_version_without_a_warm_has_no_warm_figure(measure: Measure) -> None:
    """Its stall is what was seen in a while after ready, and a note says so; nothing is missing."""
    found = measure("never-warm", WITHOUT_MAP)
    assert found.problems == []
    assert found.figures.keys().isdisjoint({"warm_s", "warm_seen_s", "logged_event_loop_max_s"})
    assert any("no pre-warm" in note for note in found.notes)
    assert "models_list_first_s" in found.figures


def test_a_list_that_grows_is_told(measure: Measure) -> None:
    """A fast answer with next to nothing in it is no fast listing: the last answer counts, and a note says so."""
    found = measure("grows")
    assert found.figures["models_list_rows"] == [2]
    assert any("0 rows at first and 2 in the end" in note for note in found.notes)


@pytest.mark.parametrize(
    ("behaviour", "limits", "problem", "missing"),
    [
        ("never-warm", {"warm_s": 1.0}, r"within 1 s from ready \(over the limit\)", {"warm_s", "warm_seen_s"}),
        ("never-ready", {"ready_s": 2.0}, r"not ready within 2 s \(over the limit\)", {"ready_s", "warm_s"}),
        ("warm-fails", {}, "pre-warm failed", {"warm_s", "warm_seen_s"}),
        ("crashes", {}, "ended with status 1; .*cannot start", {"ready_s", "warm_s", "rss_mib"}),
        ("crashes-late", {}, "ended with status 7; .*boom with dummy-… in …", {"warm_s", "models_list_first_s"}),
        ("refuses", {}, "models.list was refused: UNAVAILABLE: not now", {"models_list_first_s"}),
        ("mute", {"call_s": 2.0}, r"models.list had no answer within 2 s \(over the limit\)", {"models_list_first_s"}),
        ("chat-fails", {}, "/models ended as error", {"slash_models_first_s"}),
        ("commands-fail", {}, "models list --json ended with status 3; it said: key dummy-… is", {"cli_models_list_s"}),
        ("commands-hang", {"call_s": 2.0}, r"models list --json did not end", {"cli_models_list_s"}),
        ("no-json", {}, "printed something else than JSON", {"cli_models_list_s", "profiles_seen"}),
        ("moves-one", {}, "left 1 stores in place", set()),
        ("sees-one", {}, r"fewer profiles than main's store has \(40\)", set()),
    ],
)
def test_what_could_not_be_measured_is_told_and_not_guessed(
    measure: Measure, behaviour: str, limits: dict[str, float], problem: str, missing: set[str]
) -> None:
    """A figure that is missing has a problem that says why; whatever else can be measured, is."""
    found = measure(behaviour, limits=msgspec.structs.replace(LIMITS, **limits))
    assert any(re.search(problem, one) for one in found.problems), found
    assert missing.isdisjoint(found.figures)
    assert found.figures
    assert "dummy-key" not in str(found)


@pytest.mark.parametrize("word", ["starts", "warms", "models.list", "doctor"])
def test_a_measurement_can_be_ended_early(measure: Measure, word: str) -> None:
    """At each step, within moments, and without leaving anything behind."""
    behaviour = {"starts": "never-ready", "warms": "never-warm", "models.list": "mute", "doctor": "doctor-hangs"}[word]
    with pytest.raises(Interrupted):
        measure(behaviour, limits=msgspec.structs.replace(LIMITS, call_s=3600), follower=Follower(word))


def test_the_command_writes_its_figures(measure: Measure, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0 and a file when everything was measured, with neither keys nor paths."""
    install_fake(tmp_path / "cache" / "openclaw-2026.5.22", "well")
    target = tmp_path / "figures.json"
    arguments = ("peers", "measure", "openclaw@2026.5.22", "--agents", "1", "--agents", "2", "--rounds", "2")
    assert run([*arguments, "--json", str(target)]) == 0
    written = json.loads(target.read_text())
    assert [one["agents"] for one in written["peers"]] == [1, 2]
    assert all(len(one["figures"]["warm_s"]) == 2 for one in written["peers"])
    assert "repair_s" not in written["peers"][0]["figures"]
    shown = capsys.readouterr().out + target.read_text()
    assert "dummy-" not in shown
    assert str(tmp_path) not in shown


# ---------------------------------------------------------------------------------------------------------- the outside


class Server:
    """Accepts connections and hands each to a function, in a thread of its own."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._serve = serve
        self._thread = threading.Thread(target=self._accept)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    connection.recv(4096)
                    self._serve(connection)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.mark.parametrize("answers", [True, False], ids=["answered late", "broken late"])
def test_a_question_counts_for_as_long_as_it_was_open(answers: bool) -> None:
    """A loop that was blocked answers late, or drops what waited: both are the stall that they are, no moment less."""
    blocked, open_again = threading.Event(), threading.Event()
    asked = 0

    def serve(connection: socket.socket) -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            blocked.set()
            open_again.wait()
            if not answers:
                return
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with Server(serve) as server:
        with HealthWatch(server.port) as health:
            assert blocked.wait(30)
            assert health.ready_at is not None
            began = time.monotonic()
            while_open = health.slowest_s(health.ready_at, began + 10)
            assert while_open is not None
            assert while_open >= 10  # it has no answer yet
            open_again.set()
            assert wait_until(lambda: asked > 4, 30, Follower())
            now = time.monotonic()
            longest = health.slowest_s(health.ready_at, now)
        assert longest is not None
        assert 0 < longest <= now - health.ready_at
        assert health.slowest_s(now + 1000, now + 2000) is None


def test_a_gateway_that_is_not_there_is_told() -> None:
    """No connection is an answer, too."""
    with Server(lambda _connection: None) as server:
        port = server.port
    with pytest.raises(RpcError, match="no connection"), RpcClient(port, "token", 5, lambda: False):
        pass
