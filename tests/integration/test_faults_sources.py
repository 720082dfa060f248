"""Sources that block, spin or raise, forks at bad moments, agents that come and go: whole supervisors on real homes.

A source is made to misbehave in place of the function that reads it, the one edge that a plugin or a dead disk has too.
"""

from __future__ import annotations

import functools
import gc
import os
import subprocess
import sys
import threading
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pykka
import pytest
from homes import Home, Supervise, api_key, eventually, replace_json, secret

from openclaw_actors import AuthSupervisor, State
from openclaw_actors.actors.auth_state import AuthStateActor
from openclaw_actors.home import reader
from openclaw_actors.watching.mounts import Mounts

ROOT = Path(__file__).parents[2]
PLACES = {"login": "LoginsReadable", "store": "StoresReadable", "home": "ConfigValid"}
"""What misbehaves, and the condition that tells of it."""


def said(supervisor: AuthSupervisor, kind: str) -> str:
    """Return what a condition says is wrong; empty while all is well."""
    condition = supervisor.health().condition(kind)
    return condition.message if condition is not None and not condition.status else ""


def our_threads() -> list[str]:
    """Return the names of the package's threads that are alive."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("openclaw"))


def open_files() -> Counter[str]:
    """Return what this process has open, by kind."""
    found: Counter[str] = Counter()
    for name in os.listdir("/proc/self/fd"):
        try:
            found[os.readlink(f"/proc/self/fd/{name}").rstrip("0123456789[]")] += 1
        except FileNotFoundError:
            continue  # the listing itself
    return found


def write_login(home: Home, name: str) -> None:
    """Log in to Codex."""
    path = home.user / ".codex" / "auth.json"
    path.parent.mkdir(exist_ok=True)
    replace_json(path, {"tokens": {"access_token": secret(name), "refresh_token": secret(f"{name}-refresh")}})


@pytest.fixture
def many(home: Home) -> Home:
    """Return a home with three agents that have a store each, and a login of another program."""
    home.agents("main", "ops", "lab").write_config().write_profiles(openai__work=api_key("openai"))
    home.write_profiles("ops", zai__me=api_key("zai")).write_profiles("lab", groq__me=api_key("groq"))
    write_login(home, "codex")
    return home


class Misbehaviour:
    """Has one source misbehave while it is switched on."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.place = ""
        self.act: Callable[[], object] = lambda: None
        self.is_over = threading.Event()
        self.is_over.set()

    def begin(self, place: str, act: Callable[[], object]) -> None:
        """Misbehave from now on."""
        self.place, self.act = place, act
        self.is_over.clear()

    def end(self) -> None:
        """Behave from now on; readings that hang come back."""
        self.is_over.set()

    def block(self) -> None:
        """Wait, as on a dead mount."""
        self.is_over.wait(40)

    def spin(self) -> None:
        """Compute without end, in pure Python, and never give way."""
        while not self.is_over.is_set():
            pass

    def take(self, place: str) -> None:
        """Misbehave if it is this place's turn."""
        if self.place == place and not self.is_over.is_set():
            self.act()

    def source(self, place: str) -> str:
        """Return the name of the source that is read in a place."""
        return {"login": "cli:codex", "store": f"store:{self._home.agent_dir('ops')}", "home": "home"}[place]

    def touch(self, place: str) -> None:
        """Change the file of a place, so that it is read."""
        if place == "login":
            write_login(self._home, "codex-again")
        elif place == "store":
            self._home.write_profiles("ops", zai__me=api_key("zai"), cerebras__me=api_key("cerebras"))
        else:
            self._home.write_config(agents={"list": [{"id": one} for one in ("main", "ops", "lab", "new")]})

    def shows(self, place: str, supervisor: AuthSupervisor) -> bool:
        """Tell whether the change that `touch` made shows."""
        if place == "login":
            return supervisor.verdict("openai-codex").fresh and supervisor.has_auth("openai-codex")
        if place == "store":
            return supervisor.has_auth("cerebras", agent_id="ops")
        return supervisor.has_auth("openai", agent_id="new")


