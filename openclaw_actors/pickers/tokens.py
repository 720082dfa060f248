"""What stands in a button: a short text that names a page or a model of one list, and of no other.

A token says where in the list the model stands, and carries three digests: of the list (process, agent, revision,
view), of the model itself, and of the whole token, keyed by the process. It is good only when all three agree, so a
button never chooses a model other than the one that it showed, whatever happened in between. Its length doesn't depend
on the ids: at most 58 bytes of ASCII with a prefix of four.

The key keeps mangled and made-up tokens apart from old ones. It is no authorisation: whoever may press buttons may
choose any model that is shown anyway.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final, final

import msgspec

from openclaw_actors.ids import ProviderId
from openclaw_actors.listing.listing import ListedModel, Listing
from openclaw_actors.listing.menu import MenuProvider, find_provider, providers_of
from openclaw_actors.listing.visibility import View
from openclaw_actors.pickers.targets import (
    STALE_TEXT,
    UNKNOWN_TEXT,
    Choose,
    PickerAnswer,
    ShowModels,
    ShowProviders,
    Stale,
    Target,
    Unknown,
    model_ref,
)

_VIEWS: Final[dict[str, View]] = {"d": "default", "c": "configured", "a": "all"}
_LETTERS: Final[dict[str, str]] = {view: letter for letter, view in _VIEWS.items()}
_PROVIDERS, _MODELS, _MODEL = "p", "l", "m"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LONG, _SHORT = 6, 3
"""Sizes of digests in bytes: 8 and 4 characters. The short one only finds the page that a stale button is offered."""

_SHAPE = re.compile(
    r"(?P<kind>[plm])(?P<view>[dca])(?P<instance>[\w-]{8})(?P<list>[\w-]{8})(?P<owner>[\w-]{4})(?P<thing>[\w-]{8})"
    r"(?P<index>[0-9a-z]{1,7})\.(?P<page>[0-9a-z]{1,7})\.(?P<check>[\w-]{8})",
    re.ASCII,
)


class Surface(msgspec.Struct, frozen=True):
    """A platform's way to show pages."""

    prefix: str
    """What its tokens begin with, so that a gateway can tell them from the buttons of others: letters, then `_`."""
    providers_per_page: int
    models_per_page: int


@final
class Tokens:
    """The tokens of one list on one surface.

    Args:
        surface: Where they are shown.
        listing: The list.
        instance_id: The process whose revisions these are (`supervisor.instance_id`).
    """

    __slots__ = ("_head", "_instance_id", "_listing", "_surface")

    def __init__(self, surface: Surface, listing: Listing, instance_id: str) -> None:
        self._surface = surface
        self._listing = listing
        self._instance_id = instance_id
        self._head = (_LETTERS.get(listing.view, "d"), _digest(_LONG, instance_id), _list_digest(listing, instance_id))

    def providers(self, page: int) -> str:
        """Return the token of a page of the menu."""
        return self._token(_PROVIDERS, "", "", 0, page)

    def models(self, provider: MenuProvider, page: int) -> str:
        """Return the token of a page of a provider's models."""
        return self._token(_MODELS, provider.provider, provider.provider, provider.indexes[0], page)

    def model(self, index: int) -> str:
        """Return the token of the model at an index of the list's rows."""
        row = self._listing.rows[index]
        return self._token(_MODEL, row.provider, model_ref(row), index, 1)

    def _token(self, kind: str, owner: str, thing: str, index: int, page: int) -> str:
        view, instance, listed = self._head
        digests = f"{instance}{listed}{_digest(_SHORT, owner)}{_thing_digest(kind, owner, thing)}"
        body = f"{self._surface.prefix}{kind}{view}{digests}{_base36(index)}.{_base36(page)}."
        return body + _check(body, self._instance_id)


