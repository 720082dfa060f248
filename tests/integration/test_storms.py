"""Storms of events on real files and threads: work stays bounded, nothing starves, and the last word is published."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from homes import Home, Supervise, api_key, eventually, now_ms, replace_text, secret, write_from_another_process

from openclaw_actors import AuthSupervisor, Change, State
from openclaw_actors.actors.agent_board import AgentRecord
from openclaw_actors.actors.sweeps import Sweeps

EVENTS = 10_000
HINT_INTERVAL_S = 0.03
WRITER = """
path, good, other, last = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
temporary = path.with_name(path.name + ".tmp")
for turn in range(int(sys.argv[5])):
    temporary.write_text(other if turn % 2 else good)
    os.replace(temporary, path)
temporary.write_text(last)
os.replace(temporary, path)
"""
"""Replaces a file as fast as it can, its content alternating, and leaves another content."""


NOOPS = """
path = Path(sys.argv[1])
text = path.read_text()
temporary = path.with_name(path.name + ".tmp")
for turn in range(int(sys.argv[2])):
    os.utime(path)
    path.chmod(0o600 if turn % 2 else 0o640)
    path.read_bytes()
    temporary.write_text(text)
    os.replace(temporary, path)
"""
"""Does to a file, as fast as it can, whatever leaves its content as it is."""


class Watch:
    """What a sampler saw of a storm."""

    def __init__(self) -> None:
        self.most_threads = 0
        self.most_waiting = 0
        """The most scopes that waited for one agent at a time."""
        self.overlapping = 0
        """Sweeps that were started while another one of their agent ran."""


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Return what is seen of sweeps, at each start, and of threads, all the time."""
    seen, stop = Watch(), threading.Event()
    start = Sweeps.start

    def watched(self: Sweeps, records: Iterator[AgentRecord]) -> list[AgentRecord]:
        asked = list(records)
        running = {id(record): record.running for record in asked if record.running is not None}
        dead = start(self, asked)
        for record in asked:
            seen.most_waiting = max(seen.most_waiting, len(record.dirty))
            was = running.get(id(record))
            seen.overlapping += was is not None and record.running is not was
        return dead

    def sample() -> None:
        while not stop.wait(0.002):
            seen.most_threads = max(seen.most_threads, threading.active_count())

    monkeypatch.setattr(Sweeps, "start", watched)
    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    yield seen
    stop.set()
    sampler.join()


def settled(supervisor: AuthSupervisor) -> bool:
    """Tell whether every attempt is answered."""
    return not supervisor._runtime.wants.open_generations()


def profiles(*names: str) -> str:
    """Return the text of a store with these providers' keys."""
    entries = {f"{name}:me": api_key(name) for name in names}
    return json.dumps({"version": 1, "profiles": entries})


def usage(**stats: object) -> str:
    """Return the text of a store's usage file."""
    return json.dumps({"version": 1, "usageStats": {"mistral:me": stats}})


def providers(**keys: str) -> str:
    """Return the text of a config with these providers and the agents main and ops."""
    entries = {
        name: {
            "baseUrl": f"https://{name}.test/v1",
            "apiKey": secret(key),
            "api": "openai-completions",
            "models": [{"id": "one"}],
        }
        for name, key in keys.items()
    }
    return json.dumps({"agents": {"list": [{"id": "main"}, {"id": "ops"}]}, "models": {"providers": entries}})


# ----------------------------------------------------------------------------------------------------- storms of files


@pytest.mark.parametrize("target", ["store", "config"])
def test_a_storm_of_real_changes_is_paced_and_the_last_one_shows(
    home: Home, supervise: Supervise, watch: Watch, target: str
) -> None:
    """Ten thousand replacements in a second or two: as many readings as the pace allows, a sweep or less for each and
    agent, no more threads, and what was written last is published.
    """
    home.agents("main", "ops").write_config()
    replace_text(home.config_path, providers(acme="one"))
    replace_text(home.profiles_path(), profiles("mistral"))
    supervisor = supervise(home)
    assert eventually(lambda: supervisor.health().condition("Watching") and settled(supervisor))
    before, threads = supervisor.stats(), threading.active_count()
    watch.most_threads = watch.most_waiting = watch.overlapping = 0
    began = time.monotonic()
    if target == "store":
        contents = profiles("mistral", "groq"), profiles("zai"), profiles("together")
        write_from_another_process(WRITER, home.profiles_path(), *contents, EVENTS)
        last = "together"
    else:
        contents = providers(acme="one", bolt="two"), providers(acme="three"), providers(coil="four")
        write_from_another_process(WRITER, home.config_path, *contents, EVENTS)
        last = "coil"
    written = time.monotonic()
    agents = ("main", "ops")
    assert eventually(lambda: all(supervisor.has_auth(last, agent_id=agent) for agent in agents), 2.0)
    shown_s = time.monotonic() - written
    assert eventually(lambda: settled(supervisor))
    elapsed_s = time.monotonic() - began
    after = supervisor.stats()
    readings = max(after.store_reads - before.store_reads, after.shared_reads - before.shared_reads)
    sweeps, checks = after.sweeps - before.sweeps, after.provider_checks - before.provider_checks
    assert shown_s < 1.0
    assert 1 <= readings <= elapsed_s / HINT_INTERVAL_S + 3
    assert sweeps <= 2 * readings, "one per agent and reading at most"
    assert checks <= sweeps * 4, "each of the few providers that the contents differ in"
    assert watch.overlapping == 0
    assert watch.most_waiting <= 1
    assert watch.most_threads <= threads + 3, "a reader or two that had nothing to do before"
    gone = ("mistral", "groq", "zai") if target == "store" else ("acme", "bolt")
    assert not any(supervisor.has_auth(provider) for provider in gone)
    assert all(supervisor.verdict(last, agent_id=agent).fresh for agent in agents)
    assert supervisor.health().ok, supervisor.health()


