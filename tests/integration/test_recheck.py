"""`recheck`: one process asks the running gateways of a home to look again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from homes import Home, Supervise, api_key, eventually, now_ms

from openclaw_actors import AuthSupervisor, Settings
from openclaw_actors.control.client import ask
from openclaw_actors.control.listening import NotOpened
from openclaw_actors.control.messages import Rechecked, RecheckRequest, Refused
from openclaw_actors.home.reader import HomeReader

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30.0

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Watch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def small(home: Home) -> Home:
    """Return a home in which `ops` inherits everything from `main`."""
    return home.agents("main", "ops").write_config().write_profiles(openai__work=api_key("openai"))


@pytest.fixture
def environment(runtime: Path, small: Home) -> dict[str, str]:
    """Return an environment without anybody's credentials."""
    kept = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV", "LANG") if name in os.environ}
    mine = {"HOME": str(small.user), "XDG_RUNTIME_DIR": str(runtime), "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    return {**kept, **mine}


@pytest.fixture
def run(environment: dict[str, str], small: Home) -> Run:
    """Return a function that runs `recheck` to its end."""

    def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "openclaw_actors", "recheck", "--home", str(small.path), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )

    return run_command


@pytest.fixture
def watch(environment: dict[str, str], small: Home) -> Iterator[Watch]:
    """Return a function that runs `watch --json` on the home until it says that it watches; all end in the end."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "openclaw_actors", "watch", "--json", "--all-agents", "--home", str(small.path)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "watching"
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def sockets(runtime: Path) -> list[Path]:
    """Return what is in the folder of sockets."""
    return sorted((runtime / "openclaw-actors").iterdir())


def refuse(home: Home, profile: str = "openai:work") -> None:
    """Have another process note that a profile was refused, for an hour."""
    window = {"cooldownUntil": now_ms(3600), "cooldownReason": "auth", "errorCount": 1, "lastFailureAt": now_ms(-1)}
    home.write_usage({profile: window})


def gateways(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Return the gateways of `recheck --json`."""
    found: list[dict[str, Any]] = json.loads(done.stdout)["gateways"]
    return found


# ------------------------------------------------------------------------------------------------------ real processes


def test_a_refused_credential_is_tried_again_and_watch_says_so(small: Home, watch: Watch, run: Run) -> None:
    """What is rejected in one process is usable there when a person says recheck in another; no secret is shown."""
    refuse(small)
    watching = watch()
    done = run("OpenAI", "--json")
    assert done.returncode == 0, done.stderr
    (gateway,) = gateways(done)
    assert (gateway["pid"], gateway["answered"]) == (watching.pid, True)
    assert gateway["took_ms"] >= 0
    assert {agent: list(cells) for agent, cells in gateway["agents"].items()} == {"main": ["openai"], "ops": ["openai"]}
    for cells in gateway["agents"].values():
        cell = cells["openai"]
        assert list(cell) == ["state", "has_auth", "reason", "next_step", "fresh"]
        assert (cell["state"], cell["has_auth"], cell["fresh"]) == ("usable", True, True)
    assert watching.stdout is not None
    changes: list[dict[str, Any]] = []
    while {one["agent"] for one in changes} != {"main", "ops"}:
        change = json.loads(watching.stdout.readline())
        changes += [change] if change["provider"] == "openai" else []  # others share its credentials
    assert {(one["old"], one["new"], one["cause"]) for one in changes} == {("rejected", "usable", "recheck")}
    assert {one["generation"] for one in changes} == {gateway["generation"]}
    assert "canary-" not in done.stdout + done.stderr


def test_the_table_says_who_answered_and_everything_comes_as_counts(watch: Watch, run: Run) -> None:
    """Plain columns in a pipe; one line for who answered; the whole home as numbers per agent."""
    pid = watch().pid
    done = run("openai", "--agent", "ops")
    assert done.returncode == 0, done.stderr
    first, header, row = done.stdout.splitlines()
    assert first.startswith(f"gateway {pid} looked again in ")
    assert header.split() == ["PROVIDER", "AGENT", "STATE", "REASON"]
    assert row.split()[:4] == ["openai", "ops", "✓", "usable"]
    everything = run()
    assert everything.returncode == 0
    assert [line.split()[0] for line in everything.stdout.splitlines()[1:]] == ["AGENT", "main", "ops"]
    (gateway,) = gateways(run("--json"))
    assert gateway["agents"] == {}
    assert gateway["counts"]["ops"]["usable"] >= 1
    (gateway,) = gateways(run("--agent", "ops", "--json"))
    assert "openai" in gateway["agents"]["ops"]
    assert "missing" not in {cell["state"] for cell in gateway["agents"]["ops"].values()}


