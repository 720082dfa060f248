"""The control socket by itself: where it is, what a peer may do to it, and that nothing brings it down."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.bell import Bell
from openclaw_actors.clock import SystemClock
from openclaw_actors.control import address, listening
from openclaw_actors.control.client import ask
from openclaw_actors.control.connection import Waiting
from openclaw_actors.control.messages import Rechecked, RecheckRequest, Refused, line_of, read_answer
from openclaw_actors.control.server import ControlServer, Limits
from openclaw_actors.health import Condition, ConditionBoard

DEADLINE_S = 8.0
QUICK = Limits(request_bytes=4096, connections=3, read_s=0.15, write_s=0.15, look_s=0.05)
PATIENT = Limits(request_bytes=4096, connections=6, read_s=5.0, write_s=5.0, look_s=5.0)
GOOD = line_of(RecheckRequest(provider="openai"))


def eventually(predicate: Callable[[], object]) -> bool:
    """Wait until something holds and return whether it came to hold in time."""
    pause, until = threading.Event(), time.monotonic() + DEADLINE_S
    while not predicate():
        if time.monotonic() > until:
            return False
        pause.wait(0.005)
    return True


def dead_pid() -> int:
    """Return the id of a process that is gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait(DEADLINE_S)
    return process.pid


@pytest.fixture
def short() -> Iterator[Path]:
    """Return a folder with a path short enough for sockets, with a runtime directory, a temp directory and a home."""
    folder = Path(tempfile.mkdtemp(prefix="oc", dir="/tmp"))
    for name in ("run", "tmp", "home"):
        (folder / name).mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def env(short: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return variables that lead to these folders, set for this process too."""
    variables = {"XDG_RUNTIME_DIR": str(short / "run"), "TMPDIR": str(short / "tmp")}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def made(*answers: str) -> Rechecked:
    """Return some answer of a gateway."""
    return Rechecked(pid=os.getpid(), instance="i", generation=1, answered=True, took_ms=0.0, agents={}, counts={},
                     note="".join(answers))  # fmt: skip


class Task:
    """Something asked for that is over when the test says so."""

    def __init__(self, wait_s: float = 30.0, note: str = "") -> None:
        self.wait_s = wait_s
        self.over = False
        self._note = note

    def is_over(self) -> bool:
        """Tell what the test said."""
        return self.over

    def answer(self) -> Rechecked:
        """Return an answer that shows which task it was."""
        return made(self._note)


class Gateway:
    """A control server with a scripted supervisor behind it."""

    def __init__(self, home: Path, limits: Limits) -> None:
        self.home = home
        self.tasks: list[Task] = []
        self.begun: list[RecheckRequest] = []
        self.note = ""
        self.uid = os.geteuid()
        self.is_over = True
        self.raises: Exception | None = None
        self.conditions = ConditionBoard(SystemClock())
        self.bell = Bell(SystemClock())
        self.server = ControlServer(str(home), self._begin, self.bell, self.conditions, limits, lambda sock: self.uid)

    def _begin(self, request: RecheckRequest) -> Waiting | Refused:
        self.begun.append(request)
        if self.raises is not None:
            raise self.raises
        task = Task(request.wait_s, self.note)
        task.over = self.is_over
        self.tasks.append(task)
        return task

    def finish(self, number: int) -> None:
        """Say that a task is over, as a publication would."""
        self.tasks[number].over = True
        self.bell.ring()

    @property
    def condition(self) -> Condition:
        """What is said of the socket."""
        found = self.conditions.health().condition("ControlSocket")
        assert found is not None
        return found

    @property
    def path(self) -> Path:
        """Where the socket is."""
        assert self.condition.status, self.condition
        return Path(self.condition.message)

    def dial(self) -> socket.socket:
        """Return a connection to it."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(DEADLINE_S)
        sock.connect(str(self.path))
        return sock

    def asks(self, line: bytes = GOOD) -> Rechecked | Refused | None:
        """Send a line and return the answer; None when the connection is closed without one."""
        with self.dial() as sock:
            sock.sendall(line)
            return answer_on(sock)


def answer_on(sock: socket.socket) -> Rechecked | Refused | None:
    """Return the answer that comes in, None when there is none."""
    received = b""
    while not received.endswith(b"\n"):
        piece = sock.recv(65536)
        if not piece:
            return None
        received += piece
    return read_answer(received)


def error_of(answer: object) -> str:
    """Return the word of a refusal."""
    assert isinstance(answer, Refused), answer
    return answer.error


MakeGateway = Callable[..., Gateway]


@pytest.fixture
def serve(short: Path, env: dict[str, str]) -> Iterator[MakeGateway]:
    """Return a function that opens a server; all are closed in the end."""
    made_here: list[Gateway] = []

    def make(limits: Limits = PATIENT) -> Gateway:
        gateway = Gateway(short / "home", limits)
        made_here.append(gateway)
        gateway.server.open()
        return gateway

    yield make
    for gateway in made_here:
        gateway.server.close(DEADLINE_S)


# --------------------------------------------------------------------------------------------------------- the address


def test_the_socket_is_in_the_runtime_directory_closed_to_others(short: Path, env: dict[str, str]) -> None:
    """The folder is made with mode 0700, and the name is the home's mark and the process."""
    place = address.choose(str(short / "home"), 77)
    assert place.path == f"{short}/run/openclaw-actors/{address.home_mark(str(short / 'home'))}-77.sock"
    assert stat.S_IMODE(os.stat(short / "run" / "openclaw-actors").st_mode) == 0o700
    assert len(address.home_mark(str(short / "home"))) == 16


@pytest.mark.parametrize("runtime", ["", "run", "/nonexistent/run", "/proc/self/mounts"])
def test_without_a_runtime_directory_it_is_in_the_temp_directory(runtime: str, short: Path) -> None:
    """A variable that is unset, relative, or names no directory counts for nothing."""
    place = address.choose(str(short / "home"), 77, {"XDG_RUNTIME_DIR": runtime, "TMPDIR": str(short / "tmp")})
    assert os.path.dirname(place.path) == f"{short}/tmp/openclaw-actors-{os.geteuid()}"
    assert address.folders({}) == (f"/tmp/openclaw-actors-{os.geteuid()}",)


def test_a_runtime_directory_of_somebody_else_is_left_alone(
    short: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that a switch of users left behind names another's directory."""
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert address.folders() == (f"{short}/tmp/openclaw-actors-4711",)
    os.mkdir(address.folders()[0], 0o700)
    assert "belongs to the user" in address.choose(str(short / "home"), 77).problem


def test_a_home_has_one_mark_however_it_is_reached(short: Path) -> None:
    """A link to a home leads to the gateways of that home; another home has others."""
    (short / "link").symlink_to(short / "home")
    assert address.home_mark(str(short / "link")) == address.home_mark(f"{short}/home/")
    assert address.home_mark(str(short / "tmp")) != address.home_mark(str(short / "home"))


@pytest.mark.parametrize("fault", ["link", "file", "open", "foreign"])
def test_a_folder_that_is_not_safe_is_refused(
    fault: str, short: Path, env: dict[str, str], serve: MakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is opened or looked for in it, and the condition says what is wrong and what to do."""
    folder = short / "run" / "openclaw-actors"
    if fault == "link":
        (short / "elsewhere").mkdir(0o700)
        folder.symlink_to(short / "elsewhere")
    elif fault == "file":
        folder.touch()
    else:
        folder.mkdir(0o700)
        folder.chmod(0o750 if fault == "open" else 0o700)
    if fault == "foreign":
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
        monkeypatch.setattr(address, "_is_own_folder", lambda path: True)
    gateway = serve()
    assert (gateway.condition.status, gateway.condition.reason) == (False, "Refused")
    assert str(folder) in gateway.condition.message
    assert "0700" in gateway.condition.message
    assert list(short.rglob("*.sock")) == []
    found, problems = address.offers(str(short / "home"))
    assert found == ()
    assert str(folder) in problems[0]


def test_too_long_a_path_goes_to_the_temp_directory(short: Path) -> None:
    """The system takes 107 bytes; when no folder does, that is said."""
    long = short / ("x" * 90)
    long.mkdir()
    place = address.choose(str(short / "home"), 77, {"XDG_RUNTIME_DIR": str(long), "TMPDIR": str(short / "tmp")})
    assert place.path.startswith(f"{short}/tmp/")
    place = address.choose(str(short / "home"), 77, {"XDG_RUNTIME_DIR": str(long), "TMPDIR": str(long)})
    assert (place.path, "107 bytes" in place.problem, "short path" in place.remedy) == ("", True, True)


def test_nothing_is_put_into_the_home(short: Path) -> None:
    """A temp directory within the home is passed over, also by way of a link."""
    (short / "home" / "tmp").mkdir()
    (short / "link").symlink_to(short / "home" / "tmp")
    for inside in (short / "home" / "tmp", short / "link"):
        place = address.choose(str(short / "home"), 77, {"XDG_RUNTIME_DIR": str(inside), "TMPDIR": str(inside)})
        assert (place.path, "lies in the home" in place.problem) == ("", True)
    assert list((short / "home" / "tmp").iterdir()) == []


# ------------------------------------------------------------------------------------------------ what is left behind


def leave_behind(path: Path) -> None:
    """Leave a socket that nobody listens to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(str(path))


def test_what_dead_gateways_left_is_removed_by_who_opens_and_by_who_asks(
    short: Path, env: dict[str, str], serve: MakeGateway
) -> None:
    """Of this home whatever nobody listens to; of others what a dead process left. Nothing else is touched."""
    folder = short / "run" / "openclaw-actors"
    folder.mkdir(0o700)
    mark, other = address.home_mark(str(short / "home")), "0123456789abcdef"
    stale = [folder / f"{mark}-{os.getppid()}.sock", folder / f"{mark}-{dead_pid()}.sock",
             folder / f"{other}-{dead_pid()}.sock", folder / f"{mark}-{os.getpid()}.sock"]  # fmt: skip
    kept = [folder / f"{other}-{os.getppid()}.sock", folder / "something.sock"]
    for path in (*stale, *kept):
        leave_behind(path)
    (folder / f"{mark}-4194304.sock").write_text("no socket")
    gateway = serve()
    assert sorted(folder.iterdir()) == sorted([*kept, folder / f"{mark}-4194304.sock", gateway.path])
    assert gateway.path == stale[3]
    leave_behind(stale[0])
    asked = ask(str(short / "home"), RecheckRequest())
    assert [type(outcome.answer) for outcome in asked.outcomes] == [Rechecked]
    assert not stale[0].exists()


def test_a_second_supervisor_of_a_process_is_told_of_the_first(serve: MakeGateway) -> None:
    """One process has one socket for a home, and whoever has it keeps it."""
    first = serve()
    second = serve()
    assert (second.condition.status, second.condition.reason) == (False, "Occupied")
    second.server.close(DEADLINE_S)
    assert isinstance(first.asks(), Rechecked)


def test_the_socket_is_closed_to_others_and_gone_after_close(serve: MakeGateway, short: Path) -> None:
    """Mode 0600; after close there is no file, no thread, and the condition says so."""
    gateway = serve()
    found = os.lstat(gateway.path)
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
    gateway.server.close(DEADLINE_S)
    gateway.server.close(DEADLINE_S)
    assert list((short / "run" / "openclaw-actors").iterdir()) == []
    assert gateway.condition.reason == "Closed"
    assert not [thread for thread in threading.enumerate() if thread.name == "openclaw-control"]


def test_close_leaves_a_file_that_is_not_its_own(serve: MakeGateway) -> None:
    """Whoever has taken the place meanwhile keeps it."""
    gateway = serve()
    path = gateway.path
    path.unlink()
    leave_behind(path)
    gateway.server.close(DEADLINE_S)
    assert path.exists()


def test_a_socket_whose_folder_went_away_comes_back(serve: MakeGateway, short: Path) -> None:
    """A runtime directory goes with its user's last session, and a refused one may be mended: no restart is needed."""
    gateway = serve(QUICK)
    folder = short / "run" / "openclaw-actors"
    shutil.rmtree(folder)
    assert eventually(lambda: folder.exists() and list(folder.glob("*.sock")))
    assert isinstance(gateway.asks(), Rechecked)
    folder.chmod(0o755)
    gateway.path.unlink()
    assert eventually(lambda: gateway.condition.reason == "Refused")
    folder.chmod(0o700)
    assert eventually(lambda: gateway.condition.status)
    assert isinstance(gateway.asks(), Rechecked)


def test_a_system_that_does_not_say_who_connects_has_no_socket(
    serve: MakeGateway, monkeypatch: pytest.MonkeyPatch, short: Path
) -> None:
    """Better none than one that anybody may use."""
    monkeypatch.delattr(listening.socket, "SO_PEERCRED")
    assert serve().condition.reason == "Unsupported"
    assert list(short.rglob("*.sock")) == []


# ---------------------------------------------------------------------------------------------------------- the lines


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"\n", "bad-json"),
        (b"GET / HTTP/1.1\r\n\r\n", "bad-json"),
        (b"\xff\xfe\x00\n", "bad-json"),
        (b'{"version":1,"op":"re\xffcheck"}\n', "bad-json"),
        (b'{"version":' + b"9" * 4000 + b',"op":"recheck"}\n', "unsupported-version"),
        (b"[" * 4000 + b"\n", "bad-request"),
        (b'{"version":1,"op":"recheck","more":' + b"[" * 3900 + b"\n", "bad-json"),
        (b"{}\n", "bad-request"),
        (b"[]\n", "bad-request"),
        (b'{"version":"1","op":"recheck"}\n', "bad-request"),
        (b'{"version":2,"op":"recheck"}\n', "unsupported-version"),
        (b'{"version":1,"op":"canary-op"}\n', "unknown-op"),
        (b'{"version":1,"op":"recheck","wait_s":-1}\n', "bad-request"),
        (b'{"version":1,"op":"recheck","wait_s":301}\n', "bad-request"),
        (b'{"version":1,"op":"recheck","wait_s":"canary-wait"}\n', "bad-request"),
        (b'{"version":1,"op":"recheck","provider":["canary-p"]}\n', "bad-request"),
        (b'{"version":1,"op":"recheck","agent":"' + b"a" * 600 + b'"}\n', "bad-request"),
    ],
)
def test_a_line_that_is_no_request_gets_an_error(line: bytes, error: str, serve: MakeGateway) -> None:
    """The error says what is wrong, quotes nothing of the line, and the server goes on."""
    gateway = serve()
    answer = gateway.asks(line)
    assert error_of(answer) == error, answer
    assert isinstance(answer, Refused)
    assert answer.message
    assert "canary" not in answer.message
    assert gateway.begun == []
    assert isinstance(gateway.asks(), Rechecked)


