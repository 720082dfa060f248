"""Events: the half of the supervisor's face by which it hears that an answer may have changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from openclaw_actors.auth.binding import key_of
from openclaw_actors.auth.failures import after_success, cleared, normalise_reason
from openclaw_actors.auth.ledger import LedgerEntry, times_of
from openclaw_actors.auth.reports import Reported, find_reported, proved_bad, with_report
from openclaw_actors.credential import Credential
from openclaw_actors.errors import (
    ForkedError,
    NoSuchProfileError,
    NotRunningError,
    StoreError,
    StoreReadOnlyError,
    StoreUnreadableError,
)
from openclaw_actors.home.agents import normalise_agent_id
from openclaw_actors.home.providers import auth_provider, normalise_provider
from openclaw_actors.home.stores.json_files import PROFILES_FILE
from openclaw_actors.home.stores.usage_writer import remove_profiles, write_usage
from openclaw_actors.ids import AgentId, EvidenceId, Generation, StoreId
from openclaw_actors.messages import (
    ForgetUsage,
    ForgiveScope,
    HoldUsage,
    ReportFailure,
    ReportSuccess,
    Reread,
    WarmScope,
)
from openclaw_actors.prepared import AgentAuth, PreparedMap
from openclaw_actors.reads import Reads
from openclaw_actors.runtime import Runtime
from openclaw_actors.scope import Scope
from openclaw_actors.settings import Settings

_ANSWER_TIMEOUT_S = 30.0
"""How long a blocking write waits for its change to be published, in seconds."""


class Events(Reads):
    """Takes events in: any thread; each returns at once with the generation that will answer it, unless it says it
    blocks.

    `AuthSupervisor` is made of it.
    """

    def __init__(self, prepared: PreparedMap, runtime: Runtime, settings: Settings) -> None:
        super().__init__(prepared, runtime)
        self._settings = settings
        self._started = False

    def invalidate(self, scope: Scope, reason: str) -> Generation:
        """Have the cells of a scope answered again from their sources.

        Raises:
            TypeError: The scope is none, or names agents or providers by something else than texts.
        """
        return self._warm(_normalised(scope), _text("reason", reason), Reread.ALL)

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
            None if provider is None else (normalise_provider(_text("provider", provider)),),
        )
        warm = self._make_warm(scope, "recheck", Reread.ALL)
        self._struck.forget(scope)
        self._runtime.listener.tell(ForgiveScope(warm=warm, evidence_id=None, observed_at=self._runtime.clock.epoch()))
        return warm.generation

    def report_failure(
        self, evidence_id: str | Credential, reason: str, *, agent_id: str | None = None, model: str | None = None
    ) -> Generation:
        """Report that a provider refused a credential.

        One that is proved bad has stopped counting for this agent when the call returns: `has_auth` and `verdict` say
        so. About a millisecond later, and before anything is checked again, it is published for all who see it;
        `aio.fresh` with the generation waits for the check.

        Args:
            evidence_id: The credential that the request was made with, as `credential` returned it: should its secret
                have been replaced meanwhile, the new one isn't blamed. Or what the evidence is called, a profile id,
                `env:NAME` or `config:PROVIDER`, as `Verdict.evidence.id` has it: whatever it holds now.
            reason: One of OpenClaw's failure reasons (`auth`, `billing`, `rate_limit`…).
            agent_id: The agent that ran; None is the credential's, or else the default agent.
            model: The model that was asked for: a `rate_limit` rests just that one.

        Raises:
            UnknownReasonError: The reason is none of the table.
        """
        normal = normalise_reason(reason)
        report, found = self._report(
            partial(ReportFailure, reason=normal), evidence_id, agent_id, model, of_failure=True
        )
        auth = self._prepared.agents.get(report.agent_id)
        if found is not None and auth is not None:
            config = self._runtime.config()
            with self._struck.in_order:
                proved = proved_bad(
                    found,
                    auth.view,
                    self._struck.over(self._runtime.ledger),
                    reason=normal,
                    now=report.observed_at,
                    model=report.model,
                    cooldowns=config.cooldowns if config is not None else b"",
                )
                if proved is not None:
                    self._struck.put(report.agent_id, *proved, report.generation)
        self._runtime.listener.tell(report)
        return report.generation

    def report_success(
        self, evidence_id: str | Credential, *, agent_id: str | None = None, model: str | None = None
    ) -> Generation:
        """Report that a request with a credential succeeded: what spoke against it no longer does. Arguments are those
        of `report_failure`.
        """
        report, found = self._report(ReportSuccess, evidence_id, agent_id, model)
        auth = self._prepared.agents.get(report.agent_id)
        if found is not None and auth is not None:
            with self._struck.in_order:
                # a failure that is reported before the listener has this success must not be taken for the one before
                ledger, key = self._struck.over(self._runtime.ledger), key_of(found.candidate)
                if (known := ledger.get(key)) is not None:
                    now_ms = int(report.observed_at * 1000)
                    seen = times_of(found.candidate.windows)
                    entry = LedgerEntry(after_success(known.windows, now_ms), now_ms, seen=seen)
                    cells = with_report(found, auth.view, ledger, (key, entry), report.observed_at)
                    # what was said of other credentials of these cells a moment ago holds on
                    self._struck.put(report.agent_id, cells, (key, entry), report.generation, is_all=True)
        self._runtime.listener.tell(report)
        return report.generation

    def logout(self, provider: str, *, agent_id: str | None = None, profile_id: str | None = None) -> None:
        """Remove a provider's profiles from the stores that own them, and return when that is published. Blocks on the
        disk.

        Args:
            provider: In any spelling; profiles of providers that share its credentials are meant too.
            agent_id: Whose profiles; inherited ones are removed where they are, for all who see them.
            profile_id: Just this one.

        Raises:
            StoreBusyError: A live process holds the store's lock.
            StoreReadOnlyError: The store can't be written.
            StoreUnreadableError: The store is broken; it is left as it is.
            NoSuchProfileError: There is no such profile.
            StoreError: The change was not published within 30 s.
            NotRunningError: The supervisor isn't running, or was stopped before it published the change.
        """
        self._wait_answered(self._log_out(provider, agent_id, profile_id))

    def _log_out(self, provider: str, agent_id: str | None, profile_id: str | None) -> Generation:
        """Remove the profiles and have that published; return the attempt that will answer it."""
        self._check_events()
        auth, normal = self.snapshot(agent_id), normalise_provider(_text("provider", provider))
        target = auth_provider(normal)

        def is_meant(name: str, spelled: str) -> bool:
            return profile_id in (None, name) and auth_provider(normalise_provider(spelled)) == target

        by_store: dict[StoreId, list[str]] = {store: [] for store in self._stores_of(auth)}
        for profile in auth.profiles:
            if is_meant(profile.id, profile.provider):
                by_store.setdefault(StoreId(profile.store), []).append(profile.id)
        removed: dict[StoreId, tuple[str, ...]] = {}
        trouble: StoreError | None = None
        try:
            for store, names in sorted(by_store.items(), key=lambda item: not item[1]):
                try:
                    # what another process has stored a moment ago is logged out too, whether it was read yet or not
                    with self._usage_held(store, names) as forget:
                        timeout_s = self._settings.lock_timeout_s
                        gone = remove_profiles(store, names, also=is_meant, lock_timeout_s=timeout_s)
                        forget((*names, *gone), self._runtime.wants.latest)
                except (StoreUnreadableError, StoreReadOnlyError) as error:
                    if names:
                        raise
                    trouble = error  # there may be nothing to remove in this one
                    continue
                if gone or names:
                    removed[store] = gone
        finally:
            # also when the second of two stores is busy: the first one has changed
            providers = [normal, *(one for one in auth.table if auth_provider(one) == target)]
            scope = Scope.product(self._who_see(removed), providers)
            warm = self._make_warm(scope, "logout", Reread.STORES, cancels=True)
            self._runtime.warmer.tell(warm)
        if not removed and trouble is not None:
            raise trouble
        if not removed:
            raise NoSuchProfileError(
                f"no stored profile of {normal} to log out{'' if profile_id is None else f' named {profile_id}'}; "
                "`explain` says where its credentials are"
            )
        return warm.generation

    def clear_cooldown(self, profile_id: str, *, agent_id: str | None = None) -> None:
        """Clear the resting windows of a profile in the store that owns it, and return when that is published. Blocks.

        Raises:
            StoreBusyError: A live process holds the store's lock.
            StoreReadOnlyError: The store can't be written.
            NoSuchProfileError: The agent sees no such profile.
        """
        self._check_events()
        auth = self.snapshot(agent_id)
        owner = next((profile.store for profile in auth.profiles if profile.id == profile_id), None)
        if owner is None:
            known = ", ".join(profile.id for profile in auth.profiles) or "none"
            raise NoSuchProfileError(f"agent {auth.agent_id} sees no profile {profile_id!r}; it sees {known}")
        newest = self._runtime.wants.latest
        with self._usage_held(StoreId(owner), (profile_id,)) as forget:
            write_usage(
                owner,
                {profile_id: lambda windows: None if windows is None else cleared(windows)},
                lock_timeout_s=self._settings.lock_timeout_s,
            )
            forget((profile_id,), newest)
        providers = self._scope_of(auth.agent_id, profile_id).providers
        scope = Scope.product(self._who_see((StoreId(owner),)), providers)
        warm = self._make_warm(scope, "cooldown-cleared", Reread.STORES, cancels=True)
        self._struck.forget(scope)
        self._runtime.listener.tell(
            ForgiveScope(warm=warm, evidence_id=EvidenceId(profile_id), observed_at=self._runtime.clock.epoch())
        )
        self._wait_answered(warm.generation)

    @contextlib.contextmanager
    def _usage_held(
        self, store: StoreId, profiles: Iterable[str]
    ) -> Iterator[Callable[[Iterable[str], Generation], object]]:
        """Have no usage of these profiles written meanwhile, and give what drops what was reported up to an attempt,
        for when it is sure that it is to be dropped: a change that fails loses no report.
        """
        names, tell = tuple(profiles), self._runtime.listener.tell
        tell(HoldUsage(store=store, profiles=names))
        try:
            yield lambda gone, until: tell(ForgetUsage(until=until, store=store, profiles=tuple(dict.fromkeys(gone))))
        finally:
            tell(HoldUsage(store=store, profiles=names, over=True))

    def _report(
        self,
        make: Callable[..., ReportFailure | ReportSuccess],
        named: str | Credential,
        agent_id: str | None,
        model: str | None,
        *,
        of_failure: bool = False,
    ) -> tuple[ReportFailure | ReportSuccess, Reported | None]:
        """Make a report and the attempt that will answer it, and find what it is about."""
        self._check_events()
        evidence_id: object = named
        digests: tuple[bytes, ...] = ()
        if isinstance(named, Credential):
            evidence_id, digests = named.evidence_id, named._digests
            agent_id = named.agent_id if agent_id is None else agent_id
        evidence_id, model = _text("evidence_id", evidence_id), None if model is None else _text("model", model)
        wanted, clock = self._agent_id(agent_id), self._runtime.clock
        found = self._find(wanted, evidence_id, digests)
        # whoever sees the same store is meant too; the listener narrows it to them
        scope = Scope.product(None, {cell.provider for cell in found.cells} if found is not None else ())
        report = make(
            generation=self._runtime.wants.mint(scope, of_report=True, of_failure=of_failure),
            agent_id=wanted,
            evidence_id=EvidenceId(evidence_id),
            model=model,
            observed_at=clock.epoch(),
            cause_at=clock.monotonic(),
            digests=digests,
        )
        return report, found

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
        # whoever sees the same store is meant too; the listener narrows it to them
        found = self._find(agent_id, evidence_id)
        return Scope.product(None, {cell.provider for cell in found.cells} if found is not None else ())

    def _find(self, agent_id: AgentId, evidence_id: str, digests: tuple[bytes, ...] = ()) -> Reported | None:
        auth = self._prepared.agents.get(agent_id)
        return find_reported(auth.table, auth.view, evidence_id, digests) if auth is not None else None

    def _stores_of(self, auth: AgentAuth) -> list[StoreId]:
        """Return the stores of JSON files that an agent sees and that are there. Looks at the disk."""
        config = self._runtime.config()
        seen = dict.fromkeys((auth.agent_dir, config.main_store if config is not None else ""))
        return [StoreId(one) for one in seen if one and os.path.isfile(os.path.join(one, PROFILES_FILE))]

    def _who_see(self, stores: Iterable[StoreId]) -> list[AgentId]:
        """Return the published agents that see one of some stores, whether they have seen anything in it or not."""
        wanted, config = set(stores), self._runtime.config()
        everyone = list(self._prepared.agents.values())
        if config is not None and config.main_store in wanted:
            return [one.agent_id for one in everyone]
        return [one.agent_id for one in everyone if one.agent_dir in wanted or one.view.own in wanted]

    def _wait_answered(self, generation: Generation) -> None:
        wants = self._runtime.wants
        ended = self._runtime.ended.is_set
        self._runtime.bell.wait_until(lambda: not wants.is_open(generation) or ended(), _ANSWER_TIMEOUT_S)
        self._check_answered(generation)

    def _check_answered(self, generation: Generation) -> None:
        if self._runtime.wants.is_open(generation):
            if self._runtime.ended.is_set():
                raise NotRunningError("the store was changed; the supervisor was stopped before it published that")
            raise StoreError(
                f"the store was changed, but the change was not published within {_ANSWER_TIMEOUT_S:g} s; see health()"
            )

    def _check_events(self) -> None:
        if self._started and not self._runtime.wants.is_live and not self._stopped:
            raise ForkedError("this process was forked from the one that runs the supervisor; start one here")
        if not self._started or self._stopped or self._runtime.ended.is_set():
            raise NotRunningError("the supervisor is not running: call start() first, and make a new one after stop()")


def _text(name: str, value: object) -> str:
    """Return an argument that is a proper text; what isn't one must not reach a file or an actor."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds half of a surrogate pair, which is no text") from None
    return value


def _normalised(scope: object) -> Scope:
    """Return a scope with agent and provider ids as the map has them."""
    if not isinstance(scope, Scope):
        raise TypeError(f"scope must be a Scope, not {type(scope).__name__}")
    if scope.pairs is not None:
        return Scope.cells(
            (normalise_agent_id(_text("agent", agent)), normalise_provider(_text("provider", provider)))
            for agent, provider in scope.pairs
        )
    agents, providers = scope.agents, scope.providers
    return Scope.product(
        None if agents is None else [normalise_agent_id(_text("agent", one)) for one in agents],
        None if providers is None else [normalise_provider(_text("provider", one)) for one in providers],
    )
