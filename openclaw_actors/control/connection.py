"""One connection: a line that comes in, an answer that goes out, and a deadline for each."""

from __future__ import annotations

import contextlib
import select
import socket
from typing import Protocol, final

from openclaw_actors.control.messages import Rechecked

_PIECE = 16 * 1024


class Waiting(Protocol):
    """Something asked for that takes a while: taken when it is over, or at its deadline."""

    @property
    def wait_s(self) -> float:
        """How long it is waited for, in seconds."""
        ...

    def is_over(self) -> bool:
        """Tell whether it is over. Returns at once."""
        ...

    def answer(self) -> Rechecked:
        """Return what there is now. Returns at once."""
        ...


@final
class Connection:
    """A non-blocking socket of one peer. All calls are its server's, on one thread; none of them blocks or raises."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self.sock = sock
        self.until = until
        """The deadline of what it is at, monotonic."""
        self.waiting: Waiting | None = None
        """What it waits for, once its request was read."""
        self.is_open = True
        self.is_ending = False
        """Whether its peer sends nothing more, but may still read."""
        self._received = bytearray()
        self._unsent = b""

    @property
    def is_answering(self) -> bool:
        """Whether the peer has not taken all of its answer yet."""
        return bool(self._unsent)

    @property
    def has_begun(self) -> bool:
        """Whether anything was received."""
        return bool(self._received)

    def receive(self, most: int) -> bytes | None:
        """Take in what is there and return the request's line, once it is whole; None before that.

        What comes after the line is dropped, so that a peer can't fill the memory.
        """
        try:
            piece = self.sock.recv(_PIECE)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            self.close()
            return None
        if not piece:
            self.is_ending = True
            if not self.has_begun or is_hung_up(self.sock):
                self.close()
            return None
        if self.waiting is not None:
            return None
        self._received += piece
        line, end, _ = self._received[: most + 1].partition(b"\n")
        return bytes(line) if end and len(line) < most else None

    def is_too_long(self, most: int) -> bool:
        """Tell whether a line came in that is longer than allowed."""
        return len(self._received) >= most and b"\n" not in self._received[:most]

    def answer(self, line: bytes, until: float) -> None:
        """Send an answer and close; what doesn't go out at once goes out with `send`."""
        self.waiting = None
        self._unsent, self.until = line, until
        self.send()

    def send(self) -> None:
        """Send what the peer takes now; closes when that is all."""
        try:
            while self._unsent:
                sent = self.sock.send(self._unsent, socket.MSG_NOSIGNAL)
                self._unsent = self._unsent[sent:]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._unsent = b""
        self.close()

    def close(self) -> None:
        """Close it; safe twice."""
        self.is_open = False
        self.sock.close()


def is_hung_up(sock: socket.socket) -> bool:
    """Tell whether a peer that sends nothing more has gone altogether: one that only said so still reads."""
    look = select.poll()
    with contextlib.suppress(OSError, ValueError):
        look.register(sock, 0)
        return any(event & (select.POLLHUP | select.POLLERR) for _, event in look.poll(0))
    return True
