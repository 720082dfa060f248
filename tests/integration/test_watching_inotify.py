"""Real files under a real inotify watcher: what people and programs do to files is noticed, and nothing else."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openclaw_actors.watching import open_watcher

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux")
from openclaw_actors.watching.inotify import InotifyWatcher  # noqa: E402  # not importable elsewhere

DEADLINE_S = 5.0


class Ear:
    """A sink that remembers, and that a test can wait on."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.paths: list[str] = []
        self.rescans: list[str] = []
        self.reasons: list[str] = []

    def touched(self, paths: tuple[str, ...]) -> None:
        with self.changed:
            self.paths.extend(paths)
            self.changed.notify_all()

    def rescan(self, reason: str) -> None:
        self.rescans.append(reason)

    def degraded(self, reason: str) -> None:
        self.reasons.append(reason)

    def recovered(self, reason: str) -> None:
        self.reasons.remove(reason)

    def hears(self, *paths: Path | str) -> bool:
        wanted = {str(path) for path in paths}
        with self.changed:
            return self.changed.wait_for(lambda: wanted <= set(self.paths), DEADLINE_S)

    def forget(self) -> None:
        with self.changed:
            self.paths.clear()


class Room:
    """A watcher with its ear, and a file by which a test knows that everything before has been handled."""

    def __init__(self, tmp_path: Path) -> None:
        self.ear = Ear()
        self.bell = tmp_path / "bell-dir" / "bell"
        self.bell.parent.mkdir()
        self.watcher = open_watcher(poll_interval_s=0.02)
        self.watcher.start(self.ear)

    def watch(self, *paths: Path) -> None:
        self.watcher.watch([str(self.bell), *map(str, paths)])

    def quiet(self) -> list[str]:
        """Rings the bell, waits for it, and gives what else was heard: the kernel keeps events in order."""
        self.bell.write_text("ring")
        assert self.ear.hears(self.bell)
        with self.ear.changed:
            return [path for path in self.ear.paths if path != str(self.bell)]

    def settled(self) -> None:
        """Waits until every event so far is handled, and forgets it."""
        self.ear.forget()
        self.bell.unlink(missing_ok=True)
        self.quiet()
        # The bell's own events: created, closed. Another name after them says that both are through.
        self.ear.forget()
        os.replace(self.bell, self.bell.with_name("away"))
        assert self.ear.hears(self.bell)
        self.ear.forget()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    yield room
    room.watcher.stop()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("openclaw-watch")]


def replace(path: Path, text: str = "new") -> None:
    """Writes a file the way careful programs do."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda file: replace(file), id="atomic replace"),
        pytest.param(lambda file: file.write_text("more"), id="plain write"),
        pytest.param(lambda file: file.unlink(), id="unlink"),
        pytest.param(lambda file: file.rename(file.with_name("elsewhere")), id="rename away"),
        pytest.param(lambda file: file.chmod(0o000), id="chmod"),
    ],
)
def test_a_change_of_a_watched_file_is_told(room: Room, tmp_path: Path, act: Callable[[Path], object]) -> None:
    """However a file is changed, the watcher says to look at it."""
    file = tmp_path / "auth.json"
    file.write_text("old")
    room.watch(file)
    act(file)
    assert room.ear.hears(file)


def test_a_file_that_goes_and_comes_back_is_told_again(room: Room, tmp_path: Path) -> None:
    """After an unlink the path is still watched."""
    file = tmp_path / "auth.json"
    file.write_text("old")
    room.watch(file)
    file.unlink()
    assert room.ear.hears(file)
    room.settled()
    file.write_text("new")
    assert room.ear.hears(file)


def test_a_directory_that_appears_with_its_file_is_told(room: Room, tmp_path: Path) -> None:
    """makedirs and write at once, faster than any watch can follow, are noticed; so is the next write."""
    file = tmp_path / "agents" / "ops" / "agent" / "auth.json"
    room.watch(file)
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    assert room.ear.hears(file)
    room.settled()
    file.write_text("again")
    assert room.ear.hears(file)


def test_many_directories_that_appear_at_once_are_all_told(room: Room, tmp_path: Path) -> None:
    """A burst of new agents loses none, whatever the watch was doing when each came."""
    files = [tmp_path / "agents" / f"a{i}" / "agent" / "auth.json" for i in range(150)]
    room.watch(*files)
    for file in files:
        file.parent.mkdir(parents=True)
        file.write_text("{}")
    assert room.ear.hears(*files)
    room.settled()
    for file in files:
        replace(file)
    assert room.ear.hears(*files)


def test_a_directory_removed_and_made_again_is_followed(room: Room, tmp_path: Path) -> None:
    """rmtree is a touch, and what is written into the directory's successor too, however quickly it comes."""
    file = tmp_path / "agents" / "ops" / "auth.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    room.watch(file)
    for _ in range(20):
        shutil.rmtree(tmp_path / "agents")
        file.parent.mkdir(parents=True)
        file.write_text("{}")
    assert room.ear.hears(file)
    room.settled()
    file.write_text("new")
    assert room.ear.hears(file)


