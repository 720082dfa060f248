"""Reads: the half of the supervisor's face that never blocks, waits or does I/O."""

from __future__ import annotations

from openclaw_actors.auth.cells import EMPTY_TABLE
from openclaw_actors.auth.verdict import State, Verdict
from openclaw_actors.counters import Stats
from openclaw_actors.health import Health, Progress
from openclaw_actors.home.agents import normalise_agent_id
from openclaw_actors.home.facts import AgentConfig
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.ids import AgentId, Generation, Revision
from openclaw_actors.listing.listing import Listing
from openclaw_actors.listing.shelves import Shelves, empty_listing
from openclaw_actors.prepared import NOT_WARMED, AgentAuth, PreparedMap, bare_verdict
from openclaw_actors.runtime import Runtime
from openclaw_actors.spans import Spans


class Reads:
    """Answers from the prepared map: any thread, any event loop, no lock. `AuthSupervisor` is made of it."""

    def __init__(self, prepared: PreparedMap, runtime: Runtime) -> None:
        self._prepared = prepared
        self._runtime = runtime
        self._agents: dict[str, AgentAuth] = prepared.agents  # type: ignore[assignment]  # an AgentId is a str
        self._struck = runtime.struck
        self._struck_cells = runtime.struck.cells
        self._shelves: Shelves | None = None
        self._stopped = False

    @property
    def spans(self) -> Spans:
        """What requests are followed with; nothing unless `telemetry.instrument` was called."""
        return self._runtime.spans

    def has_auth(self, provider: str, *, agent_id: str | None = None, model: str | None = None) -> bool:
        """Tell whether a run of this agent could use a provider (or one model of it). No I/O, no lock; well under 1
        µs.
        """
        if self._struck_cells:
            struck = self._struck_verdict(provider, agent_id, model)
            if struck is not None:
                return struck.has_auth
        auth = self._agents.get(self._prepared.default_agent if agent_id is None else agent_id)
        if auth is None:
            auth = self._published(agent_id)
            if auth is None:
                return False
        if model is None:
            # what `CellTable.flag` does, without the call: it is a third of the time
            table = auth.table
            flag = table.own_flags.get(provider)
            if flag is None:
                flag = table.shared_flags.get(provider)
            if flag is not None:
                return flag
        return auth.has_auth(provider, model)

    def presence(self, provider: str, *, agent_id: str | None = None) -> bool:
        """Tell what OpenClaw 2026.5.22 would answer to "has it auth?". No I/O, no lock."""
        return self.verdict(provider, agent_id=agent_id).presence

    def verdict(self, provider: str, *, agent_id: str | None = None, model: str | None = None) -> Verdict:
        """Return the answer for a provider in any spelling, with its evidence, reason and next step. No I/O, no
        lock.
        """
        if self._struck_cells:
            struck = self._struck_verdict(provider, agent_id, model)
            if struck is not None:
                return struck
        auth = self._published(agent_id)
        if auth is not None:
            return auth.verdict(provider, model)
        wanted, normal = self._agent_id(agent_id), normalise_provider(provider)
        if self._is_configured(wanted):
            return bare_verdict(wanted, normal, State.UNKNOWN, NOT_WARMED, next_step="wait for the warm to finish")
        main = self._prepared.of_main()
        return bare_verdict(
            wanted,
            normal,
            State.MISSING,
            f"unknown agent {wanted!r}: the config has {', '.join(self.agent_ids()) or 'none'}",
            next_step="check the agent id, or add the agent to agents.list in the config",
            presence=main is not None and main.verdict(provider).presence,
            fresh=main is not None and self._runtime.wants.is_live,
        )

    def snapshot(self, agent_id: str | None = None) -> AgentAuth:
        """Return all answers for an agent as they are now; what is held never changes. No I/O, no lock.

        An agent that isn't published yet, or isn't configured, has an empty snapshot at revision 0.
        """
        auth = self._published(agent_id)
        if auth is not None:
            return auth
        wanted = self._agent_id(agent_id)
        config = self._runtime.config()
        known = next((agent for agent in config.agents if agent.id == wanted), None) if config is not None else None
        return AgentAuth(
            known or AgentConfig(id=wanted, agent_dir="", workspace_dir=""),
            EMPTY_TABLE,
            revision=Revision(0),
            generation=Generation(0),
            newer={},
            stale=None,
            view=StoreView(),
            home=self._runtime.home,
            wants=self._runtime.wants,
            shown_in=self._prepared,
        )

    def agent_ids(self) -> tuple[str, ...]:
        """Return the configured agents, in config order; empty until the config was read."""
        config = self._runtime.config()
        return tuple(agent.id for agent in config.agents) if config is not None else ()

    def models(self, *, agent_id: str | None = None, provider: str | None = None, view: str = "default") -> Listing:
        """Return the models that an agent is shown, and what is hidden, with reasons. No I/O, no lock; the same object
        until the agent's answers change.

        Raises:
            ValueError: A view other than `default`, `configured` and `all`.
        """
        auth = self.snapshot(agent_id)
        home = auth.home
        if home is None:
            return empty_listing(auth, provider, view)
        shelves = self._shelves
        if shelves is None or shelves.home is not home:
            shelves = self._shelves = Shelves(home)
        return shelves.listing(auth, provider, view)

    def model_count(self, provider: str, *, agent_id: str | None = None) -> int:
        """Return how many models the catalogue has of a provider, for this agent."""
        auth = self.snapshot(agent_id)
        return 0 if auth.home is None else auth.home.catalog.count(normalise_provider(provider), auth.agent_dir or None)

    def configured_providers(self, agent_id: str | None = None) -> frozenset[str]:
        """Return the providers that somebody set up for an agent: in `models.providers`, by a profile, or by a
        selected model.
        """
        config = self._runtime.config()
        if config is None:
            return frozenset()
        auth = self.snapshot(agent_id)
        found: set[str] = {entry.id for entry in config.providers}
        found.update(profile.provider for profile in auth.profiles)
        own = next((agent.model_refs for agent in config.agents if agent.id == auth.agent_id), ())
        for ref in (*own, *config.default_model_refs):
            provider, slash, _ = ref.partition("/")
            if slash:
                found.add(normalise_provider(provider))
        return frozenset(found)

    def stats(self) -> Stats:
        """Return what was done so far: numbers that only grow."""
        return self._runtime.counters.stats()

    def progress(self) -> Progress:
        """Return how far the warm is, and how many attempts are unanswered. No I/O, no lock; about 0.1 ms per 1,000
        agents.
        """
        agents, wants = self.agent_ids(), self._runtime.wants
        published = sum(agent in self._agents for agent in agents)
        return Progress(agents=len(agents), published=published, generation=wants.latest, open=wants.count)

    def health(self) -> Health:
        """Return the conditions: each true when all is well, with reason and remedy when it isn't."""
        return self._runtime.conditions.health()

    @property
    def sequence(self) -> int:
        """The sequence number of the latest change; 0 before the first. No lock, any thread.

        Read it before a snapshot: `aio.changes(since=…)` then misses nothing that the snapshot doesn't show.
        """
        # not the map's own counter: that one is ahead of what can be read and replayed
        return self._runtime.notifier.sequence

    @property
    def instance_id(self) -> str:
        """Tells this process's revisions from another's."""
        return self._prepared.instance_id

    @property
    def config_path(self) -> str:
        """The config file; empty until the home was looked at."""
        config = self._runtime.config()
        if config is not None:
            return config.path
        reader = self._runtime.reader
        return reader.location.config_path if reader is not None else ""

    @property
    def warm_time_s(self) -> float | None:
        """How long it took from start until every agent was published, in seconds; None while it isn't so."""
        return self._runtime.warm_time_s

    def _struck_verdict(self, provider: str, agent_id: str | None, model: str | None) -> Verdict | None:
        """Return the answer of a cell that a report has proved bad a moment ago, if it is one."""
        struck = self._struck.get(self._agent_id(agent_id), normalise_provider(provider))
        auth = self._published(agent_id) if struck is not None else None
        return auth.verdict_of(*struck, model) if auth is not None and struck is not None else None

    def _published(self, agent_id: str | None) -> AgentAuth | None:
        prepared = self._prepared
        if agent_id is None:
            return prepared.agents.get(prepared.default_agent)
        return prepared.agents.get(AgentId(agent_id)) or prepared.agents.get(normalise_agent_id(agent_id))

    def _agent_id(self, agent_id: str | None) -> AgentId:
        return self._prepared.default_agent if agent_id is None else normalise_agent_id(agent_id)

    def _is_configured(self, agent_id: AgentId) -> bool:
        config = self._runtime.config()
        return any(agent.id == agent_id for agent in config.agents) if config is not None else True
