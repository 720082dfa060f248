"""One secret, taken at request time from the place that a piece of evidence names.

Readings for answers judge secrets and drop them (`home/reader.py`); this is the only way on which one comes out, as an
opaque `Secret`. Nothing here is kept. Blocks on files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from openclaw_actors.errors import HomeError
from openclaw_actors.home.config import provider_entry, xai_search_value
from openclaw_actors.home.external_cli import take_login
from openclaw_actors.home.facts import KeyForm
from openclaw_actors.home.opaque import PROCESS, Secret, cleaned
from openclaw_actors.home.paths import HomeLocation, oauth_path
from openclaw_actors.home.secret_files import text_in
from openclaw_actors.home.secrets import Resolver, is_secret_ref
from openclaw_actors.home.stores.decode import Held
from openclaw_actors.home.stores.single import read_profile
from openclaw_actors.home.urls import public_url
from openclaw_actors.ids import StoreId

Document = dict[str, object]
"""A config as it stands: it holds secrets."""


class Place(NamedTuple):
    """Where a secret is."""

    source: str
    """`profile`, `external-cli`, `environment`, `config` or `synthetic`, as `Evidence.source` has it."""
    name: str
    """The profile, the program, the variable, or the provider."""
    store: StoreId = StoreId("")
    """Of a profile: the agent dir of the store that owns it."""
    provider: str = ""
    """Of a profile: whose it was when it was judged. It must still be: another one's secret would go to a stranger."""


class Taken(NamedTuple):
    """A secret, and what is known of it."""

    secret: Secret
    kind: str
    expires_at: float | None = None
    """Epoch seconds."""
    base_url: str | None = None
    """Where it may be sent, when the place of the secret says so too."""


class Ways(NamedTuple):
    """How the parts of a home are read; each call blocks on files."""

    location: HomeLocation
    limit: int
    """The largest store that is read, in bytes."""
    held: Callable[[], Resolver]
    """The environment and rules of the last good reading."""
    fresh: Callable[[], tuple[str, Document, Resolver]]
    """The config file, what it says now, and its environment and rules; a ConfigError when it can't be used."""


def take(place: Place, ways: Ways, now: float) -> Taken:
    """Take the secret from a place.

    Args:
        place: Where it is.
        ways: How to read.
        now: Epoch seconds; what has expired isn't handed out.

    Raises:
        HomeError: There is none that can be handed out; it says file, place and remedy.
    """
    if place.source == "profile":
        return _of_profile(place, ways, now)
    if place.source == "external-cli":
        secret, kind, expires_at, path = take_login(place.name, location=ways.location, env=ways.held().env)
        if expires_at <= now:
            raise HomeError(path, "the access token has expired", f"Use {place.name}, which refreshes it.")
        return Taken(secret, kind, expires_at)
    if place.source == "environment":
        return _of_variable(place.name, ways)
    return _of_config(place, ways)


def _of_profile(place: Place, ways: Ways, now: float) -> Taken:
    legacy = oauth_path(ways.location, ways.held().env.raw_side)
    path, held = read_profile(place.store, place.name, oauth_path=legacy, limit=ways.limit)
    where = f"profiles.{place.name}"
    if held.provider != place.provider:
        problem = f"the profile is of another provider by now ({held.provider})"
        raise HomeError(path, problem, "Ask again when that was read.", place=where)
    expires_at = held.expires_ms / 1000 if held.expires_ms else None
    if held.kind == "oauth":
        _check_login(held, path, where, expires_at, now)
    elif held.kind == "token" and held.expires_ms is not None and (expires_at is None or expires_at <= now):
        what = "the token's expiry is no date" if expires_at is None else "the token has expired"
        raise HomeError(path, what, "Sign in again.", place=where)
    if held.kind == "oauth" and isinstance(held.value, str):
        return Taken(Secret(held.value), held.kind, expires_at)
    by = ways.held() if isinstance(held.value, str) and _is_literal(held.value, ways.held()) else _newest(ways)
    return Taken(_key(held.value, by, ways.location.home, path, where, markers=False), held.kind, expires_at)


def _check_login(held: Held, path: str, where: str, expires_at: float | None, now: float) -> None:
    """Refuse a login whose access token can't be used as it is."""
    if held.value is not None and expires_at is not None and expires_at > now:
        return
    what = "is not there"
    if held.value is not None:
        what = "has no valid expiry" if expires_at is None else "has expired"
    if held.has_refresh:
        problem = f"the access token {what}; only the refresh token is good"
        raise HomeError(path, problem, "The gateway must refresh the login: it is not refreshed here.", place=where)
    raise HomeError(path, f"the access token {what}, and there is no refresh token", "Sign in again.", place=where)


def _of_variable(name: str, ways: Ways) -> Taken:
    held = ways.held()
    # what the process was given is as it was copied; dotenv files and the config's `env` block are read again
    env = held.env if held.env.origin(name) == PROCESS else _newest(ways).env
    text = env.get(name)
    if text is None:
        raise HomeError("environment", "the variable is not set any more", f"Set {name}, then recheck.", place=name)
    return Taken(Secret(text), "token" if name.endswith("_TOKEN") else "api_key")


def _of_config(place: Place, ways: Ways) -> Taken:
    path, document, by = ways.fresh()
    home = ways.location.home
    if place.source == "synthetic":
        where = "the web search key of xai"
        return Taken(_key(xai_search_value(document), by, home, path, where, markers=True), "api_key")
    found = provider_entry(document, place.name)
    spelled, entry = found if found is not None else (place.name, {})
    where = f"models.providers.{spelled}.apiKey"
    secret = _key(entry.get("apiKey"), by, home, path, where, markers=True)
    return Taken(secret, "api_key", base_url=public_url(entry.get("baseUrl")))


def _newest(ways: Ways) -> Resolver:
    """Return environment and rules as the config has them now, or those of the last good one while it is broken."""
    try:
        return ways.fresh()[2]
    except HomeError:
        return ways.held()


def _is_literal(value: str, by: Resolver) -> bool:
    return by.stored(value).form is KeyForm.LITERAL


def _key(value: object, by: Resolver, home: str, path: str, where: str, *, markers: bool) -> Secret:
    """Take what stands where a key is expected, or what it refers to; the resolver says which of the two it is."""
    if isinstance(value, dict) and is_secret_ref(value) and value["source"] == "file":
        alias = str(value.get("provider", by.rules.default_alias("file"))).strip()
        provider = next((one for one in by.rules.files if one.alias == alias), None)
        if provider is None:
            problem = f"the secrets provider {alias} of its reference is not declared with source file"
            raise HomeError(path, problem, "Declare it in secrets.providers of the config.", place=where)
        value = text_in(provider, home, str(value["id"]).strip())
    facts = by.configured(value) if markers else by.stored(value)
    text = None
    if facts.form is KeyForm.LITERAL and isinstance(value, str):
        text = cleaned(value) if markers else value.strip()
    elif facts.form in (KeyForm.ENV_REF, KeyForm.ENV_NAME) and facts.resolved:
        text = by.env.get(facts.name)
    if not text:
        problem = facts.problem or "it yields no secret"
        if facts.form is KeyForm.ABSENT:
            problem = "there is no key any more"
        raise HomeError(path, problem, "Put a key or a reference there that yields one.", place=where)
    return Secret(text)
