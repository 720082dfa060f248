"""Any history of edits, events, failures and deaths ends in the answers that a start from scratch would give."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from rig import CODEX, HOME_SOURCE, Rig, api_key, custom

from openclaw_actors.actors.publisher import REMOVED, RETURNED
from openclaw_actors.actors.wakings import CLOCK_LOOK_S
from openclaw_actors.auth.verdict import Verdict
from openclaw_actors.changes import Change
from openclaw_actors.errors import StoreError
from openclaw_actors.messages import ResyncDue, SourceRead, SourcesTouched, StampsChecked, SweepFinished
from openclaw_actors.prepared import AgentAuth
from openclaw_actors.testing import VirtualClock

AGENTS = ("main", "ops", "lab")
SHARED = "shared"
PROVIDERS = ("openai", "zai", "groq")
PROFILES = ("openai:work", "zai:work", "groq:work")
REASONS = ("auth", "rate_limit", "billing", "overloaded", "format")
SPANS_S = (0.001, 0.02, 0.06, 0.26, 1.0, 5.1, 31.0, 400.0)
JUMPS_S = (-86_400.0, -40.0, -0.4, 40.0, 86_400.0)

agents = st.sampled_from(AGENTS)
Answer = tuple[str, bool, str | None, bool]


class FreshnessMachine(RuleBasedStateMachine):
    """A rig under any history, with what must hold at each moment and in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.held: list[tuple[AgentAuth, dict[str, Answer]]] = []
        self.revisions: dict[str, int] = {}
        self.generations: dict[tuple[str, str], int] = {}
        self.profiles: dict[str, dict[str, dict[str, object]] | None] = {}
        self.configured: list[Any] = ["main", "ops"]
        self.providers: dict[str, dict[str, object]] = {}
        self.on_hold: set[str] = set()
        self.order: list[str] = []
        self.published: list[tuple[AgentAuth, tuple[Change, ...]]] = []

    @initialize(seed=st.integers(0, 2**16), is_torn=st.booleans())
    def start(self, seed: int, is_torn: bool) -> None:
        self.rig = Rig(self.folder, tuple(self.configured), seed, sweep_slice_checks=2)
        for agent in AGENTS:
            self.profiles[agent] = {"openai__work": api_key("openai", agent)} if agent != "lab" else None
            self._write_store(agent)
        if is_torn:
            self.tear_config()
        tell_published = self.rig.runtime.published

        def note(auth: AgentAuth, changes: tuple[Change, ...]) -> None:
            self.published.append((auth, changes))
            tell_published(auth, changes)

        self.rig.runtime.published = note  # type: ignore[method-assign]
        self.feed, _ = self.rig.runtime.notifier.follow(lambda: None)
        self.rig.begin()

    # ------------------------------------------------------------------------------------------------- the disk

    @rule(agent=agents, provider=st.sampled_from(PROVIDERS), key=st.integers(0, 2), there=st.booleans())
    def edit_store(self, agent: str, provider: str, key: int, there: bool) -> None:
        profiles = dict(self.profiles[agent] or {})
        profiles.pop(f"{provider}__work", None)
        if there:
            profiles[f"{provider}__work"] = api_key(provider, f"{agent}{key}")
        self.profiles[agent] = profiles
        self._write_store(agent)

    @rule(agent=agents)
    def remove_store(self, agent: str) -> None:
        self.profiles[agent] = None
        self._write_store(agent)

    @rule(agent=agents)
    def tear_store(self, agent: str) -> None:
        self.rig.files.replace(self._store_path(agent), '{"profiles": {"op')

    @rule(agent=agents)
    def mend_store(self, agent: str) -> None:
        self._write_store(agent)

    @rule(agent=agents, provider=st.sampled_from(PROVIDERS), how=st.integers(0, 5))
    def write_usage_elsewhere(self, agent: str, provider: str, how: int) -> None:
        """Do what another process does that used a credential: successfully, or not."""
        now_ms = int(self.rig.clock.epoch() * 1000)
        stats: dict[str, object] = {"lastUsed": now_ms + how}
        if how > 2:
            reason, until = ("auth", "rate_limit", "billing")[how - 3], now_ms + 30_000
            lane = "disabled" if reason == "billing" else "cooldown"
            stats = {"lastFailureAt": now_ms, "errorCount": 1, f"{lane}Until": until, f"{lane}Reason": reason}
        self.rig.files.write_usage(agent, **{f"{provider}__work": stats})

    @rule(agent=agents, key=st.integers(0, 2))
    def edit_store_unseen(self, agent: str, key: int) -> None:
        """Replace a key under the very stamp that the file had, as a copy that keeps times does."""
        path, profiles = self._store_path(agent), self.profiles[agent]
        if not profiles or not path.exists():
            return
        before = path.stat()
        self.profiles[agent] = {name: api_key(str(one["provider"]), f"{agent}{key}") for name, one in profiles.items()}
        self._write_store(agent)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    @rule(order=st.permutations(PROFILES))
    def edit_order(self, order: list[str]) -> None:
        self.order = [name for name in order if name.startswith("openai")]
        self._write_config()

    @rule(key=st.integers(0, 2))
    def edit_provider(self, key: int) -> None:
        self.providers = {"acme": {**custom(), "apiKey": f"canary-acme-{key}-000"}} if key else {}
        self._write_config()

    @rule(with_ops=st.booleans(), with_lab=st.booleans(), share=st.booleans())
    def edit_agents(self, with_ops: bool, with_lab: bool, share: bool) -> None:
        self.configured = ["main"]
        if with_ops:
            self.configured.append("ops")
        if with_lab:
            entry = {"id": "lab", "agentDir": str(self.folder / SHARED)}
            self.configured.append(entry if share else "lab")
        self._write_config()

    @rule()
    def tear_config(self) -> None:
        self.rig.files.replace(self.rig.files.path / "openclaw.json", "{ agents: {")

    @rule()
    def mend_config(self) -> None:
        self._write_config()

    # ----------------------------------------------------------------------------------------------- the events

    @rule(data=st.data())
    def touch(self, data: st.DataObject) -> None:
        known = (HOME_SOURCE, CODEX, *(self.rig.store(agent) for agent in AGENTS))
        sources = tuple(data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=4)))
        for _ in range(data.draw(st.integers(1, 3))):
            self.rig.runtime.warmer.tell(SourcesTouched(sources=sources, cause_at=self.rig.clock.monotonic()))

    @rule(agent=agents, profile=st.sampled_from(PROFILES), reason=st.sampled_from(REASONS))
    def report_failure(self, agent: str, profile: str, reason: str) -> None:
        self.rig.report_failure(profile, reason, agent_id=agent)

    @rule(agent=agents, profile=st.sampled_from(PROFILES))
    def report_success(self, agent: str, profile: str) -> None:
        self.rig.report_success(profile, agent_id=agent)

    @rule(agent=agents, provider=st.sampled_from(PROVIDERS))
    def log_out(self, agent: str, provider: str) -> None:
        auth = self.rig.map.agents.get(agent)  # type: ignore[call-overload]
        if auth is None:
            return
        try:
            self.rig.events._log_out(provider, agent, None)
        except StoreError:
            return  # nothing to log out, or the store is torn at the moment
        for profile in auth.profiles:
            if profile.provider == provider:
                for owner in AGENTS:
                    if str(self.rig.files.agent_dir(owner)) == profile.store:
                        (self.profiles[owner] or {}).pop(profile.id.replace(":", "__"), None)

    @rule(provider=st.sampled_from((None, *PROVIDERS)))
    def recheck(self, provider: str | None) -> None:
        self.rig.events.recheck(provider)

    @rule()
    def reload_config(self) -> None:
        self.rig.events.reload_config()

    @rule()
    def reload_plugins(self) -> None:
        self.rig.events.reload_plugins()

    @rule()
    def resync(self) -> None:
        self.rig.runtime.warmer.tell(ResyncDue())

    @rule(back=st.integers(1, 60))
    def repeat_a_result(self, back: int) -> None:
        """Have a result arrive again, late and out of order."""
        results = [
            (name, message)
            for name, message in self.rig.dispatcher.history[-200:]
            if isinstance(message, SourceRead | SweepFinished | StampsChecked)
        ]
        if results:
            name, message = results[-back % len(results)]
            address = {"warmer": self.rig.runtime.warmer, "watcher": self.rig.runtime.watcher}[name]
            address.tell(message)

    @rule(data=st.data())
    def hold_or_release(self, data: st.DataObject) -> None:
        source = data.draw(st.sampled_from((HOME_SOURCE, CODEX, *(self.rig.store(agent) for agent in AGENTS))))
        if source in self.on_hold:
            self.on_hold.discard(source)
            self.rig.dispatcher.release(source)
        else:
            self.on_hold.add(source)
            self.rig.dispatcher.hold(source)

    @rule(name=st.sampled_from(("warmer", "failure-listener", "watcher", "agent-main")))
    def kill(self, name: str) -> None:
        for lane in self.rig.dispatcher._lanes:
            if lane.name == name and lane.actor is not None:
                lane.actor._end("killed by the test", RuntimeError("killed"))
                break

    # ------------------------------------------------------------------------------------------------- the time

    @rule(span_s=st.sampled_from(SPANS_S))
    def advance(self, span_s: float) -> None:
        self.rig.advance(span_s)
        self.rig.supervise()

    @rule(jump_s=st.sampled_from(JUMPS_S))
    def set_the_clock(self, jump_s: float) -> None:
        self.rig.clock.jump_epoch(jump_s)

    @rule(steps=st.integers(1, 40))
    def step(self, steps: int) -> None:
        for _ in range(steps):
            self.rig.dispatcher.step()
            self._check()

    @rule(agent=agents)
    def take_snapshot(self, agent: str) -> None:
        auth = self.rig.map.agents.get(agent)  # type: ignore[call-overload]
        if auth is not None:
            self.held.append((auth, _content(auth)))

    # ------------------------------------------------------------------------------------------------- what must hold

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "rig"):
            self._check()

    def _check(self) -> None:
        for agent, auth in self.rig.map.agents.items():
            assert auth.revision >= self.revisions.get(agent, 0), "revisions never go back"
            self.revisions[agent] = auth.revision
            for provider in ("openai", "zai", "acme"):
                generation = auth.generation_of(provider)  # type: ignore[arg-type]
                assert generation >= self.generations.get((agent, provider), 0), "generations never go back"
                self.generations[agent, provider] = generation
        for auth, content in self.held[-3:]:
            assert _content(auth) == content, "a snapshot never changes"

    def teardown(self) -> None:
        if not hasattr(self, "rig"):
            return
        try:
            self._settle()
            self._compare()
            self._check_changes()
        finally:
            self.rig.end()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _settle(self) -> None:
        """Mend everything, say so, and let everything that is due happen."""
        rig = self.rig
        for source in self.on_hold:
            rig.dispatcher.release(source)
        for _ in range(8):
            rig.supervise()
            rig.advance(rig.settings.restart_max_s)
        for agent in AGENTS:
            self._write_store(agent)
        self._write_config()
        rig.touch_all()
        rig.advance(rig.settings.retry_max_s + 1.0)
        rig.touch_all()
        # a clock that was set is noticed, and uses are followed
        rig.advance(CLOCK_LOOK_S + 2.0)
        self._check()

    def _check_changes(self) -> None:
        """Hold what a follower was told against what was published: each change once, in order, old fitting to new."""
        told: list[Change] = []
        while (change := self.feed.take()) is not None:
            told.append(change)
        assert told == [change for auth, changes in self.published for change in changes if auth.agent_id in AGENTS]
        sequences = [change.sequence for _, changes in self.published for change in changes]
        assert sequences == list(range(1, len(sequences) + 1))
        shown: dict[str, AgentAuth] = {}
        mirror: dict[tuple[str, str], Verdict] = {}
        for auth, changes in self.published:
            before = shown.get(auth.agent_id)
            shown[auth.agent_id] = auth
            for change in changes:
                cell = (change.agent_id, change.provider)
                # what OpenClaw would say of an agent that isn't there is what it says of main, and no answer of its own
                known, old = mirror.get(cell, change.old), change.old
                assert (known.state, known.evidence) == (old.state, old.evidence), "nothing is left out"
                mirror[cell] = change.new
                if change.reason == REMOVED:
                    assert shown.pop(auth.agent_id, auth) is auth
                    assert (change.new.state, change.revision) == ("missing", auth.revision + 1)
                    continue
                if change.reason == RETURNED:
                    assert before is None
                    assert change.old.state == "missing"
                    continue
                assert before is not None, "a first publication is no change"
                assert change.revision == auth.revision > before.revision
                assert _said(change.old) == _said(before.verdict(change.provider))
                assert _said(change.new) == _said(auth.verdict(change.provider)) != _said(change.old)

    def _compare(self) -> None:
        """Hold the answers against those of a rig that starts now, with the same reports and replaced secrets."""
        rig = self.rig
        assert rig.open_generations() == ()
        for auth in rig.map.agents.values():
            assert all(verdict.fresh for verdict in auth.verdicts.values())
        clock = VirtualClock(epoch=rig.clock.epoch())
        fresh = Rig(self.folder, (), clock=clock, ledger=rig.runtime.ledger)
        fresh.runtime._remembered.replaced.update(rig.runtime._remembered.replaced)
        try:
            fresh.warm()
            assert _cells(rig) ^ _cells(fresh) == set()
        finally:
            fresh.end()

    # ------------------------------------------------------------------------------------------------- writing

    def _store_path(self, agent: str) -> Path:
        return self.rig.files.profiles_path(agent)

    def _write_store(self, agent: str) -> None:
        profiles, path = self.profiles[agent], self._store_path(agent)
        if profiles is None:
            path.unlink(missing_ok=True)
        else:
            self.rig.files.write_profiles(agent, **profiles)

    def _write_config(self) -> None:
        self.rig.files.config = {
            "models": {"providers": self.providers},
            "auth": {"order": {"openai": self.order} if self.order else {}},
        }
        self.rig.files.write_agents(*self.configured)


def _said(verdict: Verdict) -> tuple[object, ...]:
    """Return what a verdict says to a reader."""
    return tuple(getattr(verdict, name) for name in verdict.__struct_fields__ if name not in ("generation", "fresh"))


def _content(auth: AgentAuth) -> dict[str, Answer]:
    return {
        provider: (str(one.state), one.presence, one.evidence.id if one.evidence else None, one.has_auth)
        for provider, one in auth.verdicts.items()
        if provider in (*PROVIDERS, "acme")
    }


def _cells(rig: Rig) -> set[tuple[str, str, Answer]]:
    return {(agent, provider, cell) for agent, cells in rig.answers().items() for provider, cell in cells.items()}


TestFreshness = FreshnessMachine.TestCase
TestFreshness.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
