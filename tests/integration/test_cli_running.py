"""Commands that ask a running `serve` of the home first: real processes, real sockets, real files."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from gateways import running, serving
from homes import CANARY, Home, SqliteOwner, Supervise, api_key, eventually, now_ms, oauth

from openclaw_actors.control.listening import Listening
from openclaw_actors.gateway.own_socket import open_own_socket
from openclaw_actors.home.stores.lock import StoreLock
from openclaw_actors.shapes import About

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config" / "example"
DEADLINE_S = 30.0

PROFILES = {"zai__work": api_key("zai"), "minimax-portal__me": oauth("minimax-portal")}

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Process = subprocess.Popen[str]


@pytest.fixture
def run(home: Home, runtime: Path) -> Run:
    """Return a function that runs one command on the home to its end, in a pipe."""

    def run_command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "openclaw_actors", *arguments, "--home", str(home.path)],
            env={**environment(home, runtime), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        assert CANARY not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run_command


@pytest.fixture
def small(home: Home) -> Home:
    """Return a home in which `ops` inherits everything from `main`."""
    home.agents("main", "ops").write_config()
    return home.write_profiles(**PROFILES)


@pytest.fixture
def serve(home: Home, runtime: Path, tmp_path: Path) -> Iterator[Process]:
    """Serve the home, which a test has filled by then, until it is warm."""
    if not home.config_path.exists():
        shutil.copytree(EXAMPLE, home.path, dirs_exist_ok=True)
    with running(home, tmp_path / "state", runtime=runtime) as (process, said):
        with httpx.Client(base_url=str(said["url"]), timeout=10.0) as client:
            assert eventually(lambda: client.get("/readyz").status_code == 200)
        yield process


def environment(home: Home, runtime: Path) -> dict[str, str]:
    """Return an environment without anybody's credentials."""
    kept = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV", "LANG") if name in os.environ}
    mine = {"XDG_RUNTIME_DIR": str(runtime), "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "COLUMNS": "200"}
    return {**kept, **home.env, **mine}


def sockets(runtime: Path) -> list[str]:
    """Return how the names in the folder of sockets end."""
    return sorted(one.suffix for one in (runtime / "openclaw-actors").iterdir())


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return what a command printed as JSON."""
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def without_numbers(value: Any) -> Any:
    """Return an answer without what differs from one process to the next."""
    if isinstance(value, dict):
        left_out = ("answered_by", "generation", "revision")
        return {key: without_numbers(one) for key, one in value.items() if key not in left_out}
    return [without_numbers(one) for one in value] if isinstance(value, list) else value


# ---------------------------------------------------------------------------------------------------------- the same


QUESTIONS = [
    ["status", "--all-agents", "--all"],
    ["status", "--provider", "Z.AI", "--provider", "no-such"],
    ["explain", "groq"],
    ["explain", "openrouter/auto"],
    ["explain", "groq/groq/compound"],
    ["explain", "openai/gpt-55"],
    ["models", "--page", "3", "--limit", "7", "--agent", "research"],
    ["models", "--all"],
    ["models", "github-copilot"],
    ["models", "mistal"],
]


def test_a_gateway_and_the_files_say_the_same(serve: Process, run: Run) -> None:
    """The JSON is one whichever way it came, but for who answered and its numbers."""
    for question in QUESTIONS:
        ours, theirs = (run(*question, "--json", *more) for more in ((), ("--offline",)))
        by = told(ours).pop("answered_by")
        assert (by["pid"], by["url"][:17]) == (serve.pid, "http://127.0.0.1:"), question
        assert told(theirs).pop("answered_by") is None
        assert without_numbers(told(ours)) == without_numbers(told(theirs)), question


def test_a_gateway_and_the_files_are_shown_alike(serve: Process, run: Run) -> None:
    """The text and the exit status are the same, but for the words that say who answered."""
    for question in (["status"], ["explain", "groq"], ["models"]):
        ours, theirs = (run(*question, *more) for more in ((), ("--offline",)))
        same = re.compile(r"(answered by gateway [0-9]+ \(up to date since [^)]*\)|read from the files in [0-9.]+ ms)")
        assert f"answered by gateway {serve.pid}" in ours.stdout
        assert "read from the files" in theirs.stdout
        assert same.sub("", re.sub("generation .*", "", ours.stdout)) == same.sub(
            "", re.sub("generation .*", "", theirs.stdout)
        )
    ours, theirs = (run("status", "--check", *more) for more in ((), ("--offline",)))
    assert (ours.returncode, theirs.returncode) == (1, 1)
    problems = [[one for one in done.stderr.splitlines() if one.startswith("problem")] for done in (ours, theirs)]
    assert problems[0] == problems[1] != []


def test_wrong_usage_is_told_by_a_gateway_too(serve: Process, run: Run) -> None:
    """An agent or a page that isn't there: status 64 and what there is."""
    for arguments, words in (
        (["status", "--agent", "reserch"], "Did you mean research?"),
        (["models", "--page", "9999"], "Page out of range: 9999 (valid: 1-"),
        (["clear-cooldown", "no:such"], "sees no profile 'no:such'"),
    ):
        done = run(*arguments)
        assert (done.returncode, words in done.stderr, done.stdout) == (64, True, ""), done.stderr


def test_the_gateways_environment_counts_and_not_the_commands(small: Home, serve: Process, run: Run) -> None:
    """A variable of the terminal changes nothing while a gateway answers; with --offline it does."""
    asked = ("status", "--provider", "groq", "--json")
    by_gateway = told(run(*asked, GROQ_API_KEY=f"{CANARY}of-the-terminal"))
    by_files = told(run(*asked, "--offline", GROQ_API_KEY=f"{CANARY}of-the-terminal"))
    states = [one["agents"]["main"]["providers"]["groq"]["state"] for one in (by_gateway, by_files)]
    assert states == ["missing", "usable"]


def test_another_config_is_another_answer(small: Home, serve: Process, runtime: Path, tmp_path: Path) -> None:
    """Whoever names another config of the same home gets no answers about the gateway's."""
    other = tmp_path / "other.json"
    other.write_text('{"agents": {"list": [{"id": "elsewhere"}]}}')
    mine = {"OPENCLAW_STATE_DIR": str(small.path), "OPENCLAW_CONFIG_PATH": str(other)}
    done = subprocess.run(
        [sys.executable, "-m", "openclaw_actors", "status", "--json"],
        env={**environment(small, runtime), **mine},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert list(told(done)["agents"]) == ["elsewhere"]
    assert "it has another config" in done.stderr


# ------------------------------------------------------------------------------------------------------- falling back


def test_without_a_gateway_nothing_is_said(small: Home, run: Run) -> None:
    """The files are read, and the answer says so."""
    done = run("status", "--json")
    assert told(done)["answered_by"] is None
    assert done.stderr == ""


def test_a_killed_gateway_is_not_waited_for_and_what_it_left_goes(
    small: Home, serve: Process, run: Run, runtime: Path
) -> None:
    """After SIGKILL the files are read at once, without a word; its socket is removed."""
    serve.kill()
    serve.wait(DEADLINE_S)
    assert ".http" in sockets(runtime)
    done = run("status", "--json")
    assert told(done)["answered_by"] is None
    assert done.stderr == ""
    assert ".http" not in sockets(runtime)


def test_a_gateway_that_hangs_is_given_up_at_its_deadline(small: Home, serve: Process, run: Run) -> None:
    """After SIGSTOP each command reads the files and says why; when it goes on, it is asked again."""
    serve.send_signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(3) as pool:  # each waits for its deadline
            status, models, doctor = pool.map(lambda name: run(name, "--json"), ("status", "models", "doctor"))
        for done in (status, models):
            assert told(done)["answered_by"] is None
            assert done.stderr.startswith(f"warning: gateway {serve.pid} can't be asked: it did not answer within 2 s")
        findings = json.loads(doctor.stdout)["findings"]
        assert [one["severity"] for one in findings if one["check"] == "gateway"] == ["warning"]
        gone = told(run("logout", "zai", "--yes", "--json"))
        assert ([one["id"] for one in gone["removed"]], gone["answered_by"]) == (["zai:work"], None)
    finally:
        serve.send_signal(signal.SIGCONT)
    assert eventually(lambda: told(run("explain", "zai", "--json"))["state"] == "missing")
    assert told(run("status", "--json"))["answered_by"]["pid"] == serve.pid


def about(home: Home, *, ready: bool) -> About:
    """Return what a gateway of a home says of itself."""
    return About(
        pid=os.getpid(),
        version="9.9",
        instance="x",
        url=None,
        home=str(home.path),
        config=str(home.config_path),
        agents=("main", "ops"),
        default_agent="main",
        ready=ready,
        warm_s=None,
        since=None,
        conditions=(),
    )


def reply(body: object, status: str = "200 OK") -> bytes:
    """Return an HTTP answer."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(raw)}\r\n\r\n".encode() + raw


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "it closed the connection"),
        (b"SSH-2.0-nonsense\r\n", "it closed the connection"),
        (reply({}, "404 Not Found"), "it answered with 404"),
        (reply({"detail": "no"}, "503 Service Unavailable"), "it answered with 503: no"),
        (reply(b"hello"), "its answer can't be read"),
        (reply({"pid": 1}), "its answer can't be read"),
        (False, "it is not warm"),
        (True, "its answer can't be read"),  # to the second question
        (reply({"state": "a state of tomorrow"}), "its answer can't be read"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", "its answer can't be read"),
    ],
)
def test_what_cannot_be_understood_is_passed_over(
    small: Home, runtime: Path, run: Run, answer: bytes | bool, words: str
) -> None:
    """Whatever answers there, the files are read and one line says why."""
    raw = answer if isinstance(answer, bytes) else reply(about(small, ready=answer))
    listening = open_own_socket(str(small.path))
    assert isinstance(listening, Listening)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listening.sock.accept()
                with sock:
                    while sock.recv(65536):
                        sock.sendall(raw)
                        if answer is not True:
                            break

    listening.sock.setblocking(True)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        done = run("status", "--json")
        assert told(done)["answered_by"] is None
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"warning: gateway {os.getpid()} can't be asked: {words}")
    finally:
        with contextlib.suppress(OSError):
            listening.sock.shutdown(socket.SHUT_RDWR)
        thread.join(DEADLINE_S)
        listening.close()


def test_what_a_gateway_cannot_read_is_warned_of_and_fails_a_check(small: Home, serve: Process, run: Run) -> None:
    """A config that breaks under a gateway: its last answers with a warning, a problem for --check, a finding."""
    (small.path / "openclaw.json").write_text("{ agents: [")

    def broken() -> bool:
        return f"gateway {serve.pid}: ConfigValid" in run("status").stderr

    assert eventually(broken)
    assert told(run("explain", "zai", "--json"))["state"] == "usable"
    done = run("status", "--check")
    assert (done.returncode, "problem: " in done.stderr) == (1, True)
    report = json.loads(run("doctor", "--json").stdout)
    assert "gateway" in report["checks"]
    said = [one["problem"] for one in report["findings"] if one["check"] == "gateway"]
    assert said[0].startswith(f"gateway {serve.pid} says: ConfigValid: ")
    assert "gateway" not in json.loads(run("doctor", "--json", "--offline").stdout)["checks"]


# ------------------------------------------------------------------------------------------------------------ writing


def rest(home: Home) -> None:
    """Let a profile rest for an hour."""
    home.write_usage({"zai:work": {"cooldownUntil": now_ms(3600), "cooldownReason": "rate_limit", "errorCount": 1}})


def check_writing(home: Home, run: Run, pid: int | None) -> None:
    """Log out and clear, whoever does it, and look at the files."""

    def who(answer: dict[str, Any]) -> int | None:
        return answer["answered_by"] and answer["answered_by"]["pid"]

    rest(home)
    assert eventually(lambda: told(run("explain", "zai", "--json"))["state"] == "cooldown")
    cleared = told(run("clear-cooldown", "zai:work", "--agent", "ops", "--json"))
    assert (cleared["store"], cleared["before"], cleared["state"]) == (str(home.agent_dir()), "cooldown", "usable")
    assert who(cleared) == pid
    assert "cooldownUntil" not in json.dumps(home.usage())

    asked = run("logout", "zai")
    assert (asked.returncode, asked.stdout) == (64, "")
    assert "zai:work" in asked.stderr
    assert "--yes" in asked.stderr
    assert "zai:work" in home.profiles_path().read_text()
    other = told(run("logout", "Z.AI", "--profile", "zai:other", "--yes", "--json"))
    assert (other["removed"], other["state"]) == ([], "usable")

    gone = told(run("logout", "Z.AI", "--agent", "ops", "--yes", "--json"))
    profile = {"id": "zai:work", "store": str(home.agent_dir()), "inherited": True}
    assert (gone["agent"], gone["provider"], gone["removed"], gone["state"]) == ("ops", "zai", [profile], "missing")
    assert who(gone) == pid
    stored = json.loads(home.profiles_path().read_text())["profiles"]
    assert list(stored) == ["minimax-portal:me"]
    again = run("logout", "zai", "--yes")
    assert (again.returncode, "nothing to remove" in again.stdout) == (0, True)


def test_a_gateway_logs_out_and_clears(small: Home, serve: Process, run: Run) -> None:
    """By its own way in, without a token; what was removed is said, with its store, and what the provider is now."""
    check_writing(small, run, serve.pid)


def test_without_a_gateway_the_files_are_written_under_their_lock(small: Home, run: Run) -> None:
    """The same, by the command itself."""
    check_writing(small, run, None)


@pytest.mark.parametrize("by_gateway", [True, False], ids=["gateway", "files"])
def test_a_store_that_cannot_be_written_is_one_line_and_a_status(
    home: Home, request: pytest.FixtureRequest, run: Run, *, by_gateway: bool
) -> None:
    """Locked by another process: 75. Of a kind that isn't written: 77. Broken: 65. Nothing is changed."""
    home.agents("main", "ops").write_config().write_profiles(zai__work=api_key("zai"))
    owner = SqliteOwner(home.agent_dir("ops"))
    try:
        owner.write({"groq:x": api_key("groq")})
        owner.write_usage({"groq:x": {"cooldownUntil": now_ms(3600), "cooldownReason": "rate_limit"}})
        if by_gateway:
            request.getfixturevalue("serve")
        cases = [(["clear-cooldown", "groq:x", "--agent", "ops"], 77, "")]
        before = home.profiles_path().read_bytes()
        with StoreLock(f"{home.profiles_path()}.lock", timeout_s=1.0):
            done = run("logout", "zai", "--yes")
            assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (75, "", 1), done.stderr
        assert home.profiles_path().read_bytes() == before
        for arguments, status, words in cases:
            done = run(*arguments)
            assert (done.returncode, done.stdout, words in done.stderr) == (status, "", True), done.stderr
            assert len(done.stderr.splitlines()) == 1
        home.profiles_path().write_text('{"profiles": {"zai:work": {')
        for question in (("logout", "zai", "--yes"), ("clear-cooldown", "zai:work")):
            done = run(*question)
            assert (done.returncode, done.stdout) == (65, ""), done.stderr
    finally:
        owner.close()


def test_a_person_on_a_terminal_is_asked(small: Home, runtime: Path) -> None:
    """No changes nothing; yes does it."""
    command = [sys.executable, "-m", "openclaw_actors", "logout", "zai", "--home", str(small.path)]
    for answer, is_there in ((b"n\n", True), (b"y\n", False)):
        ours, theirs = pty.openpty()
        try:
            os.write(ours, answer)
            done = subprocess.run(
                command,
                env=environment(small, runtime),
                stdin=theirs,
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
            )
        finally:
            os.close(theirs)
            os.close(ours)
        assert "Remove zai:work from" in done.stdout + done.stderr
        assert (done.returncode == 0, "zai:work" in small.profiles_path().read_text()) == (not is_there, is_there)


# ----------------------------------------------------------------------------------------------------------- watching


@pytest.fixture
def watch(home: Home, runtime: Path) -> Iterator[Callable[..., Process]]:
    """Return a function that runs `watch --json` until it says that it watches; all end in the end."""
    started: list[Process] = []

    def start(*arguments: str) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-m", "openclaw_actors", "watch", "--json", "--home", str(home.path), *arguments],
            env=environment(home, runtime),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def line_of(process: Process) -> dict[str, Any]:
    """Return the next line that `watch --json` prints."""
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


def error_of(process: Process) -> str:
    """Return the next line that it prints on stderr."""
    assert process.stderr is not None
    return process.stderr.readline()


def test_watch_prints_what_the_gateway_tells(small: Home, serve: Process, watch: Callable[..., Process]) -> None:
    """Changes, conditions and agents of the gateway, as one's own supervisor tells them; a signal ends it with 0."""
    process = watch()
    first = line_of(process)
    assert (first["event"], first["agents"], first["answered_by"]["pid"]) == ("watching", ["main"], serve.pid)
    own = watch("--offline")
    assert line_of(own)["answered_by"] is None
    small.write_profiles(**PROFILES, groq__x=api_key("groq"))
    ours, theirs = (line_of(one) for one in (process, own))
    assert (ours["agent"], ours["provider"], ours["new"]) == ("main", "groq", "usable")
    assert list(ours) == list(theirs)
    differing = {key for key in ours if ours[key] != theirs[key]}
    assert differing <= {"at", "sequence", "revision", "generation", "latency_ms", "published_at"}
    text = small.config_path.read_text()
    small.config_path.write_text("{ agents: [")
    line = line_of(process)
    assert (line["type"], line["status"]) == ("ConfigValid", False)
    small.config_path.write_text(text.replace('"ops"', '"lab"'))
    seen = [line_of(process) for _ in range(3)]
    assert {one["event"] for one in seen} == {"condition", "agent-added", "agent-removed"}
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors
    assert CANARY not in output + errors


def test_watch_goes_on_by_itself_when_the_gateway_ends(
    small: Home, serve: Process, watch: Callable[..., Process]
) -> None:
    """It says so, and tells of what happens then."""
    process = watch("--all-agents")
    assert line_of(process)["answered_by"]["pid"] == serve.pid
    serve.kill()
    serve.wait(DEADLINE_S)
    while "has ended" not in (said := error_of(process)):
        assert said
    assert line_of(process)["answered_by"] is None
    small.write_profiles(**PROFILES, groq__x=api_key("groq"))
    assert [(one["agent"], one["provider"]) for one in (line_of(process), line_of(process))] == [
        ("main", "groq"),
        ("ops", "groq"),
    ]


class Relay:
    """Stands between commands and a gateway, on the way in of the commands, and can break what goes through it."""

    def __init__(self, home: Home, url: str) -> None:
        self._target = httpx.URL(url)
        listening = open_own_socket(str(home.path))
        assert isinstance(listening, Listening)
        self._listening = listening
        listening.sock.setblocking(True)
        self._open: list[socket.socket] = []
        self._pumps: list[threading.Thread] = []
        self.lets_through = threading.Event()
        self.lets_through.set()
        self.is_waiting = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listening.sock.accept()
                if not self.lets_through.is_set():
                    self.is_waiting.set()
                    self.lets_through.wait(DEADLINE_S)
                theirs = socket.create_connection((self._target.host, self._target.port))
                self._open += [ours, theirs]
                for one, other in ((ours, theirs), (theirs, ours)):
                    pump = threading.Thread(target=self._pump, args=(one, other), daemon=True)
                    pump.start()
                    self._pumps.append(pump)

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(65536):
                other.sendall(piece)
        for sock in (one, other):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def break_all(self) -> None:
        """End every connection, and let none through until `lets_through` is set."""
        self.lets_through.clear()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let nobody in any more."""
        self.break_all()
        with contextlib.suppress(OSError):
            self._listening.sock.shutdown(socket.SHUT_RDWR)
        self.lets_through.set()
        self._thread.join(DEADLINE_S)
        self._listening.close()
        self.break_all()
        for pump in self._pumps:
            pump.join(DEADLINE_S)
        for sock in self._open:
            sock.close()


def test_a_stream_that_breaks_is_gone_on_with_and_misses_nothing(
    small: Home, runtime: Path, supervise: Supervise, watch: Callable[..., Process]
) -> None:
    """What changed while the stream was down comes first, each once."""
    supervisor = supervise(small)
    with serving(supervisor) as gateway:
        relay = Relay(small, gateway.url)
        try:
            process = watch()
            assert line_of(process)["answered_by"]["pid"] == os.getpid()
            relay.break_all()
            assert relay.is_waiting.wait(DEADLINE_S)
            small.write_profiles(**PROFILES, groq__x=api_key("groq"))
            assert eventually(lambda: supervisor.has_auth("groq"))
            relay.lets_through.set()
            assert [line_of(process)["provider"]] == ["groq"]
            assert "goes on" in error_of(process)
            small.write_profiles(**PROFILES)
            line = line_of(process)
            assert (line["provider"], line["new"]) == ("groq", "missing")
        finally:
            relay.close()
