"""The house itself: imports point one way, public names load lazily, and the README names tests that exist."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import openclaw_actors

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "openclaw_actors"
FLOORS = [
    {"__init__", "ids", "errors", "log", "clock", "scope", "few", "forking", "spelling"},
    {"settings", "watching", "reading"},
    {"home"},
    {"auth", "catalog"},
    {"wants", "prepared", "messages", "changes", "counters", "health", "struck"},
    {"actors", "listing", "backlog", "notifier", "bell", "aside", "spans"},
    {"restarts", "upkeep", "runtime", "reads", "events", "credential", "handover", "supervisor", "interpreter"},
    {"aio", "provider_auth", "control", "shapes", "telling", "pickers", "measures", "telemetry"},
    {"gateway", "chats"},
    {"cli", "testing", "__main__"},
]
"""Which rooms stand on which: a room imports from its own floor and from those below."""

FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str:
    """Return the room of a dotted module name."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports_of(path: Path) -> Iterator[str]:
    """Yield the modules of the package that a module imports when it is imported itself."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("openclaw_actors"):
            if node.module == "openclaw_actors":
                yield from (f"openclaw_actors.{alias.name}" for alias in node.names if alias.name in FLOOR_OF)
            else:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("openclaw_actors"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_from_the_ground_up(path: Path) -> None:
    """No room imports from a floor above its own."""
    relative = path.relative_to(PACKAGE)
    room = relative.parts[0].removesuffix(".py")
    above = [name for name in imports_of(path) if FLOOR_OF[room_of(name)] > FLOOR_OF[room]]
    assert above == []


def test_only_the_asyncio_face_imports_asyncio() -> None:
    """A process without an event loop pays nothing for asyncio; a gateway is one with a loop."""
    users = [
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if re.search(r"^(import asyncio|from asyncio)", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert users == ["aio.py", "chats/discord_cog.py", "cli/serve.py", "gateway/stream.py"]


def test_only_one_module_imports_loguru() -> None:
    """How the package logs is decided in one place."""
    users = [
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if "import loguru" in (text := path.read_text("utf-8")) or "from loguru" in text
    ]
    assert users == ["log.py"]


@pytest.mark.parametrize("name", openclaw_actors.__all__)
def test_every_public_name_loads(name: str) -> None:
    """What `__all__` promises is there."""
    assert getattr(openclaw_actors, name) is not None


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    """The lazy package behaves like any other."""
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        openclaw_actors.Nonsense  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("discord_cog", "discord", "discord"),
        ("telegram_handlers", "telegram", "telegram"),
        ("aiogram_router", "aiogram", "aiogram"),
    ],
)
def test_without_its_library_the_extra_is_named(module: str, library: str, extra: str) -> None:
    """Whoever imports it learns what to install."""
    code = f"import sys; sys.modules[{library!r}] = None; import openclaw_actors.chats.{module}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"ImportError: openclaw_actors.chats.{module} needs" in done.stderr
    assert f"pip install 'openclaw_actors[{extra}]'" in done.stderr


def test_every_message_that_is_sent_has_a_handler() -> None:
    """Each message type of the protocol is handled by exactly one actor class."""
    messages = importlib.import_module("openclaw_actors.messages")
    protocol = {
        kind for kind in vars(messages).values() if isinstance(kind, type) and issubclass(kind, messages.Message)
    }
    handled = {}
    for name in ("warmer", "auth_state", "watcher", "failure_listener"):
        for kind in vars(importlib.import_module(f"openclaw_actors.actors.{name}")).values():
            if isinstance(kind, type) and kind.__module__.endswith(name) and getattr(kind, "_handlers", None):
                for message in kind._handlers:
                    handled.setdefault(message, []).append(kind.__name__)
    assert protocol - {messages.Message} == set(handled)
    assert [kinds for kinds in handled.values() if len(kinds) != 1] == []


def test_every_test_that_the_readme_names_exists() -> None:
    """A claim of reliability points at what proves it."""
    where = {
        (str(path.relative_to(ROOT / "tests")), name)
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    files = {file for file, _ in where}
    named, wrong = 0, []
    for line in (ROOT / "README.md").read_text("utf-8").splitlines():
        current = ""
        for file, name in re.findall(r"`(\w+/test_\w+\.py|…)(?:::(test_\w+))?`", line):
            current = current if file == "…" else file
            named += 1
            if current not in files or (name and (current, name) not in where):
                wrong.append((current, name))
    assert wrong == []
    assert named > 40
