"""What happens to the reading of sources."""

from __future__ import annotations

from openclaw_actors.messages import (
    BeginWarming,
    SourceRead,
    StampsChecked,
    SweepAgent,
    SweepFinished,
)
from openclaw_actors.reading.job import Failure
from openclaw_actors.testing.simulation.state import WorldState

_ERRORS: tuple[BaseException | Failure, ...] = (
    OSError(5, "Input/output error"),
    PermissionError(13, "Permission denied"),
    SystemExit(3),
    Failure.QUARANTINED,
    Failure.OVERRAN,
)


class SourceActs(WorldState):
    """Reads that hang, fail, and come late."""

    def _do_hold(self, which: int, _b: int, _c: int) -> str:
        source = self._source(which)
        self.supervisor.sources.hold(source)
        return f"reads of {self._named(source)} hang from now on"

    def _do_damage(self, which: int, error: int, _c: int) -> str:
        source, how = self._source(which), _ERRORS[error % len(_ERRORS)]
        self.supervisor.sources.damage(source, how)
        return f"reads of {self._named(source)} fail from now on: {how!r}"

    def _do_mend(self, which: int, _b: int, _c: int) -> str:
        sources = self.supervisor.sources
        broken = sorted({*sources.held, *sources.broken})
        if not broken:
            return ""
        source = broken[which % len(broken)]
        sources.mend(source)
        return f"reads of {self._named(source)} are well again"

    def _do_repeat_result(self, back: int, kind: int, _c: int) -> str:
        """Have a result arrive again, late and out of order; also one of a sweep that the agent is at again."""
        history, supervisor = self.supervisor.history, self.supervisor
        late: tuple[type, ...] = (SourceRead, SweepFinished, StampsChecked)
        results: list[tuple[str, object]] = []
        for name, message in reversed(history[-200:]):
            if isinstance(message, BeginWarming):
                # a reading is told to the very warmer that asked for it: the next one never hears of it
                late = (SweepFinished, StampsChecked)
            if isinstance(message, late):
                results.insert(0, (name, message))
        if kind % 2:
            busy = {name for name, message in supervisor.dispatcher.pending() if isinstance(message, SweepAgent)}
            results = [
                (name, message)
                for name, message in history
                if isinstance(message, SweepFinished) and f"agent-{message.agent_id}" in busy
            ]
        if not results:
            return ""
        name, message = results[-(back % len(results)) - 1]
        {"warmer": supervisor.runtime.warmer, "watcher": supervisor.runtime.watcher}[name].tell(message)
        return f"an old {type(message).__name__} comes again to {name}"
