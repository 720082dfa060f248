"""What must hold at each moment, and in the end: the promises of freshness, reading and safety, checked."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw_actors.actors.publisher import REMOVED, RETURNED
from openclaw_actors.auth.ledger import LedgerKey, latest_time
from openclaw_actors.auth.verdict import State, Verdict
from openclaw_actors.changes import Change
from openclaw_actors.home.facts import StoreFacts
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.ids import AgentId, Generation, ProviderId
from openclaw_actors.messages import CancelSweep, ResyncDue, SweepAgent
from openclaw_actors.prepared import MAIN_SHADOW, AgentAuth
from openclaw_actors.testing.home import api_key
from openclaw_actors.testing.simulation.state import AGENTS, SHOWN
from openclaw_actors.testing.simulation.world import World

Answer = tuple[str, bool, str | None, bool]
CANARY = "canary-"
LOGINS = frozenset(f"cli:{name}" for name in HomeReader.CLI_NAMES)
_SHOWS_S = 0.4
"""Within how many seconds an edit shows when everything is calm."""
_CHECKS_PER_PROVIDER = 3
"""How many cells of an agent one provider's credential touches at most: it may have aliases."""
_USE_S = 10.0
"""Within how many seconds a use has been taken in."""


class Violation(AssertionError):
    """A promise was broken."""


