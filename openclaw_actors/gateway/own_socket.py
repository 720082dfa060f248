"""The way in for this user's own commands: a Unix socket beside the TCP one, where HTTP is spoken too.

It lies in the folder of the control sockets, under the same rules (`control/address.py`): mode 0700, checked, never in
the home. Who comes by it is the same user as the gateway and may do what the gateway may; so it needs no token.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from openclaw_actors.control.address import HTTP_SUFFIX, peer_of
from openclaw_actors.control.listening import Listening, NotOpened, listen

_BACKLOG = 128


class _SameUserSocket(socket.socket):
    """A listening socket that turns everybody else away. The folder lets nobody else come here: this is the second net,
    for root, and for a folder whose mode somebody has changed since.
    """

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection of this user; one of somebody else is closed.

        Raises:
            ConnectionAbortedError: It was somebody else's: asyncio goes on with the next one.
        """
        found, address = super().accept()
        uid = -1
        with contextlib.suppress(OSError):
            uid = peer_of(found).uid
        if uid != os.geteuid():
            found.close()
            raise ConnectionAbortedError("a connection of another user was closed")
        return found, address


def open_own_socket(home: str) -> Listening | NotOpened:
    """Open the socket of this process for a home. The server that gets its `sock` closes it; `close` removes the file,
    in this process and not in its forked children.
    """
    return listen(home, suffix=HTTP_SUFFIX, kind=_SameUserSocket, backlog=_BACKLOG)


def bound_address(listening: Listening) -> str:
    """Return what a server says that a connection came to: the name from before the socket was given its own."""
    address = listening.sock.getsockname()
    return address if isinstance(address, str) else ""
