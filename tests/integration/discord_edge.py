"""A bot of discord.py without Discord: interactions go in as its gateway parses them, and what it would send is kept.

The one method that sends is replaced; what it is given is held against Discord's documented limits each time.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import discord
from discord.ext import commands
from discord.webhook.async_ import AsyncWebhookAdapter, async_context

_IDS = itertools.count(1_000)
_DEADLINE_S = 30.0
_APPLICATION = "42"


def units(text: str) -> int:
    """Return the length in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


class Wire(AsyncWebhookAdapter):
    """Keeps what would be sent: method, path and body."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.refuse: Callable[[str], bool] = lambda path: False
        """Which paths fail, as by a network that is gone."""
        self.on_send: Callable[[], object] = lambda: None

    async def request(self, route: Any, session: Any, *, payload: Any = None, **_rest: Any) -> Any:
        path = route.url.removeprefix(route.BASE)
        self.on_send()
        if self.refuse(path):
            raise OSError(f"https://discord.test{path} canary-in-an-address")
        body = json.loads(json.dumps(payload))
        assert_within_limits(body.get("data") or body)
        self.sent.append((route.method, path, body))
        return {"interaction": {"id": "1", "type": 2}} if path.endswith("/callback") else message(body)

    def take(self) -> list[dict[str, Any]]:
        """Return the bodies that were sent since the last call."""
        bodies = [body for _, _, body in self.sent]
        self.sent.clear()
        return bodies


class DiscordChat:
    """A bot with one user who writes to it. Use it within `talk`."""

    def __init__(self, make_bot: Callable[..., commands.Bot]) -> None:
        self.bot = make_bot(commands.when_mentioned, intents=discord.Intents.none())
        self.wire = Wire()

    async def type(self, focused: str, typed: str, **options: str) -> list[dict[str, str]]:
        """Type into an option of `/models`, and return the choices that are offered."""
        given = [{"name": name, "type": 3, "value": value} for name, value in options.items()]
        data = {"options": [*given, {"name": focused, "type": 3, "value": typed, "focused": True}]}
        await self.feed(4, {"id": "7", "name": "models", "type": 1, **data})
        (answer,) = self.wire.take()
        assert answer["type"] == 8
        choices: list[dict[str, str]] = answer["data"]["choices"]
        return choices

    async def command(self, **options: str) -> list[dict[str, Any]]:
        """Send `/models`, and return the bodies of what is answered."""
        given = [{"name": name, "type": 3, "value": value} for name, value in options.items()]
        await self.feed(2, {"id": "7", "name": "models", "type": 1, "options": given})
        return self.wire.take()

    async def press(self, custom_id: str) -> list[dict[str, Any]]:
        """Press a button, and return the bodies of what is answered."""
        await self.feed(3, {"custom_id": custom_id, "component_type": 2}, message=message({"content": "menu"}))
        return self.wire.take()

    async def select(self, custom_id: str, value: str) -> list[dict[str, Any]]:
        """Select an option, and return the bodies of what is answered."""
        data = {"custom_id": custom_id, "component_type": 3, "values": [value]}
        await self.feed(3, data, message=message({"content": "menu"}))
        return self.wire.take()

    async def feed(self, kind: int, data: dict[str, Any], **more: Any) -> None:
        """Have an interaction come in as from the gateway, and wait until all that it starts is done."""
        number = next(_IDS)
        payload = {
            "id": str(number),
            "application_id": _APPLICATION,
            "type": kind,
            "data": data,
            "token": "canary-interaction-token",
            "version": 1,
            "channel": {"id": "5", "type": 1},
            "channel_id": "5",
            "user": {"id": "9", "username": "somebody", "discriminator": "0", "avatar": None},
            "entitlements": [],
            "attachment_size_limit": 1,
            "locale": "en-US",
            **more,
        }
        self.bot._connection.parse_interaction_create(payload)  # type: ignore[arg-type]  # what the gateway calls
        await settled()


async def settled() -> None:
    """Wait until no other task runs."""
    async with asyncio.timeout(_DEADLINE_S):
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)


def talk(
    cog: Callable[[], commands.Cog] | None,
    conversation: Callable[[DiscordChat], Awaitable[None]],
    make_bot: Callable[..., commands.Bot] = commands.Bot,
) -> None:
    """Have a conversation with a bot of its own that has a cog."""

    async def live() -> None:
        chat = DiscordChat(make_bot)
        async_context.set(chat.wire)
        async with chat.bot:
            if cog is not None:
                await chat.bot.add_cog(cog())
            await conversation(chat)

    asyncio.run(live())


def message(body: dict[str, Any]) -> dict[str, Any]:
    """Return a message as Discord answers with it."""
    author = {"id": _APPLICATION, "username": "bot", "discriminator": "0", "avatar": None, "bot": True}
    return {
        "id": str(next(_IDS)),
        "channel_id": "5",
        "type": 0,
        "author": author,
        "content": body.get("content") or "",
        "components": body.get("components") or [],
        "attachments": [],
        "embeds": [],
        "mentions": [],
        "mention_roles": [],
        "mention_everyone": False,
        "timestamp": "2026-01-01T00:00:00+00:00",
        "edited_timestamp": None,
        "pinned": False,
        "tts": False,
        "flags": 64,
    }


def assert_within_limits(data: dict[str, Any]) -> None:
    """Hold a body against Discord's limits (Message, Component Reference, Application Commands)."""
    assert units(data.get("content") or "") <= 2000
    choices = data.get("choices", [])
    assert len(choices) <= 25
    for choice in choices:
        assert 1 <= units(choice["name"]) <= 100
        assert 1 <= units(choice["value"]) <= 100
    rows = data.get("components") or []
    assert len(rows) <= 5
    ids = [one["custom_id"] for row in rows for one in row["components"]]
    assert len(ids) == len(set(ids))
    for row in rows:
        assert row["type"] == 1
        assert 1 <= len(row["components"]) <= 5
        for one in row["components"]:
            assert 1 <= units(one["custom_id"]) <= 100
            if one["type"] == 2:
                assert 1 <= units(one["label"]) <= 80
                continue
            assert one["type"] == 3
            assert len(row["components"]) == 1
            assert units(one.get("placeholder") or "") <= 150
            assert 1 <= len(one["options"]) <= 25
            values = [option["value"] for option in one["options"]]
            assert len(values) == len(set(values))
            for option in one["options"]:
                assert 1 <= units(option["label"]) <= 100
                assert 1 <= units(option["value"]) <= 100
                assert units(option.get("description") or "") <= 100


def select_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the select of a message that is sent."""
    found: dict[str, Any] = body["components"][0]["components"][0]
    assert found["type"] == 3
    return found


def button_of(body: dict[str, Any], words: str) -> str:
    """Return the custom id of a button of a message that is sent."""
    buttons = [one for row in body["components"] for one in row["components"] if one["type"] == 2]
    found: str = next(one["custom_id"] for one in buttons if words in one["label"])
    return found
