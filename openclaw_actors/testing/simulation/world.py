"""A scripted world around real actors: files, clocks, sources, file events, reports, restarts and crashes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from openclaw_actors.messages import (
    FlushUsage,
    ResyncDue,
)
from openclaw_actors.testing.simulation.actor_acts import SOMETHING
from openclaw_actors.testing.simulation.embedder_acts import EmbedderActs
from openclaw_actors.testing.simulation.file_acts import FileActs
from openclaw_actors.testing.simulation.script import Op
from openclaw_actors.testing.simulation.source_acts import SourceActs

_CALM_S = 350.0
"""How long it takes until the last of what makes itself well again by and by has done so."""


class World(FileActs, EmbedderActs, SourceActs):
    """Three agents with stores, one of whom all inherit from, and everything that can happen to them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._acts: dict[str, Callable[[int, int, int], str]] = {
            name.removeprefix("_do_"): getattr(self, name) for name in dir(self) if name.startswith("_do_")
        }

    def start(self) -> None:
        """Start the actors."""
        self.supervisor.start()

    def do(self, op: Op) -> bool:
        """Carry out an operation; return whether it did anything."""
        handled = len(self.supervisor.history)
        effects = self.supervisor.dispatcher.effects
        said = self._acts[op.name](op.a, op.b, op.c)
        if not said:
            return False
        self.coverage.done[op.name] += 1
        for name, message in self.supervisor.history[handled:]:
            kind = type(message).__name__
            self.coverage.handled[kind] += 1
            if said is SOMETHING:
                said = f"{name} handles {kind}"
                if self.supervisor.dispatcher.effects > effects:
                    self.coverage.with_effect[kind] += 1
        self.trace.append(said)
        return True

    def settle(self) -> None:
        """Mend everything, and let everything happen that is due; only lost events need a look at everything."""
        supervisor = self.supervisor
        supervisor.watcher.refuses = ""
        supervisor.watcher.recover()
        self.is_deaf = False
        for source in sorted({*supervisor.sources.held, *supervisor.sources.broken}):
            supervisor.sources.mend(source)
        for path in sorted(self.torn):
            self._rewrite(path)
        # restarts, retries and whatever waits for a pause: each comes by itself
        for _ in range(4):
            supervisor.advance(supervisor.settings.restart_max_s)
        supervisor.advance(2 * supervisor.settings.retry_max_s)
        if self.lost:
            supervisor.runtime.warmer.tell(ResyncDue())
            supervisor.advance(2.0 * supervisor.settings.retry_max_s)
        supervisor.advance(_CALM_S)

    def finish(self) -> None:
        """Stop, as the supervisor does; the crash that waits may come in here, too."""
        supervisor = self.supervisor
        supervisor.runtime.listener.tell(FlushUsage())
        begin = len(supervisor.history)
        while self._step():
            pass
        for _, message in supervisor.history[begin:]:
            self.coverage.handled[type(message).__name__] += 1
        supervisor.stop()
