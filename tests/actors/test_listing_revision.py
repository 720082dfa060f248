"""What an agent is listed belongs to its published answers: one snapshot, one revision."""

from __future__ import annotations

import pytest
from rig import HOME_SOURCE, MakeRig, Rig, api_key, custom


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """Return a warm rig with a configured provider of one model."""
    made = make_rig("main", "ops")
    made.files.write_profiles(openai__work=api_key("openai"))
    made.files.write_providers(acme=custom())
    return made.warm()


def listed(rig: Rig, agent: str = "ops") -> list[str]:
    """Return the models of the configured provider that an agent is listed."""
    return [row.id for row in rig.models(agent_id=agent, provider="acme").rows]


def test_another_model_is_another_revision_and_no_check(rig: Rig) -> None:
    """A model row that is added shows with a new revision of every agent that it is listed to; nothing is checked."""
    before, stats = rig.models(agent_id="ops"), rig.stats()
    rig.files.write_providers(acme=custom(models=[{"id": "acme-1"}, {"id": "acme-2"}]))
    rig.touch(HOME_SOURCE)
    after = rig.models(agent_id="ops")
    assert listed(rig) == ["acme/acme-1", "acme/acme-2"]
    assert after.revision == before.revision + 1 == rig.auth("ops").revision
    assert rig.auth("main").revision > 1
    assert "provider_checks" not in rig.since(stats)


def test_another_allowlist_is_another_revision(rig: Rig) -> None:
    """What the config admits is part of what is listed."""
    revision = rig.auth("ops").revision
    rig.files.config["agents"]["defaults"] = {"models": {"acme/*": {}}}
    rig.files.write_config()
    rig.touch(HOME_SOURCE)
    assert rig.auth("ops").revision == revision + 1


def test_the_order_of_keys_is_no_revision(rig: Rig) -> None:
    """A config that says the same in another order lists the same."""
    rig.files.write_providers(acme=custom(), bolt=custom("bolt"))
    rig.touch(HOME_SOURCE)
    revision = rig.auth("ops").revision
    rig.files.write_providers(bolt=custom("bolt"), acme=custom())
    rig.touch(HOME_SOURCE)
    assert rig.auth("ops").revision == revision


def test_a_listing_goes_with_the_answers_that_are_published(rig: Rig) -> None:
    """While a new provider is still to be checked, neither its models nor its answer is there: never one of them
    alone under a revision that another listing had.
    """
    seen: dict[int, list[str]] = {}
    rig.files.write_providers(acme=custom(), bolt=custom("bolt"))
    rig.touch(HOME_SOURCE, run=False)
    for _ in range(200):
        listing = rig.models(agent_id="ops")
        assert seen.setdefault(listing.revision, [row.id for row in listing.rows]) == [row.id for row in listing.rows]
        if not rig.dispatcher.step():
            break
    assert [row.id for row in rig.models(agent_id="ops", provider="bolt").rows] == ["bolt/bolt-1"]
    assert len(seen) > 1
