"""What a FastAPI route asks for with `Depends`: the supervisor, the agent that is meant, a verdict, a credential.

A dependency that can't be met ends the request with a problem. In routes of class `ProblemRoute` that is all of it
(RFC 9457); elsewhere the application's own handler of HTTP exceptions answers, by default with the detail alone, which
is a problem document too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Header, Query
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from openclaw_actors import ids
from openclaw_actors.auth.verdict import State, Verdict
from openclaw_actors.credential import Credential
from openclaw_actors.errors import CredentialError, OpenclawActorsError
from openclaw_actors.events import Events
from openclaw_actors.gateway.agents import configured
from openclaw_actors.gateway.answers import agent_of
from openclaw_actors.gateway.problems import MEDIA_TYPE, Problem, on_own_error, respond
from openclaw_actors.supervisor import AuthSupervisor

__all__ = [
    "AgentId",
    "ProblemRoute",
    "Supervisor",
    "UnmetError",
    "agent_id",
    "auth_supervisor",
    "credential",
    "require_provider",
]


class UnmetError(HTTPException):
    """A dependency can't be met. An HTTP exception, so that an application that knows nothing of problems answers with
    the right status and detail.
    """

    def __init__(self, problem: Problem) -> None:
        headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store", **problem.headers}
        super().__init__(problem.status, problem.detail, headers)
        self.problem = problem
        """The whole of it."""


class ProblemRoute(APIRoute):
    """A route that answers with a problem where its endpoint or its dependencies here raise one.

    For routers of one's own: `APIRouter(route_class=ProblemRoute)`. Everything else, the application's own HTTP
    exceptions and bugs, goes to the application's handlers.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with problems as answers."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response: Response = await handle(request)
                return response
            except Problem as problem:
                return respond(problem)
            except UnmetError as error:
                return respond(error.problem)
            except OpenclawActorsError as error:
                return await on_own_error(request, error)

        return answer


async def auth_supervisor(connection: HTTPConnection) -> AuthSupervisor:
    """Return the supervisor of the application: `request.state.auth`, where `embedding.lifespan` puts it, or else
    `app.state.auth`. The one to name in `app.dependency_overrides`.

    Raises:
        RuntimeError: There is none: the application has no such lifespan, or was not started.
    """
    for state in (connection.state, connection.app.state):
        found = getattr(state, "auth", None)
        if isinstance(found, Events):  # an application may keep something else under that name
            return found  # type: ignore[return-value]  # the stepped one of `testing` has the same face
    raise RuntimeError(
        "this application has no supervisor: give FastAPI `lifespan=embedding.lifespan(AuthSupervisor)`, set "
        "`app.state.auth`, or make the router with `create_router(supervisor)`"
    )


Supervisor = Annotated[AuthSupervisor, Depends(auth_supervisor)]
"""The application's supervisor."""


async def agent_id(
    request: HTTPConnection,
    supervisor: Supervisor,
    _query: Annotated[str | None, Query(alias="agent", description="The agent; the default one if left out.")] = None,
    _header: Annotated[str | None, Header(alias="x-openclaw-agent-id", description="The agent, too.")] = None,
) -> ids.AgentId:
    """Return the agent that a request means: `?agent=`, or else the header `x-openclaw-agent-id`, or else the default.

    Raises:
        UnmetError: The config has no such agent (404).
    """
    try:
        return configured(supervisor, agent_of(request))
    except Problem as problem:
        raise UnmetError(problem) from None


AgentId = Annotated[ids.AgentId, Depends(agent_id)]
"""The agent that a request means; 404 when the config has none of that name."""


def require_provider(provider: str, *, model: str | None = None) -> Callable[..., Awaitable[Verdict]]:
    """Return a dependency that is the verdict of a provider for the agent that a request means, if that has auth.

    Otherwise the request ends before the route runs: with 424 (a dependency failed) when it takes a person, or another
    event, to change that, and with 503 and `Retry-After` when it passes by itself (not warm yet, a source that can't be
    read at the moment). It isn't 503 for both: clients and proxies ask again after 503, and proxies take an instance
    that answers so out of service; a key that was refused is refused on every instance. The detail names reason and
    next step, which may name files of this machine, and never a secret.

    Args:
        provider: In any spelling.
        model: The model that is asked for: a rate limit may rest just that one.
    """

    async def required(supervisor: Supervisor, agent: AgentId) -> Verdict:
        verdict = supervisor.verdict(provider, agent_id=agent, model=model)
        if not verdict.has_auth:
            raise UnmetError(_without_auth(verdict))
        return verdict

    return required


def credential(provider: str, *, model: str | None = None) -> Callable[..., Awaitable[Credential]]:
    """Return a dependency that is the credential to make a request to a provider with, read now and off the loop.

    It is opaque: a route that returns it, or has it in what it returns, fails, and shows nothing of it. To go on with
    the next credential when one is refused use `gateway.calling.call_with_rotation` instead. When there is none it ends
    the request as `require_provider` does; one that has auth and can't be read at this moment is 503.

    Args:
        provider: In any spelling.
        model: The model that is asked for: a rate limit may rest just that one.
    """

    async def handed_out(supervisor: Supervisor, agent: AgentId) -> Credential:
        try:
            return await supervisor.aio.credential(provider, agent_id=agent, model=model)
        except CredentialError as error:
            verdict = supervisor.verdict(provider, agent_id=agent, model=model)
            raise UnmetError(_without_auth(verdict, error)) from None

    return handed_out


def _without_auth(verdict: Verdict, error: CredentialError | None = None) -> Problem:
    passes = verdict.has_auth or verdict.state is State.UNKNOWN
    reason, next_step = verdict.reason, verdict.next_step
    if error is not None and verdict.has_auth:
        reason, next_step = "; ".join([error.problem, *(why for _, why in error.candidates[:1])]), error.remedy
    what = f"{verdict.provider} can't be used for agent {verdict.agent_id}: {reason}"
    return Problem(
        503 if passes else 424,
        f"{what}. {next_step}" if next_step else what,
        headers={"retry-after": "1"} if passes else None,
        agent=verdict.agent_id,
        provider=verdict.provider,
        state=verdict.state.value,
        reason=reason,
        next_step=next_step,
    )
