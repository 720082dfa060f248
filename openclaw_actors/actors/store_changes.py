"""How the WarmerActor takes in a store: finds what a reading changed, and makes just that dirty, or patches it."""

from __future__ import annotations

from collections import deque
from typing import Any

import pykka

from openclaw_actors.actors.agent_board import AgentRecord
from openclaw_actors.actors.answers import Answers
from openclaw_actors.actors.base import tell
from openclaw_actors.actors.dispatch import Dispatcher
from openclaw_actors.actors.evaluations import Evaluations
from openclaw_actors.actors.reading_desk import TakenReading
from openclaw_actors.actors.roster import Roster
from openclaw_actors.actors.source_board import STORE_PREFIX
from openclaw_actors.actors.sweeps import Sweeps
from openclaw_actors.auth.diff import changed_by_store, changed_by_usage
from openclaw_actors.counters import Counters
from openclaw_actors.home.facts import StoreFacts
from openclaw_actors.ids import AgentId, ProviderId
from openclaw_actors.messages import ContinuePatching, UseDue

_REASON = "credentials-changed"


_USE_DELAY_S = 1.0
"""How long uses of credentials are gathered before the answers follow them, in seconds: they come many times a second,
and say no more than which of several good credentials is the next one."""

_SLICE = 16
"""How many agents' answers are patched before other messages have their turn: a slice takes 1-4 ms (measured)."""


class StoreChanges:
    """Compares two halves of a store: its credentials (with keyed digests where secrets were), whose change costs
    checks, and its windows, whose change is patched in without any.
    """

    def __init__(
        self,
        actor: pykka.ActorRef[Any],
        dispatcher: Dispatcher,
        facts: Evaluations,
        roster: Roster,
        sweeps: Sweeps,
        answers: Answers,
        counters: Counters,
    ) -> None:
        self._actor = actor
        self._dispatcher = dispatcher
        self._facts = facts
        self._roster = roster
        self._sweeps = sweeps
        self._answers = answers
        self._counters = counters
        self._used: dict[str, tuple[set[ProviderId], float]] = {}
        self._behind: deque[tuple[AgentId, frozenset[ProviderId], bool, float]] = deque()
        """Agents whose answers are still to be patched: with what, whether it was only used, and when that was seen."""
        self._goes_on = False

    def take(self, taken: TakenReading) -> None:
        """Take in a good reading of a store, or note that there never was one."""
        record, old, new = taken.record, taken.old, taken.new
        if isinstance(new, StoreFacts):
            if old != new:
                self._take_facts(taken, old if isinstance(old, StoreFacts) else None, new)
        elif taken.broke and record.value is None and record.name.startswith(STORE_PREFIX):
            self._facts.set_store(record.name, None, record.problem)

    def _take_facts(self, taken: TakenReading, old: StoreFacts | None, new: StoreFacts) -> None:
        source, cause_at, index = taken.record.name, taken.record.read_cause_at, self._facts.index
        self._facts.set_store(source, new)
        users = self._roster.users(source)
        if old is None or index is None:
            # agents that were swept without this store; those that wait for it are swept anyway
            swept = [user for user in users if user.swept or user.running is not None]
            if swept:
                self._sweeps.dirty_now(swept, None, _REASON, cause_at)
            return
        changed: frozenset[ProviderId] = frozenset()
        if old.credentials != new.credentials:
            changed = changed_by_store(old, new, index.answered, self._facts.beside(source))
            if changed:
                self._sweeps.dirty_now(users, changed, _REASON, cause_at, taken.hinted)
        if old.windows != new.windows:
            self._counters.window_patches += 1
            rested, used = (providers - changed for providers in changed_by_usage(old, new, index.answered))
            if rested:
                self._behind.extendleft((user.config.id, rested, False, cause_at) for user in reversed(users))
                self.go_on()
            if used:
                if not self._used:
                    self._dispatcher.tell_later(_USE_DELAY_S, self._actor, UseDue())
                self._used.setdefault(source, (set(), cause_at))[0].update(used)

    def follow_use(self) -> None:
        """Begin to patch the answers that depend on when credentials were last used."""
        for source, (used, cause_at) in self._used.items():
            providers = frozenset(used)
            self._behind.extend((user.config.id, providers, True, cause_at) for user in self._roster.users(source))
        self._used.clear()
        self.go_on()

    def go_on(self) -> None:
        """Patch the next agents' answers, and let others have their turn before the rest."""
        too_late: dict[tuple[frozenset[ProviderId], float], list[AgentRecord]] = {}
        for _ in range(min(_SLICE, len(self._behind))):
            agent_id, providers, only_used, cause_at = self._behind.popleft()
            record = self._roster.agents.get(agent_id)
            if record is None:
                continue
            if not self._answers.is_of_its_stores(record):
                # the sweep that will mend that needs no patch, unless it began with what was read before
                if record.running is not None:
                    too_late.setdefault((providers, cause_at), []).append(record)
            else:
                changed = self._answers.that_use_decides(record, providers) if only_used else providers
                self._answers.patch(record, changed, cause_at)
        for (late_providers, seen_at), records in too_late.items():
            self._sweeps.dirty_now(records, late_providers, _REASON, seen_at)
        if self._behind and not self._goes_on:
            self._goes_on = True
            tell(self._actor, ContinuePatching())

    def on_continue(self) -> None:
        """Go on."""
        self._goes_on = False
        self.go_on()