def test_a_request_may_come_in_pieces_and_hold_unknown_fields(serve: MakeGateway) -> None:
    """What a later version adds is passed over, and a line is whole when its end is there."""
    gateway = serve()
    with gateway.dial() as sock:
        line = json.dumps({"version": 1, "op": "recheck", "provider": "zai", "later": {"a": [1]}, "wait_s": 1}).encode()
        for piece in (line[:7], line[7:30], line[30:], b"\n"):
            sock.sendall(piece)
        assert isinstance(answer_on(sock), Rechecked)
    assert gateway.begun == [RecheckRequest(provider="zai", wait_s=1.0)]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_too_long_a_request_is_refused(end: bytes, serve: MakeGateway) -> None:
    """A peer can't fill the memory, with a line that ends or one that never does."""
    gateway = serve()
    assert error_of(gateway.asks(b"x" * 100_000 + end)) == "too-long"
    longest = GOOD.rstrip(b"\n").ljust(PATIENT.request_bytes - 1) + b"\n"
    assert isinstance(gateway.asks(longest), Rechecked)
    assert error_of(gateway.asks(b" " + longest)) == "too-long"


def test_half_a_line_and_silence_is_ended_at_the_deadline(serve: MakeGateway) -> None:
    """So is a peer that says nothing at all; others are served meanwhile."""
    gateway = serve(QUICK)
    with gateway.dial() as half, gateway.dial() as silent:
        half.sendall(GOOD[:10])
        assert isinstance(gateway.asks(), Rechecked)
        assert error_of(answer_on(half)) == "too-slow"
        assert answer_on(silent) is None


