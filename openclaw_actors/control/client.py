"""Asking the running gateways of a home, all of them at the same time."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time

import msgspec

from openclaw_actors.control.address import Offer, connect, offers, peer_of
from openclaw_actors.control.messages import Rechecked, RecheckRequest, Refused, line_of, read_answer

_MARGIN_S = 2.0
"""How long after the end of its wait a gateway's answer may still be on its way, in seconds."""

_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_PIECE = 256 * 1024


class Outcome(msgspec.Struct, frozen=True):
    """What became of asking one gateway."""

    pid: int
    answer: Rechecked | Refused
    """`Refused` also for what its asker found out: `silent`, `closed`, `unintelligible`, `unreachable`."""


class Asked(msgspec.Struct, frozen=True):
    """What became of asking the gateways of a home."""

    outcomes: tuple[Outcome, ...]
    """One for each that runs; empty when none does."""
    problems: tuple[str, ...]
    """What was passed over while looking for them, and why."""


def ask(home: str, request: RecheckRequest) -> Asked:
    """Ask every running gateway of a home; returns when all have answered, or their time is over.

    What gateways that are gone have left behind is removed.
    """
    found, problems = offers(home)
    notes, outcomes, line = list(problems), [], line_of(request)
    asking: dict[socket.socket, tuple[Offer, bytearray]] = {}
    with contextlib.ExitStack() as closing:
        selector = closing.enter_context(selectors.DefaultSelector())
        for offer in found:
            try:
                sock = connect(offer.path)
                if sock is None:
                    continue
                closing.callback(sock.close)
                uid = peer_of(sock).uid
                if uid != os.geteuid():
                    notes.append(f"{offer.path}: the user {uid} listens there")
                    continue
            except OSError as error:
                text = f"{offer.path}: {error.strerror or type(error).__name__}"
                outcomes.append(Outcome(offer.pid, Refused(error="unreachable", message=text)))
                continue
            # a gateway that turns its peer away at once has answered already
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(line)
            asking[sock] = (offer, bytearray())
            selector.register(sock, selectors.EVENT_READ)
        until = time.monotonic() + request.wait_s + _MARGIN_S
        while asking and (left_s := until - time.monotonic()) > 0:
            for key, _ in selector.select(left_s):
                ready = key.fileobj
                assert isinstance(ready, socket.socket)
                offer, received = asking[ready]
                answer = _received(ready, received)
                if answer is not None:
                    outcomes.append(Outcome(offer.pid, answer))
                    selector.unregister(ready)
                    del asking[ready]
    silent = Refused(error="silent", message="it did not answer in time; it may be stopped, or very busy")
    outcomes += [Outcome(offer.pid, silent) for offer, _ in asking.values()]
    return Asked(tuple(sorted(outcomes, key=lambda outcome: outcome.pid)), tuple(notes))


def _received(sock: socket.socket, received: bytearray) -> Rechecked | Refused | None:
    """Take in what is there; return the answer once it is whole, or why there is none."""
    try:
        piece = sock.recv(_PIECE)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        piece = b""
    received += piece
    if not piece or len(received) > _MAX_ANSWER_BYTES:
        return Refused(error="closed", message="it closed the connection without a whole answer; it may have ended")
    if b"\n" not in piece:
        return None
    line, _, _ = received.partition(b"\n")
    return read_answer(line) or Refused(
        error="unintelligible", message="its answer can't be read: it may be of another version of openclaw-actors"
    )
