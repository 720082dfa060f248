"""What a chat's `/models` comes to, whatever the platform: the answers from a supervisor and from the embedder's hooks.

Everything of the supervisor's is read from memory, so no answer waits for a warm. The hooks are the embedder's: each
may be a plain function or return an awaitable, and is called on the event loop, which a plain one must not block.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeAlias, TypeVar, final

import msgspec

from openclaw_actors.auth.verdict import Verdict
from openclaw_actors.ids import ProviderId
from openclaw_actors.listing.chat import reply
from openclaw_actors.listing.labels import keep_lines
from openclaw_actors.listing.listing import Listing
from openclaw_actors.listing.models_command import ModelsRequest
from openclaw_actors.listing.visibility import View
from openclaw_actors.log import log
from openclaw_actors.pickers.targets import Choose, PickerAnswer, ShowModels, ShowProviders, Stale, Target, Unknown
from openclaw_actors.pickers.tokens import view_of
from openclaw_actors.reading.job import describe_error, places
from openclaw_actors.reads import Reads

FAILED_TEXT = "That went wrong on this side; the log of this bot says where. Try again."
"""For a handler that failed."""

NOT_WARMED_TEXT = "The credentials are still being looked at: not all models are known yet. Ask again in a moment."
"""For an agent that isn't published yet; at most 100 characters, so that it can be a choice of Discord's."""

NO_AGENT_TEXT = "The agent of this chat isn't in the config."
"""For an agent id that the config doesn't have."""

NOTHING_TEXT = "No model can be used now."
"""For an agent without any model to show."""

T = TypeVar("T")
E = TypeVar("E")
"""What the library gives its handlers: an interaction, an update, a message or a callback query."""
P = TypeVar("P")
"""A page of the platform."""
P_co = TypeVar("P_co", covariant=True)

MayWait: TypeAlias = Awaitable[T] | T
"""A value, or what it can be awaited from."""

AgentOf: TypeAlias = Callable[[E], MayWait[str | None]]
"""Whose models an event is about: an agent id; None is the default agent."""

Allowed: TypeAlias = Callable[[E], MayWait[bool]]
"""Whether the sender of an event may see and choose models."""

OnChosen: TypeAlias = Callable[[str, str, E], MayWait[str | None]]
"""What is done with a chosen model: called with `provider/model`, the agent id and the event. Returns what to answer:
a plain text, None for the usual one, an empty text when it has answered by itself."""

CurrentOf: TypeAlias = Callable[[str, E], MayWait[str | None]]
"""Which model is selected now, as `provider/model`: called with the agent id and the event."""


class Pages(Protocol[P_co]):
    """A platform's pages: `pickers.telegram` or `pickers.discord`."""

    def show(
        self,
        listing: Listing,
        instance_id: str,
        target: Target = ...,
        *,
        current: str = "",
        verdict: Verdict | None = ...,
    ) -> P_co:
        """Return a page."""

    def answer(self, listing: Listing, instance_id: str, _data: str, /) -> PickerAnswer:
        """Return what pressing a button comes to."""


class Shown(msgspec.Struct, Generic[P], frozen=True):
    """A page to show."""

    page: P
    lead: str = ""
    """What stands above it."""


class Told(msgspec.Struct, frozen=True):
    """A text to show, without buttons."""

    text: str


Answer: TypeAlias = Shown[P] | Told
"""What is shown."""


