"""What kills threads, actors and processes from outside: found, said, made good, and never at the embedder's cost."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pykka
import pytest
from homes import Home, Supervise, api_key, eventually, secret

from openclaw_actors import AuthSupervisor, Settings, upkeep
from openclaw_actors.auth.evaluation import Evaluation
from openclaw_actors.errors import NoThreadError
from openclaw_actors.home.stores.lock import StoreLock

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small(home: Home) -> Home:
    """Return a home with two agents and one stored key."""
    return home.agents("main", "ops").write_config().write_profiles(openai__work=api_key("openai"))


@pytest.fixture
def started() -> Iterator[list[AuthSupervisor]]:
    """Return a list of supervisors that are stopped in the end."""
    supervisors: list[AuthSupervisor] = []
    yield supervisors
    for supervisor in supervisors:
        supervisor.stop()


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it looked often who lives."""
    monkeypatch.setattr(upkeep, "LIVENESS_S", 0.05)


def our_threads() -> dict[str, threading.Thread]:
    """Return the package's threads that are alive, by name."""
    return {thread.name: thread for thread in threading.enumerate() if thread.name.startswith("openclaw")}


def raise_in(thread: threading.Thread, kind: type[BaseException] = SystemExit) -> None:
    """Have a thread find an exception raised when it runs next, outside of any handler most likely."""
    assert thread.ident is not None
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(kind)) == 1


def condition(supervisor: AuthSupervisor, kind: str = "ActorsAlive") -> tuple[bool, str, str]:
    """Return status, reason and message of a condition."""
    found = supervisor.health().condition(kind)
    return (False, "", "") if found is None else (found.status, found.reason, found.message)


def works(home: Home, supervisor: AuthSupervisor, tag: str) -> bool:
    """Tell whether file events, reports, rechecks and usage all still do what they should."""
    home.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai", tag))
    if not eventually(lambda: supervisor.has_auth("zai", agent_id="ops") and supervisor.verdict("zai").fresh):
        return False
    supervisor.report_failure("zai:me", "auth")
    if not eventually(lambda: not supervisor.has_auth("zai", agent_id="ops")):
        return False
    if not eventually(lambda: "zai:me" in home.usage()):
        return False
    supervisor.recheck("zai")
    return eventually(lambda: supervisor.has_auth("zai", agent_id="ops"))


# -------------------------------------------------------------------------------------------------------- dead threads


