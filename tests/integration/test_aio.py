"""The asyncio face: nothing in it blocks the loop, however long the thing it waits for takes."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gc
import json
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from homes import Home, Supervise, api_key, eventually

from openclaw_actors import AuthSupervisor, Change, NotRunningError, State, StoreError
from openclaw_actors.home.external_cli import read_cli
from openclaw_actors.home.json5 import read_json5
from openclaw_actors.home.stores.open import read_store
from openclaw_actors.ids import Generation

T = TypeVar("T")
BLOCK_S = 0.5
"""How long the blocking thing takes in these tests, in seconds."""
_TICK_S = 0.002


class Measured:
    """How a call went: its result, how long it took, and the longest time that the loop didn't tick meanwhile."""

    def __init__(self, result: Any, took_s: float, gap_s: float) -> None:
        self.result = result
        self.took_s = took_s
        self.gap_s = gap_s

    @property
    def free(self) -> bool:
        """Whether it took its time and the loop went on all the while."""
        return self.took_s >= BLOCK_S * 0.6 and self.gap_s < self.took_s * 0.4


async def measured(call: Awaitable[T]) -> Measured:
    """Await something beside a ticking loop."""
    loop = asyncio.get_running_loop()
    gaps, last, handle = [0.0], loop.time(), None

    def tick() -> None:
        nonlocal last, handle
        now = loop.time()
        gaps.append(now - last)
        last = now
        handle = loop.call_later(_TICK_S, tick)

    tick()
    began = loop.time()
    try:
        result: Any = await call
    except Exception as error:
        result = error
    took_s = loop.time() - began
    gaps.append(loop.time() - last)
    assert handle is not None
    handle.cancel()
    return Measured(result, took_s, max(gaps))


