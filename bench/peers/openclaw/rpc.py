"""The gateway's WebSocket RPC, as far as it is measured (its `docs/gateway/protocol.md`).

Frames are JSON texts: `{type: "req", id, method, params}`, `{type: "res", id, ok, payload | error}` and
`{type: "event", event, payload}`. The first request is `connect`. A client `gateway-client` of mode `backend` on
loopback needs no paired device when it shows the shared token.
"""

from __future__ import annotations

import contextlib
import itertools
import uuid
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, Self

import msgspec

from bench.peers.openclaw.surroundings import LOOPBACK
from bench.peers.processes import extra
from bench.peers.protocol import Interrupted

_OLDEST_PROTOCOL, _NEWEST_PROTOCOL = 3, 4
"""Of the protocols that this client speaks: what `connect`, `models.list` and `chat.send` look like is the same in
both.
"""

_SCOPES = ("operator.read", "operator.write", "operator.admin")
_FINAL_STATES = ("final", "error", "aborted")
_STEP_S = 0.5
"""How often is looked whether somebody wants an early end."""


class RpcError(Exception):
    """The gateway refused a request, gave no answer in time, or closed the connection."""


class Frame(msgspec.Struct):
    """A frame from the gateway; what a kind doesn't have is empty."""

    type: str
    id: str = ""
    ok: bool = False
    event: str = ""
    payload: Any = None
    error: Any = None


class RpcClient:
    """One connection, for as long as the `with` lasts. For one thread."""

    def __init__(self, port: int, token: str, limit_s: float, is_over: Callable[[], bool]) -> None:
        """Keep how to connect; the `with` does.

        Args:
            port: On loopback.
            token: The gateway's shared token.
            limit_s: For the connection, and for each answer.
            is_over: Tells whether somebody wants an early end; all that waits for an answer raises `Interrupted` then.
        """
        self._library = extra("websockets.sync.client")
        self._exceptions = extra("websockets.exceptions")
        self._url = f"ws://{LOOPBACK}:{port}"
        self._token = token
        self._limit_s = limit_s
        self._is_over = is_over
        self._connection: Any = None
        self._numbers = itertools.count(1)

    def call(self, method: str, params: dict[str, Any]) -> Any:
        """Ask and return the answer's payload.

        Raises:
            RpcError: Refused, too late, or the connection is gone.
        """
        number = str(next(self._numbers))
        end = monotonic() + self._limit_s
        self._send({"type": "req", "id": number, "method": method, "params": params})
        while True:
            frame = self._receive(end, method)
            if frame.type != "res" or frame.id != number:
                continue
            if not frame.ok:
                raise RpcError(f"{method} was refused: {_reason(frame.error)}")
            return frame.payload

    def chat(self, session: str, text: str) -> Any:
        """Send a chat message and return the payload of the event with its final answer.

        Raises:
            RpcError: Refused, failed, too late, or the connection is gone.
        """
        end = monotonic() + self._limit_s
        run = str(uuid.uuid4())
        self._send(
            {
                "type": "req",
                "id": run,
                "method": "chat.send",
                "params": {"sessionKey": session, "message": text, "idempotencyKey": run},
            }
        )
        while True:
            frame = self._receive(end, text)
            if frame.type == "res" and frame.id == run and not frame.ok:
                raise RpcError(f"{text} was refused: {_reason(frame.error)}")
            if frame.type != "event" or frame.event != "chat" or not isinstance(frame.payload, dict):
                continue
            if frame.payload.get("runId") == run and frame.payload.get("state") in _FINAL_STATES:
                if frame.payload["state"] != "final":
                    raise RpcError(f"{text} ended as {frame.payload['state']}: {frame.payload.get('errorMessage')}")
                return frame.payload

    def _send(self, frame: dict[str, Any]) -> None:
        try:
            self._connection.send(msgspec.json.encode(frame).decode())
        except self._exceptions.WebSocketException as error:
            raise RpcError(f"the connection is gone: {type(error).__name__}") from None

    def _receive(self, end: float, method: str) -> Frame:
        while True:
            if self._is_over():
                raise Interrupted
            rest_s = end - monotonic()
            if rest_s <= 0:
                raise RpcError(f"{method} had no answer within {self._limit_s:.0f} s (over the limit)")
            try:
                text = self._connection.recv(timeout=min(rest_s, _STEP_S))
            except TimeoutError:
                continue
            except self._exceptions.WebSocketException as error:
                raise RpcError(f"the connection broke before {method} was answered: {type(error).__name__}") from None
            try:
                return msgspec.json.decode(text, type=Frame)
            except msgspec.MsgspecError as error:
                raise RpcError(f"{method}: a frame that isn't understood: {error}") from None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            try:
                connecting = self._library.connect(self._url, max_size=None, open_timeout=self._limit_s)
                self._connection = opened.enter_context(connecting)
            except (OSError, self._exceptions.WebSocketException) as error:
                raise RpcError(f"no connection: {type(error).__name__}: {error}") from None
            self.call("connect", self._introduction())
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def _introduction(self) -> dict[str, Any]:
        return {
            "minProtocol": _OLDEST_PROTOCOL,
            "maxProtocol": _NEWEST_PROTOCOL,
            "client": {"id": "gateway-client", "version": "1", "platform": "bench", "mode": "backend"},
            "role": "operator",
            "scopes": list(_SCOPES),
            "auth": {"token": self._token},
        }


def _reason(error: Any) -> str:
    return f"{error.get('code')}: {error.get('message')}" if isinstance(error, dict) else str(error)