@pytest.fixture
def misbehaviour(many: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Misbehaviour]:
    """Return what has a source of `many` misbehave; it ends with the test."""
    made = Misbehaviour(many)
    read_cli, read_store, read_json5 = reader.read_cli, reader.read_store, reader.read_json5
    config, ops = str(many.config_path), str(many.agent_dir("ops"))

    def login(name: str, **options: Any) -> Any:
        if name == "codex":
            made.take("login")
        return read_cli(name, **options)

    def store(agent_dir: Any, *arguments: Any, **options: Any) -> Any:
        if agent_dir == ops:
            made.take("store")
        return read_store(agent_dir, *arguments, **options)

    def document(path: Any, *arguments: Any, **options: Any) -> Any:
        if str(path) == config:
            made.take("home")
        return read_json5(path, *arguments, **options)

    monkeypatch.setattr(reader, "read_cli", login)
    monkeypatch.setattr(reader, "read_store", store)
    monkeypatch.setattr(reader, "read_json5", document)
    yield made
    made.end()


def check_that_others_are_served(supervisor: AuthSupervisor, home: Home) -> None:
    """Check that another agent's change shows, and that what was known stays."""
    home.write_profiles("lab", groq__me=api_key("groq"), mistral__me=api_key("mistral"))
    assert eventually(lambda: supervisor.has_auth("mistral", agent_id="lab"))
    check_that_all_is_known(supervisor)


def check_that_all_is_known(supervisor: AuthSupervisor) -> None:
    """Check the answers that were there from the beginning."""
    assert supervisor.has_auth("openai")
    assert supervisor.has_auth("openai", agent_id="ops")
    assert supervisor.has_auth("zai", agent_id="ops")
    assert supervisor.has_auth("groq", agent_id="lab")
    assert supervisor.has_auth("openai-codex")


def endless() -> None:
    """Run into the interpreter's recursion limit, really."""
    endless()


def raising(kind: type[BaseException]) -> Callable[[], object]:
    """Return what raises an exception whose text is a secret."""

    def act() -> None:
        if kind is RecursionError:
            endless()
        raise kind(secret("in-an-exception"))

    return act


# ---------------------------------------------------------------------------------------------------------- that raise


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        *((SystemExit, place) for place in PLACES),
        *((kind, "store") for kind in (KeyboardInterrupt, GeneratorExit, MemoryError, RecursionError)),
    ],
)
def test_a_source_that_raises_anything_at_all_harms_only_itself(
    kind: type[BaseException], place: str, many: Home, supervise: Supervise, misbehaviour: Misbehaviour
) -> None:
    """The last good answers stay, health names the source and what it raised, others are served, and it recovers."""
    supervisor = supervise(many, retry_first_s=0.05, retry_max_s=0.1)
    misbehaviour.begin(place, raising(kind))
    misbehaviour.touch(place)
    told = functools.partial(said, supervisor, PLACES[place])
    assert eventually(told)
    assert misbehaviour.source(place) in told()
    assert kind.__name__ in told()
    assert "tried again" in told()
    check_that_others_are_served(supervisor, many)
    assert not misbehaviour.shows(place, supervisor)
    misbehaviour.end()
    assert eventually(lambda: supervisor.health().ok), supervisor.health()
    assert eventually(lambda: misbehaviour.shows(place, supervisor))
    check_that_all_is_known(supervisor)
    assert supervisor.stats().restarts == 0
    supervisor.stop()
    assert our_threads() == []


@pytest.mark.parametrize("kind", [SystemExit, RecursionError])
def test_a_start_with_a_source_that_raises_warms_the_rest(
    kind: type[BaseException], many: Home, supervise: Supervise, misbehaviour: Misbehaviour
) -> None:
    """Where there is no last good answer it is `unknown`, with the reason; everybody else's is there at once."""
    misbehaviour.begin("store", raising(kind))
    supervisor = supervise(many, retry_first_s=0.05, retry_max_s=0.1)
    assert supervisor.has_auth("openai")
    assert supervisor.has_auth("groq", agent_id="lab")
    verdict = supervisor.verdict("zai", agent_id="ops")
    assert verdict.state is State.UNKNOWN
    assert kind.__name__ in verdict.reason
    assert misbehaviour.source("store") in said(supervisor, "StoresReadable")
    misbehaviour.end()
    assert eventually(lambda: supervisor.has_auth("zai", agent_id="ops"))
    assert eventually(lambda: supervisor.health().ok), supervisor.health()


# --------------------------------------------------------------------------------------------------- that never return


