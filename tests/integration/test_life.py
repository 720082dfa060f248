"""From import to stop: nothing runs before start, nothing unblocked runs after stop, deaths are survived."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from homes import Home, Supervise, api_key, eventually, replace_text, secret

from openclaw_actors import AuthSupervisor, ForkedError, NotRunningError, Scope, Settings, State
from openclaw_actors.actors.auth_state import AuthStateActor
from openclaw_actors.auth.evaluation import Evaluation
from openclaw_actors.home.external_cli import read_cli
from openclaw_actors.ids import Generation
from openclaw_actors.messages import ReportSuccess, Reread, WarmScope, WatchSource

ROOT = Path(__file__).parents[2]
EVENTS: dict[str, Callable[[AuthSupervisor], object]] = {
    "invalidate": lambda sup: sup.invalidate(Scope.everything(), "why not"),
    "reload_config": lambda sup: sup.reload_config(),
    "reload_plugins": lambda sup: sup.reload_plugins(),
    "recheck": lambda sup: sup.recheck(),
    "report_failure": lambda sup: sup.report_failure("openai:work", "auth"),
    "report_success": lambda sup: sup.report_success("openai:work"),
    "logout": lambda sup: sup.logout("openai"),
    "clear_cooldown": lambda sup: sup.clear_cooldown("openai:work"),
}


def run_script(code: str, *arguments: object) -> str:
    """Run a script with the package importable and return what it prints; its errors fail the test."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def our_threads() -> list[str]:
    """Return the names of the package's threads that are alive."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("openclaw"))


def open_files() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def small(home: Home) -> Home:
    """Return a home with one agent and one stored key."""
    return home.write_config().write_profiles(openai__work=api_key("openai"))


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Have the reading of the Codex login block, as on a dead mount, until the test ends; set once reached."""
    reached, release = threading.Event(), threading.Event()
    genuine = read_cli

    def block(name: str, **options: Any) -> object:
        if name == "codex":
            reached.set()
            release.wait(30)
        return genuine(name, **options)

    monkeypatch.setattr("openclaw_actors.home.reader.read_cli", block)
    yield reached
    release.set()


# ------------------------------------------------------------------------------------------------------ before start


def test_importing_and_making_a_supervisor_starts_nothing() -> None:
    """No thread, no descriptor, no log sink and no output come from importing all names or making a supervisor."""
    code = """
import os, sys, threading
from loguru import logger
import asyncio, sqlite3, pykka, watchdog.observers  # what they open themselves is theirs
def state():
    return (threading.active_count(), sorted(os.listdir("/proc/self/fd")), len(logger._core.handlers))
before = state()
import openclaw_actors
for name in openclaw_actors.__all__:
    getattr(openclaw_actors, name)
import openclaw_actors.aio, openclaw_actors.provider_auth
openclaw_actors.AuthSupervisor(sys.argv[1])
assert state() == before, (before, state())
"""
    assert run_script(code, ROOT / "config" / "example") == ""


def test_importing_the_package_alone_imports_none_of_its_rooms() -> None:
    """`import openclaw_actors` is almost free: neither actors nor libraries come with it."""
    code = """
import sys
import openclaw_actors
print([name for name in sys.modules
       if name.startswith("openclaw_actors.") or name in ("pykka", "msgspec", "watchdog", "loguru", "asyncio")])
"""
    assert run_script(code).strip() == "[]"


def test_a_whole_life_opens_no_connection(small: Home) -> None:
    """Warming, reading, listing, reporting and stopping make no network connection, resolve no name, run no program."""
    code = """
import sys
seen = []
def look(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.exec", "os.posix_spawn"}:
        seen.append(event)
sys.addaudithook(look)
from openclaw_actors import AuthSupervisor
with AuthSupervisor(sys.argv[1], env={"HOME": sys.argv[1]}) as supervisor:
    assert supervisor.wait_warm(20)
    supervisor.models(view="all")
    supervisor.report_failure("openai:work", "auth")
    supervisor.recheck()
    supervisor.reload_config()
print(seen)
"""
    assert run_script(code, small.path).strip() == "[]"


