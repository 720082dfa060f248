"""One reading of what all agents share on disk: config, environment and model rows."""

from __future__ import annotations

import msgspec

from openclaw_actors.catalog.load import Catalog
from openclaw_actors.home.facts import HomeFacts


class HomeReading(msgspec.Struct, frozen=True):
    """What a reading of the source `home` yields."""

    home: HomeFacts
    catalog: Catalog


def lists_differ(one: HomeReading, other: HomeReading) -> bool:
    """Tell whether two readings may list other models: by their rows, or by what the config selects and admits."""
    if one is other:
        return False
    before, after = one.home.config, other.home.config
    return (
        (before.allowlist, before.default_model_refs) != (after.allowlist, after.default_model_refs)
        or [(entry.id, entry.models) for entry in before.providers if entry.models]
        != [(entry.id, entry.models) for entry in after.providers if entry.models]
        or not one.catalog.has_rows_of(other.catalog)
    )
