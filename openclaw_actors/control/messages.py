"""What goes over the socket: each request is one line of JSON, and so is each answer. No secret can be in either."""

from __future__ import annotations

from typing import Annotated

import msgspec

VERSION = 1
"""The version of these messages; a gateway refuses requests of any other."""

MAX_REQUEST_BYTES = 64 * 1024
"""The longest request that is read, in bytes, its line end included."""

MAX_WAIT_S = 300.0
"""How long an answer may be waited for at most, in seconds."""

DEFAULT_WAIT_S = 5.0
"""How long an answer is waited for when the request doesn't say, in seconds: as long as a source may take."""

_Name = Annotated[str, msgspec.Meta(max_length=512)]


class RecheckRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Asks a gateway to read the sources of a scope again and to set aside what was reported against its credentials.

    Fields that it doesn't know are passed over, so that later versions may add some.
    """

    version: int = VERSION
    op: str = "recheck"
    provider: _Name | None = None
    """In any spelling; None for all."""
    agent: _Name | None = None
    """None for all."""
    wait_s: Annotated[float, msgspec.Meta(ge=0, le=MAX_WAIT_S)] = DEFAULT_WAIT_S
    """How long the gateway waits for the answers before it says what it has, in seconds."""


class CellAnswer(msgspec.Struct, frozen=True):
    """The answer for one (agent, provider), as far as it is told to other processes."""

    state: str
    has_auth: bool
    reason: str
    next_step: str
    fresh: bool
    """Whether nothing newer is wanted for it."""


class Rechecked(msgspec.Struct, frozen=True, kw_only=True, tag_field="answer", tag="rechecked"):
    """What a gateway has after a recheck."""

    version: int = VERSION
    pid: int
    """The process that answers."""
    instance: str
    """Tells its revisions from another's."""
    generation: int
    """The attempt that answers the recheck."""
    answered: bool
    """Whether it was answered within `wait_s`; if not, the answers below are those from before."""
    took_ms: float
    """From reading the request to answering it, in milliseconds."""
    agents: dict[str, dict[str, CellAnswer]]
    """Agent → provider → answer, for the scope that was asked for; empty when that was everything."""
    counts: dict[str, dict[str, int]]
    """Agent → state → how many providers, when the scope was everything."""
    note: str = ""
    """What is wrong with the scope itself (an unknown agent, say); empty when nothing is."""
    problems: dict[str, str] = {}
    """What could not be read again, so that older answers stand: condition of the health → its message."""


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag_field="answer", tag="refused"):
    """Why a gateway did nothing."""

    version: int = VERSION
    error: str
    """One word for machines: `bad-json`, `bad-request`, `unknown-op`, `unsupported-version`, `too-long`, `too-slow`,
    `busy`, `not-permitted`, `stopping`, `failed`.
    """
    message: str
    """For people: what is wrong and what to do. Nothing of the request is quoted in it."""


Answer = Rechecked | Refused


class _Head(msgspec.Struct, frozen=True):
    version: int
    op: str


_BAD_JSON = (msgspec.DecodeError, ValueError, RecursionError)
"""What a line that is no JSON makes msgspec raise: also for bytes that are no UTF-8, digits without end, and thousands
of nested brackets.
"""

_encoder = msgspec.json.Encoder()
_head_decoder = msgspec.json.Decoder(_Head)
_request_decoder = msgspec.json.Decoder(RecheckRequest)
_answer_decoder: msgspec.json.Decoder[Rechecked | Refused] = msgspec.json.Decoder(Rechecked | Refused)


def read_request(line: bytes | bytearray) -> RecheckRequest | Refused:
    """Return the request that a line holds, or why it is none."""
    try:
        head = _head_decoder.decode(line)
    except msgspec.ValidationError:
        return Refused(error="bad-request", message='a request has a number "version" and a text "op"')
    except _BAD_JSON:
        return Refused(error="bad-json", message="a request is one line of JSON: an object with version and op")
    if head.version != VERSION:
        text = f"this gateway speaks version {VERSION} only; use the openclaw-actors that it was started with"
        return Refused(error="unsupported-version", message=text)
    if head.op != "recheck":
        return Refused(error="unknown-op", message="this gateway knows one op: recheck")
    try:
        return _request_decoder.decode(line)
    except _BAD_JSON as error:
        # the text of a validation error names types and the place, never a value
        why = str(error) if isinstance(error, msgspec.ValidationError) else "it can't be decoded"
        return Refused(error="bad-request", message=f"a field of the request can't be used: {why}")


def read_answer(line: bytes | bytearray) -> Rechecked | Refused | None:
    """Return the answer that a line holds; None when it is none of this version."""
    try:
        answer = _answer_decoder.decode(line)
    except _BAD_JSON:
        return None
    return answer if answer.version == VERSION else None


def line_of(message: RecheckRequest | Rechecked | Refused) -> bytes:
    """Return a message as its line."""
    return _encoder.encode(message) + b"\n"