def test_a_directory_that_is_moved_away_takes_its_watch_along(room: Room, tmp_path: Path) -> None:
    """A renamed grandparent is a touch of what was below; writes at its new place are nobody's business any more."""
    file = tmp_path / "agents" / "ops" / "agent" / "auth.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    room.watch(file)
    (tmp_path / "agents").rename(tmp_path / "backup")
    assert room.ear.hears(file)
    room.settled()
    (tmp_path / "backup" / "ops" / "agent" / "auth.json").write_text("elsewhere")
    assert room.quiet() == []
    (tmp_path / "backup").rename(tmp_path / "agents")
    assert room.ear.hears(file)
    room.settled()
    file.write_text("home again")
    assert room.ear.hears(file)


def test_two_directories_that_swap_places_are_told_apart(room: Room, tmp_path: Path) -> None:
    """A directory is what it is and not what it is called: its successor is watched after a swap."""
    for name in ("live", "next"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "auth.json").write_text(name)
    file = tmp_path / "live" / "auth.json"
    room.watch(file)
    (tmp_path / "live").rename(tmp_path / "old")
    (tmp_path / "next").rename(tmp_path / "live")
    assert room.ear.hears(file)
    room.settled()
    (tmp_path / "old" / "auth.json").write_text("stale")
    assert room.quiet() == []
    file.write_text("fresh")
    assert room.ear.hears(file)


def test_a_write_to_a_links_target_is_told_as_the_link(room: Room, tmp_path: Path) -> None:
    """The path as given is told, wherever the file really is."""
    target = tmp_path / "vault" / "real.json"
    target.parent.mkdir()
    target.write_text("{}")
    link = tmp_path / "auth.json"
    link.symlink_to("vault/real.json")
    room.watch(link)
    target.write_text("more")
    assert room.ear.hears(link)
    room.settled()
    replace(target)
    assert room.ear.hears(link)


def test_a_link_that_points_elsewhere_is_told_and_followed(room: Room, tmp_path: Path) -> None:
    """Re-pointing is a touch, then the new target's changes are, and the old one's are not."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "real.json").write_text(name)
    link = tmp_path / "auth.json"
    link.symlink_to("one/real.json")
    room.watch(link)
    (tmp_path / "swap").symlink_to("two/real.json")
    os.replace(tmp_path / "swap", link)
    assert room.ear.hears(link)
    room.settled()
    (tmp_path / "one" / "real.json").write_text("old")
    assert room.quiet() == []
    (tmp_path / "two" / "real.json").write_text("new")
    assert room.ear.hears(link)


def test_a_dangling_link_is_told_when_its_target_appears(room: Room, tmp_path: Path) -> None:
    """A link may be there before what it points to."""
    link = tmp_path / "auth.json"
    link.symlink_to("later/deep/real.json")
    room.watch(link)
    (tmp_path / "later" / "deep").mkdir(parents=True)
    (tmp_path / "later" / "deep" / "real.json").write_text("{}")
    assert room.ear.hears(link)
    room.settled()
    (tmp_path / "later" / "deep" / "real.json").write_text("more")
    assert room.ear.hears(link)


def test_a_secret_volume_swap_is_told(room: Room, tmp_path: Path) -> None:
    """Kubernetes swaps a `..data` link under all files at once: every path below it is told, each time."""
    volume = tmp_path / "creds"
    volume.mkdir()
    files = [volume / "a.json", volume / "b.json"]
    for version in range(4):
        (volume / f"..{version}").mkdir()
        for file in files:
            (volume / f"..{version}" / file.name).write_text(str(version))
        (volume / "..data_tmp").symlink_to(f"..{version}")
        os.replace(volume / "..data_tmp", volume / "..data")
        if version == 0:
            for file in files:
                file.symlink_to(f"..data/{file.name}")
            room.watch(*files)
        else:
            shutil.rmtree(volume / f"..{version - 1}")
            assert room.ear.hears(*files)
        room.settled()


def test_a_watched_directory_tells_of_entries_that_come_and_go(room: Room, tmp_path: Path) -> None:
    """A path that is a directory is told when its list of entries changes, not when an entry is written."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    room.watch(plugins)
    (plugins / "new").mkdir()
    assert room.ear.hears(plugins)
    (plugins / "file").write_text("")
    room.settled()
    (plugins / "file").write_text("content")
    assert room.quiet() == []
    (plugins / "file").unlink()
    assert room.ear.hears(plugins)


