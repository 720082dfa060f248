"""Where buttons lead, and what pressing one comes to."""

from __future__ import annotations

import msgspec

from openclaw_actors.ids import ProviderId
from openclaw_actors.listing.listing import ListedModel
from openclaw_actors.listing.menu import unusable_note

STALE_TEXT = "Available models changed. Open /models and choose again."
"""For a button of an older list (OpenClaw's Discord package, 2026.9.6)."""

UNKNOWN_TEXT = "This button is not known here. Open /models and choose again."
"""For a button that none of our lists has. Ours, not OpenClaw's."""


class ShowProviders(msgspec.Struct, frozen=True, tag="providers"):
    """Show a page of the menu of providers."""

    page: int = 1
    """From 1; too high means the last."""


class ShowModels(msgspec.Struct, frozen=True, tag="models"):
    """Show a page of one provider's models."""

    provider: ProviderId
    page: int = 1
    """From 1; too high means the last."""


Target = ShowProviders | ShowModels
"""A page to show."""


class Choose(msgspec.Struct, frozen=True, tag="choose"):
    """A model was chosen: the very one that the button showed."""

    model: ListedModel

    @property
    def ref(self) -> str:
        """What `/model` and the config call it: the provider, a slash, and the provider's own id of the model."""
        return model_ref(self.model)

    @property
    def warning(self) -> str:
        """Why a run can't use it now; empty when it can."""
        return unusable_note(self.model)


class Stale(msgspec.Struct, frozen=True, tag="stale"):
    """The button is of another list: of before a change, of another agent, or of another process."""

    text: str
    """To be shown."""
    offer: Target
    """The page as it is now."""


class Unknown(msgspec.Struct, frozen=True, tag="unknown"):
    """No button of ours holds that."""

    text: str
    """To be shown."""
    offer: Target
    """Where to begin again."""


PickerAnswer = ShowProviders | ShowModels | Choose | Stale | Unknown
"""What pressing a button comes to."""


def model_ref(row: ListedModel) -> str:
    """Return `provider/model`, with the provider before ids that start with it, too.

    No two models have the same, unless the id of a provider has a slash.
    """
    return f"{row.provider}/{row.model}"
