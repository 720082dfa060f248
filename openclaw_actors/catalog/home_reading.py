"""One reading of what all agents share on disk: config, environment and model rows."""

from __future__ import annotations

import msgspec

from openclaw_actors.catalog.load import Catalog
from openclaw_actors.home.facts import ConfigFacts, HomeFacts


class HomeReading(msgspec.Struct, frozen=True):
    """What a reading of the source `home` yields."""

    home: HomeFacts
    catalog: Catalog


def lists_differ(one: HomeReading, other: HomeReading) -> bool:
    """Tell whether two readings may list other models: by their rows, or by what the config selects and admits."""
    if one is other:
        return False
    return _selection(one.home.config) != _selection(other.home.config) or not one.catalog.has_rows_of(other.catalog)


def _selection(config: ConfigFacts) -> tuple[object, ...]:
    """Return what the config says about which models are listed; the order of its keys says nothing."""
    configured = {(entry.id, row.id) for entry in config.providers for row in entry.models}
    return frozenset(config.allowlist), config.default_model_refs, configured
