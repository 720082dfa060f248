"""One model of the catalogue, and how models are keyed."""

from __future__ import annotations

from typing import Literal

import msgspec

from openclaw_actors.ids import ProviderId

Origin = Literal["built-in", "config", "models.json"]
"""Where a row comes from."""


class ModelRow(msgspec.Struct, frozen=True, gc=False):
    """One model that a provider offers. Immutable, shared by all agents."""

    provider: ProviderId
    """The normalised provider id."""
    spelled: str
    """The provider id as its source has it."""
    id: str
    """The model id as its source has it."""
    name: str
    """The display name; the id when the source gives none."""
    context_window: int | None
    """In tokens; None when the source doesn't say."""
    reasoning: bool | None
    """Whether the model reasons; None when the source doesn't say."""
    input: tuple[str, ...]
    """What it takes: `text`, `image`, `audio`, `video`, `document`."""
    origin: Origin
    key: str
    """What pickers and config call it (`model_key`)."""


def model_key(provider: str, model: str) -> str:
    """Return `provider/model`, or the model id alone when it starts with `provider/` already.

    OpenClaw 2026.5.22, model-selection-shared.ts.
    """
    if len(model) > len(provider) and model[: len(provider) + 1].lower() == f"{provider}/".lower():
        return model
    return f"{provider}/{model}"


def dedupe_key(provider: str, model: str) -> str:
    """Return the key by which rows of different sources are the same model (OpenClaw 2026.5.22, model-catalog.ts)."""
    return f"{provider}::{model}".lower()
