"""Which models an agent is shown, and why the others are hidden; what `/models` answers in a chat.

Names load on first use (PEP 562): whoever only lists models pays nothing for chats.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from openclaw_actors.listing.chat import NOT_AUTHORISED, ChatReply, auth_label, reply
    from openclaw_actors.listing.listing import HiddenProvider, ListedModel, Listing, Page, page
    from openclaw_actors.listing.models_command import ModelsRequest, parse_models_command

_HOMES = {
    "NOT_AUTHORISED": "chat",
    "ChatReply": "chat",
    "HiddenProvider": "listing",
    "ListedModel": "listing",
    "Listing": "listing",
    "ModelsRequest": "models_command",
    "Page": "listing",
    "auth_label": "chat",
    "page": "listing",
    "parse_models_command": "models_command",
    "reply": "chat",
}

__all__ = [
    "NOT_AUTHORISED",
    "ChatReply",
    "HiddenProvider",
    "ListedModel",
    "Listing",
    "ModelsRequest",
    "Page",
    "auth_label",
    "page",
    "parse_models_command",
    "reply",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