def test_half_a_line_and_its_end_is_no_request(serve: MakeGateway) -> None:
    """Whoever stops in the middle is told, if there to hear it; nothing is done."""
    gateway = serve()
    with gateway.dial() as sock:
        sock.sendall(GOOD[:10])
        sock.shutdown(socket.SHUT_WR)
        assert error_of(answer_on(sock)) == "bad-json"
    with gateway.dial() as sock:
        sock.sendall(GOOD[:10])
    assert isinstance(gateway.asks(), Rechecked)
    assert len(gateway.begun) == 1


def test_another_user_is_turned_away(serve: MakeGateway) -> None:
    """Who connects is told by the system, not by the request; nothing is read from others."""
    gateway = serve()
    gateway.uid = os.geteuid() + 1
    with gateway.dial() as sock:
        assert error_of(answer_on(sock)) == "not-permitted"
    assert gateway.begun == []
    with gateway.dial() as sock:
        peer = address.peer_of(sock)
    assert (peer.pid, peer.uid) == (os.getpid(), os.geteuid())


def test_a_fault_behind_a_request_stays_its_own(serve: MakeGateway, log_lines: list[str]) -> None:
    """The peer gets an error, the log the kind of it without its text, and the next request its answer."""
    gateway = serve()
    gateway.raises = ValueError("canary-text")
    assert error_of(gateway.asks()) == "failed"
    gateway.raises = None
    assert isinstance(gateway.asks(), Rechecked)
    assert any("ValueError" in line for line in log_lines)


