"""What is wanted and not yet answered: generations with their scopes. It makes `Verdict.fresh`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from openclaw_actors.forking import mend_in_children
from openclaw_actors.ids import AgentId, Generation, ProviderId
from openclaw_actors.scope import Scope


class Wants:
    """The generation counter and the scopes still unanswered.

    Generations are minted on the thread of whoever asks, so that an event is wanted before the call that reports it
    returns. Minting and retiring take a lock that no reader takes; `is_wanted` reads one immutable tuple.
    It outlives every actor: after an actor's restart the numbers go on.
    """

    def __init__(self, on_retired: Callable[[], None] = lambda: None) -> None:
        """Take what is called, without the lock, whenever a generation was answered, for whoever waits for it."""
        self._on_retired = on_retired
        self._lock = threading.Lock()
        self._latest = 0
        self._open: dict[Generation, Scope] = {}
        self._of_reports: set[Generation] = set()
        self._of_failures: set[Generation] = set()
        self._counts: dict[Scope, int] = {}
        self._scopes: tuple[Scope, ...] = ()
        self._closed = False
        self._pid = os.getpid()
        mend_in_children(self)

    def after_fork(self) -> None:
        """Take a lock that nobody holds, in a forked child."""
        self._lock = threading.Lock()

    @property
    def latest(self) -> Generation:
        """The newest generation that was minted; 0 before the first."""
        return Generation(self._latest)

    @property
    def count(self) -> int:
        """How many generations are unanswered."""
        return len(self._open)

    def adopt(self) -> None:
        """Note that this process answers from now on: a supervisor may be made before a fork and started after it."""
        self._pid = os.getpid()

    def close(self) -> None:
        """Note that nobody answers any more: what is handed out from now on is not fresh."""
        self._closed = True

    @property
    def is_forked(self) -> bool:
        """Whether it is another process that answers."""
        return self._pid != os.getpid()

    @property
    def is_live(self) -> bool:
        """Whether somebody is there to answer: not after a stop, nor in a forked child."""
        return not self._closed and not self.is_forked

    def mint(self, scope: Scope, *, of_report: bool = False, of_failure: bool = False) -> Generation:
        """Return the next generation and note that it wants this scope; one of a report is answered by that alone.

        Args:
            scope: What it wants.
            of_report: It is of a report.
            of_failure: It is of a report of a failure: whoever is handed a credential waits for it.
        """
        with self._lock:
            self._count(scope, 1)
            self._latest += 1
            generation = Generation(self._latest)
            self._open[generation] = scope
            if of_report:
                self._of_reports.add(generation)
            if of_failure:
                self._of_failures.add(generation)
        return generation

    def narrow(self, generation: Generation, scope: Scope) -> None:
        """Replace the scope of an open generation by what it turned out to be."""
        with self._lock:
            old = self._open.get(generation)
            if old is not None:
                self._count(scope, 1)
                self._open[generation] = scope
                self._count(old, -1)

    def retire(self, generation: Generation) -> None:
        """Note that a generation is answered."""
        with self._lock:
            self._of_reports.discard(generation)
            self._of_failures.discard(generation)
            scope = self._open.pop(generation, None)
            if scope is None:
                return
            self._count(scope, -1)
        self._on_retired()

    def is_open(self, generation: Generation) -> bool:
        """Tell whether a generation is still unanswered."""
        return generation in self._open

    def open_generations(self, *, reports: bool = True) -> tuple[tuple[Generation, Scope], ...]:
        """Return what is unanswered, oldest first, with or without reports."""
        with self._lock:
            return tuple(sorted((one, of) for one, of in self._open.items() if reports or one not in self._of_reports))

    def open_failures(self, agent_id: AgentId, provider: ProviderId) -> tuple[Generation, ...]:
        """Return the reports of failures about one cell that are unanswered."""
        with self._lock:
            return tuple(one for one in self._of_failures if self._open[one].covers(agent_id, provider))

    def is_wanted(self, agent_id: AgentId, provider: ProviderId) -> bool:
        """Tell whether something newer is wanted for one cell, or nobody is there to answer. Takes no lock."""
        return not self.is_live or any(scope.covers(agent_id, provider) for scope in self._scopes)

    def _count(self, scope: Scope, by: int) -> None:
        """Count a scope in or out; readers get another tuple only when a scope is new or gone."""
        count = self._counts.get(scope, 0) + by
        if count:
            self._counts[scope] = count
        else:
            del self._counts[scope]
        if count == 0 or (by > 0 and count == 1):
            self._scopes = tuple(self._counts)