@pytest.mark.parametrize("event", EVENTS)
def test_events_outside_of_life_say_so(event: str, small: Home) -> None:
    """Before start and after stop every event raises NotRunningError, which is also a RuntimeError."""
    supervisor = AuthSupervisor(small.path, env=small.env)
    with pytest.raises(NotRunningError, match="start"):
        EVENTS[event](supervisor)
    supervisor.start()
    assert supervisor.wait_warm(10)
    supervisor.stop()
    with pytest.raises(RuntimeError):
        EVENTS[event](supervisor)


def test_reads_never_fail_at_any_time_of_life(small: Home) -> None:
    """Before start the answer is `unknown`, not warmed; after stop it is the last one, not fresh."""
    supervisor = AuthSupervisor(small.path, env=small.env)
    verdict = supervisor.verdict("openai")
    assert (verdict.state, verdict.reason, verdict.has_auth, verdict.fresh) == ("unknown", "not warmed", False, False)
    assert not supervisor.has_auth("openai")
    assert supervisor.snapshot().revision == 0
    assert supervisor.models().rows == ()
    assert supervisor.wait_warm(0) is False
    supervisor.start()
    assert supervisor.wait_warm(10)
    supervisor.stop()
    verdict = supervisor.verdict("openai")
    assert (verdict.state, verdict.has_auth, verdict.fresh) == ("usable", True, False)
    assert supervisor.has_auth("openai")


# ------------------------------------------------------------------------------------------------------ start and stop


def test_start_twice_is_start_once(small: Home, supervise: Supervise) -> None:
    """The second start changes nothing; a start after stop says that a supervisor lives once."""
    supervisor = supervise(small)
    threads = our_threads()
    assert supervisor.start() is supervisor
    assert our_threads() == threads
    supervisor.stop()
    with pytest.raises(NotRunningError, match="new one"):
        supervisor.start()


def test_stop_before_start_and_twice(small: Home) -> None:
    """Stop is safe in any state."""
    never = AuthSupervisor(small.path, env=small.env)
    never.stop()
    never.stop()
    once = AuthSupervisor(small.path, env=small.env).start()
    once.stop()
    once.stop()
    assert our_threads() == []


def test_with_starts_and_stops(small: Home) -> None:
    """The context manager leaves no thread and no descriptor, also when its body raises."""
    before = open_files()
    with pytest.raises(ZeroDivisionError), AuthSupervisor(small.path, env=small.env) as supervisor:
        assert supervisor.wait_warm(10) / 0
    assert our_threads() == []
    assert open_files() == before


def test_async_with_starts_and_stops(small: Home) -> None:
    """The asynchronous context manager does the same on a running loop."""

    async def live() -> None:
        async with AuthSupervisor(small.path, env=small.env) as supervisor:
            assert await supervisor.aio.wait_warm(10)
            assert supervisor.has_auth("openai")

    asyncio.run(live())
    assert eventually(lambda: our_threads() == [])


def test_stop_on_a_running_loop_raises_and_names_the_way(small: Home) -> None:
    """Stop would block the loop, so it refuses there and says what to call; the supervisor lives on."""

    async def live() -> None:
        supervisor = AuthSupervisor(small.path, env=small.env).start()
        assert await supervisor.aio.wait_warm(10)
        with pytest.raises(RuntimeError, match=r"aio\.stop"):
            supervisor.stop()
        assert supervisor.verdict("openai").fresh
        await supervisor.aio.stop()

    asyncio.run(live())
    assert eventually(lambda: our_threads() == [])


def test_stop_at_any_moment_of_the_first_warm(home: Home) -> None:
    """Whenever the stop comes while many agents warm, no thread and no descriptor is left."""
    home.agents("main", *(f"agent-{number}" for number in range(40))).write_config()
    home.write_profiles(openai__work=api_key("openai"))
    before = open_files()
    for pause_s in (0.0, 0.001, 0.003, 0.006, 0.01, 0.015, 0.02, 0.03):
        supervisor = AuthSupervisor(home.path, env=home.env).start()
        supervisor.wait_warm(pause_s)
        supervisor.stop()
        assert our_threads() == [], pause_s
    assert open_files() == before


