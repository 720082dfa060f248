"""What a slow consumer of changes is told: never too much to hold, never less than it needs to be right again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_actors.auth.verdict import State
from openclaw_actors.backlog import Backlog
from openclaw_actors.changes import Change
from openclaw_actors.ids import AgentId, Generation, ProviderId, Revision
from openclaw_actors.prepared import bare_verdict


def change(sequence: int, agent: str, revision: int) -> Change:
    """Return a change; what it says is of no interest here."""
    agent_id, provider = AgentId(agent), ProviderId("openai")
    verdict = bare_verdict(agent_id, provider, State.MISSING, "")
    return Change(
        sequence=sequence,
        agent_id=agent_id,
        revision=Revision(revision),
        provider=provider,
        old=verdict,
        new=verdict,
        reason="test",
        generation=Generation(sequence),
        latency_s=0.0,
        published_at=0.0,
    )


def history(agents: list[int]) -> list[Change]:
    """Return changes of these agents in this order, each with the agent's next revision."""
    revisions: dict[int, int] = {}
    made = []
    for sequence, agent in enumerate(agents, start=1):
        revisions[agent] = revisions.get(agent, 0) + 1
        made.append(change(sequence, f"a{agent}", revisions[agent]))
    return made


def test_what_fits_is_delivered_once_in_order_and_unmarked() -> None:
    """A consumer that keeps up gets each change, and no word of missing ones."""
    backlog, made = Backlog(10), history([1, 2, 1, 1, 2])
    assert sum(backlog.add(one) for one in made) == 0
    assert [backlog.take() for _ in made] == made
    assert backlog.take() is None


def test_an_agent_that_never_changes_again_is_not_forgotten() -> None:
    """The newest change of each agent stays however many come after it."""
    backlog = Backlog(8)
    for one in history([7, 7, *[1] * 1000]):
        backlog.add(one)
    taken = [one for _ in range(len(backlog)) if (one := backlog.take()) is not None]
    assert [(one.agent_id, one.revision, one.reread_from) for one in taken if one.agent_id == "a7"] == [("a7", 2, 1)]
    assert taken[-1].revision == 1000
    assert next(one for one in taken if one.agent_id == "a1").reread_from is not None


@settings(max_examples=200, deadline=None)
@given(agents=st.lists(st.integers(0, 5), max_size=200), takes=st.lists(st.booleans(), max_size=200))
def test_whatever_is_not_delivered_is_announced(agents: list[int], takes: list[bool]) -> None:
    """Each agent's revisions come without a gap, or the one after a gap says from which revision on to read again."""
    backlog, limit = Backlog(12), 12
    delivered: list[Change] = []
    given_up = 0
    for place, one in enumerate(history(agents)):
        given_up += backlog.add(one)
        assert len(backlog) <= limit + 6
        if place < len(takes) and takes[place]:
            taken = backlog.take()
            assert taken is not None
            delivered.append(taken)
    while (rest := backlog.take()) is not None:
        delivered.append(rest)
    assert len(delivered) + given_up == len(agents)
    assert [one.sequence for one in delivered] == sorted({one.sequence for one in delivered})
    at: dict[str, int] = {}
    for one in delivered:
        missed = one.revision - at.get(one.agent_id, 0) - 1
        assert one.reread_from == (one.revision - 1 if missed else None)
        at[one.agent_id] = one.revision
    assert at == {one.agent_id: one.revision for one in history(agents)}


@settings(max_examples=200, deadline=None)
@given(agents=st.lists(st.integers(0, 5), max_size=100), since=st.integers(0, 100))
def test_whoever_comes_late_is_told_what_is_not_kept(agents: list[int], since: int) -> None:
    """From any sequence on, each agent's later changes are there, or its first one says that some are gone."""
    backlog, made = Backlog(12), history(agents)
    for one in made:
        backlog.add(one)
    replayed = list(backlog.after(since))
    wanted = [one for one in made if one.sequence > since]
    for agent in {one.agent_id for one in wanted}:
        theirs = [one for one in replayed if one.agent_id == agent]
        expected = [one.sequence for one in wanted if one.agent_id == agent]
        missing = len(expected) - len(theirs)
        assert [one.sequence for one in theirs] == expected[missing:]
        assert (theirs[0].reread_from is not None) == bool(missing)
        assert all(one.reread_from is None for one in theirs[1:])
