"""The one writer of the prepared map: compares, publishes, and tells of changes. Used by the WarmerActor only."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection

from openclaw_actors.auth.cells import CellTable
from openclaw_actors.auth.verdict import Cell, Evidence, State, Verdict
from openclaw_actors.catalog.home_reading import HomeReading, lists_differ
from openclaw_actors.changes import Change
from openclaw_actors.clock import Clock
from openclaw_actors.counters import Counters
from openclaw_actors.home.facts import AgentConfig
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.ids import AgentId, Generation, ProviderId, Revision
from openclaw_actors.prepared import AgentAuth, PreparedMap, bare_verdict
from openclaw_actors.wants import Wants

_NO_REVISION = Revision(0)

REMOVED, RETURNED = "agent-removed", "agent-returned"
"""Reasons of the changes of an agent that leaves the config, and of one that comes back."""

_MOST_GONE = 10_000
"""Of how many agents that left the config the last revision is remembered."""

_MOST_OLD = 64
"""How many ends of answers that were replaced are kept beside the current ones, at least, before they are dropped."""


class Publisher:
    """Swaps agents' answers in the prepared map."""

    def __init__(
        self,
        prepared: PreparedMap,
        wants: Wants,
        counters: Counters,
        clock: Clock,
        on_published: Callable[[AgentAuth, tuple[Change, ...]], None],
    ) -> None:
        self._map = prepared
        self._wants = wants
        self._counters = counters
        self._clock = clock
        self._on_published = on_published
        self._ends: list[tuple[float, AgentId]] = []
        self._noted: dict[AgentId, float] = {}
        for auth in prepared.agents.values():
            self._note_end(auth)  # what an earlier warmer noted is gone with it
        self._home: HomeReading | None = None
        self._moved_from: dict[int, tuple[HomeReading | None, bool]] = {}

    def set_home(self, home: HomeReading) -> None:
        """Publish with these model rows from now on.

        Answers that list the same by them go with them at once, which nobody can tell: or each agent would keep the
        config alive that it was last published with.
        """
        self._home = home
        self._moved_from.clear()
        for auth in self._map.agents.values():
            if not self.lists_moved(auth):
                auth.home = home
        self._moved_from.clear()

    def lists_moved(self, auth: AgentAuth) -> bool:
        """Tell whether the models that an agent is listed may be others than those its published answers go with."""
        known = self._moved_from.get(id(auth.home))
        if known is None:
            home = self._home
            moved = auth.home is not home and (auth.home is None or home is None or lists_differ(auth.home, home))
            # what is compared is kept beside the result: as long as it lives, its id is its own
            known = self._moved_from[id(auth.home)] = (auth.home, moved)
        return known[1]

    def publish(
        self,
        agent: AgentConfig,
        view: StoreView,
        table: CellTable,
        *,
        generation: Generation | None,
        providers: tuple[ProviderId, ...] | None,
        stale: frozenset[ProviderId] | None,
        reason: str,
        cause_at: float,
        overtaken: Collection[ProviderId] = (),
    ) -> bool:
        """Publish one agent's answers, and return whether any of them has changed; a first publication has.

        Args:
            agent: The agent as the config has it now.
            view: What its stores say.
            table: All its cells.
            generation: The attempt that the answers of `providers` belong to; None leaves every cell its own.
            providers: What was answered; None for all.
            stale: Providers whose answer stands only because their source could not be read; None means all.
            reason: What caused it.
            cause_at: When the cause was seen, monotonic seconds.
            overtaken: Providers whose published cells are newer than what this result was made of; they stay.
        """
        old = self._map.agents.get(agent.id)
        if old is None:
            last = self._map.last_revisions.pop(agent.id, None) or self._map.forgotten_revision or None
            auth = AgentAuth(
                agent,
                table,
                revision=Revision((last or _NO_REVISION) + 1),
                generation=generation or Generation(0),
                newer={},
                stale=stale,
                view=view,
                home=self._home,
                wants=self._wants,
                shown_in=self._map,
            )
            # of one that is new nobody holds anything; of one that was there before they hold that it isn't any more
            self._swap(auth, () if last is None else self._comings(auth, cause_at))
            return True
        floor, newer = old.generation, old.newer
        if generation is not None:
            floor, newer, table = self._accept(old, table, generation, providers, overtaken)
        differing = old.table.differing(table)
        if old.view.own != view.own:
            differing = sorted({*differing, *_of_stores(old, view, table)})
        moved = bool(differing) or old.agent != agent or _shown(old.view) != _shown(view) or self.lists_moved(old)
        auth = AgentAuth(
            agent,
            table,
            revision=Revision(old.revision + 1) if moved else old.revision,
            generation=floor,
            newer=newer,
            stale=stale,
            view=view,
            home=self._home or old.home,  # a warmer that was started again may not have read one yet
            wants=self._wants,
            shown_in=self._map,
        )
        if not moved and old.home is auth.home:
            auth.listings = old.listings  # nothing of them has changed
        changes = tuple(
            self._change(auth, provider, old.verdict(provider), auth.verdict(provider), reason, cause_at)
            for provider in differing
        )
        self._swap(auth, changes)
        return bool(changes)

    def retire(self, agent_id: AgentId, cause_at: float) -> None:
        """Take away the answers of an agent that the config no longer has, and tell of each that was one."""
        self._noted.pop(agent_id, None)
        gone = self._map.agents.pop(agent_id, None)
        if gone is not None:
            self._remember_revision(agent_id, Revision(gone.revision + 1))
            self._on_published(gone, self._goings(gone, cause_at))

    def _remember_revision(self, agent_id: AgentId, revision: Revision) -> None:
        known = self._map.last_revisions
        known[agent_id] = revision
        while len(known) > _MOST_GONE:
            forgotten = known.pop(next(iter(known)))
            self._map.forgotten_revision = max(self._map.forgotten_revision, forgotten)

    def agents_ending(self, now: float) -> list[AgentId]:
        """Return the agents some of whose answers time has changed by now (epoch seconds)."""
        due: dict[AgentId, None] = {}
        while self._ends and self._ends[0][0] <= now:
            agent_id = self._pop_end()
            auth = self._map.agents.get(agent_id)
            if auth is not None and auth.table.valid_until is not None and auth.table.valid_until <= now:
                due[agent_id] = None
        return list(due)

    def next_end(self) -> float | None:
        """Return the earliest moment at which time changes a published answer, in epoch seconds."""
        while self._ends:
            moment, agent_id = self._ends[0]
            auth = self._map.agents.get(agent_id)
            if auth is not None and auth.table.valid_until == moment:
                return moment
            self._pop_end()
        return None

    def _comings(self, auth: AgentAuth, cause_at: float) -> tuple[Change, ...]:
        """Return the changes of an agent that is back: from nothing to what it has."""
        return tuple(
            self._change(auth, provider, _absent(self._map, auth, provider), verdict, RETURNED, cause_at)
            for provider, verdict in auth.verdicts.items()
            if verdict.state is not State.MISSING
        )

    def _goings(self, gone: AgentAuth, cause_at: float) -> tuple[Change, ...]:
        """Return the changes of an agent that has left: from what it had to nothing."""
        return tuple(
            self._change(gone, provider, verdict, _absent(self._map, gone, provider), REMOVED, cause_at, later=1)
            for provider, verdict in gone.verdicts.items()
            if verdict.state is not State.MISSING
        )

    def _change(
        self,
        auth: AgentAuth,
        provider: str,
        old: Verdict,
        new: Verdict,
        reason: str,
        cause_at: float,
        *,
        later: int = 0,
    ) -> Change:
        self._map.sequence += 1
        return Change(
            sequence=self._map.sequence,
            agent_id=auth.agent_id,
            revision=Revision(auth.revision + later),
            provider=ProviderId(provider),
            old=old,
            new=new,
            reason=reason,
            generation=auth.generation_of(ProviderId(provider)),
            latency_s=max(0.0, self._clock.monotonic() - cause_at),
            published_at=self._clock.epoch(),
        )

    def _accept(
        self,
        old: AgentAuth,
        table: CellTable,
        generation: Generation,
        providers: tuple[ProviderId, ...] | None,
        overtaken: Collection[ProviderId],
    ) -> tuple[Generation, dict[ProviderId, Generation], CellTable]:
        """Keep the cells that already show something newer than this result; the rest of it is taken.

        Generations can't tell which is newer: an attempt may be asked for early and read late. They say which event a
        cell has an answer to, so that of a cell only grows.
        """
        kept: dict[ProviderId, Cell] = {}
        for provider in overtaken:
            cell = old.table.get(provider)
            if cell is not None and (providers is None or provider in providers):
                kept[provider] = cell
        if kept:
            self._counters.discarded_results += len(kept)
            table = table.replaced(kept)
        if providers is None:
            floor = max(generation, old.generation)
            return floor, {one: newer for one, newer in old.newer.items() if newer > floor}, table
        # an id that nobody knows has no cell, and gets no entry that would stay for ever
        known = [provider for provider in providers if table.get(provider) is not None]
        answered = {provider: max(generation, old.generation_of(provider)) for provider in known}
        return old.generation, {**old.newer, **answered}, table

    def _swap(self, auth: AgentAuth, changes: tuple[Change, ...]) -> None:
        self._map.agents[auth.agent_id] = auth
        if auth.agent_id == self._map.wanted_default:
            self._map.default_agent = auth.agent_id
        self._counters.publications += 1
        self._note_end(auth)
        self._on_published(auth, changes)

    def _note_end(self, auth: AgentAuth) -> None:
        ends = auth.table.valid_until
        if ends is not None and self._noted.get(auth.agent_id) != ends:
            self._noted[auth.agent_id] = ends
            heapq.heappush(self._ends, (ends, auth.agent_id))
            if len(self._ends) > 2 * len(self._noted) + _MOST_OLD:
                # of answers that were replaced before they ended; none of them would go before its time comes
                self._ends = [(moment, agent_id) for agent_id, moment in self._noted.items()]
                heapq.heapify(self._ends)

    def _pop_end(self) -> AgentId:
        ends, agent_id = heapq.heappop(self._ends)
        if self._noted.get(agent_id) == ends:
            del self._noted[agent_id]
        return agent_id


