"""A listening socket in the folder of sockets: opened so that nobody can take it for dead, closed so that nothing is
left.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import final

import msgspec

from openclaw_actors.control.address import SUFFIX, choose, connect, home_mark, identity, prune, remove, unborn
from openclaw_actors.forking import call_in_children

_BACKLOG = 16
_opening = threading.Lock()
"""Held while a socket is opened: two supervisors of one process would both find the place free."""


def _renew_opening() -> None:
    global _opening
    _opening = threading.Lock()


call_in_children(_renew_opening)


class NotOpened(msgspec.Struct, frozen=True):
    """Why there is no listening socket."""

    reason: str
    """One word for machines: `Refused`, `Occupied`, `Unsupported`, `Failed`."""
    message: str
    """What is wrong, where, and what to do."""


@final
class Listening:
    """A listening socket and its file. `sock` is its server's; the rest is safe on any thread."""

    def __init__(self, sock: socket.socket, path: str) -> None:
        self.sock = sock
        self.path = path
        self._identity = identity(path)
        self._pid = os.getpid()

    @property
    def is_there(self) -> bool:
        """Whether its file still is: a runtime directory goes when its user's last session ends."""
        return self._identity is not None and identity(self.path) == self._identity

    def close(self) -> None:
        """Close it and remove its file, unless that is somebody else's by now; safe twice."""
        if self._pid == os.getpid():
            remove(self.path, self._identity)
        self.sock.close()


def listen(
    home: str, *, suffix: str = SUFFIX, kind: type[socket.socket] = socket.socket, backlog: int = _BACKLOG
) -> Listening | NotOpened:
    """Open this process's socket of one kind for a home, with what dead gateways have left removed before."""
    if not hasattr(socket, "SO_PEERCRED"):
        return NotOpened(
            "Unsupported", "this system doesn't say who connects to a socket. Set control_socket to false here"
        )
    with _opening:
        place = choose(home, os.getpid(), suffix=suffix)
        if not place.path:
            return NotOpened("Refused", f"{place.problem}. {place.remedy}")
        try:
            prune(os.path.dirname(place.path), home_mark(home))
            return _bound(place.path, kind, backlog)
        except OSError as error:
            why = f"{place.path}: no socket can be opened there ({error.strerror or type(error).__name__})"
            return NotOpened("Failed", f"{why}. Check the directory and the limit of open files; it is tried again")


def _bound(path: str, kind: type[socket.socket], backlog: int) -> Listening | NotOpened:
    """Return a socket that listens at a path."""
    if os.path.lexists(path):
        living = connect(path)  # removes what is left of a dead one
        if living is not None:
            living.close()
        if os.path.lexists(path):
            return NotOpened(
                "Occupied",
                f"{path} is there already: another supervisor of this process offers this home. Let one of them do it",
            )
    # It gets its name only when it listens: a socket that is bound and doesn't yet looks like a dead one's.
    new = unborn(path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    sock = kind(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(new)
        os.chmod(new, 0o600)
        sock.listen(backlog)
        os.rename(new, path)
    except BaseException:
        sock.close()
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise
    return Listening(sock, path)