# ----------------------------------------------------------------------------------------------------------- the waits


def test_who_waits_holds_up_nobody(serve: MakeGateway) -> None:
    """Answers go out in the order in which they are ready, not asked for."""
    gateway = serve()
    gateway.is_over = False
    with gateway.dial() as first, gateway.dial() as second:
        first.sendall(GOOD)
        assert eventually(lambda: len(gateway.tasks) == 1)
        second.sendall(GOOD)
        assert eventually(lambda: len(gateway.tasks) == 2)
        gateway.finish(1)
        assert isinstance(answer_on(second), Rechecked)
        gateway.is_over = True
        assert isinstance(gateway.asks(), Rechecked)
        first.setblocking(False)
        with pytest.raises(BlockingIOError):
            first.recv(1)
        first.settimeout(DEADLINE_S)
        gateway.finish(0)
        assert isinstance(answer_on(first), Rechecked)


def test_a_wait_ends_at_its_own_deadline(serve: MakeGateway) -> None:
    """A recheck that isn't answered in time is answered as it stands."""
    gateway = serve()
    gateway.is_over = False
    began = time.monotonic()
    assert isinstance(gateway.asks(line_of(RecheckRequest(wait_s=0.2))), Rechecked)
    assert 0.2 <= time.monotonic() - began < DEADLINE_S


