"""Shorthands on a stepped supervisor: what nearly every test of the protocol asks and does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from openclaw_actors.auth.verdict import Verdict
from openclaw_actors.counters import Stats
from openclaw_actors.ids import AgentId, Generation
from openclaw_actors.messages import Reread, ResyncDue, WarmScope
from openclaw_actors.prepared import AgentAuth
from openclaw_actors.scope import Scope
from openclaw_actors.settings import Settings
from openclaw_actors.testing import HomeFiles, SteppedSupervisor, VirtualClock, api_key, custom

HOME_SOURCE = "home"
CODEX, CLAUDE = "cli:codex", "cli:claude"


class Rig(SteppedSupervisor):
    """A stepped supervisor on a folder; nothing is watched, tests tell of changes themselves."""

    def __init__(
        self,
        folder: Path,
        agents: tuple[str | Mapping[str, object], ...] = ("main",),
        seed: int | None = None,
        *,
        strict: bool = True,
        clock: VirtualClock | None = None,
        instance_id: str = "rig",
        **settings: Any,
    ) -> None:
        files = HomeFiles(folder)
        if agents:
            files.write_agents(*agents)
        super().__init__(
            files,
            settings=Settings(**{"watch": False, "resync_interval_s": 1e9, **settings}),
            seed=seed,
            strict=strict,
            clock=clock,
            instance_id=instance_id,
            watches=False,
        )
        if self.settings.watch:
            self.runtime.open_watcher = self.runtime._open_watcher
        self.published: list[AgentAuth] = []
        """Every publication, in order."""
        self._tell_published = self.runtime.published
        self.runtime.published = self._note_published  # type: ignore[method-assign]

    # ---------------------------------------------------------------------------------------------------------- moving

    def touch_all(self, *, run: bool = True) -> None:
        """Have the WarmerActor look at everything that it reads again."""
        self.touch(*self.read_sources(), run=run)

    def resync(self) -> None:
        """Do a resync, up to where it says what no event has told of."""
        self.inject("warmer", ResyncDue())
        self.advance(0.02 * len(self.read_sources()) + 2.5 * max(1.0, 2 * self.settings.poll_interval_s))

    def to_warmer(self, message: object) -> None:
        """Tell the WarmerActor something."""
        self.inject("warmer", message)

    def refuse(self, evidence: str = "openai:work", reason: str = "auth", **who: Any) -> Generation:
        """Report that a credential was refused; it is on its way then."""
        return self.report_failure(evidence, reason, **who)

    def accept(self, evidence: str = "openai:work", **who: Any) -> Generation:
        """Report that a credential was accepted; it is on its way then."""
        return self.report_success(evidence, **who)

    # --------------------------------------------------------------------------------------------------------- looking

    def read_sources(self) -> list[str]:
        """Return everything that is read."""
        return sorted(self.warmer._desk.board.records)

    @property
    def warmer(self) -> Any:
        """The living WarmerActor."""
        return self.dispatcher.actor("warmer")

    def answer(self, agent: str = "main", provider: str = "openai", model: str | None = None) -> Verdict:
        """Return an answer as readers get it."""
        return self.verdict(provider, agent_id=agent, model=model)

    def state(self, agent: str = "main", provider: str = "openai", model: str | None = None) -> str:
        """Return the state of an answer."""
        return str(self.answer(agent, provider, model).state)

    def auth(self, agent: str = "main") -> AgentAuth:
        """Return the published answers of an agent."""
        return self.published_agents[AgentId(agent)]

    def since(self, before: Stats) -> dict[str, int]:
        """Return what has been counted since; what hasn't moved is left out."""
        now = self.stats()
        moved = {name: getattr(now, name) - getattr(before, name) for name in now.__struct_fields__}
        return {name: count for name, count in moved.items() if count}

    def answers(self) -> dict[str, dict[str, tuple[str, bool, str | None, bool]]]:
        """Return every answer: agent → provider → state, presence, evidence, has_auth."""
        return {
            str(agent): {
                provider: (str(one.state), one.presence, one.evidence.id if one.evidence else None, one.has_auth)
                for provider, one in auth.verdicts.items()
            }
            for agent, auth in self.published_agents.items()
        }

    def _note_published(self, auth: AgentAuth, changes: tuple[Any, ...]) -> None:
        self.published.append(auth)
        self._tell_published(auth, changes)


def wanting(rig: Rig, scope: Scope, reread: Reread = Reread.NOTHING, *, reload: bool = False) -> WarmScope:
    """Return a wish for a scope (or for what a reload changes in it), with a generation of its own."""
    return WarmScope(
        generation=rig.runtime.wants.mint(scope),
        scope=scope,
        reason="test",
        cause_at=rig.clock.monotonic(),
        reread=reread,
        cancels=reload,
        diff_only=reload,
    )


class MakeRig(Protocol):
    """Makes a rig on a test's home; it has not begun yet."""

    def __call__(self, *agents: Any, seed: int | None = None, **settings: Any) -> Rig: ...


__all__ = ["CLAUDE", "CODEX", "HOME_SOURCE", "MakeRig", "Rig", "api_key", "custom", "wanting"]
