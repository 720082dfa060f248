"""The logins of other programs, read from their files and never from a keychain (formats 4.7; OpenClaw 2026.5.22,
cli-credentials.ts).
"""

from __future__ import annotations

import base64
import binascii
import math
import os
from collections.abc import Callable
from typing import NoReturn, final

import msgspec

from openclaw_actors.errors import HomeError
from openclaw_actors.home.digest import Digester
from openclaw_actors.home.facts import CliFacts
from openclaw_actors.home.files import STORE_LIMIT_BYTES, read_regular
from openclaw_actors.home.opaque import OpaqueEnv, Secret
from openclaw_actors.home.paths import HomeLocation, absolute, real_path
from openclaw_actors.home.surrogates import without_halves
from openclaw_actors.ids import ProviderId

CODEX_DEFAULT_LIFE_S = 3600.0
"""How long a Codex token is taken to live after its file was written, when it doesn't say (cli-credentials.ts)."""
_JWT_LIMIT = 64 * 1024


@final
class _Login:
    """What one file yields; holds secrets, never leaves this module. No struct: printers and encoders that know those
    would look into it.
    """

    __slots__ = ("access", "account", "email", "expires_at", "refresh")

    def __init__(self, access: str, refresh: str, expires_at: float, account: str = "", email: str = "") -> None:
        self.access = access
        self.refresh = refresh
        self.expires_at = expires_at
        self.account = account
        self.email = email

    def __repr__(self) -> str:
        return "_Login(<secret>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a login holds secrets and is not pickled")


class _Absent(Exception):
    """The file holds no complete login; the text says why and holds no value."""


_Parser = Callable[[dict[str, object], float], _Login]


class _Program(msgspec.Struct, frozen=True):
    provider: str
    profile_id: str
    path: tuple[str, ...]
    parse: _Parser


def cli_names() -> tuple[str, ...]:
    """Return the programs whose logins are read."""
    return tuple(_PROGRAMS)


def login_of_profile(profile_id: str) -> str:
    """Return the evidence id of the login that OpenClaw lays over this profile, or the profile's own id."""
    return next(
        (f"cli:{name}" for name, one in _PROGRAMS.items() if profile_id and one.profile_id == profile_id), profile_id
    )


def read_cli(name: str, *, location: HomeLocation, env: OpaqueEnv, digester: Digester) -> CliFacts:
    """Read the login of one program. Bad content is never an exception: `found` is False and `problem` says why.

    Raises:
        KeyError: No such program; see `cli_names`.
    """
    program = _PROGRAMS[name]
    path, depends_on = _path_of(name, program, location, env)

    def facts(**fields: object) -> CliFacts:
        return CliFacts(
            name=name,
            provider=ProviderId(program.provider),
            profile_id=program.profile_id,
            path=path,
            depends_on=depends_on,
            **fields,  # type: ignore[arg-type]
        )

    try:
        login = _login(path, program)
    except HomeError as trouble:
        return facts(problem=trouble.problem, is_broken=True)
    except _Absent as reason:
        return facts(problem=str(reason))
    if login is None:
        return facts()
    return facts(
        found=True,
        kind="oauth" if login.refresh else "token",
        expires_at=login.expires_at,
        has_refresh=bool(login.refresh),
        digest=digester.of_parts(login.access, login.refresh),
        account=digester(login.account) if login.account else None,
        email=digester(login.email.casefold()) if login.email else None,
    )


def take_login(name: str, *, location: HomeLocation, env: OpaqueEnv) -> tuple[Secret, str, float, str]:
    """Read the access token of one program's login now; return it with its kind, its expiry (epoch seconds) and the
    file.

    Raises:
        HomeError: There is no complete login.
    """
    program = _PROGRAMS[name]
    path, _ = _path_of(name, program, location, env)
    problem = "it is not there any more"
    try:
        login = _login(path, program)
    except _Absent as reason:
        login, problem = None, str(reason)
    if login is None:
        raise HomeError(path, problem, f"Log in again with {name}.")
    return Secret(login.access), "oauth" if login.refresh else "token", login.expires_at, path