def test_a_peer_that_only_ended_its_line_gets_its_answer_and_one_that_left_frees_its_place(
    serve: MakeGateway,
) -> None:
    """Shell tools end their half when their input ends; Ctrl-C ends both halves."""
    gateway = serve()
    gateway.is_over = False
    with gateway.dial() as sock:
        sock.sendall(GOOD)
        sock.shutdown(socket.SHUT_WR)
        assert eventually(lambda: len(gateway.tasks) == 1)
        gateway.finish(0)
        assert isinstance(answer_on(sock), Rechecked)
    for number in range(PATIENT.connections + 2):
        with gateway.dial() as sock:
            sock.sendall(GOOD)
            assert eventually(lambda wanted=number + 2: len(gateway.tasks) == wanted)
    gateway.is_over = True
    assert eventually(lambda: isinstance(gateway.asks(), Rechecked))


def test_too_many_at_a_time_are_told_to_come_again(serve: MakeGateway) -> None:
    """A few connections are open at a time; whoever comes then is refused at once, and later let in."""
    gateway = serve()
    gateway.is_over = False
    waiting = [gateway.dial() for _ in range(PATIENT.connections)]
    for sock in waiting:
        sock.sendall(GOOD)
    assert eventually(lambda: len(gateway.tasks) == PATIENT.connections)
    asked = ask(str(gateway.home), RecheckRequest())
    assert [error_of(outcome.answer) for outcome in asked.outcomes] == ["busy"]
    for number in range(PATIENT.connections):
        gateway.finish(number)
    for sock in waiting:
        assert isinstance(answer_on(sock), Rechecked)
        sock.close()
    gateway.is_over = True
    assert eventually(lambda: isinstance(gateway.asks(), Rechecked))


