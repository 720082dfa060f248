"""Events that wait for the first config of a WarmerActor: nobody knows before it whom they are about."""

from __future__ import annotations

from openclaw_actors.ids import Generation
from openclaw_actors.messages import LedgerChanged, ReportAnswered, WarmScope


class EarlyEvents:
    """The WarmerActor's, in the order in which they came."""

    def __init__(self) -> None:
        self._warms: list[WarmScope] = []
        self._reports: list[LedgerChanged] = []
        self._answered: list[ReportAnswered] = []

    def keep(self, event: WarmScope | LedgerChanged | ReportAnswered) -> None:
        """Have an event wait."""
        if isinstance(event, WarmScope):
            self._warms.append(event)
        elif isinstance(event, LedgerChanged):
            self._reports.append(event)
        else:
            self._answered.append(event)

    @property
    def has_reports(self) -> bool:
        """Whether a report waits: one that changes nothing after it is answered after it."""
        return bool(self._reports)

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

    def take_answered(self) -> list[ReportAnswered]:
        """Hand out the reports that change nothing."""
        answered, self._answered = self._answered, []
        return answered