@pytest.mark.parametrize(("how", "place"), [("block", "store"), ("block", "home"), ("spin", "login")])
def test_a_source_that_never_returns_harms_only_itself(
    how: str, place: str, many: Home, supervise: Supervise, misbehaviour: Misbehaviour
) -> None:
    """It is given up at its deadline and named, the last good answers stay, and others are served meanwhile; when it
    comes back the supervisor recovers by itself.
    """
    supervisor = supervise(many, source_deadline_s=0.2, retry_first_s=0.05, retry_max_s=0.1, quarantine_after=1)
    misbehaviour.begin(place, getattr(misbehaviour, how))
    misbehaviour.touch(place)
    told = functools.partial(said, supervisor, PLACES[place])
    assert eventually(told)
    assert misbehaviour.source(place) in told()
    assert "Look at the disk" in told()
    check_that_others_are_served(supervisor, many)
    assert eventually(lambda: "earlier reads of this source hang" in told()), "no thread after another is lost to it"
    assert len([name for name in our_threads() if name.startswith("openclaw-reader-")]) <= 4
    assert not misbehaviour.shows(place, supervisor)
    misbehaviour.end()
    assert eventually(lambda: supervisor.health().ok), supervisor.health()
    assert eventually(lambda: misbehaviour.shows(place, supervisor))
    check_that_all_is_known(supervisor)
    supervisor.stop()
    assert our_threads() == []


@pytest.mark.parametrize(("how", "place"), [("block", "home"), ("spin", "store")])
def test_a_stop_meanwhile_keeps_its_time_and_names_the_source(
    how: str, place: str, many: Home, supervise: Supervise, misbehaviour: Misbehaviour
) -> None:
    """What the source keeps stays behind as one daemon, counted and named; everything else is gone."""
    supervisor = supervise(many)
    before = open_files()
    misbehaviour.begin(place, getattr(misbehaviour, how))
    misbehaviour.touch(place)
    pool = supervisor._runtime.dispatcher._pool  # type: ignore[attr-defined]
    assert eventually(lambda: pool.stats().blocked)
    began = time.monotonic()
    supervisor.stop(0.4)
    assert time.monotonic() - began < 1.5
    assert misbehaviour.source(place) in said(supervisor, "ActorsAlive")
    left = [thread for thread in threading.enumerate() if thread.name.startswith("openclaw")]
    assert [thread.daemon for thread in left] == [True]
    assert open_files() <= before
    check_that_all_is_known(supervisor)


# --------------------------------------------------------------------------------------------------------------- forks

PRELUDE = f"""
import asyncio, contextlib, multiprocessing, os, signal, subprocess, sys, threading, time, warnings
from pathlib import Path
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks with threads: that is the point here
sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]
from homes import Home, api_key, eventually
from openclaw_actors import AuthSupervisor, ForkedError, Settings
from openclaw_actors import provider_auth

home = Home(Path(sys.argv[1])).agents("main", "ops", *(f"agent-{{number}}" for number in range(40))).write_config()
home.write_profiles(openai__work=api_key("openai")).write_profiles("ops", zai__me=api_key("zai"))

def start(**settings):
    return AuthSupervisor(home.path, env=home.env, settings=Settings(**settings)).start()

def events(supervisor):
    return (supervisor.recheck, supervisor.reload_config, supervisor.reload_plugins,
            lambda: supervisor.report_failure("openai:work", "auth"), lambda: supervisor.report_success("openai:work"),
            lambda: supervisor.logout("openai"), lambda: supervisor.clear_cooldown("openai:work"))

def live_on(supervisor, warm):
    # what a forked child may do; it hangs for nothing: the alarm would kill it
    signal.alarm(20)
    for one in ("main", "ops", "agent-7", "nobody"):
        supervisor.has_auth("openai", agent_id=one)
        supervisor.presence("openai", agent_id=one)
        assert not supervisor.verdict("openai", agent_id=one).fresh
        dict(supervisor.snapshot(one).verdicts)
        supervisor.models(agent_id=one)
    supervisor.stats(), supervisor.health(), supervisor.agent_ids(), supervisor.sequence, repr(supervisor)
    if warm:
        assert supervisor.has_auth("openai") and supervisor.has_auth("zai", agent_id="ops")
        assert provider_auth.has_auth_for_model_provider("openai")
    provider_auth.set_auth_profile_failure_hook(None)
    assert supervisor.wait_warm() is supervisor._runtime.warm.is_set()  # it would wait for ever
    assert not asyncio.run(supervisor.aio.fresh("openai", timeout_s=60)).fresh
    assert asyncio.run(supervisor.aio.wait_warm()) is supervisor._runtime.warm.is_set()
    for event in events(supervisor):
        try:
            event()
        except ForkedError:
            continue
        raise AssertionError(event)
    supervisor.subscribe(print)()
    supervisor.stop()

def fork(supervisor, *, warm, exits=True):
    # the child ends as Python programs do, with all that is run at the exit, or at once
    child = os.fork()
    if child:
        return child
    try:
        live_on(supervisor, warm)
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    if not exits:
        os._exit(0)
    sys.exit(0)

def check_ended(child):
    status = os.waitpid(child, 0)[1]
    assert status == 0, os.waitstatus_to_exitcode(status)

def check_unharmed(supervisor, name):
    assert supervisor.wait_warm(10)
    assert eventually(lambda: supervisor.verdict("openai", agent_id="ops").fresh)
    home.write_profiles("ops", zai__me=api_key("zai"), **{{f"{{name}}__me": api_key(name)}})
    assert eventually(lambda: supervisor.has_auth(name, agent_id="ops")), "its watches are gone"
    home.write_profiles("ops", zai__me=api_key("zai"))
    assert eventually(lambda: not supervisor.has_auth(name, agent_id="ops")), "its watches are gone"
    assert supervisor.stats().watch_hints > 0
    assert supervisor.health().ok, supervisor.health()

def threads():
    return [one.name for one in threading.enumerate() if one.name.startswith("openclaw")]
"""