def test_what_nobody_knows_is_missing_with_a_reason(watch: Watch, run: Run) -> None:
    """An unknown provider or agent is an answer, as everywhere."""
    watch()
    for arguments, agent, provider in (
        (("no-such",), "main", "no-such"),
        (("openai", "--agent", "ghost"), "ghost", "openai"),
    ):
        done = run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        cell = gateways(done)[0]["agents"][agent][provider]
        assert cell["state"] == "missing"
        assert "unknown" in cell["reason"]
    done = run("--agent", "ghost", "--json")
    assert "unknown agent 'ghost': the config has main, ops" in gateways(done)[0]["note"]
    assert "unknown agent 'ghost'" in done.stderr


def test_without_a_gateway_it_says_how_one_offers_itself(run: Run, small: Home) -> None:
    """Exit status 69, one line, with the home and what to do; nothing is put into the home."""
    before = sorted(small.path.rglob("*"))
    done = run()
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.count("\n") == 1
    for words in (str(small.path), "control_socket=True", "openclaw-actors watch", "anew anyway"):
        assert words in done.stderr
    done = run("--json")
    assert done.returncode == 69
    assert json.loads(done.stdout)["gateways"] == []
    assert "Traceback" not in done.stderr
    assert sorted(small.path.rglob("*")) == before


@pytest.mark.parametrize("arguments", [["--wait", "-1"], ["--wait", "301"], ["x" * 600], ["a\tb"], ["a", "b"]])
def test_wrong_usage_is_said_before_anybody_is_asked(arguments: list[str], run: Run) -> None:
    """Exit status 64, as for the other commands."""
    assert run(*arguments).returncode == 64


def test_all_gateways_of_a_home_are_asked(small: Home, watch: Watch, run: Run, runtime: Path) -> None:
    """Each is reported; one that is suspended is said not to answer, one that was killed leaves nothing behind."""
    first, second = watch(), watch()
    assert len(sockets(runtime)) == 2
    refuse(small)
    done = run("openai", "--json")
    assert done.returncode == 0, done.stderr
    assert {one["pid"] for one in gateways(done)} == {first.pid, second.pid}
    assert {one["agents"]["ops"]["openai"]["state"] for one in gateways(done)} == {"usable"}
    assert run("openai").stdout.splitlines()[2].split()[:2] == ["GATEWAY", "PROVIDER"]
    first.send_signal(signal.SIGSTOP)
    done = run("openai", "--wait", "0.5", "--json")
    assert done.returncode == 75
    told = {one["pid"]: one.get("error") for one in gateways(done)}
    assert told == {first.pid: "silent", second.pid: None}
    assert f"gateway {first.pid}: it did not answer in time" in done.stderr
    first.kill()
    first.wait(DEADLINE_S)
    done = run("openai", "--json")
    assert done.returncode == 0, done.stderr
    assert [one["pid"] for one in gateways(done)] == [second.pid]
    assert [path.name.partition("-")[2] for path in sockets(runtime)] == [f"{second.pid}.sock"]


def test_a_gateway_that_ends_takes_its_socket_along(watch: Watch, run: Run, runtime: Path, small: Home) -> None:
    """After a stop nothing is left, in the folder or in the home, and the next command finds no gateway."""
    process = watch()
    assert len(sockets(runtime)) == 1
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert sockets(runtime) == []
    assert [path for path in small.path.rglob("*") if path.is_socket()] == []
    assert run().returncode == 69


# --------------------------------------------------------------------------------------------------- within a process


