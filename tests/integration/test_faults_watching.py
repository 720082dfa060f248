"""Faults of file watching as an embedder meets them: a whole supervisor, a real home, real limits, links and deaths.

Each test asserts the same four things: nothing that happened during the fault is lost, the last good answer stays while
it lasts, the health says what is wrong and what to do, and it is over without a restart when the fault is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import (
    assert_bad,
    assert_recovered,
    condition,
    has_inotify_watch,
    holds_for,
    inotify_descriptors,
    is_well,
    run_in_namespace,
    thread_named,
    throw_exit_at,
)
from homes import Home, Supervise, api_key, eventually, profiles_json, replace_json, replace_text, secret

from openclaw_actors import AuthSupervisor, Settings, State, runtime
from openclaw_actors.watching import FileWatcher, open_watcher

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify, namespaces and bind mounts are Linux")

QUICK = {"poll_interval_s": 0.05, "gone_grace_s": 0.1}
READER = "openclaw-watch-inotify"
POLLER = "openclaw-watch-polling"
dies = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
ACME = {"baseUrl": "https://acme.test/v1", "apiKey": secret("acme"), "models": [{"id": "anvil-1"}]}


@pytest.fixture
def small(home: Home) -> Home:
    """Return a home with one agent and one stored key."""
    home.write_config().write_profiles(openai__work=api_key("openai"))
    return home


@pytest.fixture
def watchers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list to which each file watcher that is opened is added."""
    opened: list[Any] = []

    def open_one(**options: Any) -> FileWatcher:
        opened.append(open_watcher(**options))
        return opened[-1]

    monkeypatch.setattr(runtime, "open_watcher", open_one)
    return opened


def watched(supervisor: AuthSupervisor, *, status: bool = True) -> bool:
    """Wait until the watches are set and the condition says so."""
    return eventually(
        lambda: is_well(supervisor, "Watching") is status and supervisor.health().condition("Watching") is not None
    )


def is_seen(home: Home, supervisor: AuthSupervisor, provider: str) -> bool:
    """Log in to a provider, in place of any other login, and return whether that shows."""
    home.write_profiles(**{f"{provider}__me": api_key(provider)})
    return eventually(lambda: supervisor.has_auth(provider))


# ---------------------------------------------------------------------------------------------------------- limits


def _open_home(folder: str, **settings: Any) -> tuple[Home, AuthSupervisor]:
    home = Home(Path(folder))
    home.write_config().write_profiles(openai__work=api_key("openai"))
    return home, AuthSupervisor(home.path, env=home.env, settings=Settings(**{**QUICK, **settings}))


def _limit(name: str, value: int) -> None:
    Path(f"/proc/sys/user/{name}").write_text(str(value))


def meet_limit(folder: str, name: str, low: str, remedy: str) -> None:
    """Start below a limit of the kernel, live there, and have the limit raised; runs in a namespace of its own."""
    _limit(name, int(low))
    home, supervisor = _open_home(folder)
    with supervisor:
        assert supervisor.wait_warm(10.0)
        assert_bad(supervisor, "Watching", remedy, "polling every 0.05 s", reason="Polling")
        assert supervisor.has_auth("openai")
        assert is_seen(home, supervisor, "zai"), "what changes meanwhile is found by polling"
        home.write_config(models={"providers": {"acme": ACME}})
        assert eventually(lambda: supervisor.has_auth("acme"))
        _limit(name, 1000)
        assert watched(supervisor), supervisor.health()
        assert condition(supervisor, "Watching").reason == "inotify"
        poller = thread_named(POLLER)
        assert poller is not None
        before = supervisor.stats().watch_hints
        assert is_seen(home, supervisor, "groq")
        assert supervisor.stats().watch_hints > before
        assert_recovered(supervisor, home)


def test_without_watches_left_files_are_polled_until_there_are_some(tmp_path: Path) -> None:
    """The kernel's own limit, set low in a user namespace: directories above the home are watched, the rest isn't."""
    run_in_namespace(meet_limit, tmp_path, "max_inotify_watches", 3, "raise fs.inotify.max_user_watches", options="-Ur")


