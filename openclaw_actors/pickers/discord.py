"""The picker of models as Discord's select menus, and as choices of its autocomplete (formats 8.6). Pure.

Plain data: what Discord's HTTP interface takes. Above 25 providers or models there are pages.
"""

from __future__ import annotations

import msgspec

from openclaw_actors.auth.verdict import Verdict
from openclaw_actors.listing.chat import ChatReply, reply
from openclaw_actors.listing.labels import keep_end, keep_lines, keep_start, label, one_line, units
from openclaw_actors.listing.listing import ListedModel, Listing
from openclaw_actors.listing.menu import MenuProvider, find_provider, provider_id, providers_of, unusable_note
from openclaw_actors.listing.models_command import ModelsRequest
from openclaw_actors.pickers.targets import Choose, PickerAnswer, ShowModels, ShowProviders, Target, Unknown, model_ref
from openclaw_actors.pickers.tokens import Surface, Tokens, decode, find_ref, page_of

MAX_OPTIONS = 25
"""Options of a select (Discord, Component Reference, String Select: at most 25)."""

MAX_TEXT = 100
"""Characters of an option's label, value and description, of a `custom_id` (Discord, Component Reference), and of an
autocomplete choice's name and value (Discord, Application Commands, Option Choice). Counted in UTF-16 code units, which
is never less than Discord counts."""

MAX_PLACEHOLDER = 150
"""Characters of a select's placeholder (Discord, Component Reference, String Select)."""

MAX_CONTENT = 2000
"""Characters of a message (Discord, Create Message, `content`)."""

MAX_CHOICES = 25
"""Choices that autocomplete may offer (Discord, Receiving and Responding to Interactions, Autocomplete)."""

SURFACE = Surface("mdlpk_", MAX_OPTIONS, MAX_OPTIONS)
"""OpenClaw's custom ids begin with `mdlpk` (its Discord package, 2026.9.6)."""

_ACTION_ROW, _BUTTON, _STRING_SELECT, _SECONDARY = 1, 2, 3, 2
"""Component types and a button style (Discord, Component Reference)."""


class SelectOption(msgspec.Struct, frozen=True, omit_defaults=True):
    """One option of a select."""

    label: str
    value: str
    """Its token: what `answer` takes."""
    description: str = ""
    """Why it can't be used now; else its name, or nothing."""
    default: bool = False
    """Whether it is shown as selected."""


class Select(msgspec.Struct, frozen=True):
    """A select menu; it has at least one option."""

    custom_id: str
    options: tuple[SelectOption, ...]
    placeholder: str


class Button(msgspec.Struct, frozen=True):
    """A button under a select."""

    label: str
    custom_id: str
    """Its token: what `answer` takes."""


class DiscordPage(msgspec.Struct, frozen=True):
    """A message with its components."""

    reply: ChatReply
    select: Select | None
    """None when there is nothing to select: Discord refuses an empty select."""
    buttons: tuple[Button, ...]
    page: int
    """From 1."""
    pages: int

    @property
    def content(self) -> str:
        """The message, with what can't be used and why, within Discord's limit."""
        return keep_lines(self.reply.full_text, MAX_CONTENT)

    def components(self) -> list[dict[str, object]]:
        """Return the components as Discord's HTTP interface takes them: a row for the select, one for the buttons."""
        rows: list[list[dict[str, object]]] = []
        if self.select is not None:
            rows.append([{"type": _STRING_SELECT, **msgspec.to_builtins(self.select)}])
        if self.buttons:
            rows.append(
                [{"type": _BUTTON, "style": _SECONDARY, **msgspec.to_builtins(button)} for button in self.buttons]
            )
        return [{"type": _ACTION_ROW, "components": row} for row in rows]


class Choice(msgspec.Struct, frozen=True):
    """One choice of the autocomplete."""

    name: str
    value: str
    """`provider/model`, or a provider's id, if that fits and is clear; else a token."""