def _login(path: str, program: _Program) -> _Login | None:
    """Read one login; None when there is no file.

    Raises:
        HomeError: The file can't be read, or is no JSON: torn, perhaps.
        _Absent: It holds no complete login.
    """
    read = read_regular(path, HomeError, limit=STORE_LIMIT_BYTES)
    if read is None:
        return None
    data, status = read
    try:
        document = msgspec.json.decode(without_halves(data))
        if not isinstance(document, dict):
            raise _Absent("it is not a JSON object")
        return program.parse(document, status.st_mtime)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
        raise HomeError(path, "it is not valid JSON", "It is read again when its program is done.") from None


def _path_of(name: str, program: _Program, location: HomeLocation, env: OpaqueEnv) -> tuple[str, tuple[str, ...]]:
    plain = os.path.join(location.home, *program.path)
    if name != "codex":
        return plain, (plain,)
    folder = env.text("CODEX_HOME")
    if folder:
        plain = os.path.join(absolute(folder, location.home), "auth.json")
    real = os.path.join(real_path(os.path.dirname(plain)), "auth.json")
    return real, tuple(dict.fromkeys((real, plain)))


def _required(document: dict[str, object], key: str) -> str:
    text = _optional(document, key)
    if not text.strip():
        raise _Absent(f"{key} is missing")
    return text


def _optional(document: dict[str, object], key: str) -> str:
    """Return a text exactly as it stands: OpenClaw doesn't trim what these files hold."""
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _milliseconds(document: dict[str, object], key: str, *, positive: bool) -> float:
    value = document.get(key)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise _Absent(f"{key} is missing or no time")
    if positive and value <= 0:
        raise _Absent(f"{key} is no time")
    return value / 1000


def _codex(document: dict[str, object], written_at: float) -> _Login:
    tokens = document.get("tokens")
    if not isinstance(tokens, dict):
        raise _Absent("tokens is missing")
    access, refresh = _required(tokens, "access_token"), _required(tokens, "refresh_token")
    expires_at = _claims(access).get("exp")
    sound = isinstance(expires_at, (int, float)) and not isinstance(expires_at, bool) and 0 < expires_at < 2**53
    return _Login(
        access,
        refresh,
        float(expires_at) if sound else written_at + CODEX_DEFAULT_LIFE_S,  # type: ignore[arg-type]
        _optional(tokens, "account_id").strip(),  # the e-mail in `id_token` isn't compared
    )


def _claude(document: dict[str, object], written_at: float) -> _Login:
    del written_at
    login = document.get("claudeAiOauth")
    if not isinstance(login, dict):
        raise _Absent("claudeAiOauth is missing")
    access = _required(login, "accessToken")
    return _Login(access, _optional(login, "refreshToken"), _milliseconds(login, "expiresAt", positive=True))


def _minimax(document: dict[str, object], written_at: float) -> _Login:
    del written_at
    access, refresh = _required(document, "access_token"), _required(document, "refresh_token")
    return _Login(access, refresh, _milliseconds(document, "expiry_date", positive=False))


def _gemini(document: dict[str, object], written_at: float) -> _Login:
    login = _minimax(document, written_at)
    claims = _claims(_optional(document, "id_token"))
    return _Login(login.access, login.refresh, login.expires_at, _optional(claims, "sub"), _optional(claims, "email"))


def _claims(token: str) -> dict[str, object]:
    """Return the payload of a JWT without checking its signature; empty for anything else."""
    parts = token.split(".")
    if len(parts) < 2 or len(token) > _JWT_LIMIT:
        return {}
    try:
        payload = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=False)
        claims = msgspec.json.decode(payload)
    except (binascii.Error, msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


_PROGRAMS = {
    "codex": _Program("openai-codex", "openai-codex:default", (".codex", "auth.json"), _codex),
    "claude": _Program("claude-cli", "anthropic:claude-cli", (".claude", ".credentials.json"), _claude),
    "minimax": _Program("minimax-portal", "minimax-portal:minimax-cli", (".minimax", "oauth_creds.json"), _minimax),
    "gemini": _Program("google-gemini-cli", "", (".gemini", "oauth_creds.json"), _gemini),
}
"""Formats 4.7."""