def test_a_storm_that_changes_nothing_costs_nothing(home: Home, supervise: Supervise, watch: Watch) -> None:
    """Touches, permissions, identical rewrites and readings, thousands of each: no check and no publication."""
    home.agents("main", "ops").write_config().write_profiles(mistral__me=api_key("mistral"))
    path = home.profiles_path()
    supervisor = supervise(home)
    assert eventually(lambda: supervisor.health().condition("Watching") and settled(supervisor))
    revisions = {agent: supervisor.snapshot(agent).revision for agent in ("main", "ops")}
    before, began = supervisor.stats(), time.monotonic()
    with ThreadPoolExecutor(1) as beside:
        storm = beside.submit(write_from_another_process, NOOPS, path, EVENTS // 4)
        while not storm.done():
            path.read_bytes()
        storm.result()
    # what comes after it tells that all of it was looked at
    home.write_profiles(mistral__me=api_key("mistral"), zai__me=api_key("zai"))
    assert eventually(lambda: supervisor.has_auth("zai") and supervisor.has_auth("zai", agent_id="ops"))
    assert eventually(lambda: settled(supervisor))
    elapsed_s = time.monotonic() - began
    after = supervisor.stats()
    assert (after.sweeps - before.sweeps, after.provider_checks - before.provider_checks) == (2, 2)
    assert after.store_reads - before.store_reads <= elapsed_s / HINT_INTERVAL_S + 3
    assert watch.overlapping == 0
    # beside these a reading that a rewrite overtook may be published as stale, and as fresh again
    assert [supervisor.snapshot(agent).revision - revisions[agent] for agent in ("main", "ops")] == [1, 1]


def test_a_storm_of_usage_costs_no_check(home: Home, supervise: Supervise, watch: Watch) -> None:
    """Another gateway that notes each request in the store moves no answer; the window that comes last is shown."""
    home.agents("main", "ops").write_config().write_profiles(mistral__me=api_key("mistral"))
    supervisor = supervise(home)
    assert eventually(lambda: supervisor.health().condition("Watching") and settled(supervisor))
    changes: list[Change] = []
    supervisor.subscribe(changes.append)
    before, began = supervisor.stats(), time.monotonic()
    ticks = [usage(lastUsed=now_ms(-seconds), errorCount=0) for seconds in (60, 30)]
    last = usage(cooldownUntil=now_ms(600), cooldownReason="rate_limit", lastFailureAt=now_ms(), errorCount=1)
    write_from_another_process(WRITER, home.state_path(), *ticks, last, EVENTS // 2)
    assert eventually(lambda: supervisor.verdict("mistral", agent_id="ops").state is State.COOLDOWN, 2.0)
    assert eventually(lambda: len(changes) == 2)
    elapsed_s = time.monotonic() - began
    after = supervisor.stats()
    assert (after.provider_checks, after.sweeps) == (before.provider_checks, before.sweeps)
    assert after.store_reads - before.store_reads <= elapsed_s / HINT_INTERVAL_S + 3
    assert {(one.agent_id, one.new.state) for one in changes} == {("main", "cooldown"), ("ops", "cooldown")}


# -------------------------------------------------------------------------------------------------- storms of reports


def in_threads(count: int, act: Callable[[int], object], times: int) -> list[object]:
    """Call something so many times in all, from some threads that begin at the same moment; return all results."""
    barrier = threading.Barrier(count)

    def run(first: int) -> list[object]:
        barrier.wait(5.0)
        return [act(number) for number in range(first, times, count)]

    with ThreadPoolExecutor(count) as pool:
        return [result for results in pool.map(run, range(count)) for result in results]


def test_a_thousand_refusals_of_an_inherited_profile(home: Home, supervise: Supervise, watch: Watch) -> None:
    """Eight threads of a gateway report it for fifty agents: each checks that provider once or twice, and no other."""
    names = ["main", *(f"a{number}" for number in range(49))]
    home.agents(*names).write_config()
    home.write_profiles(mistral__me=api_key("mistral"), openai__me=api_key("openai"), zai__me=api_key("zai"))
    supervisor = supervise(home)
    others = ("openai", "zai", "groq", "anthropic")

    def generations() -> dict[tuple[str, str], int]:
        return {(name, one): supervisor.verdict(one, agent_id=name).generation for name in names for one in others}

    known = generations()
    before = supervisor.stats()
    answered: list[float] = []
    supervisor.subscribe(lambda change: answered.append(time.monotonic()))

    def report(number: int) -> int:
        return supervisor.report_failure("mistral:me", "auth", agent_id=names[number % len(names)])

    began = time.monotonic()
    minted = in_threads(8, report, 1000)
    assert len(set(minted)) == 1000
    assert eventually(lambda: supervisor.stats().failures_reported - before.failures_reported == 1000)
    assert eventually(lambda: settled(supervisor))
    assert time.monotonic() - began < 3.0
    assert {supervisor.verdict("mistral", agent_id=name).state for name in names} == {State.REJECTED}
    assert all(supervisor.verdict("mistral", agent_id=name).fresh for name in names)
    supervisor.stop()
    after = supervisor.stats()
    assert after.provider_checks - before.provider_checks <= 2 * len(names)
    assert after.publications - before.publications <= 3 * len(names)
    assert generations() == known
    assert len(answered) == len(names), "one change each"
    assert home.usage()["mistral:me"]["errorCount"] == 1
    assert watch.overlapping == 0


def test_a_storm_of_reports_during_a_storm_of_files(home: Home, supervise: Supervise) -> None:
    """Refusals are applied while a store is rewritten without end, and not one of its readings brings them back."""
    home.agents("main", "ops").write_config().write_profiles(mistral__me=api_key("mistral"))
    text, more = profiles("mistral"), profiles("mistral", "groq")
    supervisor = supervise(home)
    assert eventually(lambda: supervisor.health().condition("Watching"))
    stop, seen = threading.Event(), Counter[str]()

    def write() -> None:
        while not stop.is_set():
            for content in (text, more):
                replace_text(home.profiles_path(), content)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        supervisor.report_failure("mistral:me", "auth", agent_id="ops")
        assert eventually(lambda: not supervisor.has_auth("mistral"), 2.0)
        until = time.monotonic() + 0.7

        def look() -> bool:
            seen[str(supervisor.verdict("mistral", agent_id="ops").state)] += 1
            supervisor.report_failure("mistral:me", "auth", agent_id="ops")
            return time.monotonic() > until

        assert eventually(look)
    finally:
        stop.set()
        writer.join()
    assert set(seen) == {"rejected"}
    home.write_profiles(mistral__me=api_key("mistral", "rotated"))
    assert eventually(lambda: supervisor.has_auth("mistral", agent_id="ops") and settled(supervisor))


# ------------------------------------------------------------------------------------------------------------- a crowd


def test_a_thousand_agents_on_one_agent_dir_are_one_reading(home: Home, supervise: Supervise) -> None:
    """One change of a store that a thousand agents share is read once, folded once, and published for each of them."""
    shared = home.path / "shared"
    names = [f"a{number}" for number in range(1000)]
    home.config["agents"] = {"list": [{"id": name, "agentDir": str(shared)} for name in names]}
    home.write_config()
    replace_text(shared / "auth-profiles.json", profiles("mistral"))
    supervisor = supervise(home)
    assert eventually(lambda: supervisor.health().condition("Watching") and settled(supervisor))
    assert supervisor.stats().store_reads <= 4, "the shared one and main's, again when the watches were set"
    before, sequence = supervisor.stats(), supervisor.snapshot("a0").revision
    replace_text(shared / "auth-profiles.json", profiles("mistral", "zai"))
    assert eventually(lambda: all(supervisor.has_auth("zai", agent_id=name) for name in names))
    assert eventually(lambda: settled(supervisor))
    after = supervisor.stats()
    assert 1 <= after.store_reads - before.store_reads <= 2
    checks, publications = after.provider_checks - before.provider_checks, after.publications - before.publications
    assert (checks, publications) == (1000, 1000)
    assert {supervisor.snapshot(name).revision for name in names} == {sequence + 1}
    cells = {id(supervisor.snapshot(name).table.get("zai")) for name in names}
    assert len(cells) == 1, "folded once, and the very same for all"
