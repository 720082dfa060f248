"""The grammar of `/models`: what a person types into a chat, as a request (formats 8.5). Pure.

`/models` and `/models providers` ask for the menu of providers; `/models PROVIDER [ARGS]` and `/models list [PROVIDER
[ARGS]]` for a provider's models; `/models add …` is of the past. ARGS in any order and case: a bare positive integer or
`page=N`, `limit=N` or `size=N`, `all` or `--all`. Of two that say the same, the last counts; what is none of these is
passed over, as is a number that isn't positive.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from openclaw_actors.listing.listing import DEFAULT_LIMIT, MAX_LIMIT
from openclaw_actors.listing.visibility import View

MAX_NUMBER = 2**53 - 1
"""Higher numbers are taken for this one: the highest integer that JavaScript, and so OpenClaw, has all before of."""

_COMMAND = re.compile(r"/models(?:@\w+)?(?=\s|$)", re.IGNORECASE)
"""The command; in groups Telegram puts the bot's name behind it (Telegram, Bots: Commands)."""

_NUMBER = re.compile(r"0*([1-9][0-9]*)")


class ModelsRequest(msgspec.Struct, frozen=True):
    """What a `/models` command asks for."""

    action: Literal["providers", "list", "add"] = "providers"
    """The menu of providers, the models of one, or the command that is no more."""
    provider: str | None = None
    """Whose models, as it was typed; None unless the action is `list`."""
    page: int = 1
    """From 1."""
    limit: int = DEFAULT_LIMIT
    """Models on a page, 1 to 100."""
    everything: bool = False
    """Whether the whole catalogue is asked for, on one page."""

    @property
    def view(self) -> View:
        """Which view of the listing answers it: `supervisor.models(view=request.view)`."""
        return "all" if self.everything else "default"


def parse_models_command(text: str) -> ModelsRequest | None:
    """Return what a chat message asks for; None when it is no `/models` command. Never raises for any text."""
    command = _COMMAND.match(text := text.strip())
    if command is None:
        return None
    words = text[command.end() :].split()
    first = words[0].lower() if words else "providers"
    if first == "providers":
        return ModelsRequest()
    if first == "add":
        return ModelsRequest("add")
    return _list_request(words[1:] if first == "list" else words)


def _list_request(words: list[str]) -> ModelsRequest:
    if not words:
        return ModelsRequest()
    page, limit, everything = 1, DEFAULT_LIMIT, False
    for word in words[1:]:
        name, equals, value = word.lower().partition("=")
        if name in ("all", "--all") and not equals:
            everything = True
        elif not equals:
            page = _positive(name) or page
        elif name == "page":
            page = _positive(value) or page
        elif name in ("limit", "size"):
            limit = min(_positive(value) or limit, MAX_LIMIT)
    return ModelsRequest("list", words[0], page, limit, everything)


def _positive(text: str) -> int | None:
    """Return the positive integer that a text is, in ASCII digits; None for any other text."""
    number = _NUMBER.fullmatch(text)
    if number is None:
        return None
    digits = number[1]
    return MAX_NUMBER if len(digits) > len(str(MAX_NUMBER)) else min(int(digits), MAX_NUMBER)