def test_without_an_instance_left_files_are_polled_until_there_is_one(tmp_path: Path) -> None:
    """The kernel's own limit, set to none in a user namespace."""
    run_in_namespace(
        meet_limit, tmp_path, "max_inotify_instances", 0, "raise fs.inotify.max_user_instances", options="-Ur"
    )


def meet_limit_later(folder: str) -> None:
    """Run out of watches when agents are added, and get some again; runs in a namespace of its own."""
    home, supervisor = _open_home(folder)
    with supervisor:
        assert supervisor.wait_warm(10.0)
        assert watched(supervisor)
        _limit("max_inotify_watches", 1)
        names = [f"a{number}" for number in range(5)]
        for name in names:
            home.write_profiles(name, openai__work=api_key("openai"))
        home.agents("main", *names).write_config()
        assert_bad(supervisor, "Watching", "raise fs.inotify.max_user_watches", str(home.path), reason="Polling")
        assert eventually(lambda: set(names) <= set(supervisor.agent_ids()))
        home.write_profiles("a3", groq__me=api_key("groq"))
        assert eventually(lambda: supervisor.has_auth("groq", agent_id="a3"))
        assert is_seen(home, supervisor, "zai"), "what was watched before still is"
        _limit("max_inotify_watches", 1000)
        assert_recovered(supervisor, home)


def test_watches_that_run_out_later_cost_only_what_is_new(tmp_path: Path) -> None:
    """Agents that are added at the limit are polled, the others stay watched, and all are once there are watches."""
    run_in_namespace(meet_limit_later, tmp_path, options="-Ur")


# ----------------------------------------------------------------------------------------------------- lost events


def test_an_overflow_loses_nothing(
    small: Home, supervise: Supervise, watchers: list[Any], log_lines: list[str]
) -> None:
    """The kernel's queue really overflows while the reader is held: everything is read again, and said to be."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 70_000:
        pytest.skip("too long a queue to fill")
    supervisor = supervise(small, **QUICK)
    assert watched(supervisor)
    assert has_inotify_watch(small.agent_dir())
    since = condition(supervisor, "Watching").since
    (watcher,) = watchers
    with watcher._lock:  # what the reader takes for each event: it reads no more than one buffer
        for number in range(limit // 3 + 3000):
            name = small.agent_dir() / f"noise{number % 7}"
            name.touch()
            name.unlink()
        small.write_profiles(zai__me=api_key("zai"))
        small.write_config(models={"providers": {"acme": ACME}})
        assert supervisor.has_auth("openai")
    assert eventually(lambda: supervisor.has_auth("zai") and supervisor.has_auth("acme"))
    assert any("file events may have been lost" in line and "overflow" in line for line in log_lines)
    assert eventually(lambda: condition(supervisor, "Watching").since > since), "it was false for a while"
    assert_recovered(supervisor, small)
    assert is_seen(small, supervisor, "groq")


def test_an_overflow_shows_in_the_health_until_it_is_made_good(
    small: Home, supervise: Supervise, watchers: list[Any]
) -> None:
    """While the comparison with the disk can't be made the condition stays, and names the remedy."""
    supervisor = supervise(small, **QUICK)
    assert watched(supervisor)
    (watcher,) = watchers
    with watcher._lock:  # arming, and comparing after it, waits for this
        watcher._sink.rescan("overflow")
        assert_bad(supervisor, "Watching", "every source is read again", "max_queued_events", reason="EventsLost")
    assert watched(supervisor)