def test_stop_with_a_blocked_source_returns_in_time_and_names_it(small: Home, blocked: threading.Event) -> None:
    """What a source blocks stays as a named daemon, said in health; nothing else does, and stop keeps its time."""
    supervisor = AuthSupervisor(small.path, env=small.env).start()
    assert blocked.wait(5)
    assert supervisor.wait_warm(5), "a slow login must not hold up the first answers"
    began = time.monotonic()
    supervisor.stop(1.0)
    assert time.monotonic() - began < 1.5
    left = [thread for thread in threading.enumerate() if thread.name.startswith("openclaw")]
    assert all(thread.daemon and thread.name.startswith("openclaw-reader") for thread in left), left
    assert len(left) == 1
    condition = supervisor.health().condition("ActorsAlive")
    assert condition is not None
    assert (condition.reason, "cli:codex" in condition.message) == ("StoppedWithLeftovers", True)


def test_stop_with_a_blocked_first_reading_returns_in_time(small: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when nothing could be read yet, stop returns within its deadline."""
    reached, release = threading.Event(), threading.Event()

    def block(*_arguments: object, **_options: object) -> object:
        reached.set()
        release.wait(30)
        raise OSError

    monkeypatch.setattr("openclaw_actors.home.reader.read_json5", block)
    supervisor = AuthSupervisor(small.path, env=small.env).start()
    try:
        assert reached.wait(5)
        began = time.monotonic()
        supervisor.stop(0.5)
        assert time.monotonic() - began < 1.0
        assert all(name.startswith("openclaw-reader") for name in our_threads())
    finally:
        release.set()


def test_a_pipe_where_a_login_file_is_expected_blocks_nothing(small: Home, supervise: Supervise) -> None:
    """A FIFO that nobody writes to is passed over: the warm is quick and the stop is clean."""
    (small.user / ".codex").mkdir()
    os.mkfifo(small.user / ".codex" / "auth.json")
    small.write_profiles(mistral__work=api_key("mistral"))
    supervisor = supervise(small)
    assert supervisor.has_auth("mistral")
    assert not supervisor.has_auth("openai-codex")
    supervisor.stop()
    assert our_threads() == []
    condition = supervisor.health().condition("ActorsAlive")
    assert condition is not None
    assert condition.reason == "Stopped"


def test_a_stop_does_not_wait_for_the_grace_of_a_slow_source(small: Home, supervise: Supervise) -> None:
    """An idle supervisor stops at once."""
    supervisor = supervise(small)
    began = time.monotonic()
    supervisor.stop(5.0)
    assert time.monotonic() - began < 1.0


# --------------------------------------------------------------------------------------------------------------- fork


def test_a_forked_child_reads_on_and_may_not_send_events(small: Home) -> None:
    """After fork the child's reads go on, not fresh, its events raise ForkedError, and the parent is untouched."""
    code = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks with threads: that is the point here
from openclaw_actors import AuthSupervisor, ForkedError
supervisor = AuthSupervisor(sys.argv[1], env={"HOME": sys.argv[2]}).start()
assert supervisor.wait_warm(10)
child = os.fork()
if child == 0:
    try:
        verdict = supervisor.verdict("openai")
        assert supervisor.has_auth("openai") and verdict.has_auth and not verdict.fresh, verdict
        assert supervisor.snapshot().verdicts["openai"].has_auth
        supervisor.models()
        supervisor.health()
        for event in (supervisor.recheck, supervisor.reload_config, supervisor.reload_plugins,
                      lambda: supervisor.report_failure("openai:work", "auth"),
                      lambda: supervisor.report_success("openai:work"), lambda: supervisor.logout("openai"),
                      lambda: supervisor.clear_cooldown("openai:work")):
            try:
                event()
            except ForkedError:
                continue
            raise AssertionError(event)
        supervisor.stop()
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert supervisor.verdict("openai").fresh
supervisor.stop()
print("done")
"""
    assert run_script(code, small.path, small.user).strip() == "done"
    assert issubclass(ForkedError, RuntimeError)


def test_a_forked_child_follows_nothing_and_waits_for_no_lock(small: Home) -> None:
    """A lock that the notifier held at the fork is held for ever in the child: nothing there waits for it. A supervisor
    that was made before the fork and is started in the child follows as ever.
    """
    code = """
import asyncio, os, signal, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from openclaw_actors import AuthSupervisor
unstarted = AuthSupervisor(sys.argv[1], env={"HOME": sys.argv[2]})
supervisor = AuthSupervisor(sys.argv[1], env={"HOME": sys.argv[2]}).start()
assert supervisor.wait_warm(10)
unsubscribe, stream = supervisor.subscribe(lambda change: None), supervisor.aio.changes()
with supervisor._runtime.notifier._lock:
    child = os.fork()
if child == 0:
    signal.alarm(10)
    try:
        unsubscribe()
        supervisor.subscribe(print)()
        del stream
        async def collect():
            return [change async for change in supervisor.aio.changes(since=0)]
        assert asyncio.run(collect()) == []
        heard = threading.Event()
        unstarted.subscribe(lambda change: heard.set())
        unstarted.start()
        assert unstarted.wait_warm(10)
        unstarted.report_failure("openai:work", "auth")
        assert heard.wait(5)
        unstarted.stop()
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert len(supervisor._runtime.notifier._feeds) == 2
supervisor.stop()
print("done")
"""
    assert run_script(code, small.path, small.user).strip() == "done"


# ------------------------------------------------------------------------------------------------------------- config


def test_a_first_start_with_a_broken_config_recovers_when_it_is_mended(
    home: Home, supervise: Supervise, log_lines: list[str]
) -> None:
    """It starts, warms nothing, says so in health and in one log line, and warms as soon as the file is good."""
    replace_text(home.config_path, '{\n  "agents": {"list": [{"id": "main"}]\n  "models": {}\n}\n')
    home.write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home, warm=False, retry_first_s=0.05)

    def condition(kind: str) -> str:
        found = supervisor.health().condition(kind)
        return found.message if found is not None and not found.status else ""

    assert eventually(lambda: condition("ConfigValid"))
    assert str(home.config_path) in condition("ConfigValid")
    assert "line 3" in condition("ConfigValid")
    assert eventually(lambda: supervisor.stats().retries >= 3)
    assert not supervisor.wait_warm(0.01)
    assert not supervisor.health().ok
    assert supervisor.agent_ids() == ()
    assert supervisor.verdict("openai").state is State.UNKNOWN
    assert sum("can't be read" in line for line in log_lines) == 1
    home.write_config()
    assert supervisor.wait_warm(5)
    assert supervisor.has_auth("openai")
    assert eventually(lambda: supervisor.health().ok), supervisor.health()


def test_a_home_without_any_file_is_warm_and_empty(home: Home, supervise: Supervise) -> None:
    """No config is no error: `main` is there, and nothing has auth."""
    supervisor = supervise(home)
    assert supervisor.agent_ids() == ("main",)
    assert supervisor.verdict("openai").state is State.MISSING
    assert supervisor.health().ok
    assert list(home.path.iterdir()) == []


def test_two_agents_in_one_dir_stay_separate(home: Home, supervise: Supervise) -> None:
    """A config that OpenClaw would refuse is served, each agent by its own id, and health says what is wrong."""
    folder = str(home.path / "both")
    home.write_config(agents={"list": [{"id": "left", "agentDir": folder}, {"id": "right", "agentDir": folder}]})
    replace_text(home.path / "both" / "auth-profiles.json", '{"version": 1, "profiles": {}}')
    supervisor = supervise(home)
    assert supervisor.agent_ids() == ("left", "right")
    condition = supervisor.health().condition("AgentDirsDistinct")
    assert condition is not None
    assert not condition.status
    assert "left" in condition.message
    assert "right" in condition.message
    left, right = supervisor.snapshot("left"), supervisor.snapshot("right")
    assert (left.agent_id, right.agent_id) == ("left", "right")
    assert left.agent_dir == right.agent_dir
    assert left.workspace_dir != right.workspace_dir
    home.write_config(agents={"list": [{"id": "left"}, {"id": "right", "agentDir": folder}]})
    assert eventually(lambda: supervisor.health().ok)


# -------------------------------------------------------------------------------------------------------------- deaths


def bad_warm(supervisor: AuthSupervisor) -> WarmScope:
    """Return a message that the warmer's handler can't bear."""
    scope: Any = None
    generation = supervisor._runtime.wants.mint(Scope.everything())
    return WarmScope(generation=generation, scope=scope, reason="bad", cause_at=0.0, reread=Reread.NOTHING)


def kill_warmer(supervisor: AuthSupervisor) -> None:
    """Have the warmer die of a message, and wait until it was started again."""
    restarts = supervisor.stats().restarts
    assert eventually(lambda: supervisor._runtime.warmer.tell(bad_warm(supervisor)))
    assert eventually(lambda: supervisor.stats().restarts == restarts + 1), supervisor.stats()


def test_the_death_of_the_warmer_is_survived(home: Home, supervise: Supervise) -> None:
    """Answers stay while it is dead; it is started again, counted, and later changes are seen."""
    home.agents("main", "ops").write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)
    kill_warmer(supervisor)
    assert supervisor.stats().restarts == 1
    assert supervisor.has_auth("openai")
    home.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"))
    assert eventually(lambda: all(supervisor.has_auth("zai", agent_id=one) for one in ("main", "ops")))
    assert eventually(lambda: supervisor.verdict("openai", agent_id="ops").fresh)
    assert eventually(lambda: supervisor.health().ok), supervisor.health()


def test_a_restart_of_the_warmer_changes_no_answer(home: Home, supervise: Supervise) -> None:
    """Nothing changed, so nobody hears of a change: no answer is taken back while everything is read again."""
    home.agents("main", "ops").write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)
    changes: list[object] = []
    supervisor.subscribe(lambda change: changes.append((change.provider, change.old.state, change.new.state)))
    for _ in range(3):
        warms = supervisor.stats().warms
        kill_warmer(supervisor)
        assert eventually(lambda enough=warms: supervisor.stats().warms > enough)  # type: ignore[misc]
        assert eventually(lambda: supervisor.verdict("openai").fresh)
    assert supervisor.snapshot().revision == 1
    assert changes == []


def test_an_event_that_dies_with_the_warmer_is_answered_by_the_next_one(small: Home, supervise: Supervise) -> None:
    """No generation stays open for ever because of a death."""
    supervisor = supervise(small)
    supervisor._runtime.warmer.tell(bad_warm(supervisor))
    generations = [supervisor.recheck("openai") for _ in range(20)]
    assert eventually(lambda: supervisor.stats().restarts >= 1)
    assert eventually(lambda: supervisor.verdict("openai").fresh)
    assert supervisor.verdict("openai").generation >= max(generations)


def test_a_restart_with_a_broken_store_keeps_the_last_good_answer(small: Home, supervise: Supervise) -> None:
    """A warmer that comes back and can't read a store publishes nothing worse than what is shown."""
    supervisor = supervise(small)
    replace_text(small.profiles_path(), '{"version": 1, "profiles": {"openai:work": {"key": "' + secret("torn"))

    def broken() -> bool:
        condition = supervisor.health().condition("StoresReadable")
        return condition is not None and not condition.status

    assert eventually(broken)
    reads = supervisor.stats().store_reads
    kill_warmer(supervisor)
    assert eventually(lambda: supervisor.stats().store_reads > reads + 2)
    verdict = supervisor.verdict("openai")
    assert (verdict.state, verdict.presence, verdict.fresh) == ("usable", True, False)


def test_a_bad_message_to_the_watcher_or_the_listener_is_survived(small: Home, supervise: Supervise) -> None:
    """Whether they live on or are started again, files stay watched and reports are taken."""
    supervisor = supervise(small)
    nothing: Any = None
    supervisor._runtime.watcher.tell(WatchSource(source="store:nowhere", stamps=nothing))
    supervisor._runtime.listener.tell(
        ReportSuccess(
            generation=Generation(10**9),
            agent_id=nothing,
            evidence_id=nothing,
            model=None,
            observed_at=nothing,
            cause_at=0.0,
        )
    )
    small.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"))
    assert eventually(lambda: supervisor.has_auth("zai"))
    supervisor.report_failure("openai:work", "auth")
    assert eventually(lambda: not supervisor.has_auth("openai"))


def test_the_death_of_an_agents_actor_is_survived(home: Home, supervise: Supervise) -> None:
    """The next sweep of that agent finds it dead and starts it again; nobody else notices."""
    home.agents("main", "ops").write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)
    alive = [one for one in gc.get_objects() if type(one) is AuthStateActor and one.name == "agent-ops"]
    actors = [one for one in alive if one._warmer is supervisor._runtime.warmer]
    assert actors
    for actor in actors:
        actor.actor_ref.stop()
    assert supervisor.has_auth("openai", agent_id="ops")
    home.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"))
    assert eventually(lambda: all(supervisor.has_auth("zai", agent_id=one) for one in ("main", "ops")))
    assert supervisor.stats().restarts == 1