def show(
    listing: Listing,
    instance_id: str,
    target: Target = ShowProviders(),  # noqa: B008  # a frozen struct, no state
    *,
    current: str = "",
    verdict: Verdict | None = None,
) -> DiscordPage:
    """Return a page. One that is too high is the last; a provider without models says so, and offers the others.

    Args:
        listing: What the agent is shown.
        instance_id: The process whose list it is (`supervisor.instance_id`).
        target: Which page.
        current: The model that is selected now, `provider/model`.
        verdict: Of the page's provider: names its credential in the title.
    """
    tokens, menu = Tokens(SURFACE, listing, instance_id), providers_of(listing)
    if isinstance(target, ShowProviders):
        return _providers(reply(listing, ModelsRequest(), buttons=True), tokens, menu, target.page)
    request = ModelsRequest("list", target.provider)
    found = find_provider(menu, target.provider)
    if found is None:
        return _providers(reply(listing, request), tokens, menu, 1)
    said = reply(listing, request, verdict=verdict, buttons=True)
    return _models(said, tokens, menu, found, target.page, current)


def answer(listing: Listing, instance_id: str, value: str) -> PickerAnswer:
    """Return what an option's value or a button's `custom_id` comes to, by the list as it is now. Never raises."""
    return decode(SURFACE, listing, instance_id, value)


def autocomplete(listing: Listing, instance_id: str, typed: str, *, provider: str = "") -> tuple[Choice, ...]:
    """Return the models that fit what was typed so far, at most 25: first those whose `provider/model` begins with it,
    then those whose own id or name does, then those that have it anywhere. What can't be used says so in its name.

    Args:
        listing: What the agent is shown.
        instance_id: The process whose list it is (`supervisor.instance_id`).
        typed: What was typed so far.
        provider: Offers models of this one alone, if the list has it: a choice of `autocomplete_providers`, or typed.
    """
    tokens, wanted, menu = Tokens(SURFACE, listing, instance_id), typed.strip().casefold(), providers_of(listing)
    target = answer_provider(listing, instance_id, provider) if provider.strip() else None
    only = find_provider(menu, target.provider) if isinstance(target, ShowModels) else None
    ranked = []
    for one in menu if only is None else (only,):
        for index, row in zip(one.indexes, one.rows, strict=True):
            rank = _rank(row, wanted)
            if rank is not None:
                ranked.append((rank, index))
    return tuple(_choice(listing.rows[index], tokens.model(index)) for _, index in sorted(ranked)[:MAX_CHOICES])


def answer_choice(listing: Listing, instance_id: str, value: str) -> PickerAnswer:
    """Return what the value of an autocompleted option comes to: that of a choice, or what was typed all the same.

    A full `provider/model` can't be mistaken, so it holds in later lists too; a part of one chooses nothing.
    """
    decoded = answer(listing, instance_id, value)
    if not isinstance(decoded, Unknown):
        return decoded
    row = find_ref(listing, value.strip())
    return Choose(row) if row is not None else decoded


def autocomplete_providers(listing: Listing, instance_id: str, typed: str) -> tuple[Choice, ...]:
    """Return the providers that fit what was typed so far, at most 25: those that begin with it first."""
    tokens, wanted = Tokens(SURFACE, listing, instance_id), typed.strip().casefold()
    fitting = [one for one in providers_of(listing) if wanted in one.provider.casefold()]
    fitting.sort(key=lambda one: not one.provider.casefold().startswith(wanted))
    return tuple(_provider_choice(one, tokens.models(one, 1)) for one in fitting[:MAX_CHOICES])


def answer_provider(listing: Listing, instance_id: str, value: str) -> PickerAnswer:
    """Return what the value of a provider's option comes to: the page of a choice, or of what was typed all the
    same.
    """
    decoded = answer(listing, instance_id, value)
    if not isinstance(decoded, Unknown):
        return decoded
    found = find_provider(providers_of(listing), value.strip())
    return ShowModels(provider_id(value.strip()) if found is None else found.provider)


