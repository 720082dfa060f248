"""The routes of models: the OpenAI-compatible list, and the listing with pages and reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openclaw_actors.gateway.agents import published
from openclaw_actors.gateway.answers import Kept, agent_of, etag_of, json_response, tagged, whole_number
from openclaw_actors.gateway.encoding import Body
from openclaw_actors.gateway.problems import Problem
from openclaw_actors.listing.chat import reply
from openclaw_actors.listing.listing import DEFAULT_LIMIT, MAX_LIMIT, ListedModel, Listing
from openclaw_actors.listing.models_command import ModelsRequest
from openclaw_actors.telling import models_of

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor

_VIEWS = ("default", "configured", "all")


class OpenAIModel(msgspec.Struct, frozen=True):
    """A model as OpenAI's API describes one (platform.openai.com/docs/api-reference/models/object)."""

    id: str
    owned_by: str
    object: str = "model"
    created: int = 0
    """When it was made, epoch seconds; nobody here knows."""


class OpenAIModels(msgspec.Struct, frozen=True):
    """The list of these (…/models/list)."""

    data: tuple[OpenAIModel, ...]
    object: str = "list"


class ListingRoutes:
    """Answers from one pinned listing each; encoded once per listing."""

    def __init__(self, supervisor: AuthSupervisor) -> None:
        self._supervisor = supervisor
        self._openai = Kept()
        self._pages = Kept()

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v1/models", self.openai_models, methods=["GET"]),
            Route("/v1/models/{model:path}", self.openai_model, methods=["GET"]),
            Route("/models", self.models, methods=["GET"]),
        ]

    async def openai_models(self, request: Request) -> Response:
        """Answer with the models that the agent can use, as OpenAI's API lists them."""
        listing = self._listing(request)
        key = (listing.agent_id, listing.view, listing.provider)
        return tagged(
            request,
            lambda: _keep(self._openai, key, listing, lambda: _openai_list(listing)),
            etag_of(self._supervisor.instance_id, listing.revision, *key),
        )

    async def openai_model(self, request: Request) -> Response:
        """Answer with one model, as OpenAI's API describes it."""
        listing, wanted = self._listing(request), request.path_params["model"]
        row = next((row for row in listing.rows if row.id == wanted), None)
        if row is None or not row.has_auth:
            why = f"there is no model {wanted!r} here"
            if row is not None:
                why = f"{wanted} can't be used now: {row.reason}"
            # as OpenAI's API says it, for its clients
            error = {"message": why, "type": "invalid_request_error", "param": "model", "code": "model_not_found"}
            return json_response({"error": error}, 404)
        etag = etag_of(self._supervisor.instance_id, listing.revision, listing.agent_id, row.id)
        return tagged(request, lambda: msgspec.json.encode(_openai(row)), etag)

    async def models(self, request: Request) -> Response:
        """Answer with a page of the listing (with `?whole=1` all of it), and on request with what is hidden and why; as
        the text of a chat where that is preferred.
        """
        number, limit = whole_number(request, "page", 1), whole_number(request, "limit", DEFAULT_LIMIT, most=MAX_LIMIT)
        include = request.query_params.get("include", "")
        if include not in ("", "hidden"):
            raise Problem(400, "include is `hidden`, or left out")
        if request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip() == "text/plain":
            return self._chat(request, number, limit)
        whole = request.query_params.get("whole", "") in ("1", "true")
        if whole:
            number, limit = 1, 0
        listing = self._listing(request)
        key = (listing.agent_id, listing.view, listing.provider, number, limit, include)
        etag = etag_of(self._supervisor.instance_id, listing.revision, *key)
        return tagged(
            request,
            lambda: _keep(
                self._pages,
                key,
                listing,
                lambda: self._page(listing, number, limit or None, with_hidden=bool(include)),
            ),
            etag,
        )

    def _chat(self, request: Request, number: int, limit: int) -> Response:
        """Answer as the chat command `/models` does: of one provider, or the menu of all."""
        provider = request.query_params.get("provider")
        wanted = ModelsRequest(
            "list" if provider else "providers", provider, number, limit, request.query_params.get("view") == "all"
        )
        listing = self._listing(request, of_all=True)
        verdict = self._supervisor.verdict(provider, agent_id=listing.agent_id) if provider else None
        parts = (listing.agent_id, listing.view, provider, number, limit, verdict.state.value if verdict else "")
        text = reply(listing, wanted, verdict=verdict).full_text
        tag = etag_of(self._supervisor.instance_id, listing.revision, "text", *parts)
        return tagged(request, lambda: text.encode("utf-8", "replace") + b"\n", tag, "text/plain; charset=utf-8")

    def _listing(self, request: Request, *, of_all: bool = False) -> Listing:
        supervisor, agent = self._supervisor, agent_of(request)
        view = request.query_params.get("view", "default")
        if view not in _VIEWS:
            raise Problem(400, f"view is one of {', '.join(_VIEWS)}")
        published(supervisor, agent)
        provider = None if of_all else request.query_params.get("provider")
        return supervisor.models(agent_id=agent, provider=provider, view=view)

    def _page(self, listing: Listing, number: int, limit: int | None, *, with_hidden: bool) -> bytes:
        told = models_of(self._supervisor, listing, number, limit)
        if with_hidden:
            return msgspec.json.encode(told)
        counts = {"providers": len(listing.hidden), "models": sum(one.model_count for one in listing.hidden)}
        return msgspec.json.encode({**msgspec.structs.asdict(told), "hidden": counts})


def _keep(kept: Kept, key: object, listing: Listing, make: Callable[[], bytes]) -> Body | bytes:
    """Return what was made of a listing; one of nothing isn't kept: its provider may be any text of a request's."""
    return kept.get(key, listing, make) if listing.rows or listing.hidden else make()


def _openai(row: ListedModel) -> OpenAIModel:
    return OpenAIModel(row.id, row.provider)


def _openai_list(listing: Listing) -> bytes:
    return msgspec.json.encode(OpenAIModels(tuple(_openai(row) for row in listing.rows if row.has_auth)))
