"""Pickers of models as plain data, for chat platforms: pages that keep to the platforms' limits, and their buttons.

`telegram` and `discord` show pages and answer what was pressed; nothing here sends anything. Every button holds a token
(`tokens.py`) that is good for the very list that it was made of: pressed later, it says that the models changed
instead of choosing another one. Pure functions of a `Listing`.
"""

from __future__ import annotations

from openclaw_actors.pickers import discord, telegram
from openclaw_actors.pickers.targets import (
    Choose,
    PickerAnswer,
    ShowModels,
    ShowProviders,
    Stale,
    Target,
    Unknown,
)
from openclaw_actors.pickers.tokens import view_of

__all__ = [
    "Choose",
    "PickerAnswer",
    "ShowModels",
    "ShowProviders",
    "Stale",
    "Target",
    "Unknown",
    "discord",
    "telegram",
    "view_of",
]