def test_reading_makes_no_event(room: Room, tmp_path: Path) -> None:
    """A thousand reads of a watched file are silent: who re-reads on a hint can't wake itself up."""
    file = tmp_path / "auth.json"
    file.write_text("{}")
    room.watch(file)
    room.settled()
    for _ in range(1000):
        file.read_text()
        os.listdir(tmp_path)
    assert room.quiet() == []


def test_other_files_of_the_directory_make_no_event(room: Room, tmp_path: Path) -> None:
    """Names that nobody waits for are dropped, and so are paths that are no longer watched."""
    file, former = tmp_path / "auth.json", tmp_path / "former.json"
    file.write_text("{}")
    room.watch(file, former)
    room.watcher.remove([str(former)])
    room.settled()
    former.write_text("x")
    replace(tmp_path / "auth.json.bak")
    (tmp_path / "auth.json.lock").mkdir()
    (tmp_path / "auth.json.lock").rmdir()
    assert room.quiet() == []


def test_a_thousand_directories_cost_one_thread(room: Room, tmp_path: Path) -> None:
    """Threads don't grow with paths, an unchanged set is nothing to do, and each directory is really watched."""
    files = [tmp_path / "agents" / str(i) / "auth.json" for i in range(1000)]
    for file in files:
        file.parent.mkdir(parents=True)
    room.watch(*files)
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("openclaw-watch")]
    if not room.ear.reasons:  # where the machine has watches to spare
        assert names == ["openclaw-watch-inotify"]
    began = time.perf_counter()
    room.watch(*files)
    assert time.perf_counter() - began < 0.5
    for file in files:
        file.write_text("{}")
    assert room.ear.hears(*files)


@pytest.mark.parametrize("seed", range(6))
def test_after_any_storm_every_path_is_still_watched(room: Room, tmp_path: Path, seed: int) -> None:
    """Directories made, removed, moved and replaced by links in any order and at full speed leave no path unwatched."""
    dice = random.Random(seed)
    top = tmp_path / "top"
    folders = [top / a / b for a in "xyz" for b in "uvw"]
    files = [folder / "auth.json" for folder in folders]
    room.watch(*files)
    for _ in range(300):
        folder = dice.choice(folders)
        victim = dice.choice([folder, folder.parent, folder.parent, top])
        other = dice.choice([*folders, *(each.parent for each in folders)])
        with contextlib.suppress(OSError):  # most of what is tried can't be done just then
            match dice.randrange(6):
                case 0 | 1:
                    folder.mkdir(parents=True)
                    (folder / "auth.json").write_text("{}")
                case 2:
                    victim.unlink() if victim.is_symlink() else shutil.rmtree(victim)
                case 3:
                    victim.rename(other)
                case 4:
                    victim.symlink_to(other)
                case _:
                    room.watcher.remove([str(folder / "auth.json")])
                    room.watcher.add([str(folder / "auth.json")])
    if top.is_symlink():
        top.unlink()
    shutil.rmtree(top, ignore_errors=True)
    room.settled()
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
    assert room.ear.hears(*files)
    room.settled()
    for file in files:
        replace(file)
    assert room.ear.hears(*files)
    assert room.ear.rescans == []
    expected = kernel_watches()
    fresh = InotifyWatcher()
    fresh.watch([str(room.bell), *map(str, files)])
    fresh.start(Ear())
    assert kernel_watches() == 2 * expected
    fresh.stop()


def test_letting_go_leaves_no_watch_behind(room: Room, tmp_path: Path) -> None:
    """The kernel's list of watches is as it was once the paths are no longer watched."""
    room.watch()
    before = kernel_watches()
    file = tmp_path / "a" / "b" / "auth.json"
    file.parent.mkdir(parents=True)
    room.watch(file, tmp_path / "missing" / "x")
    assert kernel_watches() > before
    room.watch()
    assert kernel_watches() == before


def kernel_watches() -> int:
    """Counts the inotify watches of this process."""
    found = 0
    for number in os.listdir("/proc/self/fdinfo"):
        with contextlib.suppress(OSError):  # a descriptor that was closed meanwhile, or the listing's own
            found += Path(f"/proc/self/fdinfo/{number}").read_text().count("inotify wd:")
    return found
