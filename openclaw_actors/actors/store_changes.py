"""How the WarmerActor takes in a store: finds what a reading changed, and makes just that dirty, or patches it."""

from __future__ import annotations

from openclaw_actors.actors.answers import Answers
from openclaw_actors.actors.evaluations import Evaluations
from openclaw_actors.actors.reading_desk import TakenReading
from openclaw_actors.actors.roster import Roster
from openclaw_actors.actors.source_board import STORE_PREFIX
from openclaw_actors.actors.sweeps import Sweeps
from openclaw_actors.auth.diff import changed_by_store, changed_by_usage
from openclaw_actors.counters import Counters
from openclaw_actors.home.facts import StoreFacts
from openclaw_actors.ids import ProviderId

_REASON = "credentials-changed"


class StoreChanges:
    """Compares two digests of a store: of its credentials, whose change costs checks, and of its windows, whose change
    is patched in without any.
    """

    def __init__(
        self, facts: Evaluations, roster: Roster, sweeps: Sweeps, answers: Answers, counters: Counters
    ) -> None:
        self._facts = facts
        self._roster = roster
        self._sweeps = sweeps
        self._answers = answers
        self._counters = counters

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
        if old.credentials_digest != new.credentials_digest:
            changed = changed_by_store(old, new, index.answered)
            if changed:
                self._sweeps.dirty_now(users, changed, _REASON, cause_at, taken.hinted)
        if old.windows_digest != new.windows_digest:
            self._counters.window_patches += 1
            used = changed_by_usage(old, new, index.answered) - changed
            for user in users:
                self._answers.patch(user, tuple(sorted(used)), cause_at)