def test_only_who_asks_for_a_socket_has_one(small: Home, supervise: Supervise, runtime: Path) -> None:
    """Off by default: no folder, thread or condition, and none of its code."""
    supervisor = supervise(small)
    assert supervisor.health().condition("ControlSocket") is None
    assert not [one for one in threading.enumerate() if one.name == "openclaw-control"]
    assert list(runtime.iterdir()) == []
    supervisor = supervise(small, control_socket=True)
    condition = supervisor.health().condition("ControlSocket")
    assert condition is not None
    assert (condition.status, condition.message) == (True, str(sockets(runtime)[0]))
    assert [one.daemon for one in threading.enumerate() if one.name == "openclaw-control"] == [True]
    supervisor.stop()
    assert sockets(runtime) == []
    assert not [one for one in threading.enumerate() if one.name == "openclaw-control"]


def test_a_socket_that_cannot_be_opened_harms_nothing_else(small: Home, supervise: Supervise, runtime: Path) -> None:
    """The answers are there, and health says what is wrong with the socket and what to do."""
    (runtime / "openclaw-actors").symlink_to(runtime)
    supervisor = supervise(small, control_socket=True)
    assert supervisor.has_auth("openai")
    condition = supervisor.health().condition("ControlSocket")
    assert condition is not None
    assert not condition.status
    assert "symbolic link" in condition.message
    assert "Remove" in condition.message


def test_rechecks_at_the_same_time_are_each_answered(small: Home, supervise: Supervise, runtime: Path) -> None:
    """Each has a generation of its own and an answer of its own."""
    supervise(small, control_socket=True)
    with ThreadPoolExecutor(8, thread_name_prefix="asking") as pool:
        asked = list(pool.map(lambda _: ask(str(small.path), RecheckRequest(provider="openai")), range(24)))
    answers = [outcome.answer for one in asked for outcome in one.outcomes]
    assert [type(answer) for answer in answers] == [Rechecked] * 24
    good = [answer for answer in answers if isinstance(answer, Rechecked)]
    assert all(answer.answered for answer in good)
    assert len({answer.generation for answer in good}) == 24


