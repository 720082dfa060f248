"""The prepared map: what readers hold. Imports no actor and does no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, final

import msgspec

from openclaw_actors.auth.cells import CellTable
from openclaw_actors.auth.verdict import Cell, Evidence, State, Verdict
from openclaw_actors.catalog.home_reading import HomeReading
from openclaw_actors.home.facts import AgentConfig
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.ids import AgentId, Generation, ProviderId, Revision
from openclaw_actors.wants import Wants

MAIN = AgentId("main")
"""The agent whose store all others inherit from."""

MAIN_SHADOW = AgentId("\x00main")
"""Where `main`'s answers are when the config has no agent `main`; no normalised id looks like it."""

NOT_WARMED = "not warmed"
"""Reason of every verdict of an agent that is not published yet."""


class ProfileInfo(msgspec.Struct, frozen=True, gc=False):
    """One stored profile that an agent sees, for people: no secret, no digest."""

    id: str
    provider: ProviderId
    kind: str
    store: str
    """The agent dir whose store owns it."""
    inherited: bool


@final
class AgentAuth:
    """All answers for one agent at one revision. Immutable: a reader that holds it never sees it change. Safe on any
    thread.
    """

    __slots__ = (
        "_shown_in",
        "_wants",
        "agent",
        "generation",
        "home",
        "listings",
        "newer",
        "revision",
        "stale",
        "table",
        "view",
    )

    def __init__(
        self,
        agent: AgentConfig,
        table: CellTable,
        *,
        revision: Revision,
        generation: Generation,
        newer: Mapping[ProviderId, Generation],
        stale: frozenset[ProviderId] | None,
        view: StoreView,
        home: HomeReading | None,
        wants: Wants,
        shown_in: PreparedMap,
    ) -> None:
        self.agent = agent
        """The agent as the config has it."""
        self.table = table
        self.revision = revision
        """Grows by one whenever the content of these answers changes, or the models that are listed with them."""
        self.generation = generation
        """The attempt of the last full sweep."""
        self.newer = newer
        """Cells that were answered again since the last full sweep, with their generations."""
        self.stale = stale
        """Providers whose source could not be read last time, so that an older answer stands; None means all."""
        self.view = view
        """The merged facts of the stores that the agent sees; secret-free."""
        self.home = home
        """The config and model rows that these answers go with: what is listed follows from these answers alone."""
        self.listings: dict[tuple[ProviderId | None, str], Any] | None = None
        """Lists of models that were asked for, by provider and view; `listing/shelves.py` keeps them here."""
        self._wants = wants
        self._shown_in = shown_in

    @property
    def agent_id(self) -> AgentId:
        """The agent."""
        return self.agent.id

    @property
    def agent_dir(self) -> str:
        """Where the agent's store lives; follows from (config, agent id)."""
        return self.agent.agent_dir

    @property
    def workspace_dir(self) -> str:
        """The agent's workspace; follows from (config, agent id)."""
        return self.agent.workspace_dir

    @property
    def profiles(self) -> tuple[ProfileInfo, ...]:
        """The stored profiles that the agent sees, inherited ones included."""
        own = self.agent.agent_dir
        return tuple(
            ProfileInfo(
                id=profile.id, provider=profile.provider, kind=profile.kind, store=owner, inherited=owner != own
            )
            for profile, owner in zip(self.view.profiles, self.view.owners, strict=True)
        )

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """Every verdict by normalised provider id; made on access."""
        return _Verdicts(self)

    def generation_of(self, provider: ProviderId) -> Generation:
        """Return the attempt that a cell's answer belongs to."""
        return self.newer.get(provider, self.generation)

    def verdict(self, provider: str, model: str | None = None) -> Verdict:
        """Return the verdict of a provider, in any spelling; an id that no source knows is `missing` and says so."""
        cell = self.table.get(provider)
        if cell is None:
            normal = normalise_provider(provider)
            cell = self.table.get(normal)
            if cell is None:
                return self._bare(
                    normal,
                    State.MISSING,
                    f"unknown provider {normal!r}: neither the catalogue, the config nor any source names it",
                )
        return self._hand_out(cell, model)

    def verdict_of(self, cell: Cell, generation: Generation, model: str | None = None) -> Verdict:
        """Return the verdict of a cell that isn't published yet, as of the attempt that will publish it; not fresh."""
        newest = max(generation, self.generation_of(cell.provider))
        return msgspec.structs.replace(self._hand_out(cell, model), generation=newest, fresh=False)

    def has_auth(self, provider: str, model: str | None = None) -> bool:
        """Tell whether a run could use a provider (or one model of it)."""
        if model is None:
            flag = self.table.flag(provider)
            if flag is None:
                flag = self.table.flag(normalise_provider(provider))
            return flag is True
        cell = self.table.get(provider) or self.table.get(normalise_provider(provider))
        return cell is not None and cell.for_model(model).has_auth

    def _hand_out(self, cell: Cell, model: str | None = None) -> Verdict:
        shown = cell.for_model(model)
        agent_id, provider = self.agent.id, cell.provider
        evidence, shadowed = shown.evidence, shown.shadowed
        if evidence is not None:
            own = self.view.own
            evidence = evidence.of(own)
            if shadowed:
                shadowed = tuple([one.of(own) for one in shadowed])
        return Verdict(
            agent_id=agent_id,
            provider=provider,
            state=shown.state,
            has_auth=shown.has_auth,
            presence=shown.presence,
            evidence=evidence,
            shadowed=shadowed,
            reason=shown.reason,
            next_step=shown.next_step,
            valid_until=shown.valid_until,
            generation=self.generation_of(provider),
            fresh=self._is_fresh(cell),
        )

    def _is_fresh(self, cell: Cell) -> bool:
        """Tell whether nothing newer than one of these cells is wanted, or published already."""
        provider = cell.provider
        if self._wants.is_wanted(self.agent.id, provider):
            return False
        # after the look at what is wanted: what was published and retired in between shows here
        newest = self._shown_in.agents.get(self.agent.id)
        if newest is None or newest.stale is None or provider in newest.stale:
            return False
        return newest is self or newest.table.get(provider) is cell

    def _bare(self, provider: ProviderId, state: State, reason: str, next_step: str = "") -> Verdict:
        return bare_verdict(
            self.agent.id,
            provider,
            state,
            reason,
            next_step=next_step,
            generation=self.generation,
            fresh=not self._wants.is_wanted(self.agent.id, provider),
        )

    def __repr__(self) -> str:
        return f"AgentAuth(agent_id={self.agent_id!r}, revision={self.revision}, providers={len(self.table)})"


