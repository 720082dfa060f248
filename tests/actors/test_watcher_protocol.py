"""The WatcherActor: what it watches follows the readings, and trouble with arming is met with patience."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.watcher import WATCH_SOURCE, WatcherActor
from openclaw_actors.counters import Counters
from openclaw_actors.health import Condition, ConditionBoard
from openclaw_actors.messages import UnwatchSource, WatchSource
from openclaw_actors.settings import Settings
from openclaw_actors.testing.stepped import SteppedDispatcher
from openclaw_actors.watching.protocol import WatchSink


class ScriptedWatcher:
    """A file watcher that does what a test says."""

    backend = "scripted"

    def __init__(self) -> None:
        self.broken = False
        self.calls = 0
        self.paths: set[str] = set()

    @property
    def watched_paths(self) -> int:
        """How many paths are watched."""
        return len(self.paths)

    def watch(self, paths: Iterable[str]) -> None:
        """Take the paths, or fail as a script says."""
        self.calls += 1
        if self.broken:
            raise OSError(5, "Input/output error")
        self.paths = set(paths)

    def add(self, paths: Iterable[str]) -> None:
        """Take these too, or fail."""
        self.watch(self.paths | set(paths))

    def remove(self, paths: Iterable[str]) -> None:
        """Leave these."""
        self.paths -= set(paths)

    def start(self, sink: WatchSink) -> None:
        """Nothing to start."""

    def stop(self, timeout_s: float = 2.0) -> None:
        """Nothing to stop."""

    def alive(self) -> bool:
        """Always."""
        return True


class Scene:
    """A WatcherActor on the stepped dispatcher."""

    def __init__(self) -> None:
        self.watcher = ScriptedWatcher()
        self.dispatcher = SteppedDispatcher()
        self.conditions = ConditionBoard(self.dispatcher.clock)
        self.ref = self.dispatcher.spawn(
            WatcherActor,
            Address("warmer"),
            lambda: self.watcher,
            self.dispatcher,
            Settings(),
            self.conditions,
            Counters(),
            name="watcher",
        )

    def tell(self, message: Any) -> None:
        """Give the actor a message and let everything come to rest."""
        self.dispatcher.inject(self.ref, message)
        self.dispatcher.advance(0.1)

    def condition(self) -> Condition:
        """Return how watching is."""
        found = self.conditions.health().condition("Watching")
        assert found is not None
        return found


@pytest.fixture
def scene() -> Scene:
    """Return a scene with one source watched."""
    made = Scene()
    made.tell(WatchSource(source="store:a", stamps=(("/nowhere/a", None),)))
    return made


def test_what_is_watched_follows_the_sources(scene: Scene) -> None:
    """Exactly the paths of the latest readings are watched; the same paths again arm nothing."""
    scene.tell(WatchSource(source="store:b", stamps=(("/nowhere/b", None), ("/nowhere/a", None))))
    assert scene.watcher.paths == {"/nowhere/a", "/nowhere/b"}
    calls = scene.watcher.calls
    scene.tell(WatchSource(source="store:a", stamps=(("/nowhere/a", None),)))
    assert scene.watcher.calls == calls
    scene.tell(UnwatchSource(source="store:b"))
    assert scene.watcher.paths == {"/nowhere/a"}


def test_arming_that_fails_is_tried_again_ever_more_slowly_and_recovers(scene: Scene) -> None:
    """A dead mount under a watched file costs a few tries, not a busy loop; when it is back, watching is well again."""
    scene.watcher.broken = True
    scene.tell(WatchSource(source="store:b", stamps=(("/nowhere/b", None),)))
    calls = scene.watcher.calls
    assert not scene.condition().status
    scene.dispatcher.advance(600.0)
    assert 8 <= scene.watcher.calls - calls <= 20
    scene.watcher.broken = False
    scene.dispatcher.advance(60.0)
    assert scene.watcher.paths == {"/nowhere/a", "/nowhere/b"}
    assert scene.condition().status


def test_while_many_sources_want_watches_they_are_armed_together(scene: Scene) -> None:
    """A warm of hundreds of agents is a few calls; what comes alone is armed at once, what keeps coming soon."""
    calls = scene.watcher.calls
    for number in range(300):
        scene.ref.tell(WatchSource(source=f"store:{number}", stamps=((f"/nowhere/{number}", None),)))
    scene.dispatcher.advance(0.0)
    scene.dispatcher.advance(1.0)
    assert len(scene.watcher.paths) == 301
    assert scene.watcher.calls - calls <= 3
    scene.tell(UnwatchSource(source="store:7"))
    assert "/nowhere/7" not in scene.watcher.paths
    for number in range(100):
        scene.ref.tell(WatchSource(source=f"late:{number}", stamps=((f"/nowhere/late/{number}", None),)))
        scene.dispatcher.advance(0.009)
    assert 60 <= len([path for path in scene.watcher.paths if "/late/" in path]) < 100
    scene.dispatcher.advance(1.0)
    assert len(scene.watcher.paths) == 400


def test_a_source_that_leaves_while_it_is_armed_is_watched_when_it_comes_back(scene: Scene, tmp_path: Path) -> None:
    """What the comparison finds of a source that is gone by then is not taken for one that is watched."""
    path = tmp_path / "b"
    path.touch()  # the reading found nothing yet
    wish = WatchSource(source="store:b", stamps=((str(path), None),))
    scene.dispatcher.sources.hold(WATCH_SOURCE)
    scene.tell(wish)
    scene.tell(UnwatchSource(source="store:b"))
    scene.dispatcher.sources.finish(WATCH_SOURCE)
    scene.dispatcher.sources.release(WATCH_SOURCE)
    scene.dispatcher.advance(1.0)
    assert str(path) not in scene.watcher.paths
    scene.tell(wish)
    scene.dispatcher.advance(1.0)
    assert str(path) in scene.watcher.paths