def _absent(prepared: PreparedMap, auth: AgentAuth, provider: str) -> Verdict:
    """Return what readers are told of an agent that the config doesn't have."""
    main = prepared.of_main()
    return bare_verdict(
        auth.agent_id,
        ProviderId(provider),
        State.MISSING,
        f"unknown agent {auth.agent_id!r}: it is not in the config",
        presence=main is not None and main is not auth and main.verdict(provider).presence,
        generation=auth.generation_of(ProviderId(provider)),
    )


def _of_stores(old: AgentAuth, view: StoreView, table: CellTable) -> list[ProviderId]:
    """Return the providers of which an agent that has moved to another store is shown credentials in either."""
    found = []
    for provider, cell in table.own.items():
        known = old.table.own.get(provider)
        if known is not None and _named(known, old.view) != _named(cell, view):
            found.append(provider)
    return found


def _named(cell: Cell, view: StoreView) -> list[Evidence]:
    shown = (*((cell.evidence,) if cell.evidence is not None else ()), *cell.shadowed)
    return [one.of(view.own) for one in shown]


def _shown(view: StoreView) -> list[tuple[object, ...]]:
    """Return what readers are shown of the stored profiles."""
    shown = zip(view.profiles, view.owners, strict=True)
    return [(profile.id, profile.provider, profile.kind, owner) for profile, owner in shown]
