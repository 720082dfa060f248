"""Whoever follows the changes gets each once and in order, holds up nobody, and is told what it missed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from homes import Home, Supervise, api_key, eventually

from openclaw_actors.auth.verdict import State
from openclaw_actors.changes import Change
from openclaw_actors.counters import Counters
from openclaw_actors.ids import AgentId, Generation, ProviderId, Revision
from openclaw_actors.notifier import Feed, Notifier
from openclaw_actors.prepared import bare_verdict

PROVIDERS = ("zai", "groq", "mistral", "xai", "openai", "anthropic")


@pytest.fixture
def small(home: Home) -> Home:
    """Return a home with one agent and one profile."""
    return home.write_config().write_profiles(mistral__me=api_key("mistral"))


def change(sequence: int) -> Change:
    """Return a change of `ops`/`groq`."""
    ops, groq = AgentId("ops"), ProviderId("groq")
    old, new = (bare_verdict(ops, groq, state, "") for state in (State.MISSING, State.USABLE))
    return Change(
        sequence=sequence,
        agent_id=ops,
        revision=Revision(sequence),
        provider=groq,
        old=old,
        new=new,
        reason="credentials-changed",
        generation=Generation(1),
        latency_s=0.0,
        published_at=0.0,
    )


def toggle(home: Home, number: int) -> str:
    """Log one provider in and all others out; return it."""
    provider = PROVIDERS[number % len(PROVIDERS)]
    home.write_profiles(**{f"{provider}__x": api_key(provider)})
    return provider


def test_a_subscriber_that_blocks_holds_up_nobody(small: Home, supervise: Supervise) -> None:
    """While one callback stands still, publication goes on and another subscriber hears of everything."""
    supervisor = supervise(small)
    blocked, free = threading.Event(), threading.Event()
    heard: list[Change] = []

    def block(change: Change) -> None:
        blocked.set()
        free.wait(20)

    supervisor.subscribe(block)
    supervisor.subscribe(heard.append)
    try:
        for number in range(6):
            provider = toggle(small, number)
            eventually(lambda provider=provider: supervisor.has_auth(provider))
        assert blocked.is_set()
        eventually(lambda: any(one.provider == "anthropic" and one.new.has_auth for one in heard))
    finally:
        free.set()


def test_one_that_unsubscribes_in_its_callback_hears_no_more(small: Home, supervise: Supervise) -> None:
    """Unsubscribing from within ends the calls at once, also those that wait already."""
    supervisor = supervise(small)
    heard: list[Change] = []
    leave: list[Callable[[], None]] = []

    def once(change: Change) -> None:
        heard.append(change)
        leave[0]()

    leave.append(supervisor.subscribe(once))
    small.write_profiles(**{f"{provider}__x": api_key(provider) for provider in PROVIDERS})
    eventually(lambda: supervisor.has_auth("anthropic"))
    eventually(lambda: heard)
    toggle(small, 0)
    eventually(lambda: not supervisor.has_auth("anthropic"))
    assert len(heard) == 1


def test_each_change_comes_once_and_in_order_of_revision(home: Home, supervise: Supervise) -> None:
    """Every follower, however it follows, gets the same changes: by sequence, and by revision per agent."""
    home.write_config(agents={"list": [{"id": one} for one in ("main", "ops", "lab")]}).write_profiles(
        mistral__me=api_key("mistral")
    )
    supervisor = supervise(home)
    heard: list[Change] = []
    supervisor.subscribe(heard.append)
    for number in range(12):
        provider = toggle(home, number)
        eventually(lambda provider=provider: all(supervisor.has_auth(provider, agent_id=one) for one in ("ops", "lab")))
    newest = {one: supervisor.snapshot(one).revision for one in ("main", "ops", "lab")}
    eventually(lambda: {one.agent_id: one.revision for one in list(heard)} == newest)
    assert [one.sequence for one in heard] == list(range(heard[0].sequence, heard[0].sequence + len(heard)))
    for agent in ("main", "ops", "lab"):
        revisions = [one.revision for one in heard if one.agent_id == agent]
        assert revisions == sorted(revisions)
        assert revisions[-1] == supervisor.snapshot(agent).revision
    assert all(one.reread_from is None and one.latency_s >= 0 and one.generation > 0 for one in heard)


def test_a_stream_that_is_read_too_slowly_says_what_to_read_again(
    small: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that falls too far behind finds the newest change of the agent, marked with the revision that it has to
    read again, and is right after one look at the snapshot.
    """
    monkeypatch.setattr("openclaw_actors.notifier.Feed.__init__.__defaults__", (8,))
    supervisor = supervise(small)

    async def follow() -> list[Change]:
        stream = supervisor.aio.changes()
        first = asyncio.ensure_future(anext(stream))
        await asyncio.wait([first], timeout=0)  # its wait is under way
        for number in range(30):
            provider = toggle(small, number)
            # the loop stands still: nothing is read meanwhile
            eventually(lambda provider=provider: supervisor.has_auth(provider))
        got = [await first]
        newest = supervisor.snapshot().revision
        while got[-1].revision < newest:
            got.append(await anext(stream))
        await stream.aclose()
        return got

    got = asyncio.run(follow())
    marked = [one for one in got if one.reread_from is not None]
    assert len(marked) == 1
    assert len(got) <= 16
    place = got.index(marked[0])
    assert marked[0].reread_from is not None
    assert marked[0].reread_from <= marked[0].revision
    assert [one.sequence for one in got[place:]] == list(range(marked[0].sequence, got[-1].sequence + 1))
    assert supervisor.stats().changes_missed > 0
    assert supervisor.snapshot().revision >= marked[0].reread_from


