"""Calling a provider: the next credential when one is refused, and the report of what came of each.

For a gateway's own requests, with whatever HTTP client it uses. A verdict is what is known without asking anybody: it
says yes until a provider says 401. Here that 401 becomes a report, after which nobody is shown the provider, and the
request goes on with the next credential, if there is one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Generic, TypeVar, final

from openclaw_actors.auth.failures import Effect, effect_of, normalise_reason
from openclaw_actors.credential import Credential
from openclaw_actors.errors import CredentialError, ForkedError, NotRunningError

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor

__all__ = ["call_with_rotation", "failure_reason", "status_of"]

T = TypeVar("T")

REASONS: Final = {
    401: "auth",
    402: "billing",
    403: "auth",
    429: "rate_limit",
    503: "overloaded",
    529: "overloaded",
}
"""What a status says of the credential, as reasons of OpenClaw 2026.5.22 (formats 7.1; DESIGN.md, section 2). 529 is
Anthropic's. All others say nothing of it: a request that is wrong, a model that isn't there, a server that fails or
that does not answer in time (OpenClaw's runner doesn't mark these either: formats 7.4)."""

_PROVED_BY_THE_SECRET: Final = frozenset({Effect.REJECTED, Effect.DISABLED})
"""Effects that hide a credential: they must be of the secret that is there now, and not of the one before it."""


def status_of(outcome: object) -> int | None:
    """Return the HTTP status of a response or an error, None when it has none.

    A number is one itself; otherwise it is `status_code` (httpx, requests, openai), `status` (aiohttp, urllib) or
    that of the `response` (an error of httpx or requests).
    """
    for one in (outcome, getattr(outcome, "response", None)):
        for status in (one, getattr(one, "status_code", None), getattr(one, "status", None)):
            if isinstance(status, int) and not isinstance(status, bool):
                return int(status)
    return None


def failure_reason(outcome: object) -> str | None:
    """Return the failure reason that a response or an error comes to by its status, None when it says nothing of the
    credential.

    Raises:
        TypeError: It is a response without a status.
    """
    status = status_of(outcome)
    if status is None:
        if isinstance(outcome, Exception):
            return None
        raise TypeError(f"send must return a status, or a response that has one, not {type(outcome).__name__}")
    return REASONS.get(status)


async def call_with_rotation(
    supervisor: AuthSupervisor,
    provider: str,
    send: Callable[[Credential], Awaitable[T]],
    *,
    agent_id: str | None = None,
    model: str | None = None,
    attempts: int = 3,
    classify: Callable[[object], str | None] = failure_reason,
) -> T:
    """Make a request with the credential that counts now, and with the next one whenever a provider refuses one.

    Each refusal is reported before the next credential is asked for, and so is a success; who asks the supervisor next
    knows of it. What says nothing of the credential (400, 404, 500, a timeout, a connection that breaks) is neither
    reported nor tried again: it is returned or raised as it came. A secret that was replaced while its request was
    under way (a login that another process refreshed, say) is not blamed on the new one, which is tried instead.

    On an event loop, any one; several may run at once. It keeps and logs nothing of a credential. When it is cancelled,
    the request that is under way is not reported. During shutdown, when no report is taken any more, a response is
    returned all the same.

    Args:
        supervisor: What hands out credentials and hears how they did.
        provider: In any spelling.
        send: Makes the request with a credential and returns the response, or raises. A response that is refused may
            be dropped unless it is the last: a streaming one has to be closed by then.
        agent_id: The agent that runs; None is the default agent.
        model: The model that is asked for: a rate limit rests just that one.
        attempts: How many requests are made at most.
        classify: Returns the failure reason of what `send` returned or raised, None when it says nothing of the
            credential. For providers that say it otherwise than by the status, 400 for a wrong key, say.

    Returns:
        What `send` returned: a success, what no other credential would change, or the last refusal, when the attempts
        are used up or what is left rests and was tried already.

    Raises:
        CredentialError: No credential is left; it says of each why not, and what to do.
        Exception: What `send` raised, in the cases in which its response would be returned.
        UnknownReasonError: `classify` returned a reason outside the table.
        TypeError: `send` returned what has no status.
        ValueError: There are no attempts to make.
    """
    if attempts < 1:
        raise ValueError(f"attempts must be 1 or more, not {attempts}")
    rotation = _Rotation(supervisor, provider, agent_id, model, attempts)
    credential: Credential | None = await rotation.ask()
    while True:
        assert credential is not None
        with supervisor.spans.span(
            "attempt", provider=credential.provider, kind=credential.kind, source=credential.source
        ) as span:
            answer = await _answer_to(send, credential, classify)
            span.note(outcome=answer.reason or ("success" if answer.is_success else "other"))
        if answer.reason is None:
            if answer.is_success:
                rotation.praise(credential)
            return answer.unwrap()
        credential = await rotation.after(credential, answer.reason)
        if credential is None:
            return answer.unwrap()


@final
class _Answer(Generic[T]):
    """What a request came to. Its repr shows none of it: providers quote keys in their refusals."""

    __slots__ = ("_error", "_response", "is_success", "reason")

    def __init__(self, reason: str | None, *, response: tuple[T, ...] = (), error: Exception | None = None) -> None:
        self.reason = reason
        """What speaks against the credential; None when nothing does."""
        self.is_success = reason is None and any((status_of(one) or 0) < 400 for one in response)
        """Whether the provider did what it was asked for."""
        self._response = response
        self._error = error

    def unwrap(self) -> T:
        """Return the response, or raise the error."""
        error, self._error = self._error, None
        if error is None:
            return self._response[0]
        try:
            raise error
        finally:
            del error  # its traceback holds this frame: no cycle keeps what the client put into it


async def _answer_to(
    send: Callable[[Credential], Awaitable[T]], credential: Credential, classify: Callable[[object], str | None]
) -> _Answer[T]:
    """Make one request. Errors that say nothing of the credential are raised as they came."""
    try:
        response = await send(credential)
    except Exception as error:  # whatever HTTP client it is, its refusals may be errors
        reason = _speaking_against(classify(error))
        if reason is None:
            raise
        return _Answer(reason, error=error)
    return _Answer(_speaking_against(classify(response)), response=(response,))


@final
class _Rotation:
    """The credentials of one call: which were tried, and which is next."""

    __slots__ = ("_agent_id", "_left", "_model", "_provider", "_supervisor", "_tried")

    def __init__(
        self, supervisor: AuthSupervisor, provider: str, agent_id: str | None, model: str | None, attempts: int
    ) -> None:
        self._supervisor = supervisor
        self._provider = provider
        self._agent_id = agent_id
        self._model = model
        self._left = attempts
        self._tried: set[str] = set()

    async def ask(self) -> Credential:
        """Return the credential that counts now."""
        return await self._supervisor.aio.credential(self._provider, agent_id=self._agent_id, model=self._model)

    def praise(self, credential: Credential) -> None:
        """Report a success."""
        with contextlib.suppress(NotRunningError, ForkedError):
            self._supervisor.report_success(credential, agent_id=self._agent_id, model=self._model)

    async def after(self, credential: Credential, reason: str) -> Credential | None:
        """Report a refusal and return what to try next; None when the refusal is the answer.

        Raises:
            CredentialError: Nothing is left.
        """
        self._left -= 1
        self._tried.add(credential.evidence_id)
        if effect_of(reason) in _PROVED_BY_THE_SECRET:
            # one that took its place meanwhile isn't blamed, and is tried before the next one
            newer = await self._replaced(credential)
            if newer is not None:
                return newer if self._left else None
        with contextlib.suppress(NotRunningError, ForkedError):
            self._supervisor.report_failure(credential, reason, agent_id=self._agent_id, model=self._model)
        if not self._left:
            return None
        following = await self.ask()
        # one that rests is handed out when nothing else is left: asking it again at once would not help it
        return following if following.evidence_id not in self._tried else None

    async def _replaced(self, credential: Credential) -> Credential | None:
        """Return what is in the place of a credential now, if it has another secret."""
        try:
            now = await self.ask()
        except CredentialError:
            return None
        is_newer = now.evidence_id == credential.evidence_id and now.reveal() != credential.reveal()
        return now if is_newer else None


def _speaking_against(reason: str | None) -> str | None:
    """Return a reason as the table has it, None when it changes no verdict."""
    normal = None if reason is None else normalise_reason(reason)
    return None if normal is None or effect_of(normal) is Effect.NONE else normal
