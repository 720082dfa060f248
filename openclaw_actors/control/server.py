"""The server of the control socket: one thread that lets peers in, reads their lines, waits with them and answers."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import final

import msgspec

from openclaw_actors.bell import Bell
from openclaw_actors.control.address import peer_of
from openclaw_actors.control.connection import Connection, Waiting
from openclaw_actors.control.listening import Listening, listen
from openclaw_actors.control.messages import MAX_REQUEST_BYTES, RecheckRequest, Refused, line_of, read_request
from openclaw_actors.health import ConditionBoard
from openclaw_actors.log import log

CONDITION = "ControlSocket"
"""The condition that says whether this gateway can be asked, and where."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer may take."""

    request_bytes: int = MAX_REQUEST_BYTES
    """The longest request, in bytes."""
    connections: int = 16
    """How many connections are open at a time."""
    read_s: float = 5.0
    """How long a peer may take to send its request, in seconds."""
    write_s: float = 5.0
    """How long a peer may take to read its answer, in seconds."""
    look_s: float = 30.0
    """How often it is looked whether the socket is still there, in seconds; one that isn't is opened again."""


@final
class ControlServer:
    """Offers a running supervisor to other processes of this user. `open` and `close` are its runtime's.

    Requests are tiny and their answers are in memory, so one thread does it all; what takes a while is waited for
    beside the sockets, woken by the bell: a thread per connection would be threads that peers make us start.
    """

    def __init__(
        self,
        home: str,
        begin: Callable[[RecheckRequest], Waiting | Refused],
        bell: Bell,
        conditions: ConditionBoard,
        limits: Limits | None = None,
        uid_of: Callable[[socket.socket], int] = lambda sock: peer_of(sock).uid,
    ) -> None:
        """Take the home, what carries a request out, and what rings when something may be over."""
        self._home = home
        self._begin = begin
        self._bell = bell
        self._conditions = conditions
        self._limits = limits or Limits()
        self._uid_of = uid_of
        self._listening: Listening | None = None
        self._listens_again_at: float | None = None
        self._look_at = 0.0
        self._connections: set[Connection] = set()
        self._closing = False
        self._rung = False
        self._stop_listening_to_bell: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None

    # ------------------------------------------------------------------------------------------------------------ life

    def open(self) -> None:
        """Open the socket and start serving. What goes wrong is a condition, not an error: all else goes on."""
        try:
            self._selector = selectors.DefaultSelector()
            self._wake_up, self._woken = socket.socketpair()
            for end in (self._wake_up, self._woken):
                end.setblocking(False)
            self._selector.register(self._woken, selectors.EVENT_READ, self._on_wake)
            _close_in_children(self)
            self._look()
            thread = threading.Thread(target=self._run, name="openclaw-control", daemon=True)
            thread.start()
        except (OSError, RuntimeError) as error:  # no descriptor, or no thread, is to be had
            self._shut()
            why = f"it can't be served ({type(error).__name__}). Raise the limits of this process and start it again"
            self._conditions.set(CONDITION, False, "Failed", why)
        else:
            self._thread = thread

    def close(self, timeout_s: float) -> None:
        """Take the socket away, tell who waits, and end the thread; waits for that at most this long. Safe twice."""
        thread = self._thread
        if thread is None:
            return
        self._closing = True
        self._wake()
        thread.join(timeout_s)
        if thread.is_alive() and self._listening is not None:
            self._listening.close()
        self._conditions.set(CONDITION, False, "Closed", "the supervisor was stopped")

    def _run(self) -> None:
        try:
            while not self._closing:
                for key, _ in self._selector.select(self._pause_s()):
                    key.data()
                self._look_after(time.monotonic())
            stopping = Refused(error="stopping", message="this gateway is being stopped")
            for connection in [one for one in self._connections if one.waiting is not None]:
                connection.answer(line_of(stopping), 0.0)
        finally:
            self._shut()
            if not self._closing:
                why = "its thread failed. Start this process again; all else goes on"
                self._conditions.set(CONDITION, False, "Failed", why)

    def _pause_s(self) -> float:
        due = [connection.until for connection in self._connections]
        due.append(self._look_at if self._listens_again_at is None else min(self._look_at, self._listens_again_at))
        return max(0.0, min(due) - time.monotonic())

    def _shut(self) -> None:
        """Close everything."""
        if self._stop_listening_to_bell is not None:
            self._stop_listening_to_bell()
        if self._listening is not None:
            self._listening.close()
        self._close_copies()

    def _close_copies(self) -> None:
        """Close the descriptors and leave everything else alone: all that a forked child may do."""
        for connection in list(self._connections):
            connection.close()
        for name in ("_wake_up", "_woken", "_selector"):
            there = getattr(self, name, None)
            if there is not None:
                there.close()
        if self._listening is not None:
            self._listening.sock.close()

    # ------------------------------------------------------------------------------------------------------ the socket

    def _look(self) -> None:
        """Open the socket when it isn't there: at first, when its folder was refused, and when its file has gone."""
        self._look_at = time.monotonic() + self._limits.look_s
        if self._listening is not None:
            if self._listening.is_there:
                return
            self._let_in(False)
            self._listening.close()
            self._listening = None
        opened = listen(self._home)
        if isinstance(opened, Listening):
            self._listening = opened
            self._let_in(True)
            self._conditions.set(CONDITION, True, "Listening", opened.path)
        elif self._conditions.set(CONDITION, False, opened.reason, opened.message):
            log.bind(reason=opened.reason, why=opened.message).warning("the control socket can't be opened")

    def _let_in(self, wanted: bool) -> None:
        listening = self._listening
        if listening is None:
            return
        self._listens_again_at = None
        if wanted:
            self._selector.register(listening.sock, selectors.EVENT_READ, self._on_peer)
        else:
            self._forget(listening.sock)

    def _on_peer(self) -> None:
        """Let one peer in."""
        assert self._listening is not None
        try:
            sock, _ = self._listening.sock.accept()
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return
        except OSError:  # out of descriptors: the peer stays where it is, and asking again at once would spin
            self._let_in(False)
            self._listens_again_at = time.monotonic() + 1.0
            return
        sock.setblocking(False)
        connection = Connection(sock, time.monotonic() + self._limits.read_s)
        try:
            is_ours = self._uid_of(sock) == os.geteuid()
        except OSError:
            is_ours = False
        if not is_ours:
            self._refuse(connection, "not-permitted", "this gateway answers its own user only")
        elif len(self._connections) >= self._limits.connections:
            self._refuse(connection, "busy", "too many ask this gateway at this moment; ask again")
        else:
            self._connections.add(connection)
            self._selector.register(sock, selectors.EVENT_READ, partial(self._on_ready, connection))
            return
        connection.close()  # what this peer doesn't take at once it doesn't get

    # ------------------------------------------------------------------------------------------------- the connections

    def _on_ready(self, connection: Connection) -> None:
        """Go on with a connection whose peer has sent something, or takes more of its answer."""
        try:
            if connection.is_answering:
                connection.send()
            else:
                self._read(connection)
        except Exception as error:  # one request must not take the server down, whatever it brings to light
            log.bind(error=type(error).__name__).error("a request to the control socket failed")
            self._refuse(connection, "failed", "this gateway failed at it; its log says more")
        self._settle(connection)

    def _read(self, connection: Connection) -> None:
        line = connection.receive(self._limits.request_bytes)
        if line is not None:
            self._on_line(connection, line)
        elif connection.waiting is not None or not connection.is_open:
            return
        elif connection.is_too_long(self._limits.request_bytes):
            text = f"a request has {self._limits.request_bytes} bytes at most"
            self._refuse(connection, "too-long", text)
        elif connection.is_ending:
            self._refuse(connection, "bad-json", "the request ended before its line did")

    def _on_line(self, connection: Connection, line: bytes) -> None:
        request = read_request(line)
        begun = request if isinstance(request, Refused) else self._begin(request)
        if isinstance(begun, Refused):
            self._refuse(connection, begun.error, begun.message)
            return
        # first, so that whatever is over from now on rings; what is over already shows in the next look
        if self._stop_listening_to_bell is None:
            self._stop_listening_to_bell = self._bell.listen(self._ring)
        connection.waiting, connection.until = begun, time.monotonic() + begun.wait_s

    def _look_after(self, now: float) -> None:
        """Answer the waits that are over or overdue, drop the peers that are too slow, and look at the socket."""
        for connection in list(self._connections):
            waiting = connection.waiting
            if waiting is not None and (now >= connection.until or waiting.is_over()):
                try:
                    connection.answer(line_of(waiting.answer()), now + self._limits.write_s)
                except Exception as error:  # as above: others still wait for theirs
                    log.bind(error=type(error).__name__).error("an answer of the control socket failed")
                    self._refuse(connection, "failed", "this gateway failed at it; its log says more")
            elif waiting is None and now >= connection.until:
                if connection.is_answering or not connection.has_begun:
                    connection.close()
                else:
                    self._refuse(connection, "too-slow", f"no whole line came within {self._limits.read_s:g} s")
            self._settle(connection)
        if self._stop_listening_to_bell is not None and not any(one.waiting for one in self._connections):
            self._stop_listening_to_bell()
            self._stop_listening_to_bell = None
        if self._listens_again_at is not None and now >= self._listens_again_at:
            self._let_in(True)
        if now >= self._look_at:
            self._look()

    def _refuse(self, connection: Connection, error: str, message: str) -> None:
        connection.answer(line_of(Refused(error=error, message=message)), time.monotonic() + self._limits.write_s)

    def _settle(self, connection: Connection) -> None:
        """Listen to what a connection is at now."""
        if not connection.is_open:
            self._connections.discard(connection)
            self._forget(connection.sock)
        elif connection.is_answering:
            self._forget(connection.sock)
            self._selector.register(connection.sock, selectors.EVENT_WRITE, partial(self._on_ready, connection))
        elif connection.is_ending:
            self._forget(connection.sock)  # it has nothing more to say, and would say so without end

    def _forget(self, sock: socket.socket) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(sock)

    # -------------------------------------------------------------------------------------------------------- the bell

    def _ring(self) -> None:
        """Have the waits looked at; on any thread, and returns at once."""
        if not self._rung:
            self._rung = True
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full of calls that are on their way, or closed
            self._wake_up.send(b"\0", socket.MSG_NOSIGNAL)

    def _on_wake(self) -> None:
        with contextlib.suppress(OSError):
            self._woken.recv(4096)
        # after it: what rings in between is seen in the look that follows
        self._rung = False


_servers: weakref.WeakSet[ControlServer] = weakref.WeakSet()
_is_hooked = False


def _close_in_children(server: ControlServer) -> None:
    """Have a server's descriptors closed in children that are forked: a copy there would keep peers waiting for an
    answer that never comes once this process is gone.
    """
    global _is_hooked
    _servers.add(server)
    if not _is_hooked:
        _is_hooked = True
        os.register_at_fork(after_in_child=_in_child)


def _in_child() -> None:
    for server in list(_servers):
        server._close_copies()
    _servers.clear()