def _providers(said: ChatReply, tokens: Tokens, menu: tuple[MenuProvider, ...], wanted: int) -> DiscordPage:
    pages = max(1, -(-len(menu) // MAX_OPTIONS))
    page = max(1, min(wanted, pages))
    on_page = menu[(page - 1) * MAX_OPTIONS : page * MAX_OPTIONS]
    options = tuple(_provider_option(one, tokens.models(one, 1)) for one in on_page)
    select = (
        Select(tokens.providers(page), options, _placeholder("Select a provider", page, pages)) if options else None
    )
    turns = {number: tokens.providers(number) for number in (page - 1, page + 1) if 1 <= number <= pages}
    return DiscordPage(said, select, _turning(turns, page), page, pages)


def _models(
    said: ChatReply, tokens: Tokens, menu: tuple[MenuProvider, ...], found: MenuProvider, wanted: int, current: str
) -> DiscordPage:
    pages = -(-len(found.rows) // MAX_OPTIONS)
    page = max(1, min(wanted, pages))
    begin, end = (page - 1) * MAX_OPTIONS, min(page * MAX_OPTIONS, len(found.rows))
    options, selected = [], False
    for at in range(begin, end):
        row = found.rows[at]
        is_current = not selected and bool(current) and current in (row.id, model_ref(row))
        selected = selected or is_current  # Discord takes one default at most
        options.append(_model_option(row, tokens.model(found.indexes[at]), is_current=is_current))
    select = Select(tokens.models(found, page), tuple(options), _placeholder("Select a model", page, pages))
    turns = {number: tokens.models(found, number) for number in (page - 1, page + 1) if 1 <= number <= pages}
    back = Button("<< Back", tokens.providers(page_of(menu, found.provider, MAX_OPTIONS)))
    return DiscordPage(said, select, (*_turning(turns, page), back), page, pages)


def _turning(turns: dict[int, str], page: int) -> tuple[Button, ...]:
    words = {page - 1: "◀ Prev", page + 1: "Next ▶"}
    return tuple(Button(words[number], token) for number, token in turns.items())


def _placeholder(words: str, page: int, pages: int) -> str:
    return words if pages == 1 else f"{words} ({page}/{pages})"


def _provider_option(one: MenuProvider, token: str) -> SelectOption:
    count = f" ({len(one.rows)})"
    name = keep_end(label(one.provider), MAX_TEXT - len(count)) + count
    unusable = [row for row in one.rows if not row.has_auth]
    why = "" if not unusable else unusable_note(unusable[0])
    if unusable and len(unusable) < len(one.rows):
        why = f"{len(unusable)} not usable now: {why}"
    return SelectOption(name, token, keep_start(why, MAX_TEXT))


def _model_option(row: ListedModel, token: str, *, is_current: bool) -> SelectOption:
    told = unusable_note(row)
    if not told and row.name.strip() and row.name != row.model:
        told = label(row.name)
    return SelectOption(keep_end(label(row.model), MAX_TEXT), token, keep_start(told, MAX_TEXT), is_current)


def _rank(row: ListedModel, wanted: str) -> int | None:
    ref, model, name = model_ref(row).casefold(), row.model.casefold(), row.name.casefold()
    if ref.startswith(wanted):
        return 0
    if model.startswith(wanted) or name.startswith(wanted):
        return 1
    return 2 if wanted in ref or wanted in name else None


def _provider_choice(one: MenuProvider, token: str) -> Choice:
    unusable = "" if any(row.has_auth for row in one.rows) else f", {one.rows[0].state.value}"
    count = f" ({len(one.rows)}{unusable})"
    return Choice(keep_end(label(one.provider), MAX_TEXT - len(count)) + count, _plain(one.provider) or token)


def _plain(text: str) -> str:
    """Return an id that can be a choice's value as it is; else an empty text."""
    return text if units(text) <= MAX_TEXT and text == one_line(text).strip() else ""


def _choice(row: ListedModel, token: str) -> Choice:
    ref, state = model_ref(row), "" if row.has_auth else f" ({row.state.value})"
    fits = bool(_plain(ref)) and "/" not in row.provider
    return Choice(keep_end(label(ref), MAX_TEXT - len(state)) + state, ref if fits else token)