def test_a_check_that_raises_is_tried_again(home: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in one check leaves the old answers and no agent that is never answered again."""
    home.agents("main").write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)
    genuine, raised = Evaluation.cell, threading.Event()

    def cell(self: Evaluation, provider: Any) -> object:
        if provider == "zai" and not raised.is_set():
            raised.set()
            raise ZeroDivisionError
        return genuine(self, provider)

    monkeypatch.setattr(Evaluation, "cell", cell)
    home.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"))
    assert raised.wait(5)
    assert supervisor.has_auth("openai")
    assert eventually(lambda: supervisor.has_auth("zai"))
    assert eventually(lambda: supervisor.verdict("zai").fresh)


def test_a_subscriber_that_raises_is_survived(small: Home, supervise: Supervise, log_lines: list[str]) -> None:
    """It is logged without values and stays subscribed; the others hear everything in order."""
    supervisor = supervise(small)
    heard: list[str] = []

    def bad(change: object) -> None:
        raise ValueError(secret("in-an-exception"))

    supervisor.subscribe(bad)
    unsubscribe = supervisor.subscribe(lambda change: heard.append(change.provider))
    small.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"))
    assert eventually(lambda: heard == ["zai"])
    small.write_profiles(openai__work=api_key("openai"))
    assert eventually(lambda: heard == ["zai", "zai"])
    assert eventually(lambda: sum("subscriber raised" in line for line in log_lines) == 2)
    unsubscribe()
    small.write_profiles(zai__me=api_key("zai"))
    assert eventually(lambda: supervisor.has_auth("zai") and not supervisor.has_auth("openai"))
    assert heard == ["zai", "zai"]


def test_settings_without_watching_start_no_watcher(small: Home, supervise: Supervise) -> None:
    """With `watch` off nothing is watched, and events still work."""
    supervisor = supervise(small, watch=False)
    assert not any("inotify" in name or "poll" in name for name in our_threads())
    small.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"))
    supervisor.recheck()
    assert eventually(lambda: supervisor.has_auth("zai"))
    assert Settings(watch=False).watch is False


def test_waiting_for_the_warm_ends_with_the_supervisor(home: Home) -> None:
    """Who waits without a deadline for a warm that never comes is let go by a stop."""
    home.path.mkdir(exist_ok=True)
    home.config_path.write_text("{")
    supervisor = AuthSupervisor(home.path, env={})
    supervisor.start()
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(supervisor.wait_warm()), name="waiting")
    waiting.start()
    supervisor.stop()
    waiting.join(10)
    assert answers == [False]


def test_what_was_handed_out_is_not_fresh_once_it_is_old_news(small: Home, supervise: Supervise) -> None:
    """A snapshot from before a change, and any after a stop, says that it is not the newest."""
    supervisor = supervise(small)
    before = supervisor.snapshot()
    assert before.verdict("openai").fresh
    assert before.verdict("groq").fresh
    small.write_profiles(zai__me=api_key("zai"))
    assert eventually(lambda: not supervisor.has_auth("openai"))
    assert eventually(lambda: supervisor.verdict("openai").fresh)
    assert before.verdict("openai").has_auth
    assert not before.verdict("openai").fresh
    assert before.verdict("groq").fresh, "that answer is still the one"
    after = supervisor.snapshot()
    supervisor.stop()
    assert not after.verdict("zai").fresh


def test_bad_arguments_are_refused_at_the_door(small: Home, supervise: Supervise) -> None:
    """They never reach an actor, and what comes after them is answered."""
    supervisor = supervise(small)
    bad: Any = ["x"]
    with pytest.raises(TypeError, match="must be a Scope"):
        supervisor.invalidate(bad, "why")
    with pytest.raises(TypeError, match="provider must be a str"):
        supervisor.invalidate(Scope.provider(bad[0], 7), "why")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="evidence_id must be a str"):
        supervisor.report_failure(bad, "auth")
    with pytest.raises(TypeError, match="model must be a str"):
        supervisor.report_failure("openai:work", "rate_limit", model=bad)
    with pytest.raises(ValueError, match="surrogate"):
        supervisor.report_failure("openai:work", "rate_limit", model="\ud800")
    with pytest.raises(TypeError, match="provider must be a str"):
        supervisor.recheck(bad)
    with pytest.raises(TypeError, match="provider must be a str"):
        supervisor.logout(bad)
    with pytest.raises(TypeError, match="called with each change"):
        supervisor.subscribe(bad)
    with pytest.raises(TypeError, match="must be a Settings"):
        AuthSupervisor(settings={"watch": False})  # type: ignore[arg-type]
    before = supervisor.stats().provider_checks
    supervisor.invalidate(Scope.provider("OpenAI"), "spelled by a person")
    assert eventually(lambda: supervisor.verdict("openai").fresh)
    assert supervisor.stats().provider_checks > before
    assert supervisor.stats().restarts == 0


def test_a_logout_concerns_only_those_who_see_the_store(home: Home, supervise: Supervise) -> None:
    """An agent's own profile is removed without reading or checking everybody else."""
    home.agents("main", *(f"a{number}" for number in range(20))).write_config()
    home.write_profiles(openai__work=api_key("openai"))
    home.write_profiles("a7", zai__me=api_key("zai"))
    supervisor = supervise(home)
    before = supervisor.stats()
    supervisor.logout("zai", agent_id="a7")
    assert not supervisor.has_auth("zai", agent_id="a7")
    assert supervisor.stats().store_reads - before.store_reads <= 4
    assert supervisor.stats().sweeps - before.sweeps <= 3


def test_the_interpreter_is_tuned_only_for_who_asks_and_given_back(small: Home, supervise: Supervise) -> None:
    """Neither the switch interval nor the collector is touched by default; tuned, both are as before after the stop."""
    interval, frozen = sys.getswitchinterval(), gc.get_freeze_count()
    supervise(small).stop()
    assert (sys.getswitchinterval(), gc.get_freeze_count()) == (interval, frozen)
    tuned = supervise(small, tune_interpreter=True)
    assert sys.getswitchinterval() < interval
    assert eventually(lambda: gc.get_freeze_count() > frozen)
    tuned.stop()
    assert (sys.getswitchinterval(), gc.get_freeze_count()) == (interval, 0)
