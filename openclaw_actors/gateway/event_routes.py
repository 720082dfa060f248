"""The routes that send events in.

Each answers with the attempt (generation) that the event began; `?wait=` waits for that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openclaw_actors.auth.reports import find_reported
from openclaw_actors.gateway.agents import configured
from openclaw_actors.gateway.answers import json_response
from openclaw_actors.gateway.problems import Problem
from openclaw_actors.home.providers import auth_provider, normalise_provider
from openclaw_actors.ids import Generation
from openclaw_actors.telling import cleared, logged_out

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor

LONGEST_WAIT_S = 60.0
"""What `?wait=` may ask for at most."""


class Failure(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `…/failures`."""

    evidence: str
    """A profile id, `env:NAME`, `config:PROVIDER`…: what a verdict's evidence is called."""
    reason: str
    """One of OpenClaw's failure reasons."""
    model: str | None = None


class Success(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `…/successes`."""

    evidence: str
    model: str | None = None


class Logout(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `…/logout`."""

    profile: str | None = None
    """Just this one; otherwise all of the provider."""


class Clear(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `/cooldowns/clear`."""

    profile: str
    agent: str | None = None


class Reload(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `/reload`."""

    plugins: bool = False
    """Whether plugins were reloaded, rather than the config."""


_T = TypeVar("_T", bound=msgspec.Struct)


class EventRoutes:
    """Tells the supervisor; what blocks on the disk is done off the loop by `aio`."""

    def __init__(self, supervisor: AuthSupervisor) -> None:
        self._supervisor = supervisor

    def routes(self) -> list[Route]:
        """Return the routes."""
        cell = "/auth/{agent}/{provider}"
        found: list[tuple[str, Callable[[Request], Awaitable[Response]]]] = [
            (f"{cell}/recheck", self.recheck),
            (f"{cell}/failures", self.failure),
            (f"{cell}/successes", self.success),
            (f"{cell}/logout", self.logout),
            ("/reload", self.reload),
            ("/cooldowns/clear", self.clear_cooldown),
        ]
        return [Route(path, endpoint, methods=["POST"]) for path, endpoint in found]

    async def recheck(self, request: Request) -> Response:
        """Look again at one provider of an agent, and try again what rests or was refused."""
        agent = configured(self._supervisor, request.path_params["agent"])
        return await self._answered(request, self._supervisor.recheck(request.path_params["provider"], agent_id=agent))

    async def failure(self, request: Request) -> Response:
        """Take a provider's refusal."""
        agent, body = configured(self._supervisor, request.path_params["agent"]), await _body(request, Failure)
        self._check_evidence(agent, request.path_params["provider"], body.evidence)
        report = self._supervisor.report_failure
        return await self._answered(request, report(body.evidence, body.reason, agent_id=agent, model=body.model))

    async def success(self, request: Request) -> Response:
        """Take a provider's yes."""
        agent, body = configured(self._supervisor, request.path_params["agent"]), await _body(request, Success)
        self._check_evidence(agent, request.path_params["provider"], body.evidence)
        report = self._supervisor.report_success
        return await self._answered(request, report(body.evidence, agent_id=agent, model=body.model))

    async def logout(self, request: Request) -> Response:
        """Remove a provider's profiles from the stores that own them; answers when that is published, with what was
        removed.
        """
        supervisor, provider = self._supervisor, request.path_params["provider"]
        agent, body = configured(supervisor, request.path_params["agent"]), await _body(request, Logout)
        before = supervisor.snapshot(agent)
        await supervisor.aio.logout(provider, agent_id=agent, profile_id=body.profile)
        told = logged_out(before, supervisor.snapshot(agent), provider, body.profile)
        return json_response({"done": True, **msgspec.structs.asdict(told)})

    async def clear_cooldown(self, request: Request) -> Response:
        """Clear the resting windows of a profile; answers when that is published, with what came of it."""
        supervisor, body = self._supervisor, await _body(request, Clear)
        agent = configured(supervisor, body.agent)
        before = supervisor.snapshot(agent)
        await supervisor.aio.clear_cooldown(body.profile, agent_id=agent)
        told = cleared(before, supervisor.snapshot(agent), body.profile)
        return json_response({"done": True, **(msgspec.structs.asdict(told) if told is not None else {})})

    async def reload(self, request: Request) -> Response:
        """Have the config read again, or all that depends on plugins."""
        body = await _body(request, Reload)
        supervisor = self._supervisor
        return await self._answered(
            request, supervisor.reload_plugins() if body.plugins else supervisor.reload_config()
        )

    def _check_evidence(self, agent: str, provider: str, evidence: str) -> None:
        """Refuse a report of what isn't a credential of the provider that the path names."""
        auth = self._supervisor.snapshot(agent)
        if not auth.revision:
            return  # nobody knows yet: the report waits until somebody does
        found = find_reported(auth.table, auth.view, evidence)
        wanted = auth_provider(normalise_provider(provider))
        if found is None or wanted not in {auth_provider(cell.provider) for cell in found.cells}:
            text = (
                f"{auth.agent_id} has no such credential of {wanted}; `GET /auth/{auth.agent_id}/{wanted}` names them"
            )
            raise Problem(422, text)

    async def _answered(self, request: Request, generation: Generation) -> Response:
        """Answer with an attempt: 202 while it isn't answered, 200 when it is."""
        text = request.query_params.get("wait")
        answered = False
        if text is not None:
            wait_s = _seconds(text)
            answered = await self._supervisor.aio.answered(generation, timeout_s=wait_s)
        body = {"generation": generation, "answered": answered, "instance": self._supervisor.instance_id}
        return json_response(body, 200 if answered else 202)


def _seconds(text: str) -> float:
    try:
        wait_s = float(text) if len(text) < 20 else -1.0
    except ValueError:
        wait_s = -1.0
    if not 0.0 <= wait_s <= LONGEST_WAIT_S:
        raise Problem(400, f"wait is a number of seconds from 0 to {LONGEST_WAIT_S:g}")
    return wait_s


async def _body(request: Request, kind: type[_T]) -> _T:
    """Return the body of a request; no body is an empty object.

    Raises:
        Problem: It is no such JSON. What it held isn't repeated: it may be a secret that was sent by mistake.
    """
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media != "application/json":
        # a form can be sent by any page without asking first; JSON can't
        raise Problem(415, "the body is application/json")
    raw = await request.body()
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except msgspec.DecodeError:
        fields = ", ".join(
            f"{field.name}{'' if field.required else ' (optional)'}" for field in msgspec.structs.fields(kind)
        )
        raise Problem(422, f"the body is a JSON object with {fields}") from None
