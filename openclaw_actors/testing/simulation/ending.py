"""What must hold in the end: the answers are those of a fresh start, what was reported is on disk, and a calm world is
followed as promised.
"""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw_actors.auth.ledger import LedgerKey, latest_time
from openclaw_actors.auth.verdict import State
from openclaw_actors.home.facts import StoreFacts
from openclaw_actors.messages import ResyncDue
from openclaw_actors.testing.home import api_key
from openclaw_actors.testing.simulation.promise import Answer, Violation, answers_of, promise, told
from openclaw_actors.testing.simulation.state import AGENTS
from openclaw_actors.testing.simulation.world import World

_SHOWS_S = 0.4
"""Within how many seconds an edit shows when everything is calm."""
_CHECKS_PER_PROVIDER = 3
"""How many cells of an agent one provider's credential touches at most: it may have aliases."""
_USE_S = 10.0
"""Within how many seconds a use has been taken in."""


class Ending:
    """Looks at a world in which everything is well again."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._supervisor = world.supervisor

    def check(self) -> None:
        """Check all of that; the world goes on a little meanwhile."""
        self._compare_with_twin()
        self._look_at_disk()
        self._look_at_use()
        self._look_at_edits()

    def _compare_with_twin(self) -> None:
        mine = self._everything(self._supervisor)
        twin = self._supervisor.twin()
        try:
            twin.warm()
            theirs = self._everything(twin)
        finally:
            twin.stop()
        if mine != theirs:
            here = {(agent, provider): answer for agent, provider, answer in mine}
            there = {(agent, provider): answer for agent, provider, answer in theirs}
            which = min(key for key in here.keys() | there.keys() if here.get(key) != there.get(key))
            raise Violation(
                f"any history ends in what a fresh start would answer: {which[1]} of {which[0]} is "
                f"{told(here.get(which))} here, and would be {told(there.get(which))}"
            )

    def _look_at_use(self) -> None:
        """Hold against the promise that usage costs no check: write a use that changes no answer."""
        supervisor = self._supervisor
        ends = [auth.table.valid_until for auth in supervisor.published_agents.values()]
        if any(end is not None and end < supervisor.clock.epoch() + 2 * _USE_S for end in ends):
            return  # time itself changes an answer meanwhile
        if supervisor.verdict("openai", agent_id="main").state != State.USABLE:
            return  # a use is a success: it would bring back what was refused
        before, answers = supervisor.stats(), self._everything(supervisor)
        path = self._world.files.usage_path("main")
        try:
            document = msgspec.json.decode(path.read_bytes())
        except OSError:
            document = {"version": 1}
        used_ms = int(supervisor.clock.epoch() * 1000)
        stats = document.setdefault("usageStats", {})
        failed = {"lastFailureAt": stats.get("openai:work", {}).get("lastFailureAt", 0)}
        stats["openai:work"] = {"lastUsed": used_ms, **failed}
        self._world.files.replace(path, msgspec.json.encode(document).decode())
        supervisor.advance(_USE_S)
        after = supervisor.stats()
        promise(after.provider_checks == before.provider_checks, "a use costs no check")
        differing = sorted(self._everything(supervisor) ^ answers, key=str)
        promise(not differing, f"a use changes no answer: {differing[:4]}")

    def _look_at_disk(self) -> None:
        """Hold what was reported against the stores: what is known of a stored secret is written by now."""
        world, ledger = self._world, self._supervisor.runtime.ledger
        for key, entry in ledger.items():
            agent = next((one for one in AGENTS if str(world.files.agent_dir(one)) == key.store), None)
            if agent is None or not self._is_stored(key) or key.evidence_id in world.cleared:
                continue
            try:
                stats = msgspec.json.decode(world.files.usage_path(agent).read_bytes()).get("usageStats", {})
            except OSError:
                stats = {}
            written = stats.get(key.evidence_id, {})
            newest_ms = max(written.get("lastUsed", 0), written.get("lastFailureAt", 0))
            known_ms = latest_time(entry.windows)
            if world.coverage.done["set_clock"]:
                # usage is written by name, whichever secret it is of, and what came last may have the earlier date
                of_name = (
                    of for one, of in ledger.items() if (one.store, one.evidence_id) == (key.store, key.evidence_id)
                )
                known_ms = min(of.windows.last_failure_at or of.windows.last_used or 0 for of in of_name)
            # a key of that name that was replaced may rest for the same reason still: its window does for both
            ours, theirs = entry.windows, (written.get("disabledReason"), written.get("cooldownReason"))
            is_held = {ours.disabled_reason, ours.cooldown_reason} - {None} <= {*theirs} != {None}
            promise(
                newest_ms >= known_ms or is_held, f"what was reported is written: {key.evidence_id} of {agent} is not"
            )
            most = world.failures[key.evidence_id]
            promise(written.get("errorCount", 0) <= most, f"no failure is written twice: {key.evidence_id} of {agent}")

    def _is_stored(self, key: LedgerKey) -> bool:
        """Tell whether a store holds this very secret still: usage is written by name, the newest secret's last."""
        facts = self._supervisor.runtime.remembered.facts.get(f"store:{key.store}")
        return isinstance(facts, StoreFacts) and any(
            (one.outline.id, one.digest) == (key.evidence_id, key.digest) for one in facts.profiles
        )

    def _look_at_edits(self) -> None:
        """Edit one credential, and then a config key that no answer depends on, as everything is calm."""
        world, supervisor = self._world, self._supervisor
        if world.configured == ["main"] or world.lost:
            return
        before, answers = supervisor.stats(), self._everything(supervisor)
        profiles = {**(world.profiles["main"] or {}), "deepseek__calm": api_key("deepseek", "calm")}
        world.files.write_profiles("main", **profiles)
        supervisor.advance(_SHOWS_S)
        shown = supervisor.verdict("deepseek", agent_id="main")
        promise(shown.state == State.USABLE, f"a new credential shows within {_SHOWS_S} s: it is {shown.state}")
        agents = len(supervisor.published_agents)
        checks = supervisor.stats().provider_checks - before.provider_checks
        promise(
            checks <= _CHECKS_PER_PROVIDER * agents,
            f"an edit checks what it touches: {checks} checks of {agents} agents",
        )
        self._look_at_reports("deepseek", "deepseek:calm")
        hears, world.files.on_write = world.files.on_write, None
        world.files.write_profiles("main", **(world.profiles["main"] or {}))
        world.files.on_write = hears
        supervisor.watcher.overflow()
        supervisor.advance(_SHOWS_S)
        shown = supervisor.verdict("deepseek", agent_id="main")
        promise(shown.state == State.MISSING, f"what an overflow hides is looked for: it is {shown.state} still")
        before = supervisor.stats()
        world.files.write_config(ui={"assistant": {"name": "calm"}})
        supervisor.advance(_SHOWS_S)
        checks = supervisor.stats().provider_checks - before.provider_checks
        promise(not checks, f"an edit that no answer depends on costs no check: {checks}")
        drifts = supervisor.stats().resync_drifts
        supervisor.runtime.warmer.tell(ResyncDue())
        supervisor.advance(_SHOWS_S * 10)
        promise(supervisor.stats().resync_drifts == drifts, "no resync finds what no event told of")
        changed = {provider for _, provider, _ in self._everything(supervisor) ^ answers}
        promise(changed <= {"deepseek"}, f"an edit changes what it touches: {changed}")

    def _look_at_reports(self, provider: str, profile: str) -> None:
        """Refuse, forgive and rest a credential, as everything is calm."""
        supervisor = self._supervisor

        def shows(state: State, what: str) -> None:
            supervisor.advance(_SHOWS_S)
            found = supervisor.verdict(provider, agent_id="main").state
            promise(found == state, f"{what}: it is {found}")

        supervisor.report_failure(profile, "auth", agent_id="main")
        shows(State.REJECTED, "what is refused is rejected")
        supervisor.recheck(provider)
        shows(State.USABLE, "a recheck forgives")
        supervisor.report_failure(profile, "rate_limit", agent_id="main")
        shows(State.COOLDOWN, "what is rate limited rests")
        supervisor.report_success(profile, agent_id="main")
        shows(State.USABLE, "a success ends a rest")

    @staticmethod
    def _everything(supervisor: Any) -> set[tuple[str, str, Answer]]:
        return {
            (str(agent), provider, answer)
            for agent, auth in supervisor.published_agents.items()
            for provider, answer in answers_of(auth, everything=True).items()
        }