def test_a_slow_source_holds_up_only_who_asks_for_it(
    small: Home, supervise: Supervise, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one recheck waits for a disk that hangs, another is answered; the first one is told at its deadline."""
    supervisor = supervise(small, control_socket=True, watch=False)
    entered, let_go = threading.Event(), threading.Event()
    read, slow = HomeReader.read_store, str(small.agent_dir("ops"))

    def read_slowly(self: HomeReader, store: Any, **options: Any) -> Any:
        if str(store) == slow:
            entered.set()
            let_go.wait(DEADLINE_S)
        return read(self, store, **options)

    monkeypatch.setattr(HomeReader, "read_store", read_slowly)
    found: list[Rechecked | Refused] = []

    def recheck(agent: str, wait_s: float) -> None:
        asked = ask(str(small.path), RecheckRequest(provider="openai", agent=agent, wait_s=wait_s))
        found.extend(outcome.answer for outcome in asked.outcomes)

    waiting = threading.Thread(target=recheck, args=("ops", 20.0), name="asking")
    waiting.start()
    try:
        assert entered.wait(DEADLINE_S)
        recheck("main", 20.0)
        recheck("ops", 0.05)
        quick, impatient = found
        assert isinstance(quick, Rechecked)
        assert (quick.answered, list(quick.agents)) == (True, ["main"])
        assert isinstance(impatient, Rechecked)
        assert not impatient.answered
        cell = impatient.agents["ops"]["openai"]
        assert (cell.state, cell.fresh) == ("usable", False)
        assert waiting.is_alive()
    finally:
        let_go.set()
        waiting.join(DEADLINE_S)
    patient = found[2]
    assert isinstance(patient, Rechecked)
    assert patient.answered
    assert eventually(lambda: supervisor.verdict("openai", agent_id="ops").fresh)


def test_a_stop_ends_the_waits_in_time(
    small: Home, supervise: Supervise, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits while the gateway is stopped is told, and holds up no stop."""
    supervisor = supervise(small, control_socket=True, watch=False)
    entered, let_go = threading.Event(), threading.Event()

    def hang(self: HomeReader, store: Any, **options: Any) -> Any:
        entered.set()
        let_go.wait(DEADLINE_S)
        raise OSError(5, "gone")

    monkeypatch.setattr(HomeReader, "read_store", hang)
    with ThreadPoolExecutor(1, thread_name_prefix="asking") as pool:
        asking = pool.submit(ask, str(small.path), RecheckRequest(wait_s=20.0))
        try:
            assert entered.wait(DEADLINE_S)
            began = time.monotonic()
            supervisor.stop(2.0)
            assert time.monotonic() - began < 3.0
            (outcome,) = asking.result(DEADLINE_S).outcomes
        finally:
            let_go.set()
    assert isinstance(outcome.answer, Refused)
    assert outcome.answer.error == "stopping"
    assert sockets(runtime) == []


def test_before_the_config_can_be_read_a_recheck_says_so(home: Home, supervise: Supervise, runtime: Path) -> None:
    """A gateway on a broken config can be asked too; what it lacks is in the note, and a mended config is read."""
    home.config_path.write_text("{")
    supervise(home, warm=False, control_socket=True)
    assert eventually(lambda: list(runtime.rglob("*.sock")))
    (outcome,) = ask(str(home.path), RecheckRequest(wait_s=0.2)).outcomes
    assert isinstance(outcome.answer, Rechecked)
    assert (outcome.answer.answered, outcome.answer.agents, outcome.answer.counts) == (False, {}, {})
    assert "config" in outcome.answer.note
    home.write_config()
    (outcome,) = ask(str(home.path), RecheckRequest(wait_s=8.0)).outcomes
    assert isinstance(outcome.answer, Rechecked)
    assert (outcome.answer.answered, outcome.answer.note) == (True, "")
    assert list(outcome.answer.counts) == ["main"]
    assert outcome.answer.counts["main"]


def test_a_forked_child_neither_answers_nor_takes_the_socket_away(small: Home, runtime: Path, run: Run) -> None:
    """The child may stop and end: its parent goes on answering. When the parent is gone, nobody seems to be there."""
    code = """
import os, sys, signal, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks with threads: that is the point here
from openclaw_actors import AuthSupervisor, Settings
supervisor = AuthSupervisor(sys.argv[1], env={"HOME": sys.argv[2]}, settings=Settings(control_socket=True)).start()
assert supervisor.wait_warm(10)
child = os.fork()
if child == 0:
    supervisor.stop()
    os._exit(0)
os.waitpid(child, 0)
child = os.fork()
if child == 0:
    signal.pause()
    os._exit(0)
print(child, flush=True)
signal.pause()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(small.path), str(small.user)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            (gateway,) = gateways(run("--json"))
            assert (gateway["pid"], gateway["answered"]) == (parent.pid, True)
            parent.kill()
            parent.wait(DEADLINE_S)
            assert run().returncode == 69
            assert sockets(runtime) == []
        finally:
            os.kill(child, signal.SIGKILL)


def test_start_returns_at_once_with_a_socket_too(small: Home, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket is opened on the supervisor's own thread, however long that takes."""
    entered, let_go = threading.Event(), threading.Event()

    def open_slowly(home: str) -> NotOpened:
        entered.set()
        let_go.wait(DEADLINE_S)
        return NotOpened("Failed", "slow")

    monkeypatch.setattr("openclaw_actors.control.server.listen", open_slowly)
    supervisor = AuthSupervisor(small.path, env=small.env, settings=Settings(control_socket=True))
    try:
        supervisor.start()
        assert entered.wait(DEADLINE_S)
        assert not supervisor.has_auth("openai")
    finally:
        let_go.set()
    assert supervisor.wait_warm(DEADLINE_S)
    condition = supervisor.health().condition("ControlSocket")
    assert condition is not None
    assert (condition.status, condition.message) == (False, "slow")
    supervisor.stop()


def test_a_recheck_that_could_read_nothing_says_so(small: Home, supervise: Supervise, runtime: Path) -> None:
    """A store or config that is broken at the time of a recheck is in its answer: older answers stand then."""
    supervise(small, control_socket=True)
    assert eventually(lambda: list(runtime.rglob("*.sock")))
    (outcome,) = ask(str(small.path), RecheckRequest(wait_s=5.0)).outcomes
    assert isinstance(outcome.answer, Rechecked)
    assert outcome.answer.problems == {}
    small.config_path.write_text("{")
    (outcome,) = ask(str(small.path), RecheckRequest(wait_s=5.0)).outcomes
    assert isinstance(outcome.answer, Rechecked)
    assert "openclaw.json" in outcome.answer.problems["ConfigValid"]