@pytest.mark.parametrize("parent", ["agents", "home"])
def test_a_directory_that_is_deleted_and_made_again_is_watched_again(
    parent: str, small: Home, supervise: Supervise
) -> None:
    """A folder above the store, or the whole home: what is in the new one shows, also later changes."""
    supervisor = supervise(small, **QUICK)
    assert watched(supervisor)
    folder = {"agents": small.path / "agents", "home": small.path}[parent]
    for provider in ("zai", "groq"):
        had_auth = [name for name in ("openai", "zai", "groq") if supervisor.has_auth(name)]
        assert had_auth
        shutil.rmtree(folder)
        assert eventually(lambda: not any(map(supervisor.has_auth, had_auth))), "a logout"  # noqa: B023
        if parent == "home":
            assert_bad(supervisor, "ConfigValid", "Put it back", reason="Gone")
        small.path.mkdir(exist_ok=True)
        small.write_config()
        assert is_seen(small, supervisor, provider)
        assert is_seen(small, supervisor, "openai"), "the new folder is watched"
        assert_recovered(supervisor, small)


def test_a_directory_that_comes_back_at_once_was_never_gone(small: Home, supervise: Supervise) -> None:
    """Deleted and made again within the grace, with other logins in it: no answer in between is a logout."""
    supervisor = supervise(small, **{**QUICK, "gone_grace_s": 5.0})
    assert watched(supervisor)
    states: list[str] = []
    supervisor.subscribe(lambda change: states.append(f"{change.provider} {change.new.state.value}"))
    shutil.rmtree(small.path / "agents")
    assert holds_for(0.2, lambda: supervisor.has_auth("openai"))
    small.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"))
    assert eventually(lambda: supervisor.has_auth("zai"))
    assert eventually(lambda: states == ["zai usable"]), states
    assert_recovered(supervisor, small)


# ------------------------------------------------------------------------------------------------------- real deaths


def _throw_exit(before: set[int]) -> None:
    thread = thread_named(READER)
    assert thread is not None
    throw_exit_at(thread)


def _close_descriptor(before: set[int]) -> None:
    (number,) = inotify_descriptors() - before
    os.close(number)


@dies
@pytest.mark.parametrize("kill", [_throw_exit, _close_descriptor])
def test_the_death_of_the_thread_that_hears_events_is_made_good(
    kill: Callable[[set[int]], None], small: Home, supervise: Supervise, log_lines: list[str]
) -> None:
    """A SystemExit in it, or a descriptor that somebody closed: the event that it dies of is not lost, polling goes on
    at once, and another thread takes over.
    """
    before = inotify_descriptors()
    supervisor = supervise(small, **QUICK)
    assert watched(supervisor)
    assert has_inotify_watch(small.agent_dir())
    since = condition(supervisor, "Watching").since
    for round_, provider in enumerate(("zai", "groq")):
        first = thread_named(READER)
        assert first is not None
        kill(before)
        assert is_seen(small, supervisor, provider)
        first.join(5.0)
        assert not first.is_alive()
        assert eventually(lambda: condition(supervisor, "Watching").since > since), round_  # noqa: B023
        assert watched(supervisor)
        assert has_inotify_watch(small.agent_dir())
        since = condition(supervisor, "Watching").since
        assert condition(supervisor, "Watching").reason == "inotify"
        assert thread_named(READER) not in (None, first)
        assert is_seen(small, supervisor, "openai")
        assert_recovered(supervisor, small)
    assert any("the thread that hears inotify ended" in line for line in log_lines)
    assert len(inotify_descriptors() - before) == 1


