"""Events that wait for the first config of a WarmerActor: nobody knows before it whom they are about."""

from __future__ import annotations

from openclaw_actors.ids import Generation
from openclaw_actors.messages import LedgerChanged, WarmScope


class EarlyEvents:
    """The WarmerActor's, in the order in which they came."""

    def __init__(self) -> None:
        self._warms: list[WarmScope] = []
        self._reports: list[LedgerChanged] = []

    def keep(self, event: WarmScope | LedgerChanged) -> None:
        """Have an event wait."""
        if isinstance(event, WarmScope):
            self._warms.append(event)
        else:
            self._reports.append(event)

    def answers(self, generation: Generation) -> bool:
        """Tell whether the report of an attempt waits here, and will answer it."""
        return any(report.generation == generation for report in self._reports)

    def take_warms(self) -> list[WarmScope]:
        """Hand out what was asked for."""
        warms, self._warms = self._warms, []
        return warms

    def take_reports(self) -> list[LedgerChanged]:
        """Hand out what was reported."""
        reports, self._reports = self._reports, []
        return reports