FORKED_WHILE_WARMING = """
before = sorted(os.listdir("/proc/self/fd"))
for number, pause_s in enumerate((0.0, 0.001, 0.004, 0.008, 0.012, 0.03)):
    with start() as supervisor:
        supervisor.wait_warm(pause_s)
        children = [fork(supervisor, warm=supervisor._runtime.warm.is_set(), exits=bool(number % 2))]
        check_ended(children[0])
        assert supervisor.wait_warm(10) and supervisor.has_auth("zai", agent_id="ops")
        if number > 3:
            check_unharmed(supervisor, "mistral" if number == 4 else "cerebras")
    assert threads() == []
assert sorted(os.listdir("/proc/self/fd")) == before
print("done")
"""

FORKED_WHILE_WRITING = """
from openclaw_actors.control.client import ask
from openclaw_actors.control.messages import RecheckRequest
genuine, reached, release = os.fsync, threading.Event(), threading.Event()
parent = os.getpid()
def fsync(descriptor):
    if os.getpid() == parent:
        reached.set()
        release.wait(20)
    genuine(descriptor)
os.fsync = fsync
supervisor = start(usage_flush_s=0.01, control_socket=True)
assert supervisor.wait_warm(10)
socket = supervisor.health().condition("ControlSocket").message
supervisor.report_failure("openai:work", "rate_limit")
assert reached.wait(5)
store = home.agent_dir()
held = (store / "auth-profiles.json.lock").read_bytes()
files = sorted(os.listdir(store))
for exits in (True, False):
    check_ended(fork(supervisor, warm=False, exits=exits))
process = multiprocessing.get_context("fork").Process(target=live_on, args=(supervisor, False))
process.start()
process.join(30)
assert process.exitcode == 0, process.exitcode
assert (store / "auth-profiles.json.lock").read_bytes() == held, "a child gave its parent's lock up"
assert sorted(os.listdir(store)) == files, "a child took its parent's unfinished file away"
assert os.path.exists(socket), "a child took its parent's socket away"
release.set()
assert eventually(lambda: home.usage().get("openai:work", {}).get("errorCount") == 1)
assert eventually(lambda: sorted(os.listdir(store)) == ["auth-profiles.json", "auth-state.json"])
(outcome,) = ask(str(home.path), RecheckRequest(wait_s=10.0)).outcomes
assert "Refused" not in type(outcome.answer).__name__, outcome
check_unharmed(supervisor, "mistral")
supervisor.stop()
assert not os.path.exists(socket) and threads() == []
print("done")
"""