def run(live: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine on a loop of its own, with a deadline."""

    async def main() -> T:
        async with asyncio.timeout(20):
            return await live()

    return asyncio.run(main())


@pytest.fixture
def small(home: Home) -> Home:
    """Return a home with one agent and one stored key."""
    return home.write_config().write_profiles(openai__work=api_key("openai"))


@pytest.fixture
def slow_config(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Have each reading of the config take a while, like a slow disk; the event that is returned ends that."""
    fast = threading.Event()
    genuine = read_json5

    def read(path: str) -> object:
        fast.wait(BLOCK_S)
        return genuine(path)

    monkeypatch.setattr("openclaw_actors.home.reader.read_json5", read)
    yield fast
    fast.set()


def lock_for_a_while(home: Home) -> None:
    """Lock the main store as a live process would, and unlock it after a while."""
    lock: Path = home.profiles_path().with_name("auth-profiles.json.lock")
    created = datetime.datetime.now(datetime.UTC).isoformat()
    lock.write_text(json.dumps({"pid": os.getpid(), "createdAt": created}, indent=2) + "\n")
    timer = threading.Timer(BLOCK_S, lock.unlink)
    timer.daemon = True
    timer.start()


# ------------------------------------------------------------------------------------------------------ not blocking


def test_start_and_wait_warm_leave_the_loop_free(small: Home, slow_config: threading.Event) -> None:
    """A slow disk holds up the warm, never the loop."""

    async def live() -> Measured:
        async with AuthSupervisor(small.path, env=small.env) as supervisor:
            done = await measured(supervisor.aio.wait_warm(10))
            assert supervisor.has_auth("openai")
            return done

    done = run(live)
    assert done.result is True
    assert done.free, vars(done)


def test_wait_warm_gives_up_at_its_deadline(small: Home, slow_config: threading.Event) -> None:
    """It answers False, in time, and leaves nothing listening."""

    async def live() -> Measured:
        supervisor = AuthSupervisor(small.path, env=small.env).start()
        done = await measured(supervisor.aio.wait_warm(BLOCK_S * 0.1))
        assert supervisor._runtime.bell._listeners == ()
        slow_config.set()
        await supervisor.aio.stop()
        return done

    done = run(live)
    assert done.result is False
    assert done.took_s < BLOCK_S


def test_stop_leaves_the_loop_free(small: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that blocks makes the stop wait on a thread, not on the loop."""
    reached, release = threading.Event(), threading.Event()
    genuine = read_cli

    def read(name: str, **options: Any) -> object:
        reached.set()
        release.wait(20)
        return genuine(name, **options)

    monkeypatch.setattr("openclaw_actors.home.reader.read_cli", read)

    async def live() -> Measured:
        supervisor = AuthSupervisor(small.path, env=small.env).start()
        assert await supervisor.aio.wait_warm(10)
        assert reached.is_set()
        return await measured(supervisor.aio.stop(BLOCK_S))

    try:
        done = run(live)
    finally:
        release.set()
    assert done.result is None
    assert done.free, vars(done)
    assert done.took_s < BLOCK_S * 2


def test_logout_leaves_the_loop_free(small: Home, supervise: Supervise) -> None:
    """A locked store makes the logout wait on a thread; when it is done the answer is published."""
    supervisor = supervise(small)
    lock_for_a_while(small)
    done = run(lambda: measured(supervisor.aio.logout("openai")))
    assert done.result is None
    assert done.free, vars(done)
    assert not supervisor.has_auth("openai")


def test_clear_cooldown_leaves_the_loop_free(small: Home, supervise: Supervise) -> None:
    """The same for clearing a cooldown."""
    supervisor = supervise(small, usage_flush_s=0.01)
    supervisor.report_failure("openai:work", "billing")
    assert eventually(lambda: not supervisor.has_auth("openai") and "openai:work" in small.usage())
    lock = small.profiles_path().with_name("auth-profiles.json.lock")
    assert eventually(lambda: not lock.exists())
    lock_for_a_while(small)
    done = run(lambda: measured(supervisor.aio.clear_cooldown("openai:work")))
    assert done.result is None
    assert done.free, vars(done)
    assert supervisor.has_auth("openai")


def test_the_slow_path_leaves_the_loop_free(small: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch) -> None:
    """An own environment has files read: on a thread, while a published cell is answered from the map."""
    supervisor = supervise(small)
    pause = threading.Event()
    genuine = read_json5

    def read(path: str) -> object:
        pause.wait(BLOCK_S)
        return genuine(path)

    monkeypatch.setattr("openclaw_actors.home.reader.read_json5", read)
    env = {**small.env, "GROQ_API_KEY": "dummy"}

    async def live() -> tuple[Measured, Measured]:
        aio = supervisor.aio
        slow = await measured(aio.has_auth_for_model_provider("groq", env=env))
        return slow, await measured(aio.has_auth_for_model_provider("OpenAI"))

    slow, quick = run(live)
    assert (slow.result, quick.result) == (True, True)
    assert slow.free, vars(slow)
    assert quick.took_s < slow.took_s / 2


def test_fresh_at_its_deadline_is_the_verdict_as_it_is(
    small: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never raises and never blocks: when the answer isn't there in time, the shown one comes, not fresh."""
    supervisor = supervise(small)
    release = threading.Event()
    genuine = read_store

    def read(*arguments: Any, **options: Any) -> object:
        release.wait(20)
        return genuine(*arguments, **options)

    monkeypatch.setattr("openclaw_actors.home.reader.read_store", read)
    generation = supervisor.recheck("openai")

    async def live() -> Measured:
        return await measured(supervisor.aio.fresh("openai", generation=generation, timeout_s=BLOCK_S))

    try:
        done = run(live)
    finally:
        release.set()
    assert (done.result.state, done.result.fresh) == (State.USABLE, False)
    assert done.free, vars(done)
    assert done.took_s < BLOCK_S * 2


# --------------------------------------------------------------------------------------------------------- answering


def test_fresh_waits_for_the_answer_to_an_event(small: Home, supervise: Supervise) -> None:
    """After `fresh` the verdict is of that generation or a later one, and nothing newer is wanted."""
    supervisor = supervise(small)

    async def live() -> None:
        for _ in range(20):
            generation = supervisor.recheck("openai")
            verdict = await supervisor.aio.fresh("OpenAI", generation=generation)
            assert verdict.generation >= generation
            assert verdict.fresh
        supervisor.report_failure("openai:work", "auth")
        verdict = await supervisor.aio.fresh("openai")
        assert (verdict.state, verdict.fresh) == (State.REJECTED, True)

    run(live)


def test_fresh_returns_at_once_when_an_event_changes_nothing(small: Home, supervise: Supervise) -> None:
    """An event that needs no check is answered as promptly as any other, not at the deadline."""
    supervisor = supervise(small)

    async def live() -> list[Measured]:
        aio = supervisor.aio
        return [
            await measured(aio.fresh("openai", generation=supervisor.report_failure(name, reason), timeout_s=5.0))
            for name, reason in (("openai:gone", "auth"), ("openai:work", "format"), ("openai:work", "model_not_found"))
        ]

    for done in run(live):
        assert done.result.state is State.USABLE
        assert done.took_s < 1.0


def test_errors_come_through(small: Home, supervise: Supervise) -> None:
    """What the blocking twin raises is raised by the awaitable one."""
    stopped = AuthSupervisor(small.path, env=small.env)
    supervisor = supervise(small)

    async def live() -> None:
        with pytest.raises(NotRunningError):
            await stopped.aio.logout("openai")
        with pytest.raises(StoreError):
            await supervisor.aio.logout("mistral")
        with pytest.raises(StoreError):
            await supervisor.aio.clear_cooldown("openai:nobody")
        await stopped.aio.stop()

    run(live)


def test_a_cancelled_wait_leaves_nothing_behind(small: Home, slow_config: threading.Event) -> None:
    """Cancelling a waiter is ordinary: nothing goes on listening for it."""

    async def live() -> None:
        supervisor = AuthSupervisor(small.path, env=small.env).start()
        waiting = asyncio.create_task(supervisor.aio.wait_warm())
        await asyncio.wait([waiting], timeout=0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert supervisor._runtime.bell._listeners == ()
        slow_config.set()
        await supervisor.aio.stop()

    run(live)


# ----------------------------------------------------------------------------------------------------------- changes


def test_changes_arrive_in_order_without_blocking(small: Home, supervise: Supervise) -> None:
    """Each change once, in the order of publication, while the loop goes on; closing the iterator unsubscribes."""
    supervisor = supervise(small)
    providers = ["zai", "groq", "mistral", "xai"]

    async def live() -> list[Change]:
        stream = supervisor.aio.changes()
        heard: list[Change] = []
        coming = asyncio.ensure_future(anext(stream))
        for provider in providers:
            small.write_profiles(openai__work=api_key("openai"), **{f"{provider}__x": api_key(provider)})
            while not heard or heard[-1].provider != provider:
                heard.append(await coming)
                coming = asyncio.ensure_future(anext(stream))
        coming.cancel()
        await asyncio.wait([coming])
        await stream.aclose()
        return heard

    heard = run(live)
    sequences = [one.sequence for one in heard]
    assert sequences == list(range(sequences[0], sequences[0] + len(heard)))
    assert [one.provider for one in heard if one.new.has_auth] == providers
    assert all(feed.is_left for feed in supervisor._runtime.notifier._feeds)


def test_changes_since_a_sequence_begin_with_what_was_missed(home: Home, supervise: Supervise) -> None:
    """A reader that was away asks from where it stopped and misses nothing."""
    home.write_config().write_profiles(mistral__me=api_key("mistral"))
    supervisor = supervise(home)
    heard: list[Change] = []
    supervisor.subscribe(heard.append)
    home.write_profiles(mistral__me=api_key("mistral"), zai__x=api_key("zai"))
    assert eventually(lambda: len(heard) == 1)
    home.write_profiles(mistral__me=api_key("mistral"))
    assert eventually(lambda: len(heard) == 2)

    async def first_of(since: int) -> Change:
        stream = supervisor.aio.changes(since=since)
        found = await anext(stream)
        await stream.aclose()
        return found

    assert run(lambda: first_of(0)) == heard[0]
    assert run(lambda: first_of(heard[0].sequence)) == heard[1]


def test_changes_are_followed_from_the_call_on(small: Home, supervise: Supervise) -> None:
    """Follow, look, iterate: what is published between the call and the first step is not lost."""
    supervisor = supervise(small)

    async def live() -> list[str]:
        async with contextlib.aclosing(supervisor.aio.changes()) as stream:
            small.write_profiles(openai__work=api_key("openai"), zai__x=api_key("zai"))
            assert eventually(lambda: supervisor.has_auth("zai"))
            small.write_profiles(openai__work=api_key("openai"))
            assert eventually(lambda: not supervisor.has_auth("zai"))
            return [(await anext(stream)).new.state for _ in range(2)]

    assert run(live) == [State.USABLE, State.MISSING]
    assert all(feed.is_left for feed in supervisor._runtime.notifier._feeds)


def test_a_stream_may_be_made_before_its_loop_runs(small: Home, supervise: Supervise) -> None:
    """Made on a thread without a loop it follows all the same, and is iterated on the loop that comes."""
    supervisor = supervise(small)
    stream = supervisor.aio.changes()
    small.write_profiles(openai__work=api_key("openai"), zai__x=api_key("zai"))
    assert eventually(lambda: supervisor.has_auth("zai"))

    async def next_one() -> Change:
        return await anext(stream)

    assert run(next_one).provider == "zai"
    small.write_profiles(openai__work=api_key("openai"))
    assert run(next_one).new.state is State.MISSING


def test_a_stream_that_is_forgotten_leaves(small: Home, supervise: Supervise) -> None:
    """One that nobody iterates, and one that a loop breaks off, cost nothing once they are collected."""
    supervisor = supervise(small)
    notifier = supervisor._runtime.notifier
    stream = supervisor.aio.changes()
    assert len(notifier._feeds) == 1
    del stream
    gc.collect()
    assert all(feed.is_left for feed in notifier._feeds)

    async def break_off() -> None:
        small.write_profiles(openai__work=api_key("openai"), zai__x=api_key("zai"))
        async for _ in supervisor.aio.changes(since=0):
            break
        gc.collect()
        assert all(feed.is_left for feed in notifier._feeds)

    run(break_off)


def test_closing_a_stream_ends_the_wait_for_its_next_change(small: Home, supervise: Supervise) -> None:
    """Whoever iterates it in another task comes to its end; closing it again changes nothing."""
    supervisor = supervise(small)

    async def live() -> list[Change]:
        stream = supervisor.aio.changes()

        async def collect() -> list[Change]:
            return [change async for change in stream]

        task = asyncio.create_task(collect())
        await asyncio.wait([task], timeout=0)
        await stream.aclose()
        await stream.aclose()
        assert [change async for change in stream] == []
        return await task

    assert run(live) == []


def test_a_cancelled_step_loses_no_change(small: Home, supervise: Supervise) -> None:
    """A deadline on one step leaves the stream as it was: the change comes with the next step."""
    supervisor = supervise(small)

    async def live() -> Change:
        async with contextlib.aclosing(supervisor.aio.changes()) as stream:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.01)
            small.write_profiles(openai__work=api_key("openai"), zai__x=api_key("zai"))
            return await anext(stream)

    assert run(live).provider == "zai"


def test_a_burst_wakes_the_loop_once(small: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the loop is busy many changes are published; one call reaches it for all of them."""
    supervisor = supervise(small)

    async def live() -> tuple[int, int]:
        loop, calls = asyncio.get_running_loop(), 0
        genuine = loop.call_soon_threadsafe

        def count(*arguments: Any, **options: Any) -> asyncio.Handle:
            nonlocal calls
            calls += 1
            return genuine(*arguments, **options)

        async with contextlib.aclosing(supervisor.aio.changes()) as stream:
            first = asyncio.ensure_future(anext(stream))
            await asyncio.wait([first], timeout=0)
            with monkeypatch.context() as patch:
                patch.setattr(loop, "call_soon_threadsafe", count)
                for provider in ("zai", "groq", "mistral", "xai"):
                    small.write_profiles(**{f"{provider}__x": api_key(provider)})
                    assert eventually(lambda provider=provider: supervisor.has_auth(provider))
            got = [await first]
            while got[-1].revision < supervisor.snapshot().revision:
                got.append(await anext(stream))
            return calls, len(got)

    calls, changes = run(live)
    assert calls == 1
    assert changes >= 4


def test_who_waits_for_a_supervisor_that_is_never_started_hears_of_its_stop(small: Home) -> None:
    """A stop ends every wait and every stream, also when nothing was ever started."""
    supervisor = AuthSupervisor(small.path, env=small.env)

    async def live() -> tuple[bool, list[Change]]:
        async def collect() -> list[Change]:
            return [change async for change in supervisor.aio.changes()]

        warm, changes = asyncio.create_task(supervisor.aio.wait_warm()), asyncio.create_task(collect())
        await asyncio.wait([warm, changes], timeout=0.01)
        assert not warm.done()
        assert not changes.done()
        await supervisor.aio.stop()
        return await asyncio.wait_for(warm, 5), await asyncio.wait_for(changes, 5)

    assert run(live) == (False, [])
    assert not supervisor.wait_warm(5)


# -------------------------------------------------------------------------------------------------- the loop's own gap


def test_the_warm_line_says_how_long_the_loop_was_blocked(
    small: Home, slow_config: threading.Event, log_lines: list[str]
) -> None:
    """`eventLoopMax` is measured on the embedder's loop, also when one block lasts for the whole warm."""

    async def live() -> None:
        supervisor = AuthSupervisor(small.path, env=small.env).start()
        assert supervisor.wait_warm(10)  # blocks this loop, as a careless embedder would
        await supervisor.aio.stop()

    run(live)
    line = next(line for line in log_lines if "pre-warmed" in line)
    blocked_ms = float(line.split("eventLoopMax=")[1].split("ms")[0])
    assert blocked_ms > BLOCK_S * 1000 * 0.6


def test_without_a_loop_the_warm_line_names_no_gap(small: Home, supervise: Supervise, log_lines: list[str]) -> None:
    """Where there is no loop nothing is made up."""
    supervise(small)
    line = next(line for line in log_lines if "pre-warmed" in line)
    assert "eventLoopMax" not in line


def test_changes_end_when_the_supervisor_stops(home: Home, supervise: Supervise) -> None:
    """Who gathers its tasks at shutdown is not kept by an iteration that nothing will feed any more."""
    home.write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)

    async def main() -> list[str]:
        began = asyncio.Event()

        async def collect() -> list[str]:
            began.set()
            return [change.provider async for change in supervisor.aio.changes()]

        task = asyncio.create_task(collect())
        await began.wait()
        supervisor.report_failure("openai:work", "auth")
        await supervisor.aio.fresh("openai")
        await supervisor.aio.stop()
        return await asyncio.wait_for(task, 10)

    assert "openai" in asyncio.run(main())


def test_a_wait_ends_when_the_supervisor_stops(home: Home, supervise: Supervise) -> None:
    """What was never asked for is never answered; the wait for it ends with the supervisor, not with its deadline."""
    home.write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)

    async def main() -> bool:
        began = asyncio.Event()

        async def wait() -> bool:
            began.set()
            verdict = await supervisor.aio.fresh("openai", generation=Generation(10**6), timeout_s=60.0)
            return verdict.fresh

        task = asyncio.create_task(wait())
        await began.wait()
        await supervisor.aio.stop()
        return await asyncio.wait_for(task, 10)

    assert asyncio.run(main()) is False


def test_with_on_a_running_loop_is_refused_before_anything_starts(home: Home) -> None:
    """Leaving it would block the loop, so entering it says what to use instead."""
    home.write_config()

    async def main() -> None:
        with pytest.raises(RuntimeError, match="async with"), AuthSupervisor(home.path):
            raise AssertionError("entered")

    asyncio.run(main())
