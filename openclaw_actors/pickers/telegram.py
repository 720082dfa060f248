"""The picker of models as Telegram's inline keyboards (formats 8.6; model-buttons.ts @ OpenClaw 2026.5.22). Pure.

The look is OpenClaw's; what the buttons hold is ours (`tokens.py`): its callbacks name a model without the list that
it was shown in, and leave a provider out, or the whole button, when an id is long.
"""

from __future__ import annotations

import msgspec

from openclaw_actors.auth.verdict import Verdict
from openclaw_actors.listing.chat import ChatReply, reply
from openclaw_actors.listing.labels import keep_end, keep_lines, label
from openclaw_actors.listing.listing import Listing
from openclaw_actors.listing.menu import MenuProvider, find_provider, providers_of
from openclaw_actors.listing.models_command import ModelsRequest
from openclaw_actors.pickers.targets import PickerAnswer, ShowProviders, Target, model_ref
from openclaw_actors.pickers.tokens import Surface, Tokens, decode, page_of

MAX_CALLBACK_BYTES = 64
"""UTF-8 bytes in `callback_data` (Telegram Bot API, InlineKeyboardButton: 1-64 bytes)."""

MAX_MESSAGE = 4096
"""Characters of a message (Telegram Bot API, sendMessage: 1-4096), counted in UTF-16 code units as its entities are."""

MAX_LABEL = 38
"""Characters of a button's label, of which the end is kept (model-buttons.ts @ OpenClaw 2026.5.22)."""

MODELS_PER_PAGE = 8
"""One in a row (model-buttons.ts @ OpenClaw 2026.5.22)."""

PROVIDERS_PER_ROW = 2
"""Provider buttons side by side (model-buttons.ts @ OpenClaw 2026.5.22)."""

PROVIDERS_PER_PAGE = 50
"""OpenClaw shows all at once, and so does this for a usual home. Telegram shows no more than 100 buttons, a number that
its Bot API doesn't document."""

CURRENT_MARK = " ✓"
"""Behind the model that is selected now, on top of `MAX_LABEL` (model-buttons.ts @ OpenClaw 2026.5.22)."""

UNUSABLE_MARK = "\N{WARNING SIGN} "
"""Before what can't be used now, within `MAX_LABEL`; the message says why. Ours, not OpenClaw's."""

SURFACE = Surface("mdl_", PROVIDERS_PER_PAGE, MODELS_PER_PAGE)
"""OpenClaw's own buttons begin with `mdl_` too; those of its messages from before are `Unknown` here."""


class InlineButton(msgspec.Struct, frozen=True):
    """A button, as Telegram has it."""

    text: str
    callback_data: str
    """At most 64 bytes."""


Keyboard = tuple[tuple[InlineButton, ...], ...]
"""Rows of buttons."""


class TelegramPage(msgspec.Struct, frozen=True):
    """A message with its keyboard."""

    reply: ChatReply
    keyboard: Keyboard
    page: int
    """From 1."""
    pages: int

    @property
    def text(self) -> str:
        """The message, with what can't be used and why, within Telegram's limit."""
        return keep_lines(self.reply.full_text, MAX_MESSAGE)

    def reply_markup(self) -> dict[str, list[list[dict[str, str]]]]:
        """Return the keyboard as the Bot API takes it: `InlineKeyboardMarkup`."""
        rows = [[{"text": one.text, "callback_data": one.callback_data} for one in row] for row in self.keyboard]
        return {"inline_keyboard": rows}


