"""Handlers for python-telegram-bot: `/models …`, and the buttons of its inline keyboards.

A press is acknowledged (`answerCallbackQuery`) before anything else is done. Texts are plain, whatever parse mode the
application has as its default. Nothing is kept about a message: a button of another process, or of before a change,
says so and shows the page as it is now. Handlers run as tasks of their own, so a hook that takes its time holds up no
other update.

Needs the extra `telegram`. `application.add_handlers(model_handlers(supervisor))`.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeAlias, final

try:
    from telegram import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, Message, Update
    from telegram.error import BadRequest, TelegramError
    from telegram.ext import BaseHandler, CallbackContext, CallbackQueryHandler, CommandHandler, filters
except ImportError as error:
    raise ImportError(
        "openclaw_actors.chats.telegram_handlers needs python-telegram-bot: pip install 'openclaw_actors[telegram]'",
        name="telegram",
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

__all__ = ["model_handlers"]

_CHAT = "telegram"
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)

Context: TypeAlias = "CallbackContext[Any, Any, Any, Any]"


def model_handlers(
    supervisor: Reads,
    *,
    agent_of: AgentOf[Update] | None = None,
    allowed: Allowed[Update] | None = None,
    on_chosen: OnChosen[Update] | None = None,
    current_of: CurrentOf[Update] | None = None,
) -> list[BaseHandler[Update, Any, Any]]:
    """Return the handlers, for `Application.add_handlers`.

    The hooks are called with the `telegram.Update`, on the application's event loop; a plain function must not block
    it.

    Args:
        supervisor: Whose answers are shown. It needn't be warm.
        agent_of: Returns the agent that an update is about, None for the default one; may be async.
        allowed: Tells who may use it; by default everybody who can write to the bot, and in a group who can press the
            buttons there. May be async.
        on_chosen: Called with `provider/model`, the agent id and the update, whose press is acknowledged by then.
            Returns what to answer; None is the usual answer, an empty text says that it has answered.
        current_of: Called with the agent id and the update: returns the model that is selected now, if any.
    """
    desk: Desk[Update, TelegramPage] = Desk(
        supervisor, pages, agent_of=agent_of, allowed=allowed, on_chosen=on_chosen, current_of=current_of
    )
    both = _Handlers(desk)
    return [
        CommandHandler("models", both.on_command, filters=filters.UpdateType.MESSAGE, block=False),
        CallbackQueryHandler(both.on_press, pattern=f"^{pages.SURFACE.prefix}", block=False),
    ]


@final
class _Handlers:
    def __init__(self, desk: Desk[Update, TelegramPage]) -> None:
        self._desk = desk

    async def on_command(self, update: Update, _context: Context) -> None:
        message = update.effective_message
        if message is None:
            return
        async with answering(_CHAT, partial(_say, message)):
            if not await self._desk.is_allowed(update):
                await _say(message, NOT_AUTHORISED)
                return
            request = parse_models_command(message.text or "") or ModelsRequest()
            text, keyboard = _content(await self._desk.request(update, request))
            await _say(message, text, keyboard)

    async def on_press(self, update: Update, _context: Context) -> None:
        query = update.callback_query
        if query is None or query.data is None:
            return
        async with answering(_CHAT, partial(_say_beside, query)):
            await _acknowledge(query)
            if not await self._desk.is_allowed(update):
                return  # in a group the menu is somebody else's
            answer = await self._desk.press(update, query.data)
            if answer is not None:
                await _replace(query, *_content(answer))


async def _acknowledge(query: CallbackQuery) -> None:
    """End the button's waiting; one that is too old for that is answered all the same."""
    try:
        await query.answer()
    except TelegramError as error:
        log_failure(_CHAT, error)


def _content(answer: Answer[TelegramPage]) -> tuple[str, InlineKeyboardMarkup | None]:
    if not isinstance(answer, Shown):
        return above("", answer.text, pages.MAX_MESSAGE), None
    rows = [
        [InlineKeyboardButton(one.text, callback_data=one.callback_data) for one in row] for row in answer.page.keyboard
    ]
    return above(answer.lead, answer.page.text, pages.MAX_MESSAGE), InlineKeyboardMarkup(rows) if rows else None


async def _replace(query: CallbackQuery, text: str, keyboard: InlineKeyboardMarkup | None) -> None:
    """Edit the message of a button; one that is too old to be edited is followed by a new one."""
    # its `CallbackQuery` makes a `Message` of it all the same (22.8), so the type doesn't tell
    if query.message is not None and not query.message.is_accessible:
        await query.message.chat.send_message(
            text, parse_mode=None, reply_markup=keyboard, link_preview_options=_NO_PREVIEW
        )
        return
    try:
        await query.edit_message_text(text, parse_mode=None, reply_markup=keyboard, link_preview_options=_NO_PREVIEW)
    except BadRequest as error:
        if "message is not modified" not in error.message.lower():  # the same page again: a button that says `2/5`
            raise


async def _say(message: Message, text: str, keyboard: InlineKeyboardMarkup | None = None) -> None:
    await message.reply_text(text, parse_mode=None, reply_markup=keyboard, link_preview_options=_NO_PREVIEW)


async def _say_beside(query: CallbackQuery, text: str) -> None:
    """Say something below the menu, which stays."""
    if isinstance(query.message, Message) and query.message.is_accessible:
        await _say(query.message, text)
    elif query.message is not None:
        await query.message.chat.send_message(text, parse_mode=None, link_preview_options=_NO_PREVIEW)
