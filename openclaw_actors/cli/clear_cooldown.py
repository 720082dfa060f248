"""`clear-cooldown`: clears the resting windows of a profile, by a running gateway or by itself."""

from __future__ import annotations

import click
import msgspec

from openclaw_actors.cli.output import write_json
from openclaw_actors.cli.session import chosen_agents
from openclaw_actors.cli.source import Source, answered, who_answered
from openclaw_actors.cli.text import clean, state_label, state_style
from openclaw_actors.cli.writing import NothingThereError, raise_for_unread, said_in_one_line
from openclaw_actors.shapes import Cleared


def clear_cooldown(profile: str, *, home: str | None, agent: str | None, as_json: bool, offline: bool) -> int:
    """Clear what keeps a profile resting in the store that owns it, and say what its provider is now."""

    def gather(source: Source) -> Cleared:
        (agent_id,) = chosen_agents(source.about, agent)
        try:
            with said_in_one_line():
                return source.clear_cooldown(agent_id, profile)
        except NothingThereError as error:
            raise_for_unread(source.about)
            raise click.UsageError(clean(str(error))) from None

    with answered(home, gather, offline=offline) as (done, source):
        if as_json:
            write_json({**msgspec.structs.asdict(done), "answered_by": source.answered_by})
        else:
            _write(done, who_answered(source))
    return 0


def _write(done: Cleared, who: str) -> None:
    from openclaw_actors.cli.tables import ascii_only, write_line

    plain = ascii_only()
    is_other = done.before != done.state
    write_line(("cleared " if is_other else "nothing rested: ", ""), (done.profile, "bold"), (f" in {done.store}", ""))
    before = (f"was {state_label(done.before, ascii_only=plain)}, is now ", "")
    write_line(
        (f"{done.provider} ", "bold"),
        (f"for agent {done.agent} ", ""),
        before if is_other else ("is as before: ", ""),
        (state_label(done.state, ascii_only=plain), state_style(done.state)),
        (f": {done.reason}" if done.reason else "", ""),
        (f"  {who}", "dim"),
    )