FORKED_WITH_ALL_LOCKS_HELD = """
import gc
supervisor = start()
assert supervisor.wait_warm(10)
runtime = supervisor._runtime
assert eventually(lambda: supervisor.verdict("openai").fresh)
owners = [supervisor, runtime.wants, runtime.bell, runtime.notifier, runtime.conditions, runtime.dispatcher._pool]
owners += [runtime.reader]
with contextlib.ExitStack() as held:
    for owner in owners:
        held.enter_context(owner._lock)
    child = fork(supervisor, warm=True, exits=False)
check_ended(child)
check_unharmed(supervisor, "mistral")
supervisor.stop()
print("done")
"""

PROGRAMS = '''
# whoever starts a program may let it inherit descriptors; ours are none of its business
supervisor = start(control_socket=True, usage_flush_s=0.01)
assert supervisor.wait_warm(10)
for number in range(3):
    code = """if True:
        import os
        paths = ["/proc/self/fd/" + name for name in os.listdir("/proc/self/fd")]
        print([os.readlink(path) for path in paths if os.path.lexists(path)])
    """
    done = subprocess.run([sys.executable, "-c", code], close_fds=False, capture_output=True, text=True, check=True)
    assert not any(word in done.stdout for word in ("inotify", "event", "socket", "agents")), done.stdout
    supervisor.report_failure("openai:work", "rate_limit")
listing = os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], os.environ)
check_ended(listing)
check_unharmed(supervisor, "mistral")
supervisor.stop()
print("done")
'''


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(FORKED_WHILE_WARMING, id="while it warms"),
        pytest.param(FORKED_WHILE_WRITING, id="while usage is written"),
        pytest.param(FORKED_WITH_ALL_LOCKS_HELD, id="while every lock is held"),
        pytest.param(PROGRAMS, id="to run programs"),
    ],
)
def test_forks_of_the_embedder_harm_neither_parent_nor_child(code: str, tmp_path: Path) -> None:
    """The child reads on, waits for nothing, and may not send events; its end takes nothing away from the parent: no
    lock, no unfinished file, no socket, no watch. Programs that are run inherit no descriptor of ours.
    """
    runtime_dir = tmp_path / "run"
    runtime_dir.mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"XDG_RUNTIME_DIR": str(runtime_dir)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr


# ---------------------------------------------------------------------------------------------- agents that come and go


def names_kept(supervisor: AuthSupervisor, prefix: str) -> set[str]:
    """Stop a supervisor and return which names with a prefix are in some table or set that it, its actors or a module
    of the package still holds.

    Only afterwards: a walk beside running threads gets hold of half-made objects and breaks them.
    """
    runtime = supervisor._runtime
    modules = [vars(module) for name, module in sys.modules.items() if name.startswith("openclaw_actors")]
    roots: list[object] = [supervisor, *map(actor_of, (runtime.warmer, runtime.watcher, runtime.listener)), *modules]
    supervisor.stop()
    assert our_threads() == []
    found: set[str] = set()
    seen = {id(thing) for thing in roots}
    for owner in roots:  # grows while it is walked
        if type(owner) in (dict, set, frozenset):
            for key in owner:  # type: ignore[attr-defined]
                parts = key if type(key) is tuple else (key,)
                found.update([part for part in parts if type(part) is str and prefix in part])
        for thing in gc.get_referents(owner):
            if id(thing) not in seen and not isinstance(thing, _NO_TABLES):
                seen.add(id(thing))
                roots.append(thing)
    # an agent that comes back finds what was refused refused still, and its revision counts on: both are bounded
    return found - {key.store for key in runtime.ledger} - runtime.prepared.last_revisions.keys()


_NO_TABLES = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, str, bytes, int, float, Mounts)
"""What is not looked into; the last one remembers what it was asked, and is made anew whenever a path is added."""


def actor_of(address: Any) -> Any:
    """Return the actor that lives at an address."""
    return address.ref._actor_weakref()