class Invariants:
    """Watches a world; each check raises `Violation` with what was promised."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._supervisor = world.supervisor
        self._shown: dict[AgentId, AgentAuth] = {}
        self._revisions: dict[AgentId, int] = {}
        self._known: set[AgentId] = set()
        """Agents whose answers were published when all that they are made of had been read well once."""
        self._cells: dict[AgentId, dict[str, tuple[int, Answer]]] = {}
        self._told: list[Change] = []
        self._posted: list[Change] = []
        self._mirror: dict[tuple[str, str], Verdict] = {}
        self._sequence = 0
        self._latest = Generation(0)
        self._stats = self._supervisor.stats()
        self._held: list[tuple[AgentAuth, dict[str, Answer], int]] = []
        self._seen = 0
        self._kinds: set[type] = set()
        self._steps = 0
        self._broken: str = ""
        tell_published = self._supervisor.runtime.published

        def published(auth: AgentAuth, changes: tuple[Change, ...]) -> None:
            try:
                self._look_at_publication(auth, changes)
            except Violation as violation:
                # raised in a handler it would be one more crash that is survived
                self._broken = self._broken or str(violation)
            tell_published(auth, changes)

        self._supervisor.runtime.published = published  # type: ignore[method-assign]
        self._supervisor.subscribe(self._told.append)

    def hold_snapshot(self, which: int) -> None:
        """Hold a snapshot as a reader does, for ever."""
        published = list(self._supervisor.published_agents.values())
        if published:
            auth = published[which % len(published)]
            self._held.append((auth, _answers(auth), auth.revision))

    def check(self) -> None:
        """Check what must hold after each operation."""
        if self._broken:
            raise Violation(self._broken)
        self._steps += 1
        latest = self._supervisor.runtime.wants.latest
        _promise(latest >= self._latest, "generations only grow")
        self._latest = latest
        self._look_at_refused()
        for auth, answers, revision in self._held[-2:]:
            _promise(
                _answers(auth) == answers and auth.revision == revision, "a snapshot that a reader holds never changes"
            )
        self._look_at_sweeps()
        for _, message in self._supervisor.history[self._seen :]:
            kind = type(message)
            if kind not in self._kinds or self._steps % 16 == 0:
                self._kinds.add(kind)
                _promise(CANARY not in repr(message), f"messages hold no secret: {kind.__name__}")
        self._seen = len(self._supervisor.history)
        if self._steps % 16 == 0:
            now = self._supervisor.stats()
            for name in now.__struct_fields__:
                _promise(getattr(now, name) >= getattr(self._stats, name), f"counters only grow: {name}")
            self._stats = now

    def check_stopped(self) -> None:
        """Check what must hold after a stop."""
        living, waits = self._supervisor.dispatcher.living, self._supervisor.dispatcher.alarms
        _promise(not living, f"a stop ends every actor: {living} live")
        _promise(not waits, "a stop ends every alarm")
        _promise(
            not self._supervisor.open_generations() or not self._supervisor.runtime.wants.is_live, "a stop is said"
        )

    def check_settled(self) -> None:
        """Check what must hold when everything is well again and nothing is left to do."""
        self.check()
        supervisor, world = self._supervisor, self._world
        unanswered = supervisor.open_generations()
        _promise(not unanswered, f"every attempt is answered: {unanswered} are not")
        for auth, answers, revision in self._held:
            _promise(
                _answers(auth) == answers and auth.revision == revision, "a snapshot that a reader holds never changes"
            )
        _promise(self._told == self._posted, "each change is told once, in order")
        for auth in supervisor.published_agents.values():
            for provider in SHOWN:
                _promise(auth.verdict(provider).fresh, f"{provider} of {auth.agent_id} is fresh when nothing is wanted")
        wrong = [condition.type for condition in supervisor.health().conditions if not condition.status]
        _promise(not wrong, f"every condition is true again: {wrong} are not")
        drifts = supervisor.stats().resync_drifts
        expected = world.lost or world.coverage.done["resync"]  # one may be quicker than the event
        _promise(expected or not drifts, "no resync finds what no event told of")
        self._compare_with_twin()
        self._look_at_use()
        self._look_at_disk()
        self._look_at_edits()

    # ---------------------------------------------------------------------------------------------------- publications

    def _look_at_publication(self, auth: AgentAuth, changes: tuple[Change, ...]) -> None:
        agent = auth.agent_id
        self._look_at_changes(auth, changes)
        self._posted.extend(changes if agent != MAIN_SHADOW else ())
        if (changes and changes[0].reason == REMOVED) or agent not in self._supervisor.published_agents:
            self._revisions[agent] = auth.revision + 1
            self._shown.pop(agent, None)
            self._cells.pop(agent, None)
            self._known.discard(agent)
            return
        if agent in self._shown and self._shown[agent].agent_dir != auth.agent_dir:
            self._known.discard(agent)
        if agent in self._world.moved and not self._is_remembered(auth):
            self._known.discard(agent)
        before, known = self._shown.get(agent), self._cells.get(agent, {})
        last = self._revisions.get(agent, 0)
        _promise(auth.revision >= last, f"revisions never go back: {agent} from {last} to {auth.revision}")
        cells: dict[str, tuple[int, Answer]] = {}
        for provider, answer in _answers(auth).items():
            generation = auth.generation_of(ProviderId(provider))
            cells[provider] = (generation, answer)
            if before is None or provider not in known:
                continue
            old_generation, old_answer = known[provider]
            _promise(
                generation >= old_generation,
                f"a cell's generation never goes back: {agent}/{provider} from {old_generation} to {generation}",
            )
            _promise(
                answer == old_answer or auth.revision > before.revision,
                f"another answer is another revision: {agent}/{provider} from {old_answer} to {answer}",
            )
            _promise(
                answer[0] != State.UNKNOWN or old_answer[0] == State.UNKNOWN or agent not in self._known,
                f"the last good answer stays: {agent}/{provider} from {old_answer[0]} to {answer[0]}",
            )
        _promise(
            before is None or before.agent_dir != auth.agent_dir or cells.keys() >= known.keys() - {"acme"},
            f"nothing is cleared before it is filled again: {agent} loses {known.keys() - cells.keys()}",
        )
        self._shown[agent], self._cells[agent], self._revisions[agent] = auth, cells, auth.revision
        if self._has_last_good(auth):
            self._known.add(agent)

    def _has_last_good(self, auth: AgentAuth) -> bool:
        """Tell whether these answers were made of things that were all read well once."""
        return auth.view.own in ("", auth.agent_dir) and not auth.view.unread and self._is_remembered(auth)

    def _is_remembered(self, auth: AgentAuth) -> bool:
        facts, config = self._supervisor.runtime.remembered.facts, self._supervisor.runtime.config()
        stores = {f"store:{auth.agent_dir}", f"store:{config.main_store if config is not None else ''}"}
        return facts.keys() >= LOGINS | stores

    def _look_at_changes(self, auth: AgentAuth, changes: tuple[Change, ...]) -> None:
        before = self._shown.get(auth.agent_id)
        for change in changes:
            self._sequence += 1
            _promise(
                change.sequence == self._sequence,
                f"sequences have no gap: {change.sequence} after {self._sequence - 1}",
            )
            cell = (change.agent_id, change.provider)
            known = self._mirror.get(cell, change.old)
            _promise(
                (known.state, known.evidence) == (change.old.state, change.old.evidence),
                f"nothing is left out of the changes: {cell} was {known.state}, and is told to be {change.old.state}",
            )
            self._mirror[cell] = change.new
            if change.reason == REMOVED:
                _promise(change.new.state == State.MISSING, "an agent that has left has nothing")
            elif change.reason == RETURNED:
                _promise(before is None and change.old.state == State.MISSING, "who returns was away")
            else:
                _promise(
                    before is not None and change.revision == auth.revision > before.revision, "a change is a revision"
                )
                _promise(
                    _said(change.new) == _said(auth.verdict(change.provider)) != _said(change.old), "a change changes"
                )

    # --------------------------------------------------------------------------------------------------------- moments

    def _look_at_sweeps(self) -> None:
        """Of each agent one sweep runs at most: of those that wait for its actor all but one are cancelled."""
        dispatcher = self._supervisor.dispatcher
        asked: dict[str, list[int]] = {}
        cancelled: dict[str, int] = {}
        for name, message in dispatcher.pending():
            if isinstance(message, CancelSweep):
                cancelled[name] = max(message.serial, cancelled.get(name, 0))
            elif isinstance(message, SweepAgent):
                asked.setdefault(name, []).append(message.serial)
        for name, serials in asked.items():
            if len(serials) > 1:
                last = max(cancelled.get(name, 0), getattr(dispatcher.actor(name), "_cancelled", 0))
                left = [serial for serial in serials if serial > last]
                _promise(len(left) <= 1, f"one sweep per agent runs: {len(left)} wait for {name}")

    def _look_at_refused(self) -> None:
        now, refused = self._supervisor.clock.monotonic(), self._world.refused
        for (agent, provider, profile), (secret, until) in list(refused.items()):
            if now >= until:
                del refused[agent, provider, profile]
                continue
            verdict = self._supervisor.verdict(provider, agent_id=agent)
            counts = verdict.has_auth and verdict.evidence is not None and verdict.evidence.id == profile
            _promise(
                not counts or self._world.secret(agent, profile) != secret,
                f"what was refused stays hidden: {profile} of {agent} is {verdict.state} again",
            )

    # --------------------------------------------------------------------------------------------------------- the end

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
                f"{_told(here.get(which))} here, and would be {_told(there.get(which))}"
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
        _promise(after.provider_checks == before.provider_checks, "a use costs no check")
        differing = sorted(self._everything(supervisor) ^ answers, key=str)
        _promise(not differing, f"a use changes no answer: {differing[:4]}")

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
                known_ms = min(latest_time(of.windows) for of in of_name)
            _promise(newest_ms >= known_ms, f"what was reported is written: {key.evidence_id} of {agent} is not")
            most = world.failures[key.evidence_id]
            _promise(written.get("errorCount", 0) <= most, f"no failure is written twice: {key.evidence_id} of {agent}")

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
        _promise(shown.state == State.USABLE, f"a new credential shows within {_SHOWS_S} s: it is {shown.state}")
        agents = len(supervisor.published_agents)
        checks = supervisor.stats().provider_checks - before.provider_checks
        _promise(
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
        _promise(shown.state == State.MISSING, f"what an overflow hides is looked for: it is {shown.state} still")
        before = supervisor.stats()
        world.files.write_config(ui={"assistant": {"name": "calm"}})
        supervisor.advance(_SHOWS_S)
        checks = supervisor.stats().provider_checks - before.provider_checks
        _promise(not checks, f"an edit that no answer depends on costs no check: {checks}")
        drifts = supervisor.stats().resync_drifts
        supervisor.runtime.warmer.tell(ResyncDue())
        supervisor.advance(_SHOWS_S * 10)
        _promise(supervisor.stats().resync_drifts == drifts, "no resync finds what no event told of")
        changed = {provider for _, provider, _ in self._everything(supervisor) ^ answers}
        _promise(changed <= {"deepseek"}, f"an edit changes what it touches: {changed}")

    def _look_at_reports(self, provider: str, profile: str) -> None:
        """Refuse, forgive and rest a credential, as everything is calm."""
        supervisor = self._supervisor

        def shows(state: State, what: str) -> None:
            supervisor.advance(_SHOWS_S)
            found = supervisor.verdict(provider, agent_id="main").state
            _promise(found == state, f"{what}: it is {found}")

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
            for provider, answer in _answers(auth, everything=True).items()
        }


def _promise(holds: object, what: str) -> None:
    if not holds:
        raise Violation(what)


def _told(answer: Answer | None) -> str:
    if answer is None:
        return "nothing"
    state, presence, evidence, has_auth = answer
    return f"{state} by {evidence or 'nothing'} (has auth: {has_auth}, present: {presence})"


def _answers(auth: AgentAuth, *, everything: bool = False) -> dict[str, Answer]:
    verdicts = auth.verdicts
    found: dict[str, Answer] = {}
    for provider in verdicts if everything else SHOWN:
        one = verdicts.get(provider)
        if one is not None:
            found[provider] = (str(one.state), one.presence, one.evidence.id if one.evidence else None, one.has_auth)
    return found


def _said(verdict: Verdict) -> tuple[object, ...]:
    """Return what a verdict says to a reader."""
    return tuple(getattr(verdict, name) for name in verdict.__struct_fields__ if name not in ("generation", "fresh"))
