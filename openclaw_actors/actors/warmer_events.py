"""What the rest of the process hears of warming."""

from __future__ import annotations

from typing import Protocol

from openclaw_actors.actors.warm_book import WarmReport
from openclaw_actors.catalog.home_reading import HomeReading
from openclaw_actors.changes import Change
from openclaw_actors.ids import Generation
from openclaw_actors.prepared import AgentAuth


class WarmerEvents(Protocol):
    """Called on the warmer's thread, and returning at once."""

    def home_changed(self, reading: HomeReading) -> None:
        """Take the newest config, environment and model rows."""

    def published(self, auth: AgentAuth, changes: tuple[Change, ...]) -> None:
        """Hear of a publication."""

    def report_published(self, generation: Generation) -> None:
        """What a report says shows in the map, or it says nothing new."""

    def warm_finished(self, report: WarmReport) -> None:
        """Hear that an attempt is answered."""

    def all_warm(self) -> None:
        """Hear that every agent was published once."""
