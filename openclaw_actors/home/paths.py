"""Where a home is: state dir, config file, the `~` of OpenClaw, workspaces (formats 1.1; OpenClaw 2026.5.22,
home-dir.ts, paths.ts).
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from typing import Protocol

import msgspec

_STATE_DIR_NAME = ".openclaw"
_LEGACY_STATE_DIR_NAME = ".clawdbot"
_CONFIG_NAMES = ("openclaw.json", "clawdbot.json")
_ATTEMPTS = 5
_NOTHING = frozenset({"", "undefined", "null"})


class Lookup(Protocol):
    """Anything that answers for a variable: a mapping, or the merged environment's raw side."""

    def get(self, name: str, /) -> str | None:
        """Return the value, or None."""


class HomeLocation(msgspec.Struct, frozen=True, gc=False):
    """Where everything of one home is; all paths absolute."""

    state_dir: str
    """The home: holds `openclaw.json` and `agents/`."""
    config_path: str
    """The config file that was there when the home was located, or where one would be."""
    home: str
    """What `~` means: `OPENCLAW_HOME`, else the user's home."""
    os_home: str
    """The user's home."""
    explicit: bool
    """The home was given by the caller; the variables that name another home are ignored."""
    config_candidates: tuple[str, ...] = ()
    """Where a config file is looked for; the first that exists is it."""
    default_state_dir: bool = False
    """The state dir follows from `~` alone: `gateway.env` counts only then."""


def locate(home: str | os.PathLike[str] | None, env: Mapping[str, str]) -> HomeLocation:
    """Find the home that these variables, or the caller, mean.

    Args:
        home: The state dir when the caller names one. Its own `openclaw.json` or `clawdbot.json` is then the config,
            whatever `OPENCLAW_STATE_DIR` and `OPENCLAW_CONFIG_PATH` say: they name another home.
        env: The process's variables.
    """
    os_home = _os_home(env)
    tilde = _openclaw_home(env, os_home)
    defaults = (os.path.join(tilde, _STATE_DIR_NAME), os.path.join(tilde, _LEGACY_STATE_DIR_NAME))
    if home is not None:
        state = absolute(os.fspath(home), tilde)
        candidates = _names_in(state)
        return HomeLocation(state, first_existing(candidates), tilde, os_home, True, candidates, state in defaults)
    override = (env.get("OPENCLAW_STATE_DIR") or "").strip()
    state = absolute(override, tilde) if override else _implied_state_dir(env, tilde)
    config = (env.get("OPENCLAW_CONFIG_PATH") or "").strip()
    if config:
        candidates = (absolute(config, tilde),)
    elif override:
        candidates = _names_in(state)
    else:
        legacy = _names_in(os.path.join(tilde, _LEGACY_STATE_DIR_NAME))
        candidates = tuple(dict.fromkeys(_names_in(state) + legacy))
    return HomeLocation(state, first_existing(candidates), tilde, os_home, False, candidates, state in defaults)


def first_existing(candidates: tuple[str, ...]) -> str:
    """Return the first path that exists (in any form: a directory there is an error to report, not to pass over),
    else the first.
    """
    return next((path for path in candidates if os.path.lexists(path)), candidates[0])


def absolute(text: str, home: str) -> str:
    """Return an absolute path: a leading `~` means `home`, NUL characters are removed, relative paths start at the
    working directory.
    """
    text = text.replace("\0", "").strip()
    if text == "~" or text.startswith(("~/", "~\\")):
        text = os.path.join(home, text[2:])
    return os.path.abspath(text)


def real_path(path: str) -> str:
    """Return where a path leads, all symbolic links followed; never raises.

    `os.path.realpath` asks whether something is a link and then where it leads, and raises when it is none any more by
    then. It also raises for a name that no file can have, which leads nowhere.
    """
    for _ in range(_ATTEMPTS):
        try:
            return os.path.realpath(path)
        except OSError:
            continue
        except ValueError:
            break
    return path


def oauth_path(location: HomeLocation, env: Lookup) -> str:
    """Return the legacy OAuth file: `OPENCLAW_OAUTH_DIR`, else `<state>/credentials`."""
    override = (env.get("OPENCLAW_OAUTH_DIR") or "").strip()
    folder = absolute(override, location.home) if override else os.path.join(location.state_dir, "credentials")
    return os.path.join(folder, "oauth.json")


def default_workspace(location: HomeLocation, env: Lookup) -> str:
    """Return the default agent's workspace when the config names none; it ignores `OPENCLAW_STATE_DIR`."""
    override = (env.get("OPENCLAW_WORKSPACE_DIR") or "").strip()
    if override:
        return absolute(override, location.home)
    profile = (env.get("OPENCLAW_PROFILE") or "").strip()
    named = profile and profile.lower() != "default"
    return absolute(
        os.path.join(location.home, _STATE_DIR_NAME, f"workspace-{profile}" if named else "workspace"), location.home
    )


def include_roots(location: HomeLocation, env: Lookup) -> tuple[str, ...]:
    """Return the extra folders that included files may lie in: `OPENCLAW_INCLUDE_ROOTS`, absolute ones only."""
    roots: dict[str, None] = {}
    for part in (env.get("OPENCLAW_INCLUDE_ROOTS") or "").split(os.pathsep):
        text = part.strip()
        if text.startswith("~") or os.path.isabs(text):
            roots[absolute(text, location.home)] = None
    return tuple(roots)


def main_agent_dir(state_dir: str) -> str:
    """Return the agent dir that every agent inherits from."""
    return os.path.join(state_dir, "agents", "main", "agent")


def _names_in(folder: str) -> tuple[str, ...]:
    return tuple(os.path.join(folder, name) for name in _CONFIG_NAMES)


def _implied_state_dir(env: Mapping[str, str], tilde: str) -> str:
    usual = os.path.join(tilde, _STATE_DIR_NAME)
    if env.get("OPENCLAW_TEST_FAST") == "1" or os.path.exists(usual):
        return usual
    legacy = os.path.join(tilde, _LEGACY_STATE_DIR_NAME)
    return legacy if os.path.exists(legacy) else usual


def _given(env: Mapping[str, str], name: str) -> str:
    value = env.get(name)
    text = value.strip() if isinstance(value, str) else ""
    return "" if text in _NOTHING else text


def _os_home(env: Mapping[str, str]) -> str:
    text = _given(env, "HOME") or _given(env, "USERPROFILE")
    if text:
        return os.path.abspath(text.replace("\0", ""))
    try:
        return os.path.abspath(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return os.path.abspath(os.curdir)


def _openclaw_home(env: Mapping[str, str], os_home: str) -> str:
    text = _given(env, "OPENCLAW_HOME")
    return absolute(text, os_home) if text else os_home