def come_and_go(home: Home, supervisor: AuthSupervisor, names: list[str]) -> None:
    """Add agents with a store and a refused profile each to the config, wait until all of that shows, remove them."""
    for name in names:
        home.write_profiles(name, zai__me=api_key("zai", name))
    home.agents("main", "stays", *names).write_config()
    assert eventually(lambda: all(supervisor.has_auth("zai", agent_id=name) for name in names), 20)
    for name in names:
        supervisor.report_failure("zai:me", "auth", agent_id=name)
    assert eventually(lambda: not any(supervisor.has_auth("zai", agent_id=name) for name in names), 20)
    assert eventually(lambda: all("zai:me" in home.usage(name) for name in names), 20)
    home.agents("main", "stays").write_config()
    assert eventually(lambda: supervisor.agent_ids() == ("main", "stays"), 20)
    assert eventually(lambda: supervisor.snapshot("stays").verdict("openai").fresh, 20)


def check_churn(home: Home, supervise: Supervise, log_lines: list[str], rounds: int, at_once: int) -> None:
    """Let agents come and go and check that nothing of them is left."""
    home.agents("main", "stays").write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home, usage_flush_s=0.01, hint_interval_s=0.005)
    come_and_go(home, supervisor, [f"first-{number}" for number in range(at_once)])
    runtime = supervisor._runtime
    warmer, watcher = actor_of(runtime.warmer), actor_of(runtime.watcher)

    def is_settled() -> bool:
        left = [source for source in list(watcher._stamps) if "-" in source.rpartition("/agents/")[2]]
        return not (left or watcher._arming or watcher._is_behind()) and supervisor.health().ok

    def counts() -> dict[str, object]:
        return {
            "threads": [name for name in our_threads() if "reader" not in name],  # those come and go by themselves
            "files": open_files(),
            "actors": len(pykka.ActorRegistry.get_all()),
            "agents": sorted(runtime.prepared.agents),
            "roster": sorted(warmer._roster.agents),
            "sources": sorted(warmer._desk.board.records),
            "watched": watcher._watcher.watched_paths,
        }

    assert eventually(is_settled)
    before = counts()
    for number in range(rounds):
        come_and_go(home, supervisor, [f"leaver-{number}-{one}" for one in range(at_once)])
    assert eventually(is_settled)
    assert eventually(lambda: counts() == before), [
        (was, now) for was, now in zip(before.items(), counts().items(), strict=True) if was != now
    ]
    home.write_profiles("stays", groq__me=api_key("groq"))
    assert eventually(lambda: supervisor.has_auth("groq", agent_id="stays"))
    assert supervisor.has_auth("openai", agent_id="stays")
    assert supervisor.verdict("openai", agent_id="leaver-0-0").state is State.MISSING
    assert not names_kept(supervisor, "leaver-")
    actors = [one for one in gc.get_objects() if isinstance(one, AuthStateActor) and "leaver-" in one.name]
    assert not actors
    assert not [line for line in log_lines if line.startswith("ERROR")]


def test_agents_that_come_and_go_leave_nothing_behind(home: Home, supervise: Supervise, log_lines: list[str]) -> None:
    """After thirty of them came and went by edits of the config, each with a refused profile, there are as many
    threads, descriptors, actors, sources and watches as before, and no table knows their names.
    """
    check_churn(home, supervise, log_lines, rounds=3, at_once=10)


@pytest.mark.stress
@pytest.mark.timeout(600)
def test_a_thousand_agents_that_come_and_go_leave_nothing_behind(
    home: Home, supervise: Supervise, log_lines: list[str]
) -> None:
    """The same for a thousand."""
    check_churn(home, supervise, log_lines, rounds=50, at_once=20)


@pytest.mark.stress
@pytest.mark.timeout(600)
def test_a_thousand_edits_without_a_pause_end_in_the_right_answers(home: Home, supervise: Supervise) -> None:
    """A thousand agents, each added by an edit and removed by the next, as fast as the disk takes them."""
    home.agents("main", "stays").write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)
    for number in range(1000):
        name = f"leaver-{number}"
        home.write_profiles(name, zai__me=api_key("zai", name))
        home.agents("main", "stays", name).write_config()
        home.agents("main", "stays").write_config()
    home.agents("main", "stays", "last").write_config()
    assert eventually(lambda: supervisor.agent_ids() == ("main", "stays", "last"), 30)
    assert eventually(lambda: supervisor.verdict("openai", agent_id="last").fresh, 30)
    assert supervisor.has_auth("openai", agent_id="last")
    assert eventually(lambda: supervisor.health().ok, 30), supervisor.health()
    assert not names_kept(supervisor, "leaver-")
