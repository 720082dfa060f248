"""`logout`: removes a provider's stored profiles, by a running gateway or by itself."""

from __future__ import annotations

import msgspec

from openclaw_actors.cli.output import write_json
from openclaw_actors.cli.session import chosen_agents
from openclaw_actors.cli.source import Source, answered, who_answered
from openclaw_actors.cli.text import clean, state_label, state_style
from openclaw_actors.cli.writing import NothingThereError, confirm, raise_for_unread, said_in_one_line
from openclaw_actors.shapes import LoggedOut, StoredProfile


def log_out(
    provider: str, *, home: str | None, agent: str | None, profile: str | None, yes: bool, as_json: bool, offline: bool
) -> int:
    """Remove the profiles of a provider from the stores that own them, and say which and what is left."""

    def gather(source: Source) -> tuple[LoggedOut, str]:
        (agent_id,) = chosen_agents(source.about, agent)
        told = source.explain(agent_id, provider, None)
        meant = [one for one in told.profiles if profile in (None, one.id)]
        nothing = LoggedOut(agent_id, told.provider, (), told.state, told.reason)
        if not meant:
            raise_for_unread(source.about)
            return nothing, f"agent {agent_id} has no stored profile of {_what(told.provider, profile)}"
        # once: a gateway that fails after the question is no reason to ask again
        if meant != asked:
            confirm(f"Remove {_listed(meant)}?", yes=yes)
            asked[:] = meant
        try:
            with said_in_one_line():
                return source.log_out(agent_id, provider, profile), ""
        except NothingThereError as error:
            return nothing, str(error)

    asked: list[StoredProfile] = []
    with answered(home, gather, offline=offline) as ((done, nothing), source):
        if as_json:
            write_json({**msgspec.structs.asdict(done), "answered_by": source.answered_by})
        else:
            _write(done, nothing, who_answered(source))
    return 0


def _what(provider: str, profile: str | None) -> str:
    return provider if profile is None else f"{provider} named {profile}"


def _listed(profiles: list[StoredProfile]) -> str:
    told = ", ".join(f"{one.id} from {one.store}" for one in profiles)
    shared = " (inherited: it goes for all agents that see it)" if any(one.inherited for one in profiles) else ""
    return clean(f"{told}{shared}")


def _write(done: LoggedOut, nothing: str, who: str) -> None:
    from openclaw_actors.cli.tables import ascii_only, write_line

    for one in done.removed:
        write_line(("removed ", ""), (one.id, "bold"), (f" from {one.store}", ""))
    if nothing:
        write_line((f"nothing to remove: {nothing}", "yellow"))
    elif not done.removed:
        write_line(("removed what another process had stored a moment ago", ""))
    write_line(
        (f"{done.provider} ", "bold"),
        (f"for agent {done.agent} is now ", ""),
        (state_label(done.state, ascii_only=ascii_only()), state_style(done.state)),
        (f": {done.reason}" if done.reason else "", ""),
        (f"  {who}", "dim"),
    )
