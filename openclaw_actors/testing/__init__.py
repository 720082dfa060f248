"""For tests of this package and of what embeds it: a supervisor that moves one step at a time, in virtual time.

Start with `SteppedSupervisor`; the rest is what it is made of. The fixtures are in `pytest_plugin.py`, the simulation
(`python -m openclaw_actors.testing simulate`) in `simulation`. Names load on first use (PEP 562): every pytest run
where this package is installed imports the plugin.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from openclaw_actors.testing.clock import VirtualClock
    from openclaw_actors.testing.crashes import Crash, CrashPoint, InjectedCrash
    from openclaw_actors.testing.home import HomeFiles, api_key, custom, oauth
    from openclaw_actors.testing.sources import ScriptedSources
    from openclaw_actors.testing.stepped import SteppedDispatcher
    from openclaw_actors.testing.supervisor import SteppedSupervisor
    from openclaw_actors.testing.watcher import ScriptedWatcher

_HOMES = {
    "Crash": "crashes",
    "CrashPoint": "crashes",
    "HomeFiles": "home",
    "InjectedCrash": "crashes",
    "ScriptedSources": "sources",
    "ScriptedWatcher": "watcher",
    "SteppedDispatcher": "stepped",
    "SteppedSupervisor": "supervisor",
    "VirtualClock": "clock",
    "api_key": "home",
    "custom": "home",
    "oauth": "home",
}

__all__ = [
    "Crash",
    "CrashPoint",
    "HomeFiles",
    "InjectedCrash",
    "ScriptedSources",
    "ScriptedWatcher",
    "SteppedDispatcher",
    "SteppedSupervisor",
    "VirtualClock",
    "api_key",
    "custom",
    "oauth",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
