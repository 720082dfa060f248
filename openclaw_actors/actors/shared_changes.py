"""How the WarmerActor takes in what all agents share: config, environment and other programs' logins. Finds what a
reading of them changed, and makes just that dirty.
"""

from __future__ import annotations

from openclaw_actors.actors.agent_board import DirtyScope
from openclaw_actors.actors.answers import Answers
from openclaw_actors.actors.diffs import Diffs
from openclaw_actors.actors.evaluations import Evaluations
from openclaw_actors.actors.publisher import Publisher
from openclaw_actors.actors.reading_desk import ReadingDesk
from openclaw_actors.actors.roster import Roster
from openclaw_actors.actors.source_board import STORE_PREFIX, SourceRecord
from openclaw_actors.actors.sweeps import Sweeps
from openclaw_actors.auth.diff import changed_providers
from openclaw_actors.auth.shared import SharedFacts, SharedIndex
from openclaw_actors.catalog.home_reading import HomeReading, lists_differ
from openclaw_actors.clock import Clock
from openclaw_actors.home.facts import ConfigFacts
from openclaw_actors.ids import Generation, ProviderId
from openclaw_actors.prepared import PreparedMap
from openclaw_actors.reading.pace import give_way
from openclaw_actors.scope import Scope


class SharedChanges:
    """Indexes what all agents share, and answers those who asked for what changed in it."""

    def __init__(
        self,
        desk: ReadingDesk,
        facts: Evaluations,
        roster: Roster,
        sweeps: Sweeps,
        answers: Answers,
        publisher: Publisher,
        prepared: PreparedMap,
        clock: Clock,
    ) -> None:
        self._desk = desk
        self._facts = facts
        self._roster = roster
        self._sweeps = sweeps
        self._answers = answers
        self._publisher = publisher
        self._map = prepared
        self._clock = clock
        self.diffs = Diffs(desk.board)
        """Who asked for what a reading changes."""
        self.index_is_old = False
        """Whether something was read that the index doesn't have."""
        self._lists_moved = False

    def take_home(self, old: HomeReading | None, new: HomeReading, cause_at: float) -> None:
        """Take in a config, environment and model rows that differ from the last ones."""
        self.index_is_old = True
        # a default agent that is not published yet would answer "not warmed" where there was an answer
        default = self._map.wanted_default = new.home.config.default_agent
        if default in self._map.agents or self._map.default_agent not in self._map.agents:
            self._map.default_agent = default
        self._publisher.set_home(new)
        self._reconcile(new.home.config, cause_at)
        self._lists_moved = old is not None and lists_differ(old, new)
        if old is not None and _references_may_differ(old, new):
            self._read_references(cause_at)

    def settle_doubt(self, record: SourceRecord) -> None:
        """Take in that a config is believed again: what was read by one that wasn't is read anew."""
        if record.doubted:
            record.doubted = False
            self._read_references(record.read_cause_at)

    def _read_references(self, cause_at: float) -> None:
        """Have everything read again in which references may lead elsewhere now."""
        stores = [one.name for one in self._desk.board.of_kind(STORE_PREFIX)]
        tickets = {one: self._desk.want(one, cause_at) for one in (*stores, *self._desk.login_sources)}
        self.diffs.also_require(tickets)
        for record in self._roster.all():
            for scope in record.dirty:
                # what was read beside the config was read by the old references
                scope.requires |= {one: tickets[one] for one in scope.requires.keys() & tickets.keys()}

    def refresh(self, cause_at: float, source: str) -> bool:
        """Index newer facts, and make dirty what they touch; return whether there were any.

        Args:
            cause_at: When the cause was seen, monotonic seconds.
            source: The source whose file event led to them; empty when something else did.
        """
        home = self._desk.home
        if not self.index_is_old or home is None:
            return False
        self.index_is_old = False
        logins, unread = self._desk.logins()
        facts = SharedFacts(home=home.home, clis=logins, unread_sources=unread)
        old, new = self._facts.index, SharedIndex(facts, home.catalog.providers)
        self._facts.set_index(new)
        if old is not None:
            self._make_dirty(
                changed_providers(old, new, self._clock.epoch(), self._facts.providers_of), cause_at, source
            )
        if self._lists_moved:
            self._lists_moved = False
            for record in self._roster.all():
                give_way()
                # whoever is to be swept is listed other models together with the other answers
                if record.running is None and not record.dirty:
                    self._answers.republish(record)
        return True

    def settle(self) -> None:
        """Let the attempts go whose readings are all done: who owes them an answer is known now."""
        self._sweeps.seal(*self.diffs.take_done())

    def _reconcile(self, config: ConfigFacts, cause_at: float) -> None:
        """Bring the agents in line with the config, and warm those that are new or see another store."""
        change = self._roster.reconcile(config, lambda agent_id: self._publisher.retire(agent_id, cause_at))
        for gone in change.retired:
            self._sweeps.answered(gone.config.id, gone.wanted_generations())
        self._answers.retire_strangers(cause_at)
        for redescribed in change.redescribed:
            self._answers.republish(redescribed)
        if not change.to_warm:
            return
        scope = Scope.product((one.config.id for one in change.to_warm), None)
        generations, reason, cause_at, own = self._attempts(scope, "agents-changed", cause_at)
        logins = () if self._desk.grace_is_over else self._desk.login_sources
        for_all = {source: self._desk.first_read(source, cause_at) for source in (self._roster.main, *logins)}
        for one in change.to_warm:
            give_way()
            waits = {one.own: self._desk.first_read(one.own, cause_at), **for_all}
            self._sweeps.cancel(one, waits)
            self._sweeps.dirty(one, DirtyScope(set(generations), None, waits, reason, cause_at))
        self._sweeps.seal(*own)

    def _make_dirty(self, changed: frozenset[ProviderId], cause_at: float, source: str) -> None:
        # an agent whose first sweep is still to start will be swept with the newest facts anyway
        concerned = [one for one in self._roster.all() if one.swept or one.running is not None]
        if not (changed and concerned):
            return
        scope = Scope.product(None, changed)
        generations, reason, cause_at, own = self._attempts(scope, "shared-sources-changed", cause_at, source)
        for record in concerned:
            give_way()
            self._sweeps.dirty(record, DirtyScope(set(generations), changed, {}, reason, cause_at))
        self._sweeps.seal(*own)

    def _attempts(
        self, scope: Scope, reason: str, cause_at: float, source: str = ""
    ) -> tuple[set[Generation], str, float, tuple[Generation, ...]]:
        """Return the attempts that what was found belongs to, their reason and cause, and the one that is our own:
        there is one when nobody asked for it.
        """
        generations, asked_for, asked_at = self.diffs.current()
        if generations:
            return generations, asked_for, asked_at, ()
        minted = self._sweeps.mint(scope, reason, cause_at, source)
        return {minted}, reason, cause_at, (minted,)


def _references_may_differ(old: HomeReading, new: HomeReading) -> bool:
    """Tell whether references in stores may yield something else now, or other programs' logins be elsewhere."""
    return (
        old.home.config.secrets_digest != new.home.config.secrets_digest
        or old.home.environment.digest != new.home.environment.digest
    )