def bare_verdict(
    agent_id: AgentId,
    provider: ProviderId,
    state: State,
    reason: str,
    *,
    next_step: str = "",
    presence: bool = False,
    generation: Generation = Generation(0),  # noqa: B008  # a NewType call on an int, no state
    fresh: bool = False,
    evidence: Evidence | None = None,
) -> Verdict:
    """Return a verdict for which there is no cell."""
    return Verdict(
        agent_id=agent_id,
        provider=provider,
        state=state,
        has_auth=state.has_auth,
        presence=presence,
        evidence=evidence,
        shadowed=(),
        reason=reason,
        next_step=next_step,
        valid_until=None,
        generation=generation,
        fresh=fresh,
    )


@final
class _Verdicts(Mapping[str, Verdict]):
    """A view of an agent's cells as verdicts, each made when it is looked up."""

    __slots__ = ("_auth",)

    def __init__(self, auth: AgentAuth) -> None:
        self._auth = auth

    def __getitem__(self, provider: str) -> Verdict:
        cell = self._auth.table.get(provider)
        if cell is None:
            raise KeyError(provider)
        return self._auth._hand_out(cell)

    def __iter__(self) -> Iterator[str]:
        return iter(self._auth.table)

    def __len__(self) -> int:
        return len(self._auth.table)

    def __contains__(self, provider: Any) -> bool:
        return isinstance(provider, str) and self._auth.table.get(provider) is not None


@final
class PreparedMap:
    """Agent id → immutable answers. One writer (the WarmerActor); any number of readers, without a lock.

    Each publication is one item assignment: a reader sees the old answers of an agent or the new ones, never a mixture.
    """

    __slots__ = (
        "agents",
        "default_agent",
        "forgotten_revision",
        "instance_id",
        "last_revisions",
        "sequence",
        "wanted_default",
    )

    def __init__(self, instance_id: str) -> None:
        self.agents: dict[AgentId, AgentAuth] = {}
        self.default_agent = MAIN
        """The agent that is meant when none is named: the configured default, once it is published."""
        self.wanted_default = MAIN
        """The configured default agent."""
        self.last_revisions: dict[AgentId, Revision] = {}
        """Of agents that left: one that comes back counts on, so that what readers hold of it is not taken for new. Of
        many, the latest; see `forgotten_revision`."""
        self.forgotten_revision = Revision(0)
        """The highest revision of the agents that left so long ago that nobody knows them any more: any agent that
        comes may be one of them, and counts on from here."""
        self.sequence = 0
        """Orders the changes of all agents."""
        self.instance_id = instance_id
        """Tells one process's revisions from another's."""

    def of_main(self) -> AgentAuth | None:
        """Return what an agent outside the config would inherit: `main`'s answers (formats 5.2)."""
        return self.agents.get(MAIN) or self.agents.get(MAIN_SHADOW)