def test_a_slow_reader_gets_all_of_its_answer_and_holds_up_nobody(serve: MakeGateway) -> None:
    """An answer that is larger than what the system keeps goes out bit by bit."""
    gateway = serve()
    gateway.note = "n" * 2_000_000
    with gateway.dial() as slow:
        slow.sendall(GOOD)
        assert eventually(lambda: len(gateway.tasks) == 1)
        gateway.note = ""
        assert isinstance(gateway.asks(), Rechecked)
        answer = answer_on(slow)
    assert isinstance(answer, Rechecked)
    assert len(answer.note) == 2_000_000


def test_a_peer_that_never_reads_is_dropped(serve: MakeGateway) -> None:
    """At the deadline the connection is closed, and what was sent until then is all it gets."""
    gateway = serve(QUICK)
    gateway.note = "n" * 2_000_000
    with gateway.dial() as sock:
        sock.sendall(GOOD)
        assert eventually(lambda: len(gateway.tasks) == 1)
        gateway.note = ""
        assert eventually(lambda: not gateway.server._connections)
        received = 0
        while piece := sock.recv(65536):
            received += len(piece)
    assert 0 < received < 2_000_000
    assert isinstance(gateway.asks(), Rechecked)


class Exhausted:
    """A listening socket of a process that has no descriptor left."""

    def __init__(self, sock: socket.socket) -> None:
        self.fileno = sock.fileno
        self.close = sock.close
        self.calls = 0

    def accept(self) -> None:
        """Fail as the system does."""
        self.calls += 1
        raise OSError(errno.EMFILE, "Too many open files")


def test_out_of_descriptors_the_server_rests_and_goes_on(serve: MakeGateway) -> None:
    """Whoever knocks meanwhile is neither lost nor asked for without end."""
    gateway = serve()
    listening = gateway.server._listening
    assert listening is not None
    real = listening.sock
    exhausted: Any = Exhausted(real)
    listening.sock = exhausted
    with gateway.dial() as sock:
        sock.sendall(GOOD)
        assert eventually(lambda: gateway.server._listens_again_at)
        listening.sock = real
        assert isinstance(answer_on(sock), Rechecked)
    assert exhausted.calls == 1


def test_close_tells_those_who_wait(serve: MakeGateway) -> None:
    """Nobody is left waiting for an answer that never comes."""
    gateway = serve()
    gateway.is_over = False
    with gateway.dial() as sock:
        sock.sendall(GOOD)
        assert eventually(lambda: len(gateway.tasks) == 1)
        gateway.server.close(DEADLINE_S)
        assert error_of(answer_on(sock)) == "stopping"


# ------------------------------------------------------------------------------------------------------------ who asks


def test_a_gateway_that_does_not_answer_is_told_apart(
    short: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is suspended, one that ends, and one that speaks something else: each is said, none is waited for
    long.
    """
    monkeypatch.setattr("openclaw_actors.control.client._MARGIN_S", 0.3)
    folder = short / "run" / "openclaw-actors"
    folder.mkdir(0o700)
    mark = address.home_mark(str(short / "home"))
    servers: list[socket.socket] = []
    for number in (1, 2, 3):
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.settimeout(DEADLINE_S)
        server.bind(str(folder / f"{mark}-{number}.sock"))
        server.listen()
        servers.append(server)

    def play(server: socket.socket, line: bytes) -> None:
        sock, _ = server.accept()
        with sock:
            sock.recv(4096)
            sock.sendall(line)

    players = [threading.Thread(target=play, args=(server, line), name="player")
               for server, line in zip(servers[1:], (b'{"half', b'{"answer":"later"}\n'), strict=True)]  # fmt: skip
    for player in players:
        player.start()
    asked = ask(str(short / "home"), RecheckRequest(wait_s=0.0))
    for player in players:
        player.join(DEADLINE_S)
    assert [(one.pid, error_of(one.answer)) for one in asked.outcomes] == [
        (1, "silent"),
        (2, "closed"),
        (3, "unintelligible"),
    ]
    for server in servers:
        server.close()


def test_gateways_are_found_in_either_folder(short: Path, serve: MakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that a service manager started without a runtime directory is found from a terminal that has one."""
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    gateway = serve()
    assert str(gateway.path).startswith(f"{short}/tmp/")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short / "run"))
    outcomes: tuple[Any, ...] = ask(str(short / "home"), RecheckRequest()).outcomes
    assert [outcome.pid for outcome in outcomes] == [os.getpid()]
    assert ask(str(short / "tmp"), RecheckRequest()).outcomes == ()
