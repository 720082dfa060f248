"""What those do who embed a supervisor."""

from __future__ import annotations

from pathlib import Path

from openclaw_actors.errors import OpenclawActorsError
from openclaw_actors.home.agents import normalise_agent_id
from openclaw_actors.ids import ProviderId
from openclaw_actors.scope import Scope
from openclaw_actors.testing.simulation.state import AGENTS, CUSTOM, PROFILES, PROVIDERS, REPORTED, SHOWN, WorldState

REASONS = ("auth", "auth", "rate_limit", "billing", "overloaded", "format", "session_expired")
PROVE_BAD = ("auth", "billing", "session_expired")
REFUSED_S = 20.0
"""For how long a refused credential can't come back by itself: OpenClaw's shortest window is 30 s (formats 7.1)."""
_TAKEN_IN_S = 1.0
"""How long it takes at most until what another process wrote was read."""


class EmbedderActs(WorldState):
    """Reports, events, blocking writes and reads."""

    def _do_report_failure(self, agent: int, profile: int, reason: int) -> str:
        who, what, why = AGENTS[agent % 3], REPORTED[profile % 4], REASONS[reason % len(REASONS)]
        self.failures[what] += 1
        self.supervisor.report_failure(what, why, agent_id=who)
        provider = CUSTOM if what.startswith("config:") else what.partition(":")[0]
        verdict = self.supervisor.verdict(provider, agent_id=who)
        now_s, now_ms = self.supervisor.clock.monotonic(), int(self.supervisor.clock.epoch() * 1000)
        replaced = [one.at_ms for one in self.supervisor.runtime.remembered.replaced.values()]
        at_once = now_ms in replaced or self._accepted_at.get(what) == now_s
        if at_once or now_s - self._used_at < _TAKEN_IN_S or self.supervisor.snapshot(who).view.unread:
            pass  # what was used, or replaced, at this moment may be newer than the refusal; what is unread, better
        elif why in PROVE_BAD and verdict.evidence is not None and verdict.evidence.id == what and not verdict.has_auth:
            ends_s = (verdict.valid_until or float("inf")) - self.supervisor.clock.epoch()
            self.refused[who, provider, what] = (self.secret(who, what), now_s + min(REFUSED_S, ends_s))
        return f"{who} reports {what}: {why}"

    def _do_report_success(self, agent: int, profile: int, _c: int) -> str:
        who, what = AGENTS[agent % 3], REPORTED[profile % 4]
        self._forget_refused(profile=what)
        self._accepted_at[what] = self.supervisor.clock.monotonic()
        self.supervisor.report_success(what, agent_id=who)
        return f"{who} reports {what}: success"

    def _do_log_out(self, agent: int, provider: int, _c: int) -> str:
        who, what = AGENTS[agent % 3], PROVIDERS[provider % 3]
        auth = self.supervisor.snapshot(who)
        self._forget_refused(provider=what)
        self.cleared.add(f"{what}:work")
        try:
            self.supervisor.logout(what, agent_id=who)
        except OpenclawActorsError as error:
            return f"{who} can't log out of {what}: {type(error).__name__}"
        finally:
            self._look_at_stores()
            for agent_dir in sorted({auth.agent_dir, *(profile.store for profile in auth.profiles)}):
                if agent_dir:
                    self._happened(Path(agent_dir) / "auth-profiles.json")
        return f"{who} logs out of {what}"

    def _do_clear_cooldown(self, agent: int, profile: int, _c: int) -> str:
        who, what = AGENTS[agent % 3], PROFILES[profile % 3]
        self._forget_refused(profile=what)
        self.cleared.add(what)
        try:
            self.supervisor.clear_cooldown(what, agent_id=who)
        except OpenclawActorsError as error:
            return f"{who} can't clear {what}: {type(error).__name__}"
        return f"{who} clears the cooldown of {what}"

    def _do_recheck(self, provider: int, agent: int, _c: int) -> str:
        what = (None, *PROVIDERS)[provider % 4]
        who = (None, *AGENTS)[agent % 4]
        self._forget_refused(provider=what)
        self.cleared.update(PROFILES)
        self.supervisor.recheck(what, agent_id=who)
        return f"a recheck of {what or 'everything'} for {who or 'everybody'}"

    def _do_invalidate(self, provider: int, agent: int, _c: int) -> str:
        who, what = (*AGENTS, None)[agent % 4], (*PROVIDERS, None)[provider % 4]
        scope = Scope.product(
            None if who is None else (normalise_agent_id(who),), None if what is None else (ProviderId(what),)
        )
        self.supervisor.invalidate(scope, "simulated")
        return f"{what or 'everything'} of {who or 'everybody'} is invalidated"

    def _do_reload_config(self, _a: int, _b: int, _c: int) -> str:
        self.supervisor.reload_config()
        return "the config is reloaded"

    def _do_reload_plugins(self, _a: int, _b: int, _c: int) -> str:
        self.supervisor.reload_plugins()
        return "the plugins are reloaded"

    def _do_read(self, agent: int, provider: int, _c: int) -> str:
        who, what = (*AGENTS, "nobody")[agent % 4], (*SHOWN, "amazon-bedrock", "no-such")[provider % 6]
        verdict = self.supervisor.verdict(what, agent_id=who)
        assert verdict.has_auth == self.supervisor.has_auth(what, agent_id=who), "reads agree with each other"
        self.supervisor.models(agent_id=who)
        self.supervisor.health()
        return f"{what} of {who} is read: {verdict.state}"

    def _do_hold_snapshot(self, _a: int, _b: int, _c: int) -> str:
        return "a reader holds a snapshot"