@final
class Desk(Generic[E, P]):
    """Answers a chat's events. Holds nothing about messages, so a new process goes on with old ones.

    Args:
        supervisor: Whose answers are shown.
        pages: The platform's pages.
        agent_of: Finds the agent; by default always the default agent.
        allowed: Who may use it; by default everyone who can write to the bot.
        on_chosen: What is done with a chosen model; by default it is just answered with.
        current_of: Finds the model that is marked as selected; by default none is.
    """

    def __init__(
        self,
        supervisor: Reads,
        pages: Pages[P],
        *,
        agent_of: AgentOf[E] | None = None,
        allowed: Allowed[E] | None = None,
        on_chosen: OnChosen[E] | None = None,
        current_of: CurrentOf[E] | None = None,
    ) -> None:
        self.supervisor = supervisor
        self._pages = pages
        self._agent_of = agent_of
        self._allowed = allowed
        self._on_chosen = on_chosen
        self._current_of = current_of

    async def is_allowed(self, event: E) -> bool:
        """Tell whether the sender may use it."""
        return self._allowed is None or bool(await _settled(self._allowed(event)))

    async def listing(self, event: E, view: View = "default") -> Listing:
        """Return what the event's agent is shown, as it is now."""
        agent = None if self._agent_of is None else await _settled(self._agent_of(event))
        return self.supervisor.models(agent_id=agent, view=view)

    async def request(self, event: E, request: ModelsRequest) -> Answer[P]:
        """Answer a typed command. Pages with buttons have a size of their own: `page` counts these, `limit` is for
        texts alone.
        """
        listing = await self.listing(event, request.view)
        if request.action == "add":
            return Told(reply(listing, request).text)
        provider = request.provider
        target = ShowProviders() if provider is None else ShowModels(ProviderId(provider), request.page)
        return await self.show(event, listing, target)

    async def press(self, event: E, data: str) -> Answer[P] | None:
        """Answer a button; None when there is nothing more to say."""
        listing = await self.listing(event, view_of(data))
        return await self.follow(event, listing, self._pages.answer(listing, self.supervisor.instance_id, data))

    async def choose(self, event: E, listing: Listing, chosen: Choose) -> Told | None:
        """Hand a chosen model over; None when the embedder has answered."""
        if self.is_nobodys(listing):
            return Told(NO_AGENT_TEXT)
        said = None
        if self._on_chosen is not None:
            said = await _settled(self._on_chosen(chosen.ref, listing.agent_id, event))
        if said is None:
            warning = f"\nIt can't be used now: {chosen.warning}" if chosen.warning else ""
            said = f"Model chosen: {chosen.ref}{warning}"
        return Told(said) if said else None

    async def show(self, event: E, listing: Listing, target: Target, lead: str = "") -> Answer[P]:
        """Return a page of a list; an agent of which nothing is known yet has none."""
        hint = self.hint(listing)
        if hint and (not listing.rows or self.is_nobodys(listing)):
            return Told(hint)
        lead = "\n".join(text for text in (lead, hint or ("" if listing.rows else NOTHING_TEXT)) if text)
        current = None
        if self._current_of is not None:
            current = await _settled(self._current_of(listing.agent_id, event))
        verdict = None
        if isinstance(target, ShowModels):
            verdict = self.supervisor.verdict(target.provider, agent_id=listing.agent_id)
        page = self._pages.show(listing, self.supervisor.instance_id, target, current=current or "", verdict=verdict)
        return Shown(page, lead)

    async def follow(self, event: E, listing: Listing, found: PickerAnswer) -> Answer[P] | None:
        """Do what a button, a choice or a command came to: hand a model over, or show a page."""
        match found:
            case Choose():
                return await self.choose(event, listing, found)
            case Stale(text, offer) | Unknown(text, offer):
                return await self.show(event, listing, offer, text)
            case ShowProviders() | ShowModels():
                return await self.show(event, listing, found)

    def hint(self, listing: Listing) -> str:
        """Return why a list can't be the whole truth; empty when the agent's answers are there."""
        if listing.revision:
            return ""
        return NO_AGENT_TEXT if self.is_nobodys(listing) else NOT_WARMED_TEXT

    def is_nobodys(self, listing: Listing) -> bool:
        """Tell whether a list is of an agent that the config doesn't have."""
        ids = self.supervisor.agent_ids()  # empty until the config was read
        return not listing.revision and bool(ids) and listing.agent_id not in ids


def above(lead: str, text: str, limit: int) -> str:
    """Return a message with a line above it, within the platform's limit in UTF-16 code units."""
    return keep_lines(f"{lead}\n\n{text}" if lead else text, limit)


@asynccontextmanager
async def answering(chat: str, say: Callable[[str], Awaitable[object]]) -> AsyncIterator[None]:
    """Log what a handler raises, and answer with one line; nothing comes out but a cancellation.

    The fourth boundary that runs others' code: hooks of the embedder and the library's sending. Their errors may quote
    anything, a bot's token in an address too, so a log line has the kind and the places alone.

    Args:
        chat: The platform, for the log.
        say: Sends a text to whoever asked.
    """
    try:
        yield
    except Exception as error:
        log_failure(chat, error)
        try:
            await say(FAILED_TEXT)
        except Exception as again:
            log_failure(chat, again)


def log_failure(chat: str, error: Exception) -> None:
    """Write a log line about an error, without its text."""
    log.bind(chat=chat, error=describe_error(error), at=places(error)).error("a chat handler failed")


async def _settled(value: MayWait[T]) -> T:
    if inspect.isawaitable(value):
        settled: T = await value
        return settled
    return value
