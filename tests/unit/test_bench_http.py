"""The bench's clients of a gateway, held against a server that answers in awkward ways, and what is read from wrk."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # the bench is run from the project root and not installed

from bench.gateway import wrk
from bench.gateway.load import Clients, request

BODY = b"x" * 70_000
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + BODY


@contextmanager
def answering(pieces: Sequence[bytes]) -> Iterator[tuple[str, int]]:
    """Serve connections that answer each request with the same pieces, sent one by one."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threads: list[threading.Thread] = []

        def answer(connection: socket.socket) -> None:
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while connection.recv(1 << 16):
                    for piece in pieces:
                        connection.sendall(piece)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=answer, args=(connection,), daemon=True))
                threads[-1].start()

        accepting = threading.Thread(target=serve, daemon=True)
        accepting.start()
        yield listening.getsockname()
        listening.shutdown(socket.SHUT_RDWR)
        for thread in (accepting, *threads):
            thread.join(10.0)


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([WHOLE], 200),
        ([WHOLE[:9], WHOLE[9:30], WHOLE[30:44], WHOLE[44:]], 200),
        ([WHOLE[:5_000], WHOLE[5_000:]], 200),
        ([b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"], 304),
        ([b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\nRetry-After: 1\r\n\r\nno"], 503),
    ],
)
def test_every_answer_is_counted_however_it_arrives(pieces: list[bytes], status: int) -> None:
    """Each connection asks at least once, and each answer has a latency within the whole."""
    with answering(pieces) as address, Clients(address, 3) as clients:
        for _ in range(2):
            answers = clients.ask([request("h", "/a"), request("h", "/b")], 0.01)
            assert set(answers.statuses) == {status}
            assert answers.statuses[status] == len(answers.latencies) >= 3
            assert 0 < max(answers.latencies) <= answers.seconds * 1000


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([b"HTTP/1.1 200 OK\r\n\r\nwhat"], "how long"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxx"], "more came"),
    ],
)
def test_what_is_no_answer_ends_the_measuring(pieces: list[bytes], words: str) -> None:
    """Nothing is measured of a server that doesn't say what it sends."""
    with answering(pieces) as address, Clients(address, 1) as clients, pytest.raises(RuntimeError, match=words):
        clients.ask([request("h", "/")], 0.01)


def test_a_request_is_http() -> None:
    """Names of headers get their hyphens; what is said of the connection is that it stays."""
    lines = request("h:1", "/v1/models?agent=a", if_none_match='W/"x"').decode().split("\r\n")
    assert lines[0] == "GET /v1/models?agent=a HTTP/1.1"
    assert {"host: h:1", "connection: keep-alive", 'if-none-match: W/"x"'} < set(lines)
    assert lines[-2:] == ["", ""]


REPORT = """Running 2s test @ http://127.0.0.1:1/v1/models
  1 threads and 64 connections
  Latency Distribution
     50%   13.34ms
     75%  900.00us
     99%    1.02s
  9000 requests in 2.00s, 400.00MB read
Requests/sec:   4412.57
Transfer/sec:    200.00MB
"""


def test_the_report_of_wrk_is_read_in_any_unit() -> None:
    """Milliseconds whatever it says, and whether there were errors."""
    assert wrk.read(REPORT) == wrk.WrkFigures(13.34, 1020.0, 4412.57, errors=False)
    assert wrk.read(REPORT + "  Non-2xx or 3xx responses: 3\n").errors
    with pytest.raises(RuntimeError, match="something else"):
        wrk.read("nothing")
