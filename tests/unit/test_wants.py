"""What is wanted: generations, scopes, and who is there to answer."""

from __future__ import annotations

import pytest

from openclaw_actors.ids import AgentId, ProviderId
from openclaw_actors.scope import Scope
from openclaw_actors.wants import Wants

MAIN, OPENAI, GROQ = AgentId("main"), ProviderId("openai"), ProviderId("groq")


def test_a_scope_is_wanted_as_long_as_one_generation_wants_it() -> None:
    """Equal scopes are counted; narrowing moves a generation to another scope."""
    wants = Wants()
    first, second = wants.mint(Scope.provider("openai")), wants.mint(Scope.provider("openai"))
    assert second == first + 1 == wants.latest
    wants.retire(first)
    assert wants.is_wanted(MAIN, OPENAI)
    wants.narrow(second, Scope.provider("groq"))
    assert not wants.is_wanted(MAIN, OPENAI)
    assert wants.is_wanted(MAIN, GROQ)
    wants.retire(second)
    wants.retire(second)
    assert not wants.is_wanted(MAIN, GROQ)
    assert wants.open_generations() == ()


def test_a_scope_that_cannot_be_counted_leaves_nothing_behind() -> None:
    """Something unhashable is refused, and later events go on."""
    wants = Wants()
    with pytest.raises(TypeError):
        wants.mint(Scope(agents={"main"}))  # type: ignore[arg-type]
    assert wants.latest == 0
    wants.retire(wants.mint(Scope.everything()))
    assert wants.open_generations() == ()


def test_nothing_is_fresh_once_nobody_answers() -> None:
    """After a close every cell counts as wanted."""
    wants = Wants()
    assert not wants.is_wanted(MAIN, OPENAI)
    wants.close()
    assert wants.is_wanted(MAIN, OPENAI)
    assert not wants.is_live