def decode(surface: Surface, listing: Listing, instance_id: str, data: str) -> PickerAnswer:
    """Return what a token comes to, by the list as it is now. Never raises, whatever the text is.

    Args:
        surface: Where it was pressed.
        listing: The agent's list now, in the token's view (`view_of`).
        instance_id: The process that answers (`supervisor.instance_id`).
        data: What the platform delivered.
    """
    found = _SHAPE.fullmatch(data, len(surface.prefix)) if data.startswith(surface.prefix) else None
    if found is None:
        return _unknown()
    if found["instance"] != _digest(_LONG, instance_id):
        return _stale(surface, listing, found)  # of another process: only that one could check it
    if found["check"] != _check(data[: -len(found["check"])], instance_id):
        return _unknown()
    index, page = int(found["index"], 36), int(found["page"], 36)
    if found["list"] != _list_digest(listing, instance_id):
        return _stale(surface, listing, found)
    if found["kind"] == _PROVIDERS:
        return ShowProviders(page)
    row = listing.rows[index] if index < len(listing.rows) else None
    if row is None or found["thing"] != _row_digest(found["kind"], row):
        return _stale(surface, listing, found)
    return Choose(row) if found["kind"] == _MODEL else ShowModels(row.provider, page)


def view_of(data: str) -> View:
    """Return the view of the list that a token is of: `supervisor.models(view=view_of(data))`; `default` for texts that
    are none.
    """
    found = _SHAPE.fullmatch(data.partition("_")[2])
    return _VIEWS[found["view"]] if found is not None else "default"


def page_of(menu: tuple[MenuProvider, ...], provider: ProviderId, per_page: int) -> int:
    """Return the page of the menu that a provider is on; 1 when it is on none."""
    place = next((number for number, one in enumerate(menu) if one.provider == provider), 0)
    return place // per_page + 1


def _unknown() -> Unknown:
    return Unknown(UNKNOWN_TEXT, ShowProviders())


def _stale(surface: Surface, listing: Listing, found: re.Match[str]) -> Stale:
    return Stale(STALE_TEXT, _page_now(surface, listing, found))


def _page_now(surface: Surface, listing: Listing, found: re.Match[str]) -> Target:
    """Return the page where what a stale button showed stands now; else its provider's first, else the menu."""
    page = int(found["page"], 36)
    if found["kind"] == _PROVIDERS:
        return ShowProviders(page)
    owner = next((one for one in providers_of(listing) if _digest(_SHORT, one.provider) == found["owner"]), None)
    if owner is None:
        return ShowProviders()
    if found["kind"] == _MODELS:
        return ShowModels(owner.provider, page)
    place = next((n for n, row in enumerate(owner.rows) if _row_digest(_MODEL, row) == found["thing"]), 0)
    return ShowModels(owner.provider, place // surface.models_per_page + 1)


def find_ref(listing: Listing, ref: str) -> ListedModel | None:
    """Return the model that a full `provider/model` names in a list, the provider in any spelling; it ends at the first
    slash.
    """
    provider, slash, model = ref.partition("/")
    owner = find_provider(providers_of(listing), provider) if slash else None
    return next((row for row in owner.rows if row.model == model), None) if owner is not None else None


def _list_digest(listing: Listing, instance_id: str) -> str:
    return _digest(_LONG, instance_id, listing.agent_id, listing.revision, listing.view, listing.provider)


def _row_digest(kind: str, row: ListedModel) -> str:
    return _thing_digest(kind, row.provider, model_ref(row) if kind == _MODEL else row.provider)


def _thing_digest(kind: str, owner: str, thing: str) -> str:
    return _digest(_LONG, kind, owner, thing)


def _digest(size: int, *parts: object) -> str:
    # `ascii` tells any two tuples apart, halves of surrogate pairs included, and can always be encoded
    return _base64(hashlib.blake2b(ascii(parts).encode(), digest_size=size).digest())


def _check(body: str, instance_id: str) -> str:
    key = hashlib.blake2b(ascii(instance_id).encode(), digest_size=32).digest()
    return _base64(hashlib.blake2b(body.encode("utf-8", "surrogatepass"), digest_size=_LONG, key=key).digest())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii")


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits
