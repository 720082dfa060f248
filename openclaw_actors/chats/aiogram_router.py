"""A router for aiogram: `/models …`, and the buttons of its inline keyboards.

A press is acknowledged (`answerCallbackQuery`) before anything else is done. Texts are plain, whatever parse mode the
bot has as its default. Nothing is kept about a message: a button of another process, or of before a change, says so and
shows the page as it is now.

Needs the extra `aiogram`. `dispatcher.include_router(models_router(supervisor))`.
"""

from __future__ import annotations

from functools import partial
from typing import final

try:
    from aiogram import F, Router
    from aiogram.exceptions import AiogramError, TelegramBadRequest
    from aiogram.filters import Command
    from aiogram.types import (
        CallbackQuery,
        InaccessibleMessage,
        InlineKeyboardButton,
        InlineKeyboardMarkup,
        LinkPreviewOptions,
        Message,
    )
except ImportError as error:
    raise ImportError(
        "openclaw_actors.chats.aiogram_router needs aiogram: pip install 'openclaw_actors[aiogram]'", name="aiogram"
    ) from error

from openclaw_actors.chats.desk import (
    AgentOf,
    Allowed,
    Answer,
    CurrentOf,
    Desk,
    OnChosen,
    Shown,
    above,
    answering,
    log_failure,
)
from openclaw_actors.listing.chat import NOT_AUTHORISED
from openclaw_actors.listing.models_command import ModelsRequest, parse_models_command
from openclaw_actors.pickers import telegram as pages
from openclaw_actors.pickers.telegram import TelegramPage
from openclaw_actors.reads import Reads

__all__ = ["models_router"]

_CHAT = "aiogram"
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)

Event = Message | CallbackQuery
"""What the hooks are called with: the message with the command, or the press."""


def models_router(
    supervisor: Reads,
    *,
    agent_of: AgentOf[Event] | None = None,
    allowed: Allowed[Event] | None = None,
    on_chosen: OnChosen[Event] | None = None,
    current_of: CurrentOf[Event] | None = None,
) -> Router:
    """Return the router, for `Dispatcher.include_router`.

    The hooks are called with the `Message` or the `CallbackQuery`, on the bot's event loop; a plain function must not
    block it.

    Args:
        supervisor: Whose answers are shown. It needn't be warm.
        agent_of: Returns the agent that an event is about, None for the default one; may be async.
        allowed: Tells who may use it; by default everybody who can write to the bot, and in a group who can press the
            buttons there. May be async.
        on_chosen: Called with `provider/model`, the agent id and the event, whose press is acknowledged by then.
            Returns what to answer; None is the usual answer, an empty text says that it has answered.
        current_of: Called with the agent id and the event: returns the model that is selected now, if any.
    """
    desk: Desk[Event, TelegramPage] = Desk(
        supervisor, pages, agent_of=agent_of, allowed=allowed, on_chosen=on_chosen, current_of=current_of
    )
    both, router = _Handlers(desk), Router(name="openclaw_actors.models")
    router.message.register(both.on_command, Command("models", ignore_case=True))
    router.callback_query.register(both.on_press, F.data.startswith(pages.SURFACE.prefix))
    return router


@final
class _Handlers:
    def __init__(self, desk: Desk[Event, TelegramPage]) -> None:
        self._desk = desk

    async def on_command(self, message: Message) -> None:
        async with answering(_CHAT, partial(_say, message)):
            if not await self._desk.is_allowed(message):
                await _say(message, NOT_AUTHORISED)
                return
            request = parse_models_command(message.text or message.caption or "") or ModelsRequest()
            text, keyboard = _content(await self._desk.request(message, request))
            await _say(message, text, keyboard)

    async def on_press(self, query: CallbackQuery) -> None:
        async with answering(_CHAT, partial(_say_beside, query)):
            await _acknowledge(query)
            if not await self._desk.is_allowed(query):
                return  # in a group the menu is somebody else's
            answer = await self._desk.press(query, query.data or "")
            if answer is not None:
                await _replace(query, *_content(answer))


async def _acknowledge(query: CallbackQuery) -> None:
    """End the button's waiting; one that is too old for that is answered all the same."""
    try:
        await query.answer()
    except AiogramError as error:
        log_failure(_CHAT, error)


def _content(answer: Answer[TelegramPage]) -> tuple[str, InlineKeyboardMarkup | None]:
    if not isinstance(answer, Shown):
        return above("", answer.text, pages.MAX_MESSAGE), None
    rows = [
        [InlineKeyboardButton(text=one.text, callback_data=one.callback_data) for one in row]
        for row in answer.page.keyboard
    ]
    keyboard = InlineKeyboardMarkup(inline_keyboard=rows) if rows else None
    return above(answer.lead, answer.page.text, pages.MAX_MESSAGE), keyboard


async def _replace(query: CallbackQuery, text: str, keyboard: InlineKeyboardMarkup | None) -> None:
    """Edit the message of a button; one that is too old to be edited is followed by a new one."""
    if isinstance(query.message, InaccessibleMessage):
        await query.message.answer(text, parse_mode=None, reply_markup=keyboard, link_preview_options=_NO_PREVIEW)
        return
    try:
        if query.message is not None:
            await query.message.edit_text(
                text, parse_mode=None, reply_markup=keyboard, link_preview_options=_NO_PREVIEW
            )
        elif query.bot is not None:
            await query.bot.edit_message_text(
                text,
                inline_message_id=query.inline_message_id,
                parse_mode=None,
                reply_markup=keyboard,
                link_preview_options=_NO_PREVIEW,
            )
    except TelegramBadRequest as error:
        if "message is not modified" not in error.message.lower():  # the same page again: a button that says `2/5`
            raise


async def _say(message: Message, text: str, keyboard: InlineKeyboardMarkup | None = None) -> None:
    await message.answer(text, parse_mode=None, reply_markup=keyboard, link_preview_options=_NO_PREVIEW)


async def _say_beside(query: CallbackQuery, text: str) -> None:
    """Say something below the menu, which stays."""
    if query.message is not None:
        await query.message.answer(text, parse_mode=None, link_preview_options=_NO_PREVIEW)