@dies
def test_while_no_thread_hears_events_the_health_says_so(
    small: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as another one can't be had its paths are polled. (That the kernel refuses one just then is injected.)"""
    from openclaw_actors.watching import inotify

    def refused(_ended: object) -> None:
        raise OSError(24, "inotify instance limit reached")

    before = inotify_descriptors()
    supervisor = supervise(small, **QUICK)
    assert watched(supervisor)
    assert has_inotify_watch(small.agent_dir())
    with monkeypatch.context() as patch:
        patch.setattr(inotify, "Descriptor", refused)
        _throw_exit(before)
        assert is_seen(small, supervisor, "zai")
        assert_bad(supervisor, "Watching", "polling every 0.05 s", "max_user_instances", reason="Polling")
        assert is_seen(small, supervisor, "groq")
    assert_recovered(supervisor, small)
    assert eventually(lambda: thread_named(READER))
    assert is_seen(small, supervisor, "openai")


@dies
def test_the_death_of_the_polling_thread_is_made_good(small: Home, supervise: Supervise) -> None:
    """Another one goes on by the same stamps, so whatever changed in between is found."""
    supervisor = supervise(small, force_polling=True, **QUICK)
    assert watched(supervisor)
    for provider in ("zai", "groq"):
        first = thread_named(POLLER)
        assert first is not None
        throw_exit_at(first)
        assert is_seen(small, supervisor, provider)
        first.join(5.0)
        assert not first.is_alive()
    assert_recovered(supervisor, small)


@dies
def test_a_watcher_without_any_thread_is_found_by_the_resync(
    small: Home, supervise: Supervise, watchers: list[Any]
) -> None:
    """Should both threads be gone without a word, the next resync opens another watcher and makes good what was missed.

    (That they end without a word is injected: an ending thread says so.)
    """
    supervisor = supervise(small, resync_interval_s=0.5, **QUICK)
    assert watched(supervisor)
    assert has_inotify_watch(small.agent_dir())
    (dead,) = watchers
    dead._fd._ended = lambda _fd: None
    _throw_exit(set())
    assert is_seen(small, supervisor, "zai")
    assert eventually(lambda: len(watchers) == 2)
    assert eventually(lambda: thread_named(READER))
    assert is_seen(small, supervisor, "groq")
    assert_recovered(supervisor, small)


# ---------------------------------------------------------------------------------------------------- links and mounts


def _publish(volume: Path, version: str, files: dict[str, object]) -> None:
    """Put files into a volume as Kubernetes does with a ConfigMap or Secret: one link, `..data`, swapped at once."""
    folder = volume / f"..{version}"
    folder.mkdir(parents=True)
    for name, document in files.items():
        replace_json(folder / name, document)
        if not (volume / name).is_symlink():
            (volume / name).symlink_to(f"..data/{name}")
    (volume / "..data_tmp").symlink_to(folder.name)
    old = volume / os.readlink(volume / "..data") if (volume / "..data").is_symlink() else None
    os.replace(volume / "..data_tmp", volume / "..data")
    if old is not None:
        shutil.rmtree(old)


def test_a_config_and_a_store_in_kubernetes_volumes_follow_each_swap(home: Home, supervise: Supervise) -> None:
    """`..data` is swapped and the old version removed: each new version shows, a broken one keeps the last answers."""
    volume = home.user / "volume"

    def publish(version: str, provider: str, config: object = None) -> None:
        named = {"agents": {"list": [{"id": "main"}]}, "models": {"providers": {f"{provider}-api": ACME}}}
        store = {"version": 1, "profiles": {f"{provider}:me": api_key(provider)}}
        _publish(volume, version, {"openclaw.json": config or named, "auth-profiles.json": store})

    publish("2026_01", "openai")
    home.agent_dir().mkdir(parents=True)
    home.config_path.symlink_to(volume / "openclaw.json")
    home.profiles_path().symlink_to(volume / "auth-profiles.json")
    supervisor = supervise(home, **QUICK)
    assert watched(supervisor)
    assert supervisor.has_auth("openai")
    previous = "openai"
    for version, provider in (("2026_02", "zai"), ("2026_03", "groq")):
        publish(version, provider)
        assert eventually(lambda: supervisor.has_auth(provider) and supervisor.has_auth(f"{provider}-api"))  # noqa: B023
        assert not supervisor.has_auth(previous)
        assert_recovered(supervisor, home)
        previous = provider
    publish("2026_04", "groq", config=["no object"])
    assert_bad(supervisor, "ConfigValid", home.config_path)
    assert supervisor.has_auth("groq-api")
    publish("2026_05", "openai")
    assert eventually(lambda: supervisor.has_auth("openai-api"))
    assert_recovered(supervisor, home)


def test_a_store_that_is_a_link_follows_its_target_and_its_own_exchange(small: Home, supervise: Supervise) -> None:
    """The file that a link leads to is replaced and written in place, the link is led elsewhere, dangles, and mends."""
    first, second = small.user / "first.json", small.user / "second" / "store.json"
    os.replace(small.profiles_path(), first)
    small.profiles_path().symlink_to(first)
    supervisor = supervise(small, **QUICK)
    assert watched(supervisor)
    assert supervisor.has_auth("openai")
    replace_text(first, profiles_json({"zai:me": api_key("zai")}))
    assert eventually(lambda: supervisor.has_auth("zai"))
    first.write_text(profiles_json({"groq:me": api_key("groq")}))
    assert eventually(lambda: supervisor.has_auth("groq"))
    (small.user / "link").symlink_to(second)
    os.replace(small.user / "link", small.profiles_path())
    assert eventually(lambda: not supervisor.has_auth("groq")), "a link to nothing is no store"
    assert supervisor.verdict("groq").state is State.MISSING
    replace_text(second, profiles_json({"mistral:me": api_key("mistral")}))
    assert eventually(lambda: supervisor.has_auth("mistral"))
    assert_recovered(supervisor, small)


def _mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def live_on_bind_mounts(folder: str) -> None:
    """Live with config and store mounted as single files; runs in a mount namespace of its own."""
    home, supervisor = _open_home(folder, resync_interval_s=5.0)
    outside = home.user / "host"
    outside.mkdir()
    for name, path in (("config", home.config_path), ("store", home.profiles_path())):
        (outside / name).write_bytes(path.read_bytes())
        _mount("--bind", outside / name, path)
    with supervisor:
        assert supervisor.wait_warm(10.0)
        assert_bad(supervisor, "Watching", "mounted by itself: mount its directory", home.path, reason="Polling")
        try:
            replace_text(home.profiles_path(), "{}")
        except OSError:
            pass
        else:
            raise AssertionError("a mounted file can't be replaced: this is no bind mount")
        assert supervisor.has_auth("openai")
        # written on the host, in place: no event in the container's directory
        (outside / "store").write_text(profiles_json({"zai:me": api_key("zai")}))
        assert eventually(lambda: supervisor.has_auth("zai"), 3.0)
        # and in the container
        home.profiles_path().write_text(profiles_json({"groq:me": api_key("groq")}))
        assert eventually(lambda: supervisor.has_auth("groq"), 3.0)
        config = home.config_path.read_text()
        home.config_path.write_text("{")
        assert_bad(supervisor, "ConfigValid", home.config_path)
        assert supervisor.has_auth("groq")
        home.config_path.write_text(config)
        # replaced on the host: the mount holds the old file, until it is mounted anew
        replace_text(outside / "store", profiles_json({"mistral:me": api_key("mistral")}))
        assert holds_for(0.3, lambda: supervisor.has_auth("groq") and not supervisor.has_auth("mistral"))
        subprocess.run(["umount", str(home.profiles_path())], check=True)
        _mount("--bind", outside / "store", home.profiles_path())
        # by polling, or by the next resync if the file was taken for a mounted one no more in between
        assert eventually(lambda: supervisor.has_auth("mistral"))
        # the remedy
        for path in (home.config_path, home.profiles_path()):
            subprocess.run(["umount", str(path)], check=True)
        assert is_seen(home, supervisor, "openai")
        assert_recovered(supervisor, home)


def test_files_that_are_mounted_by_themselves_are_polled_and_said_to_be(tmp_path: Path) -> None:
    """What Docker does with `-v file:file`, with real mounts: changes in place show, inside and outside, the health
    names the file and the remedy, and once the remedy is taken they are watched.
    """
    run_in_namespace(live_on_bind_mounts, tmp_path, options="-Urm")
