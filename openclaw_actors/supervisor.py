"""AuthSupervisor: the only face that embedders see."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from openclaw_actors.actors.dispatch import ThreadedDispatcher
from openclaw_actors.actors.warm_book import WarmReport
from openclaw_actors.auth.failures import cleared, normalise_reason
from openclaw_actors.auth.verdict import State, Verdict
from openclaw_actors.changes import Change
from openclaw_actors.counters import Stats
from openclaw_actors.errors import ForkedError, NotRunningError, StoreError
from openclaw_actors.health import Health
from openclaw_actors.home.agents import normalise_agent_id
from openclaw_actors.home.digest import Digester
from openclaw_actors.home.facts import AgentConfig, ConfigFacts
from openclaw_actors.home.providers import auth_provider, normalise_provider
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.home.stores.usage_writer import remove_profiles, write_usage
from openclaw_actors.ids import AgentId, EvidenceId, Generation, ProviderId, Revision, StoreId
from openclaw_actors.listing.listing import Listing, build_listing
from openclaw_actors.log import log
from openclaw_actors.messages import (
    ForgetUsage,
    ForgiveScope,
    ReportFailure,
    ReportSuccess,
    Reread,
    WarmScope,
)
from openclaw_actors.prepared import NOT_WARMED, AgentAuth, PreparedMap, bare_verdict
from openclaw_actors.auth.cells import EMPTY_TABLE
from openclaw_actors.runtime import Runtime
from openclaw_actors.scope import Scope
from openclaw_actors.settings import Settings

if TYPE_CHECKING:
    from openclaw_actors.aio import Aio, LoopGap

_STARTED: weakref.WeakSet[AuthSupervisor] = weakref.WeakSet()
"""Supervisors of this process that are started and not stopped; `provider_auth.py` binds to the only one."""

_ANSWER_TIMEOUT_S = 30.0
"""How long a blocking write waits for its change to be published, in seconds."""


class AuthSupervisor:
    """Knows, for every agent of an OpenClaw home, which providers it holds working credentials for.

    `start` returns at once and warms behind; reads never block, wait or do I/O, on any thread and any event loop. Events go in
    from any thread and return the generation that will answer them. Use it as a context manager, `with` or `async with`.

    Args:
        home: The state directory; None finds it by the variables, as OpenClaw does.
        env: The environment; None is a copy of the process's, taken at start and again by `recheck` and the reloads.
        settings: How it works; the defaults suit one gateway on one machine.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._home = home
        self._env = None if env is None else _Held(env)
        self._settings = settings or Settings()
        self._prepared = PreparedMap(instance_id=os.urandom(8).hex())
        self._runtime = Runtime(
            ThreadedDispatcher(
                max_reader_threads=self._settings.read_threads, quarantine_after=self._settings.quarantine_after
            ),
            self._settings,
            self._prepared,
        )
        self._runtime.on_warm = self._log_warm
        self._thread: threading.Thread | None = None
        self._stop_timeout_s = 5.0
        self._lock = threading.Lock()
        self._stopped = False
        self._pid = os.getpid()
        self._gap: LoopGap | None = None
        self._aio: Aio | None = None
        self._said_warm = False

    # ------------------------------------------------------------------------------------------------------------ life

    def start(self) -> Self:
        """Start warming; returns at once, from a running event loop too.

        Raises:
            NotRunningError: It was stopped: a supervisor lives once, make another.
        """
        with self._lock:
            if self._stopped:
                raise NotRunningError("this supervisor was stopped; make a new one")
            if self._thread is not None:
                return self
            if _on_running_loop():
                from openclaw_actors.aio import LoopGap

                self._gap = LoopGap.of_running_loop()
            home, env, key = self._home, self._env, self._settings.digest_key

            def make_reader() -> HomeReader:
                return HomeReader(home, env=None if env is None else env.mapping, digester=Digester(key))

            self._thread = threading.Thread(
                target=self._runtime.run,
                args=(make_reader, lambda: self._stop_timeout_s),
                name="openclaw-supervisor",
                daemon=True,
            )
            self._thread.start()
            _STARTED.add(self)
        return self

    def wait_warm(self, timeout_s: float | None = None) -> bool:
        """Block until every agent was published once; return whether that is so. Not for an event loop: see `aio`."""
        return self._runtime.warm.wait(timeout_s)

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop everything and wait for it, at most this long; safe twice and from any state.

        Threads that a source blocks for ever are left behind: they are daemons, counted and named in `health()`.

        Raises:
            RuntimeError: It was called on the thread of a running event loop, which it would block: `await aio.stop()`.
        """
        if _on_running_loop():
            raise RuntimeError("stop() would block the running event loop: use `await supervisor.aio.stop()`")
        self._stop(timeout_s)

    def _stop(self, timeout_s: float) -> None:
        with self._lock:
            first, self._stopped = not self._stopped, True
            thread = self._thread
            self._stop_timeout_s = timeout_s
        _STARTED.discard(self)
        if self._gap is not None:
            self._gap.stop()
        if thread is None or self._pid != os.getpid():
            return
        if first:
            self._runtime.ask_to_stop()
        if thread is not threading.current_thread():
            thread.join(timeout_s)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aio.stop()

    @property
    def aio(self) -> Aio:
        """The awaitable twins of what blocks."""
        if self._aio is None:
            from openclaw_actors.aio import Aio

            self._aio = Aio(self)
        return self._aio

    # ----------------------------------------------------------------------------------------------------------- reads

    def has_auth(self, provider: str, *, agent_id: str | None = None, model: str | None = None) -> bool:
        """Tell whether a run of this agent could use a provider (or one model of it). No I/O, no lock; well under 1 µs."""
        prepared = self._prepared
        auth = prepared.agents.get(prepared.default_agent if agent_id is None else agent_id)  # type: ignore[arg-type]
        if auth is None:
            auth = self._published(agent_id)
            if auth is None:
                return False
        if model is None:
            flag = auth.table.flag(provider)
            if flag is not None:
                return flag
        return auth.has_auth(provider, model)

    def presence(self, provider: str, *, agent_id: str | None = None) -> bool:
        """Tell what OpenClaw 2026.5.22 would answer to "has it auth?". No I/O, no lock."""
        return self.verdict(provider, agent_id=agent_id).presence

    def verdict(self, provider: str, *, agent_id: str | None = None, model: str | None = None) -> Verdict:
        """Return the answer for a provider in any spelling, with its evidence, reason and next step. No I/O, no lock."""
        auth = self._published(agent_id)
        if auth is not None:
            verdict = auth.verdict(provider, model)
            return verdict if self._is_alive() else _not_fresh(verdict)
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
            fresh=main is not None and self._is_alive(),
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
            view=StoreView(profiles=(), owners=()),
            wants=self._runtime.wants,
        )

    def agent_ids(self) -> tuple[str, ...]:
        """Return the configured agents, in config order; empty until the config was read."""
        config = self._runtime.config()
        return tuple(agent.id for agent in config.agents) if config is not None else ()

    def models(self, *, agent_id: str | None = None, provider: str | None = None, view: str = "default") -> Listing:
        """Return the models that an agent is shown, and what is hidden, with reasons. No I/O, no lock.

        Raises:
            ValueError: A view other than `default`, `configured` and `all`.
        """
        home = self._runtime.home
        auth = self.snapshot(agent_id)
        if home is None:
            if view not in ("default", "configured", "all"):
                raise ValueError(f"unknown view {view!r}: one of default, configured, all")
            normal = None if provider is None else normalise_provider(provider)
            return Listing(auth.agent_id, auth.revision, view, normal, (), (), 0)
        return build_listing(
            home.catalog,
            home.home.config,
            auth.table,
            agent_id=auth.agent_id,
            revision=auth.revision,
            agent_dir=auth.agent_dir or None,
            provider=provider,
            view=view,
        )

    def model_count(self, provider: str, *, agent_id: str | None = None) -> int:
        """Return how many models the catalogue has of a provider, for this agent."""
        home = self._runtime.home
        return 0 if home is None else home.catalog.count(normalise_provider(provider), self.snapshot(agent_id).agent_dir or None)

    def configured_providers(self, agent_id: str | None = None) -> frozenset[str]:
        """Return the providers that somebody set up for an agent: in `models.providers`, by a profile, or by a selected model."""
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

    def health(self) -> Health:
        """Return the conditions: each true when all is well, with reason and remedy when it isn't."""
        return self._runtime.conditions.health()

    @property
    def instance_id(self) -> str:
        """Tells this process's revisions from another's."""
        return self._prepared.instance_id

    @property
    def home_path(self) -> str:
        """The home, as far as it is known: the state directory."""
        reader = self._runtime.reader
        return reader.location.state_dir if reader is not None else os.fspath(self._home or "")

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

    # ---------------------------------------------------------------------------------------------------------- events

    def invalidate(self, scope: Scope, reason: str) -> Generation:
        """Have the cells of a scope answered again from their sources."""
        return self._warm(scope, reason, Reread.ALL)

    def reload_config(self) -> Generation:
        """Read config and environment again, now; what they change is warmed, and nothing else."""
        self._refresh_environment()
        return self._warm(Scope.everything(), "config-reload", Reread.HOME, cancels=True, diff_only=True)

    def reload_plugins(self) -> Generation:
        """Read the config's `plugins`, the environment and other programs' logins again; what they change is warmed."""
        self._refresh_environment()
        return self._warm(
            Scope.everything(), "plugin-reload", Reread.HOME | Reread.LOGINS, cancels=True, diff_only=True
        )

    def recheck(self, provider: str | None = None, *, agent_id: str | None = None) -> Generation:
        """Read every source of a scope again and set aside what was reported against its credentials: half-open.

        Args:
            provider: In any spelling; None for all.
            agent_id: None for all.
        """
        self._refresh_environment()
        scope = Scope.product(
            None if agent_id is None else (self._agent_id(agent_id),),
            None if provider is None else (normalise_provider(provider),),
        )
        warm = self._make_warm(scope, "recheck", Reread.ALL)
        self._runtime.listener.tell(ForgiveScope(warm=warm, evidence_id=None, observed_at=self._runtime.clock.epoch()))
        return warm.generation

    def report_failure(
        self, evidence_id: str, reason: str, *, agent_id: str | None = None, model: str | None = None
    ) -> Generation:
        """Report that a provider refused a credential. It stops counting at once; its provider is checked again.

        Args:
            evidence_id: A profile id, `env:NAME` or `config:PROVIDER`, as `Verdict.evidence.id` has it.
            reason: One of OpenClaw's failure reasons (`auth`, `billing`, `rate_limit`…).
            agent_id: The agent that ran; None is the default agent.
            model: The model that was asked for: a `rate_limit` rests just that one.

        Raises:
            UnknownReasonError: The reason is none of the table.
        """
        known = normalise_reason(reason)
        self._check_events()
        wanted = self._agent_id(agent_id)
        clock = self._runtime.clock
        generation = self._runtime.wants.mint(self._scope_of(wanted, evidence_id))
        self._runtime.listener.tell(
            ReportFailure(
                generation=generation,
                agent_id=wanted,
                evidence_id=EvidenceId(evidence_id),
                reason=known,
                model=model,
                observed_at=clock.epoch(),
                cause_at=clock.monotonic(),
            )
        )
        return generation

    def report_success(self, evidence_id: str, *, agent_id: str | None = None, model: str | None = None) -> Generation:
        """Report that a request with a credential succeeded: what spoke against it no longer does."""
        self._check_events()
        wanted = self._agent_id(agent_id)
        clock = self._runtime.clock
        generation = self._runtime.wants.mint(self._scope_of(wanted, evidence_id))
        self._runtime.listener.tell(
            ReportSuccess(
                generation=generation,
                agent_id=wanted,
                evidence_id=EvidenceId(evidence_id),
                model=model,
                observed_at=clock.epoch(),
                cause_at=clock.monotonic(),
            )
        )
        return generation

    def logout(self, provider: str, *, agent_id: str | None = None, profile_id: str | None = None) -> None:
        """Remove a provider's profiles from the stores that own them, and return when that is published. Blocks on the disk.

        Args:
            provider: In any spelling; profiles of providers that share its credentials are meant too.
            agent_id: Whose profiles; inherited ones are removed where they are, for all who see them.
            profile_id: Just this one.

        Raises:
            StoreBusyError: A live process holds the store's lock.
            StoreReadOnlyError: The store can't be written.
        """
        self._check_events()
        auth = self.snapshot(agent_id)
        target = auth_provider(normalise_provider(provider))
        by_store: dict[StoreId, list[str]] = {}
        for profile in auth.profiles:
            if auth_provider(profile.provider) == target and profile_id in (None, profile.id):
                by_store.setdefault(StoreId(profile.store), []).append(profile.id)
        if not by_store:
            raise StoreError(
                f"no stored profile of {normalise_provider(provider)} to log out"
                f"{'' if profile_id is None else f' named {profile_id}'}; `explain` shows where its credentials come from"
            )
        for store, names in by_store.items():
            self._runtime.listener.tell(ForgetUsage(store=store, profiles=tuple(names)))
            remove_profiles(store, names, lock_timeout_s=self._settings.lock_timeout_s)
        providers = [one for one in auth.table if auth_provider(one) == target]
        warm = self._make_warm(Scope.product(None, providers), "logout", Reread.STORES, cancels=True)
        self._runtime.warmer.tell(warm)
        self._wait_answered(warm.generation)

    def clear_cooldown(self, profile_id: str, *, agent_id: str | None = None) -> None:
        """Clear the resting windows of a profile in the store that owns it, and return when that is published. Blocks.

        Raises:
            StoreBusyError: A live process holds the store's lock.
            StoreReadOnlyError: The store can't be written.
            StoreError: The agent sees no such profile.
        """
        self._check_events()
        auth = self.snapshot(agent_id)
        owner = next((profile.store for profile in auth.profiles if profile.id == profile_id), None)
        if owner is None:
            known = ", ".join(profile.id for profile in auth.profiles) or "none"
            raise StoreError(f"agent {auth.agent_id} sees no profile {profile_id!r}; it sees {known}")
        self._runtime.listener.tell(ForgetUsage(store=StoreId(owner), profiles=(profile_id,)))
        write_usage(
            owner,
            {profile_id: lambda windows: None if windows is None else cleared(windows)},
            lock_timeout_s=self._settings.lock_timeout_s,
        )
        scope = self._scope_of(auth.agent_id, profile_id)
        warm = self._make_warm(Scope.product(None, scope.providers), "cooldown-cleared", Reread.STORES, cancels=True)
        self._runtime.listener.tell(
            ForgiveScope(warm=warm, evidence_id=EvidenceId(profile_id), observed_at=self._runtime.clock.epoch())
        )
        self._wait_answered(warm.generation)

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Have a callback called with each change, on the notifier's thread; return what ends that.

        Changes come in the order in which they were published. What the callback raises is logged and survived.
        """
        return self._runtime.notifier.subscribe(callback)

    # -------------------------------------------------------------------------------------------------------- within

    def _warm(
        self, scope: Scope, reason: str, reread: Reread, *, cancels: bool = False, diff_only: bool = False
    ) -> Generation:
        warm = self._make_warm(scope, reason, reread, cancels=cancels, diff_only=diff_only)
        self._runtime.warmer.tell(warm)
        return warm.generation

    def _make_warm(
        self, scope: Scope, reason: str, reread: Reread, *, cancels: bool = False, diff_only: bool = False
    ) -> WarmScope:
        self._check_events()
        return WarmScope(
            generation=self._runtime.wants.mint(scope),
            scope=scope,
            reason=reason,
            cause_at=self._runtime.clock.monotonic(),
            reread=reread,
            cancels=cancels,
            diff_only=diff_only,
        )

    def _refresh_environment(self) -> None:
        self._check_events()
        reader = self._runtime.reader
        if reader is not None:
            reader.replace_environment(None)

    def _scope_of(self, agent_id: AgentId, evidence_id: str) -> Scope:
        auth = self._prepared.agents.get(agent_id)
        providers: set[ProviderId] = set()
        if auth is not None:
            for cell in auth.table.cells():
                if any(candidate.evidence.id == evidence_id for candidate in cell.candidates):
                    providers.add(cell.provider)
        return Scope.product((agent_id,), providers)

    def _wait_answered(self, generation: Generation) -> None:
        wants = self._runtime.wants
        if not self._runtime.bell.wait_until(lambda: not wants.is_open(generation), _ANSWER_TIMEOUT_S):
            raise StoreError(
                f"the store was changed, but the change was not published within {_ANSWER_TIMEOUT_S:g} s; see health()"
            )

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

    def _is_alive(self) -> bool:
        return not self._stopped and self._pid == os.getpid()

    def _check_events(self) -> None:
        if self._pid != os.getpid():
            raise ForkedError("this process was forked from the one that runs the supervisor; start one here")
        if self._thread is None or self._stopped:
            raise NotRunningError("the supervisor is not running: call start() first, and make a new one after stop()")

    def _log_warm(self, report: WarmReport) -> None:
        """Write the line that operators know (OpenClaw 2026.5.22, formats 6.3)."""
        gap_ms = self._gap.max_since(report.started_at, self._runtime.clock.monotonic()) if self._gap is not None else None
        tail = "" if gap_ms is None else f" eventLoopMax={gap_ms:.1f}ms"
        took = f"{report.duration_s * 1000:.0f}"
        bound = log.bind(generation=report.generation, agents=report.agents)
        if self._said_warm:
            bound.info("provider auth state re-warmed ({}) in {}ms{}", report.reason, took, tail)
        else:
            self._said_warm = True
            bound.info("provider auth state pre-warmed in {}ms{}", took, tail)

    def __repr__(self) -> str:
        state = "stopped" if self._stopped else "started" if self._thread is not None else "not started"
        return f"AuthSupervisor({self.home_path or '<by environment>'!r}, {state}, agents={len(self.agent_ids())})"


class _Held:
    """A given environment: its values show in no repr."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.mapping = dict(env)

    def __repr__(self) -> str:
        return f"<environment of {len(self.mapping)} variables>"


def started() -> tuple[AuthSupervisor, ...]:
    """Return the supervisors of this process that are started and not stopped."""
    return tuple(_STARTED)


def _not_fresh(verdict: Verdict) -> Verdict:
    return msgspec.structs.replace(verdict, fresh=False)


def _on_running_loop() -> bool:
    """Tell whether an event loop runs on this thread, without importing asyncio."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        return True
    return False


__all__ = ["AuthSupervisor", "started"]