def test_one_who_asks_for_more_than_is_kept_is_told(
    small: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`changes(since=…)` from before what is kept begins with a change that says what to read again."""
    monkeypatch.setattr("openclaw_actors.notifier._KEPT", 8)
    supervisor = supervise(small)
    for number in range(20):
        provider = toggle(small, number)
        eventually(lambda provider=provider: supervisor.has_auth(provider))

    async def replay(since: int) -> Change:
        stream = supervisor.aio.changes(since=since)
        first = await asyncio.wait_for(anext(stream), 10)
        await stream.aclose()
        return first

    first = asyncio.run(replay(0))
    assert first.reread_from is not None
    assert first.sequence > 1
    again = asyncio.run(replay(first.sequence))
    assert (again.reread_from, again.sequence) == (None, first.sequence + 1)


def test_what_was_posted_is_delivered_before_the_end(small: Home, supervise: Supervise) -> None:
    """A stop lets subscribers have what was published before it, and ends their threads."""
    supervisor = supervise(small)
    heard: list[Change] = []
    supervisor.subscribe(heard.append)
    provider = toggle(small, 0)
    eventually(lambda: supervisor.has_auth(provider))
    supervisor.stop()
    assert any(one.provider == provider and one.new.has_auth for one in heard)
    assert not [one for one in threading.enumerate() if one.name.startswith("openclaw-notifier")]
    supervisor.subscribe(heard.append)()
    assert not [one for one in threading.enumerate() if one.name.startswith("openclaw-notifier")]


def test_a_callback_may_stop_everything(small: Home, supervise: Supervise) -> None:
    """A stop from within a callback neither waits for itself nor leaves anything behind."""
    supervisor = supervise(small)
    ended = threading.Event()

    def end(change: Change) -> None:
        supervisor.stop(10.0)
        ended.set()

    supervisor.subscribe(end)
    toggle(small, 0)
    assert ended.wait(5)
    assert eventually(lambda: not [one for one in threading.enumerate() if one.name.startswith("openclaw-")])


def test_a_notifier_that_never_started_has_no_thread() -> None:
    """Subscribing before the start starts nothing."""
    notifier = Notifier(Counters())
    notifier.subscribe(lambda change: None)
    assert not [one for one in threading.enumerate() if one.name.startswith("openclaw-notifier")]
    assert notifier.stop(1.0)


@pytest.mark.parametrize("kind", [SystemExit, asyncio.CancelledError, KeyboardInterrupt, ValueError])
def test_whatever_a_callback_raises_it_stays_subscribed(kind: type[BaseException], log_lines: list[str]) -> None:
    """No exception ends a subscriber's thread: the next change comes, and the log names the type alone."""
    notifier, heard = Notifier(Counters()), threading.Semaphore(0)

    def fail(change: Change) -> None:
        heard.release()
        raise kind("canary-of-the-callback")

    notifier.subscribe(fail)
    notifier.start()
    for number in (1, 2):
        notifier.post((change(number),))
        assert heard.acquire(timeout=5)
    assert notifier.stop(5.0)
    lines = [line for line in log_lines if "stays subscribed" in line]
    assert [kind.__name__ in line for line in lines] == [True, True]


def test_one_that_did_not_end_in_time_is_not_called_again() -> None:
    """After a stop that timed out nothing of the backlog is delivered: the call that is under way was the last."""
    notifier, heard = Notifier(Counters()), []
    blocked, free = threading.Event(), threading.Event()

    def block(change: Change) -> None:
        heard.append(change.sequence)
        blocked.set()
        free.wait(20)

    notifier.subscribe(block)
    notifier.start()
    notifier.post(tuple(change(number) for number in range(1, 6)))
    assert blocked.wait(5)
    try:
        assert not notifier.stop(0.05)
    finally:
        free.set()
    assert eventually(lambda: not [one for one in threading.enumerate() if one.name.startswith("openclaw-notifier")])
    assert heard == [1]


def test_health_names_a_callback_that_still_runs_after_the_stop(small: Home, supervise: Supervise) -> None:
    """A stop that leaves a subscriber's thread behind says so."""
    supervisor = supervise(small)
    blocked, free = threading.Event(), threading.Event()

    def block(change: Change) -> None:
        blocked.set()
        free.wait(20)

    supervisor.subscribe(block)
    toggle(small, 0)
    assert blocked.wait(5)
    try:
        supervisor.stop(0.5)
        condition = supervisor.health().condition("ActorsAlive")
    finally:
        free.set()
    assert condition is not None
    assert (condition.status, condition.reason) == (False, "StoppedWithLeftovers")
    assert "a subscriber's callback still runs" in condition.message
    assert "sources" not in condition.message


def test_a_consumer_that_caught_up_and_lags_again_is_logged_again(log_lines: list[str]) -> None:
    """One line for each time that it falls behind, not one for ever."""
    feed, numbers = Feed(lambda: None, (), 4), iter(range(1, 100))

    def fall_behind() -> int:
        for _ in range(12):
            feed.put((change(next(numbers)),))
        return sum("a consumer of changes is slow" in line for line in log_lines)

    assert fall_behind() == 1
    assert fall_behind() == 1
    while feed.take() is not None:
        pass
    assert fall_behind() == 2


def test_the_sequence_is_that_of_the_latest_change(small: Home, supervise: Supervise) -> None:
    """0 before the first change; then what follows it is what `since` gives, and nothing before."""
    supervisor = supervise(small)
    assert supervisor.sequence == 0
    heard: list[Change] = []
    supervisor.subscribe(heard.append)
    toggle(small, 0)
    eventually(lambda: any(one.provider == "zai" for one in heard))
    eventually(lambda: supervisor.sequence == heard[-1].sequence)
    since = supervisor.sequence
    toggle(small, 1)
    eventually(lambda: any(one.provider == "groq" for one in heard))

    async def replay() -> Change:
        return await asyncio.wait_for(anext(supervisor.aio.changes(since=since)), 10)

    assert asyncio.run(replay()).sequence == since + 1


def test_a_follower_may_be_forgotten_on_a_thread_that_holds_the_lock() -> None:
    """Garbage collection runs anywhere: leaving never waits, and the next change takes the feed away."""
    notifier = Notifier(Counters())
    woken: list[None] = []
    _, leave = notifier.follow(lambda: woken.append(None))
    with notifier._lock:
        leave()
    notifier.post((change(1),))
    assert (notifier._feeds, woken) == ((), [])