@pytest.mark.parametrize(
    "name",
    [
        *("supervisor", "warmer", "watcher", "failure-listener", "agents", "alarms"),
        *("reader-watch", "reader-1", "notifier-1"),
    ],
)
def test_an_exit_raised_in_any_of_our_threads_is_survived(
    name: str, small: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever thread it hits, on whatever line, everything works again without a restart of the process, and without
    a look at who lives.
    """
    monkeypatch.setattr(upkeep, "LIVENESS_S", 3600.0)
    supervisor = supervise(small)
    heard: list[str] = []
    supervisor.subscribe(lambda change: heard.append(change.provider))
    raise_in(our_threads()[f"openclaw-{name}"])
    if name == "supervisor":
        supervisor._runtime.upkeep.wake()
    # whoever sleeps finds the exit when something wakes it
    supervisor._runtime.listener.tell(object())
    supervisor._runtime.watcher.tell(object())
    supervisor.recheck()
    assert works(small, supervisor, "again")
    assert eventually(lambda: "zai" in heard)
    if name in ("warmer", "watcher", "failure-listener"):
        assert eventually(lambda: supervisor.stats().restarts == 1)
    assert eventually(lambda: supervisor.health().ok), supervisor.health()
    supervisor.stop()
    assert our_threads() == {}


@pytest.mark.usefixtures("quick_looks")
def test_a_shared_lane_whose_thread_ended_gets_another(small: Home, supervise: Supervise) -> None:
    """The agents' actors live on, with what waited for them."""
    supervisor = supervise(small)
    lane: Any = supervisor._runtime.dispatcher._agents  # type: ignore[attr-defined]
    before = our_threads()["openclaw-agents"]
    serve = lane._serve

    def end_it(pace: Any) -> None:
        lane._serve = serve

    lane._serve = end_it
    raise_in(before, ZeroDivisionError)
    supervisor.recheck()
    before.join(8)
    assert not before.is_alive()
    assert eventually(lambda: "openclaw-agents" in our_threads())
    assert works(small, supervisor, "again")
    assert supervisor.stats().restarts <= 1


@pytest.mark.usefixtures("quick_looks")
def test_an_actor_whose_thread_ended_without_a_word_is_found(
    small: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that is gone, with an actor that everybody takes for alive, is noticed by the look at who lives."""
    supervisor = supervise(small)
    ref = supervisor._runtime.warmer.ref
    assert ref is not None
    lane: Any = supervisor._runtime.dispatcher._own_threads[ref][0]  # type: ignore[attr-defined]
    actor = lane._actor
    monkeypatch.setattr(actor, "run_end", lambda reason: None)  # as if it had not got that far
    monkeypatch.setattr(lane, "_actor", None)
    thread = lane.thread
    raise_in(thread)
    supervisor.recheck()
    thread.join(8)
    monkeypatch.undo()
    monkeypatch.setattr(upkeep, "LIVENESS_S", 0.05)
    assert lane._actor is actor
    assert eventually(lambda: supervisor.stats().restarts == 1)
    assert works(small, supervisor, "again")


def test_a_supervisor_thread_that_keeps_failing_says_so_and_ends_everything(
    small: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on for a while; then everything is stopped, who waits is let go, and health names what happened."""
    monkeypatch.setattr("openclaw_actors.runtime._MOST_FAILURES", 3)
    supervisor = supervise(small)

    def fail() -> float:
        raise MemoryError

    heard: list[bool] = []
    runtime = supervisor._runtime
    waiting = threading.Thread(target=lambda: heard.append(runtime.bell.wait_until(lambda: runtime.is_over, 8)))
    monkeypatch.setattr(supervisor._runtime, "look_after", fail)
    supervisor._runtime.upkeep.wake()
    waiting.start()
    assert eventually(supervisor._runtime.ended.is_set)
    assert condition(supervisor)[:2] == (False, "SupervisorFailed")
    assert "MemoryError" in condition(supervisor)[2]
    assert supervisor.has_auth("openai"), "the last answers stay"
    supervisor.stop()
    waiting.join(10)
    assert heard == [True]
    assert our_threads() == {}


def test_without_threads_the_start_is_refused_and_may_be_tried_again(
    small: Home, started: list[AuthSupervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for a system that has none left, since a real limit would hit the test's own threads."""
    supervisor = AuthSupervisor(small.path, env=small.env)
    start = threading.Thread.start
    refused = {"openclaw-supervisor"}

    def limited(self: threading.Thread) -> None:
        if self.name in refused:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(NoThreadError, match="later"):
        supervisor.start()
    refused |= {"openclaw-watcher", "openclaw-alarms", "openclaw-agents", "openclaw-notifier-1"}
    refused.discard("openclaw-supervisor")
    heard: list[object] = []
    supervisor.subscribe(heard.append)
    started.append(supervisor.start())
    assert eventually(lambda: condition(supervisor)[1] == "CannotStart")
    assert "watcher can't be started: NoThreadError" in condition(supervisor)[2]
    refused.clear()
    assert supervisor.wait_warm(10), supervisor.health()
    assert works(small, supervisor, "late")
    assert eventually(lambda: heard)
    assert eventually(lambda: supervisor.health().ok), supervisor.health()
    supervisor.stop()


# ------------------------------------------------------------------------------------------------ the embedder's actors


class Guest(pykka.ThreadingActor):
    """An actor of the embedder's own."""

    use_daemon_thread: ClassVar[bool] = True

    def on_receive(self, message: Any) -> Any:
        """Answer."""
        return message


@pytest.fixture
def guest() -> Iterator[pykka.ActorRef[Guest]]:
    """Return a living actor that isn't ours."""
    ref = Guest.start()
    yield ref
    ref.stop(timeout=5)


def test_the_embedders_actors_are_never_touched(
    small: Home, supervise: Supervise, guest: pykka.ActorRef[Guest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an exit in a check, nor deaths, nor a stop after them reaches an actor that isn't ours."""
    supervisor = supervise(small)
    genuine, raised = Evaluation.cell, threading.Event()

    def cell(self: Evaluation, provider: Any) -> object:
        if provider == "zai" and not raised.is_set():
            raised.set()
            raise SystemExit(secret("in-an-exit"))
        return genuine(self, provider)

    monkeypatch.setattr(Evaluation, "cell", cell)
    assert works(small, supervisor, "after-an-exit")
    assert raised.is_set()
    for name in ("warmer", "failure-listener"):
        raise_in(our_threads()[f"openclaw-{name}"], KeyboardInterrupt)
        supervisor.recheck()
    assert eventually(lambda: supervisor.stats().restarts >= 2)
    assert guest.ask("there?", timeout=5) == "there?"
    supervisor.stop()
    assert guest.ask("there?", timeout=5) == "there?"
    assert [ref.actor_urn for ref in pykka.ActorRegistry.get_all()] == [guest.actor_urn]


def test_a_host_that_stops_all_actors_gets_ours_back(
    small: Home, supervise: Supervise, guest: pykka.ActorRef[Guest]
) -> None:
    """Nobody but `stop` stops us: what was stopped from outside is said, and started again."""
    supervisor = supervise(small)
    began = time.monotonic()
    pykka.ActorRegistry.stop_all(timeout=5)
    assert time.monotonic() - began < 5
    assert not guest.is_alive()
    assert supervisor.has_auth("openai")
    assert eventually(lambda: supervisor.stats().restarts == 3)
    assert works(small, supervisor, "again")
    assert eventually(lambda: condition(supervisor)[:2] == (True, "Alive"))
    assert "from outside" in condition(supervisor)[2]
    supervisor.stop()
    assert pykka.ActorRegistry.get_all() == []


def test_a_stop_of_all_actors_is_said_while_they_are_down(small: Home, supervise: Supervise) -> None:
    """Until they are up again the condition is false, with the reason."""
    supervisor = supervise(small, restart_first_s=0.4)
    pykka.ActorRegistry.stop_all(timeout=5)
    assert eventually(lambda: condition(supervisor)[:2] == (False, "StoppedFromOutside"))
    assert eventually(lambda: condition(supervisor)[0])


def run_script(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script with the package importable; it must end well, in time."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    "at_exit",
    ["supervisor.stop()", "pykka.ActorRegistry.stop_all()", "supervisor.stop(); pykka.ActorRegistry.stop_all()", ""],
)
def test_the_end_of_the_process_is_quick_and_silent(small: Home, at_exit: str) -> None:
    """Whether the embedder stops at exit, stops all actors there, or forgets to: no hang, no output, no error."""
    code = f"""
import atexit, sys, pykka
from openclaw_actors import AuthSupervisor
supervisor = AuthSupervisor(sys.argv[1], env={{"HOME": sys.argv[2]}}).start()
def leave():
    {at_exit or "pass"}
atexit.register(leave)
assert supervisor.wait_warm(10)
supervisor.report_failure("openai:work", "billing")
"""
    done = run_script(code, small.path, small.user)
    assert (done.stdout, done.stderr) == ("", "")
    if "supervisor.stop" in at_exit:
        assert small.usage()["openai:work"]["disabledReason"] == "billing"


# ---------------------------------------------------------------------------------------------------------------- fork


def test_a_forked_child_waits_for_no_lock(small: Home) -> None:
    """Every lock of ours is held by another thread at the fork: the child's calls come back all the same."""
    code = """
import asyncio, os, signal, sys, threading
import pykka
from openclaw_actors import AuthSupervisor, ForkedError, provider_auth, Scope
from openclaw_actors.actors import inbox
from openclaw_actors.control import listening
supervisor = AuthSupervisor(sys.argv[1], env={"HOME": sys.argv[2]}).start()
assert supervisor.wait_warm(10)
stream = supervisor.aio.changes()
runtime = supervisor._runtime
owners = [supervisor, runtime, runtime.bell, runtime.conditions, runtime.wants, runtime.notifier, stream._feed,
          runtime.reader, runtime.dispatcher, runtime.listener, runtime.warmer]
locks = [owner._lock for owner in owners if hasattr(owner, "_lock")]
locks += [inbox._rare, provider_auth._hook_lock, listening._opening, pykka.ActorRegistry._actor_refs_lock]
assert len(locks) == 14, len(locks)
held, release = threading.Event(), threading.Event()
def hold():
    for lock in locks:
        lock.acquire()
    held.set()
    release.wait(20)
    for lock in reversed(locks):
        lock.release()
holder = threading.Thread(target=hold)
holder.start()
held.wait(10)
child = os.fork()
if child == 0:
    signal.alarm(10)
    try:
        assert supervisor.has_auth("openai") and supervisor.verdict("openai").has_auth
        supervisor.snapshot(); supervisor.models(); supervisor.health(); supervisor.stats(); repr(supervisor)
        assert supervisor.wait_warm() and supervisor.start() is supervisor
        for event in (supervisor.recheck, supervisor.reload_config, supervisor.reload_plugins,
                      lambda: supervisor.invalidate(Scope.everything(), "why"),
                      lambda: supervisor.report_failure("openai:work", "auth"),
                      lambda: supervisor.report_success("openai:work"), lambda: supervisor.logout("openai"),
                      lambda: provider_auth.mark_auth_profile_failure("openai:work", "auth"),
                      lambda: supervisor.clear_cooldown("openai:work")):
            try:
                event()
            except ForkedError:
                continue
            raise AssertionError(event)
        provider_auth.set_auth_profile_failure_hook(None)
        provider_auth.has_auth_for_model_provider("openai", env={"OPENAI_API_KEY": "x"})
        async def through_aio():
            assert await supervisor.aio.wait_warm()
            assert not (await supervisor.aio.fresh("openai", timeout_s=60)).fresh
            assert await supervisor.aio.has_auth_for_model_provider("openai")
            assert [change async for change in stream] == []
            await supervisor.aio.stop()
        asyncio.run(through_aio())
        supervisor.subscribe(print)()
        pykka.ActorRegistry.stop_all()
        supervisor.stop()
        with AuthSupervisor(sys.argv[1], env={"HOME": sys.argv[2]}) as own:
            assert own.wait_warm(5) and own.has_auth("openai")
        os._exit(0)
    except BaseException as error:
        import traceback
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
_, status = os.waitpid(child, 0)
release.set()
holder.join()
assert os.waitstatus_to_exitcode(status) == 0, status
assert supervisor.verdict("openai").fresh
supervisor.stop()
print("done")
"""
    assert run_script(code, small.path, small.user).stdout.strip() == "done"


def test_a_child_of_a_supervisor_that_is_not_warm_does_not_wait_for_it(small: Home) -> None:
    """Nothing warms in a child: who would wait for it there is told so at once, with and without a loop."""
    code = """
import asyncio, os, signal, sys
from openclaw_actors import AuthSupervisor
open(sys.argv[1] + "/openclaw.json", "w").write("{")
supervisor = AuthSupervisor(sys.argv[1], env={"HOME": sys.argv[2]}).start()
child = os.fork()
if child == 0:
    signal.alarm(10)
    assert not supervisor.wait_warm()
    assert not asyncio.run(supervisor.aio.wait_warm())
    supervisor.stop()
    os._exit(0)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
supervisor.stop()
"""
    run_script(code, small.path, small.user)


# ------------------------------------------------------------------------------------------------------------ leftovers


def leftovers(home: Home) -> tuple[object, ...]:
    """Return what a process can leave behind: threads, actors, descriptors, children, and lock or temporary files."""
    gc.collect()
    files = sorted(str(path) for path in home.path.rglob("*") if path.suffix in (".lock", ".tmp"))
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    return sorted(our_threads()), pykka.ActorRegistry.get_all(), len(os.listdir("/proc/self/fd")), children, files


def nothing(home: Home, supervisor: AuthSupervisor) -> None:
    """Stop what was never started."""


def starting(home: Home, supervisor: AuthSupervisor) -> None:
    """Start, and do not wait."""
    supervisor.start()


def warming(home: Home, supervisor: AuthSupervisor) -> None:
    """Start, and be somewhere in the first warm."""
    supervisor.start()
    assert eventually(lambda: supervisor.stats().publications > 0)


def warm(home: Home, supervisor: AuthSupervisor) -> None:
    """Be warm, and followed."""
    supervisor.subscribe(lambda change: None)
    assert supervisor.start().wait_warm(10)


def reported(home: Home, supervisor: AuthSupervisor) -> None:
    """Have usage that waits to be written."""
    warm(home, supervisor)
    supervisor.report_failure("openai:work", "billing")


def dead_warmer(home: Home, supervisor: AuthSupervisor) -> None:
    """Have a warmer that waits to be started again."""
    warm(home, supervisor)
    raise_in(our_threads()["openclaw-warmer"])
    supervisor.recheck()
    assert eventually(lambda: not supervisor._runtime.warmer.lives)


def dead_listener(home: Home, supervisor: AuthSupervisor) -> None:
    """Have a listener that died with a report."""
    warm(home, supervisor)
    raise_in(our_threads()["openclaw-failure-listener"])
    supervisor.report_failure("openai:work", "billing")
    assert eventually(lambda: not supervisor._runtime.listener.lives)
    supervisor.report_failure("openai:work", "auth")


@pytest.mark.parametrize("state", [nothing, starting, warming, warm, reported, dead_warmer, dead_listener])
def test_a_stop_from_any_state_leaves_nothing(state: Callable[[Home, AuthSupervisor], None], home: Home) -> None:
    """No thread, actor, descriptor, child process, lock file or half-written file is there after it; usage is."""
    home.agents("main", *(f"agent-{number}" for number in range(30))).write_config()
    home.write_profiles(openai__work=api_key("openai"))
    before = leftovers(home)
    supervisor = AuthSupervisor(
        home.path, env=home.env, settings=Settings(restart_first_s=0.5, usage_flush_s=30.0, read_threads=4)
    )
    state(home, supervisor)
    began = time.monotonic()
    supervisor.stop(5.0)
    assert time.monotonic() - began < 5.0
    assert leftovers(home) == before
    if state in (reported, dead_listener):
        assert home.usage()["openai:work"]["errorCount"] >= 1
    supervisor.stop()


def test_a_stop_while_another_process_holds_a_store_leaves_nothing(home: Home) -> None:
    """A write that can't be done in time is given up, said, and takes neither the other's lock nor the deadline."""
    home.write_config().write_profiles(openai__work=api_key("openai"))
    script = """
import sys
from openclaw_actors.home.stores.lock import StoreLock
with StoreLock(sys.argv[1], timeout_s=5.0):
    print("held", flush=True)
    sys.stdin.read()
"""
    lock = f"{home.profiles_path()}.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", script, lock], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        before = leftovers(home)
        supervisor = AuthSupervisor(home.path, env=home.env, settings=Settings(lock_timeout_s=0.3))
        assert supervisor.start().wait_warm(10)
        supervisor.report_failure("openai:work", "billing")
        assert eventually(lambda: supervisor._runtime._memory.is_unfinished)
        began = time.monotonic()
        supervisor.stop(3.0)
        assert time.monotonic() - began < 3.0
        assert leftovers(home) == before, "and the lock that is there is the other's"
        assert not condition(supervisor, "UsagePersisted")[0]
        assert home.usage() == {}
    finally:
        holder.communicate("")
    with StoreLock(lock, timeout_s=1.0):
        pass


def test_stops_from_several_threads_at_once_all_return(small: Home) -> None:
    """Each waits for the one end, and none for another."""
    before = leftovers(small)
    supervisor = AuthSupervisor(small.path, env=small.env)
    supervisor.start()
    gate = threading.Barrier(4)

    def stop() -> None:
        gate.wait(5)
        supervisor.stop(5.0)

    threads = [threading.Thread(target=stop) for _ in range(3)]
    for thread in threads:
        thread.start()
    gate.wait(5)
    for thread in threads:
        thread.join(6)
    assert not any(thread.is_alive() for thread in threads)
    assert leftovers(small) == before


def test_a_stop_from_a_subscriber_leaves_nothing(small: Home) -> None:
    """The callback that stops everything gets its call back at once, and all else ends behind it."""
    before = leftovers(small)
    supervisor = AuthSupervisor(small.path, env=small.env)
    stopped = threading.Event()

    def stop(change: object) -> None:
        supervisor.stop()
        stopped.set()

    supervisor.subscribe(stop)
    assert supervisor.start().wait_warm(10)
    small.write_profiles(zai__me=api_key("zai"))
    assert stopped.wait(8)
    assert eventually(lambda: leftovers(small) == before)


def test_a_stop_through_asyncio_from_any_state_leaves_nothing(home: Home) -> None:
    """From the loop the same holds, and the loop goes on meanwhile."""
    home.agents("main", *(f"agent-{number}" for number in range(30))).write_config()
    before = leftovers(home)

    async def live() -> None:
        for wait in (False, True):
            supervisor = AuthSupervisor(home.path, env=home.env).start()
            if wait:
                assert await supervisor.aio.wait_warm(10)
            await asyncio.gather(supervisor.aio.stop(), supervisor.aio.stop())

    asyncio.run(live())
    assert eventually(lambda: leftovers(home) == before), (leftovers(home), before)
