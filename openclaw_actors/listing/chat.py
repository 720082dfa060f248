"""What `/models` answers in a chat: the words of OpenClaw 2026.5.22 (commands-models.ts; formats 8.5). Pure.

OpenClaw is silent about what can't be used. That stands in `notes`, beside its own words, so that whoever compares
the two finds `text` equal.
"""

from __future__ import annotations

import msgspec

from openclaw_actors.auth.verdict import Verdict
from openclaw_actors.ids import ProviderId
from openclaw_actors.listing.labels import keep_start, label
from openclaw_actors.listing.listing import ListedModel, Listing
from openclaw_actors.listing.menu import (
    MenuProvider,
    find_provider,
    menu_notes,
    provider_id,
    provider_notes,
    providers_of,
)
from openclaw_actors.listing.models_command import ModelsRequest

NOT_AUTHORISED = "You are not authorized to use this command."
"""For a sender who may not ask, as the answer to a native command; a typed one is passed over in silence."""

ADD_IS_DEPRECATED = (
    "\N{WARNING SIGN}\N{VARIATION SELECTOR-16} /models add is deprecated. "
    "Use /models to browse providers and /model to switch models."
)

NOTES_TITLE = "Hidden or not usable now:"
"""Stands above the notes. Ours, not OpenClaw's."""

MAX_ECHO = 100
"""Of an unknown provider's id, at most so much is repeated, in UTF-16 code units."""

_BROWSE_ONE = "Use: /models <provider>"
_SWITCH = "Switch: /model <provider/model>"
_CREDENTIAL_KINDS = {"api_key": "api-key", "token": "token", "oauth": "oauth"}


class ChatReply(msgspec.Struct, frozen=True):
    """An answer to `/models`."""

    text: str
    """OpenClaw's own words, lines separated by newlines."""
    notes: tuple[str, ...] = ()
    """What can't be used, and why: one line each."""

    @property
    def full_text(self) -> str:
        """The words and the notes in one text."""
        return "\n".join((self.text, "", NOTES_TITLE, *self.notes)) if self.notes else self.text


def reply(
    listing: Listing, request: ModelsRequest, *, verdict: Verdict | None = None, buttons: bool = False
) -> ChatReply:
    """Return the answer to a request. Never raises, whatever was asked.

    Args:
        listing: What the agent is shown, in the request's view. A listing of one provider alone knows no others.
        request: What `parse_models_command` made of the message.
        verdict: Of the provider that is asked for: names its credential in the title.
        buttons: Whether buttons are shown under the text: then it is just a title.
    """
    if request.action == "add":
        return ChatReply(ADD_IS_DEPRECATED)
    menu = providers_of(listing)
    if request.action == "providers" or request.provider is None:
        return _menu(listing, menu, buttons=buttons)
    found = find_provider(menu, request.provider)
    if found is None:
        return _nothing_of(listing, menu, provider_id(request.provider))
    return _models(listing, found, request, _title(found.provider, verdict), buttons=buttons)


def auth_label(verdict: Verdict) -> str:
    """Return how a title names the credential that a run would use: `api-key (openai:default)`, `oauth (codex-cli)`.

    Empty when there is none that works, and for kinds that OpenClaw has no words for.
    """
    evidence = verdict.evidence
    if evidence is None or not verdict.has_auth:
        return ""
    name = evidence.id.partition(":")[2]
    match evidence.source:
        case "profile":
            kind = _CREDENTIAL_KINDS.get(evidence.kind)
            return f"{kind} ({label(evidence.id)})" if kind else ""
        case "environment":
            return f"{'oauth' if 'OAUTH_TOKEN' in name else 'api-key'} (env: {label(name)})"
        case "external-cli":
            return f"oauth ({label(name)}-cli)"
        case "config":
            return "api-key (models.json)"
        case _:
            return ""


def _menu(listing: Listing, menu: tuple[MenuProvider, ...], *, buttons: bool) -> ChatReply:
    notes = menu_notes(listing, menu)
    if buttons:
        return ChatReply("Select a provider:", notes)
    lines = [f"- {label(one.provider)} ({len(one.rows)})" for one in menu]
    return ChatReply("\n".join(("Providers:", *lines, "", _BROWSE_ONE, _SWITCH)), notes)


def _nothing_of(listing: Listing, menu: tuple[MenuProvider, ...], provider: ProviderId) -> ChatReply:
    shown = keep_start(label(provider), MAX_ECHO)
    notes = provider_notes(listing, provider, ())
    if listing.provider == provider:
        return ChatReply("\n".join((f"Models ({shown}) — none", "", "Browse: /models", _SWITCH)), notes)
    others = [f"- {label(one.provider)}" for one in menu]
    return ChatReply(
        "\n".join((f"Unknown provider: {shown}", "", "Available providers:", *others, "", _BROWSE_ONE)), notes
    )


def _models(listing: Listing, found: MenuProvider, request: ModelsRequest, title: str, *, buttons: bool) -> ChatReply:
    total, provider = len(found.rows), label(found.provider)
    if buttons:
        return ChatReply(f"Models ({title}) — {total} available", provider_notes(listing, found.provider, found.rows))
    limit = total if request.everything else request.limit
    pages = -(-total // limit)
    page = 1 if request.everything else request.page
    everything = f"All: /models list {provider} all"
    if page > pages:
        wrong = f"Page out of range: {page} (valid: 1-{pages})"
        return ChatReply("\n".join((wrong, "", f"Try: /models list {provider} {pages}", everything)))
    start = (page - 1) * limit
    rows = found.rows[start : start + limit]
    lines = [
        f"Models ({title}) — showing {start + 1}-{start + len(rows)} of {total} (page {page}/{pages})",
        *map(_row, rows),
        "",
        _SWITCH,
    ]
    if page < pages:
        lines.append(f"More: /models list {provider} {page + 1}")
    if not request.everything:
        lines.append(everything)
    return ChatReply("\n".join(lines), provider_notes(listing, found.provider, rows))


def _row(row: ListedModel) -> str:
    # the provider stands before ids that start with it, too
    return f"- {label(row.provider)}/{label(row.model)}"


def _title(provider: ProviderId, verdict: Verdict | None) -> str:
    auth = auth_label(verdict) if verdict is not None and verdict.provider == provider else ""
    return f"{label(provider)} · \N{KEY} {auth}" if auth else label(provider)
