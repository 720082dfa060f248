"""Messages carry facts and ids: nothing that waits, was handled or is to be read later holds a secret."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from rig import Rig

sys.path.append(str(Path(__file__).parents[1] / "integration"))

from canaries import holds_canary, reachable

from openclaw_actors.messages import WatchSource
from openclaw_actors.testing import HomeFiles, api_key, custom


def test_no_message_holds_a_secret_at_any_step(make_rig: Callable[..., Rig]) -> None:
    """Whatever waits in a mailbox, for an alarm or for a reader, and all that was handled: at every step of a life with
    changes, refusals and torn files. What the test itself writes into files is passed over.
    """
    rig = make_rig("main", "ops")
    rig.files.write_config(models={"providers": {"acme": custom()}})
    rig.files.write_profiles(openai__work=api_key("openai"), xai__work=api_key("xai"))
    rig.files.write_profiles("ops", groq__work=api_key("groq"))
    seen: dict[int, object] = {}
    found: list[str] = []

    def look() -> None:
        dispatcher = rig.dispatcher
        waiting = [*dispatcher.pending(), *dispatcher.history, *((name, one) for _, name, one in dispatcher.alarms)]
        jobs = [("read", job) for jobs in dispatcher.sources.waiting.values() for job in jobs]
        for name, message in (*waiting, *jobs):
            if id(message) not in seen:
                seen[id(message)] = message  # kept, so that its id stays its own
                kind = f"{type(message).__name__} to {name}"
                found.extend(
                    f"{kind}: {path}" for path, value in reachable(message, besides=(HomeFiles,)) if holds_canary(value)
                )
                found.extend([kind] if "canary-" in repr(message) else [])

    def live() -> None:
        while rig.step():
            look()
        rig.advance(1.0)
        look()

    rig.start()
    live()
    rig.files.write_profiles(openai__work=api_key("openai", "rotated"))
    rig.touch_all(run=False)
    live()
    rig.refuse("openai:work", "auth")
    rig.accept("config:acme")
    live()
    rig.files.replace(rig.files.profiles_path(), '{"profiles": {"a": {"key": "canary-torn')
    rig.files.replace(rig.files.path / "openclaw.json", '{"models": {"providers": {"acme": {"apiKey": "canary-torn')
    rig.touch_all(run=False)
    live()
    assert not rig.condition("ConfigValid").status
    rig.files.write_config()
    rig.touch_all(run=False)
    live()
    assert found == []
    kinds = {type(message).__name__ for message in seen.values()}
    assert {"SourceRead", "SweepAgent", "SweepFinished", "ReadJob", "WatchSource", "SourcesTouched"} <= kinds


def test_the_look_at_messages_finds_a_secret() -> None:
    """It isn't blind: a secret deep inside a message is found."""
    message = WatchSource(source="home", stamps=(("/a", None), ("canary-in-a-path", None)))
    assert any(holds_canary(value) for _, value in reachable(message))
