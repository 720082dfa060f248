"""The Unix socket of `serve`: who comes by it needs no token, and nobody else comes by it."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gateways import running
from homes import Home, api_key, eventually

from openclaw_actors.control.address import HTTP_SUFFIX, SUFFIX, choose, offers, prune, socket_name
from openclaw_actors.control.listening import Listening
from openclaw_actors.gateway.own_socket import _SameUserSocket, open_own_socket

DEADLINE_S = 15.0


@pytest.fixture
def small(home: Home) -> Home:
    """Return a home with one key."""
    return home.write_config().write_profiles(zai__work=api_key("zai"))


@pytest.fixture
def served(small: Home, runtime: Path, tmp_path: Path) -> Iterator[tuple[httpx.Client, httpx.Client, Path]]:
    """Serve the home; return a client by TCP, one by the Unix socket, and that socket."""
    with running(small, tmp_path / "state", runtime=runtime) as (process, said):
        path = runtime / "openclaw-actors" / socket_name(str(small.path), process.pid, HTTP_SUFFIX)
        with (
            httpx.Client(base_url=str(said["url"]), timeout=10.0) as tcp,
            httpx.Client(base_url="http://any.name", timeout=10.0, transport=httpx.HTTPTransport(uds=str(path))) as own,
        ):
            assert eventually(lambda: tcp.get("/readyz").status_code == 200)
            yield tcp, own, path


def test_an_event_needs_a_token_by_tcp_and_none_by_the_unix_socket(
    served: tuple[httpx.Client, httpx.Client, Path],
) -> None:
    """The same request, over both real sockets, whatever the gateway is called."""
    tcp, own, _ = served
    assert tcp.post("/reload").status_code == 401
    done = own.post("/reload?wait=5")
    assert (done.status_code, done.json()["answered"]) == (200, True)
    assert own.get("/gateway").json()["url"].rstrip("/") == str(tcp.base_url).rstrip("/")
    assert tcp.get("/gateway", headers={"host": "any.name"}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": "unix:"},
        {"x-forwarded-for": "{path}"},
        {"forwarded": 'for="{path}";host="{path}"'},
        {"host": "{path}"},
        {"x-forwarded-host": "{path}", "x-forwarded-proto": "unix"},
        {"x-real-ip": "{path}", "server": "{path}"},
        {"authorization": "Bearer {path}"},
    ],
)
def test_no_header_makes_a_request_one_of_the_unix_socket(
    served: tuple[httpx.Client, httpx.Client, Path], headers: dict[str, str]
) -> None:
    """Whoever knows the path, and says it wherever a request can, still needs a token."""
    tcp, own, path = served
    for text in (str(path), str(path.with_suffix(".new"))):
        forged = {name: value.format(path=text) for name, value in headers.items()}
        assert tcp.post("/reload", headers=forged).status_code in (401, 421)
    assert own.post("/reload").status_code == 202


def test_pages_of_other_origins_are_refused_by_the_unix_socket_too(
    served: tuple[httpx.Client, httpx.Client, Path],
) -> None:
    """It is the token and the name that are not asked for, and nothing else."""
    _, own, _ = served
    assert own.post("/reload", headers={"origin": "https://evil.test"}).status_code == 403
    assert own.post("/reload", content=b"a=1", headers={"content-type": "text/plain"}).status_code == 415
    assert own.post("/reload", content=b"x" * 70_000).status_code == 413


def test_its_file_is_this_users_alone_and_goes_at_the_end(small: Home, runtime: Path, tmp_path: Path) -> None:
    """Mode 0600 in a folder of mode 0700, beside the control socket; after SIGTERM nothing is left."""
    folder = runtime / "openclaw-actors"
    with running(small, tmp_path / "state", runtime=runtime) as (process, _):
        assert eventually(lambda: {one.suffix for one in folder.iterdir()} == {SUFFIX, HTTP_SUFFIX})
        assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
        assert list(folder.iterdir()) == []


def test_without_a_place_for_it_serve_says_so_and_goes_on(small: Home, runtime: Path, tmp_path: Path) -> None:
    """A folder that others may write into is refused, in one line; TCP is served all the same."""
    (runtime / "openclaw-actors").mkdir()
    (runtime / "openclaw-actors").chmod(0o777)
    env = {**os.environ, **small.env, "XDG_STATE_HOME": str(tmp_path / "state"), "XDG_RUNTIME_DIR": str(runtime)}
    command = [sys.executable, "-m", "openclaw_actors", "serve", "--home", str(small.path), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        assert httpx.get(f"{url}livez", timeout=DEADLINE_S).text == "ok\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    (line,) = (one for one in errors.splitlines() if one.startswith("warning:"))
    assert "no command can ask this gateway" in line
    assert "open to others" in line


def test_a_forked_child_leaves_the_file_alone(small: Home, runtime: Path) -> None:
    """Only the process that made it removes it."""
    listening = open_own_socket(str(small.path))
    assert isinstance(listening, Listening)
    try:
        pid = os.fork()
        if not pid:
            listening.close()
            os._exit(0)
        os.waitpid(pid, 0)
        assert listening.is_there
    finally:
        listening.close()
    assert offers(str(small.path), suffix=HTTP_SUFFIX) == ((), ())


def test_the_two_kinds_of_sockets_are_told_apart_and_pruned_alike(small: Home, runtime: Path) -> None:
    """Whoever looks for one kind doesn't find the other; what a dead process has left goes, of either kind."""
    place = choose(str(small.path), os.getpid())
    folder, pid = os.path.dirname(place.path), 2**22 + 1
    listening = open_own_socket(str(small.path))
    assert isinstance(listening, Listening)
    try:
        assert offers(str(small.path)) == ((), ())
        assert [one.pid for one in offers(str(small.path), suffix=HTTP_SUFFIX)[0]] == [os.getpid()]
        for suffix in (SUFFIX, HTTP_SUFFIX):
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(os.path.join(folder, socket_name(str(small.path), pid, suffix)))
        prune(folder, os.path.basename(place.path).partition("-")[0])
        assert os.listdir(folder) == [os.path.basename(listening.path)]
    finally:
        listening.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_users_connection_is_closed_and_the_next_one_served() -> None:
    """Should the folder let somebody in, the kernel says who it is."""
    name = f"\0openclaw-test-{os.getpid()}"
    code = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({name!r}); print(len(s.recv(1)))"
    with _SameUserSocket(socket.AF_UNIX) as listening:
        listening.bind(name)
        listening.listen()
        listening.settimeout(DEADLINE_S)
        with subprocess.Popen(["/usr/bin/env", "python3", "-c", code], stdout=subprocess.PIPE, user=65534) as other:
            with pytest.raises(ConnectionAbortedError):
                listening.accept()
            output, _ = other.communicate(timeout=DEADLINE_S)
            assert output == b"0\n"
        with socket.socket(socket.AF_UNIX) as own:
            own.connect(name)
            listening.accept()[0].close()
