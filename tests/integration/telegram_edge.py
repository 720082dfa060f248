"""The Bot API's side of a conversation: what Telegram sends, and how it answers what a bot sends.

Each call is held against the documented limits. Editing a message into what it is already fails, as it does there.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

CHAT = {"id": -5, "type": "supergroup", "title": "a group"}
USER = {"id": 9, "is_bot": False, "first_name": "Somebody", "username": "somebody"}
BOT = {"id": 42, "is_bot": True, "first_name": "Models", "username": "models_bot"}
TOKEN = "42:canary-bot-token"

_IDS = itertools.count(100)


def units(text: str) -> int:
    """Return the length in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


class BotApi:
    """Answers calls, and keeps them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refused: dict[str, str] = {}
        """What methods fail with: their descriptions."""
        self._shown: dict[int, tuple[object, object]] = {}

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what was called since the last time."""
        calls = [call for call in self.calls if call[0] != "getMe"]
        self.calls.clear()
        return calls

    def answer(self, method: str, fields: dict[str, Any]) -> tuple[int, bytes]:
        """Return status and body of the answer to a call."""
        self.calls.append((method, fields))
        if method in self.refused:
            return self._refusal(self.refused[method])
        if method == "getMe":
            return self._result({**BOT, "can_join_groups": True, "can_read_all_group_messages": False})
        if method == "answerCallbackQuery":
            return self._result(True)
        assert method in ("sendMessage", "editMessageText"), method
        assert "parse_mode" not in fields
        assert 1 <= units(fields["text"]) <= 4096
        markup = fields.get("reply_markup")
        for row in markup["inline_keyboard"] if markup else ():
            for button in row:
                assert 1 <= len(button["callback_data"].encode()) <= 64
                assert button["text"]
        number = int(fields.get("message_id", 0)) or next(_IDS)
        if method == "editMessageText" and self._shown.get(number) == (fields["text"], markup):
            return self._refusal(
                "Bad Request: message is not modified: specified new message content and reply markup are exactly the "
                "same as a current content and reply markup of the message"
            )
        self._shown[number] = (fields["text"], markup)
        sent = message(fields["text"], number, author=BOT, markup=markup)
        return self._result(True if "inline_message_id" in fields else sent)

    def _result(self, result: object) -> tuple[int, bytes]:
        return 200, json.dumps({"ok": True, "result": result}).encode()

    def _refusal(self, description: str) -> tuple[int, bytes]:
        return 400, json.dumps({"ok": False, "error_code": 400, "description": description}).encode()


def message(
    text: str, number: int | None = None, *, author: dict[str, Any] = USER, markup: object = None
) -> dict[str, Any]:
    """Return a message; a command in it is marked as one."""
    shown: dict[str, Any] = {
        "message_id": number or next(_IDS),
        "date": 1_767_225_600,
        "chat": CHAT,
        "from": author,
        "text": text,
    }
    if markup:
        shown["reply_markup"] = markup
    if text.startswith("/"):
        shown["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]
    return shown


def typed(text: str) -> dict[str, Any]:
    """Return the update for what somebody typed."""
    return {"update_id": next(_IDS), "message": message(text)}


def pressed(data: str, number: int = 77, *, accessible: bool = True) -> dict[str, Any]:
    """Return the update for a button that somebody pressed."""
    shown = message("menu", number, author=BOT) if accessible else {"message_id": number, "date": 0, "chat": CHAT}
    query = {"id": str(next(_IDS)), "from": USER, "chat_instance": "1", "data": data, "message": shown}
    return {"update_id": next(_IDS), "callback_query": query}


def pressed_inline(data: str) -> dict[str, Any]:
    """Return the update for a button under a message that was sent by way of the bot, which doesn't see it."""
    query = {"id": str(next(_IDS)), "from": USER, "chat_instance": "1", "data": data, "inline_message_id": "inline-1"}
    return {"update_id": next(_IDS), "callback_query": query}


def buttons_of(fields: dict[str, Any]) -> dict[str, str]:
    """Return a keyboard's buttons: text to callback data."""
    rows = (fields.get("reply_markup") or {"inline_keyboard": []})["inline_keyboard"]
    return {button["text"]: button["callback_data"] for row in rows for button in row}