def show(
    listing: Listing,
    instance_id: str,
    target: Target = ShowProviders(),  # noqa: B008  # a frozen struct, no state
    *,
    current: str = "",
    verdict: Verdict | None = None,
) -> TelegramPage:
    """Return a page. One that is too high is the last; a provider without models says so, with a way back.

    Args:
        listing: What the agent is shown.
        instance_id: The process whose list it is (`supervisor.instance_id`).
        target: Which page.
        current: The model that is selected now, `provider/model`.
        verdict: Of the page's provider: names its credential in the title.
    """
    tokens, menu = Tokens(SURFACE, listing, instance_id), providers_of(listing)
    if isinstance(target, ShowProviders):
        return _providers(listing, tokens, menu, target.page)
    request = ModelsRequest("list", target.provider)
    found = find_provider(menu, target.provider)
    if found is None:
        browse = (InlineButton("Browse providers", tokens.providers(1)),)
        return TelegramPage(reply(listing, request), (browse,), 1, 1)
    said = reply(listing, request, verdict=verdict, buttons=True)
    return _models(said, tokens, menu, found, target.page, current)


def answer(listing: Listing, instance_id: str, callback_data: str) -> PickerAnswer:
    """Return what pressing a button comes to, by the list as it is now. Never raises, whatever the text is."""
    return decode(SURFACE, listing, instance_id, callback_data)


def _providers(listing: Listing, tokens: Tokens, menu: tuple[MenuProvider, ...], wanted: int) -> TelegramPage:
    pages = max(1, -(-len(menu) // PROVIDERS_PER_PAGE))
    page = max(1, min(wanted, pages))
    on_page = menu[(page - 1) * PROVIDERS_PER_PAGE : page * PROVIDERS_PER_PAGE]
    buttons = [InlineButton(_provider_label(one), tokens.models(one, 1)) for one in on_page]
    rows: list[tuple[InlineButton, ...]] = [
        tuple(buttons[at : at + PROVIDERS_PER_ROW]) for at in range(0, len(buttons), PROVIDERS_PER_ROW)
    ]
    turns = {number: tokens.providers(number) for number in range(max(1, page - 1), min(pages, page + 1) + 1)}
    rows.extend(_turning(turns, page, pages))
    return TelegramPage(reply(listing, ModelsRequest(), buttons=True), tuple(rows), page, pages)


def _models(
    said: ChatReply, tokens: Tokens, menu: tuple[MenuProvider, ...], found: MenuProvider, wanted: int, current: str
) -> TelegramPage:
    pages = -(-len(found.rows) // MODELS_PER_PAGE)
    page = max(1, min(wanted, pages))
    rows: list[tuple[InlineButton, ...]] = []
    for at in range((page - 1) * MODELS_PER_PAGE, min(page * MODELS_PER_PAGE, len(found.rows))):
        row = found.rows[at]
        text = keep_end(label(row.model), MAX_LABEL)
        if not row.has_auth:
            text = UNUSABLE_MARK + keep_end(label(row.model), MAX_LABEL - len(UNUSABLE_MARK))
        mark = CURRENT_MARK if current and current in (row.id, model_ref(row)) else ""
        rows.append((InlineButton(text + mark, tokens.model(found.indexes[at])),))
    turns = {number: tokens.models(found, number) for number in range(max(1, page - 1), min(pages, page + 1) + 1)}
    rows.extend(_turning(turns, page, pages))
    back = tokens.providers(page_of(menu, found.provider, PROVIDERS_PER_PAGE))
    rows.append((InlineButton("<< Back", back),))
    return TelegramPage(said, tuple(rows), page, pages)


def _turning(turns: dict[int, str], page: int, pages: int) -> Keyboard:
    """Return the row that turns pages; none when there is but one."""
    if pages == 1:
        return ()
    before = (InlineButton("◀ Prev", turns[page - 1]),) if page > 1 else ()
    after = (InlineButton("Next ▶", turns[page + 1]),) if page < pages else ()
    return ((*before, InlineButton(f"{page}/{pages}", turns[page]), *after),)


def _provider_label(one: MenuProvider) -> str:
    count = f" ({len(one.rows)})"
    mark = "" if any(row.has_auth for row in one.rows) else UNUSABLE_MARK
    return mark + keep_end(label(one.provider), MAX_LABEL - len(count) - len(mark)) + count
