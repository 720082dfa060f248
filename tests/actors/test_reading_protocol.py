"""Readings that fail, hang or come back: what was known stays, what is not known says so, and it is tried for ever."""

from __future__ import annotations

import json

import pytest
from rig import CLAUDE, CODEX, HOME_SOURCE, MakeRig, Rig, api_key, custom

from openclaw_actors.actors.wakings import CLOCK_LOOK_S
from openclaw_actors.changes import Change
from openclaw_actors.messages import ReadDue, SourceRead, TimePassed
from openclaw_actors.reading.job import Failure

TORN = '{"version": 1, "profiles": {"openai:wo'


def tear(rig: Rig, agent: str = "main") -> None:
    """Leave a store half written."""
    rig.files.replace(rig.files.profiles_path(agent), TORN)


def retry_delays(rig: Rig, source: str, failures: int) -> list[float]:
    """Run through some failing readings of a source and return the pauses between them."""
    pauses = []
    for _ in range(failures):
        began = rig.clock.monotonic()
        due = next(after for after, _, message in rig.dispatcher.alarms if message == ReadDue(source=source))
        rig.advance(due)
        pauses.append(rig.clock.monotonic() - began)
    return pauses


# --------------------------------------------------------------------------------------------------------- torn files


def test_a_torn_file_keeps_the_last_good_answer(rig: Rig) -> None:
    """While a store is torn its answers stay, presence too, are not fresh, and the health says why."""
    tear(rig)
    before = rig.stats()
    rig.touch(rig.store(), run=False)
    rig.run_until_idle()
    for agent in ("main", "ops"):
        verdict = rig.answer(agent)
        assert (str(verdict.state), verdict.presence, verdict.fresh) == ("usable", True, False)
    assert not rig.condition("StoresReadable").status
    assert str(rig.files.profiles_path()) in rig.condition("StoresReadable").message
    assert "provider_checks" not in rig.since(before)


def test_a_torn_file_is_read_again_after_50_ms(rig: Rig) -> None:
    """Without any further event, a file that is whole again shows 50 ms later."""
    tear(rig)
    rig.touch(rig.store(), run=False)
    rig.run_until_idle()
    rig.files.write_profiles(groq__me=api_key("groq"))
    rig.advance(rig.settings.torn_retry_s - 0.001)
    assert rig.state("ops", "groq") == "missing"
    rig.advance(0.002)
    assert (rig.state("ops", "groq"), rig.state("ops")) == ("usable", "missing")
    assert rig.answer("ops").fresh
    assert rig.condition("StoresReadable").status


def test_the_latency_of_a_mended_file_counts_from_its_mending(rig: Rig) -> None:
    """A retry that finds what a file event has just told of answers that event, not the one that tore the file."""
    heard: list[Change] = []
    feed, _ = rig.runtime.notifier.follow(lambda: None)
    tear(rig)
    rig.touch(rig.store(), run=False)
    rig.advance(0.5)
    due = next(after for after, _, message in rig.dispatcher.alarms if message == ReadDue(source=rig.store()))
    rig.advance(due - 0.001)
    rig.files.write_profiles(groq__me=api_key("groq"))
    rig.touch(rig.store(), run=False)
    rig.advance(0.1)
    while (change := feed.take()) is not None:
        heard.append(change)
    assert rig.state("ops", "groq") == "usable"
    assert max(one.latency_s for one in heard) < 0.1


def test_a_hint_about_a_torn_file_is_followed_at_once(rig: Rig) -> None:
    """A file that fails for long is read as soon as something happens to it, not when its next try is due."""
    tear(rig)
    rig.touch(rig.store())
    rig.advance(120.0)
    rig.files.write_profiles(groq__me=api_key("groq"))
    rig.touch(rig.store(), run=False)
    rig.run_until_idle()
    assert rig.state("ops", "groq") == "usable"
    waiting = [message for _, _, message in rig.dispatcher.alarms if isinstance(message, ReadDue)]
    assert waiting == [], "and the try that was due isn't made any more"


def test_hints_do_not_multiply_the_retries(rig: Rig) -> None:
    """However often a broken file is touched, one try is due at a time."""
    tear(rig)
    for _ in range(200):
        rig.touch(rig.store(), rig.store(), run=False)
        rig.advance(0.005)
    waiting = [message for _, _, message in rig.dispatcher.alarms if isinstance(message, ReadDue)]
    assert len(waiting) == 1
    before = rig.stats()
    rig.advance(rig.settings.retry_max_s)
    rig.advance(rig.settings.retry_max_s)
    assert rig.since(before)["store_reads"] <= 12


# --------------------------------------------------------------------------------------------------- failing at first


def test_a_store_that_cannot_be_read_at_first_is_unknown(make_rig: MakeRig) -> None:
    """Without a last good answer a failing store is `unknown`, says why, and delays only who sees it."""
    rig = make_rig("main", "ops", "lab")
    rig.files.write_profiles(openai__work=api_key("openai"))
    tear(rig, "ops")
    rig.start().advance(0.04)
    assert rig.runtime.warm.is_set()
    verdict = rig.answer("ops", "zai")
    assert (str(verdict.state), verdict.fresh) == ("unknown", False)
    assert "auth-profiles.json" in verdict.reason
    assert rig.state("ops") == "usable", "what it inherits is known"
    assert (rig.state("lab", "zai"), rig.answer("lab").fresh) == ("missing", True)
    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    rig.advance(0.02)
    assert (rig.state("ops", "zai"), rig.answer("ops", "zai").fresh) == ("usable", True)


def test_a_failing_source_is_tried_for_ever_and_ever_more_slowly(make_rig: MakeRig) -> None:
    """The first try comes after 50 ms; pauses grow to the longest, with jitter, and never stop."""
    rig = make_rig("main")
    tear(rig)
    rig.start().run_until_idle()
    pauses = retry_delays(rig, rig.store(), 40)
    settings = rig.settings
    assert pauses[0] == pytest.approx(settings.torn_retry_s, abs=1e-6)
    assert all(pause <= settings.retry_max_s for pause in pauses)
    assert max(pauses[:4]) <= 4 * settings.retry_first_s
    assert max(pauses[10:]) > 5.0
    assert len(set(pauses[10:])) > 20, "they are jittered"
    assert rig.stats().retries == 40
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.advance(settings.retry_max_s)
    assert rig.state() == "usable"
    assert rig.condition("StoresReadable").status


def test_an_event_before_the_first_config_is_answered_by_what_it_warms(make_rig: MakeRig) -> None:
    """A recheck or a reload while the config can't be read waits for one that can, and for all that this warms."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    rig.files.replace(rig.files.path / "openclaw.json", "{ agents: {")
    rig.start()
    rig.run_until_idle()
    asked = [rig.recheck("zai", agent_id="ops"), rig.reload_config(), rig.recheck()]
    rig.advance(1.0)
    assert set(asked) <= set(rig.open_generations())
    rig.sources.hold(rig.store("ops"))
    rig.files.write_agents("main", "ops")
    rig.touch(HOME_SOURCE)
    assert set(asked) <= set(rig.open_generations()), "one agent is still to be swept"
    rig.sources.release(rig.store("ops"))
    rig.run_until_idle()
    assert not rig.open_generations()
    assert (rig.state("ops", "zai"), rig.answer("ops", "zai").fresh) == ("usable", True)


def test_the_health_tells_of_the_tries(rig: Rig) -> None:
    """A source that stays broken says how often it was tried; one that is mended says nothing."""
    tear(rig, "ops")
    rig.touch(rig.store("ops"))
    rig.advance(600.0)
    assert "tries and more" in rig.condition("StoresReadable").message
    assert "every 60 s" in rig.condition("StoresReadable").message
    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    rig.touch(rig.store("ops"))
    assert rig.condition("StoresReadable").message == ""


def test_a_config_that_cannot_be_read_at_first_warms_nothing_and_recovers(make_rig: MakeRig) -> None:
    """A start with a broken config says so, answers `unknown`, and is warm as soon as the config is mended."""
    rig = make_rig("main", "ops")
    good = (rig.files.path / "openclaw.json").read_text()
    rig.files.replace(rig.files.path / "openclaw.json", "{ agents: ")
    rig.start().advance(30.0)
    assert not rig.runtime.warm.is_set()
    assert not rig.condition("ConfigValid").status
    assert not rig.published_agents
    assert rig.stats().warms == 0
    assert len(rig.open_generations()) == 1
    rig.files.replace(rig.files.path / "openclaw.json", good)
    rig.advance(rig.settings.retry_max_s)
    assert rig.runtime.warm.is_set()
    assert rig.condition("ConfigValid").status
    assert (rig.open_generations(), rig.stats().warms) == ((), 1)


# ---------------------------------------------------------------------------------------------------------- gone, back


def test_a_store_that_is_back_within_the_grace_changes_nothing(rig: Rig) -> None:
    """A store that is gone for less than 250 ms was being replaced."""
    text = rig.files.profiles_path().read_text()
    before = rig.stats()
    rig.files.profiles_path().unlink()
    rig.touch(rig.store(), run=False)
    rig.advance(0.2)
    assert rig.state("ops") == "usable"
    rig.files.replace(rig.files.profiles_path(), text)
    rig.advance(1.0)
    assert rig.state("ops") == "usable"
    assert "publications" not in rig.since(before)


def test_a_store_that_stays_away_is_a_logout(rig: Rig) -> None:
    """After 250 ms, and not before, a store that is gone is believed to be."""
    rig.files.profiles_path().unlink()
    rig.touch(rig.store(), run=False)
    rig.advance(rig.settings.gone_grace_s - 0.001)
    assert (rig.state(), rig.state("ops")) == ("usable", "usable")
    rig.advance(0.002)
    assert (rig.state(), rig.state("ops"), rig.state("ops", "zai")) == ("missing", "missing", "usable")


def test_a_store_that_comes_back_with_another_key_shows_it_at_once(rig: Rig) -> None:
    """A hint within the grace is followed as any other."""
    rig.files.profiles_path().unlink()
    rig.touch(rig.store(), run=False)
    rig.advance(0.05)
    rig.files.write_profiles(groq__me=api_key("groq"))
    rig.touch(rig.store(), run=False)
    rig.run_until_idle()
    assert (rig.state("ops", "groq"), rig.state("ops")) == ("usable", "missing")


def test_a_store_that_appears_is_a_login(rig: Rig) -> None:
    """What was absent and is there now shows at once."""
    rig.files.profiles_path("ops").unlink()
    rig.touch(rig.store("ops"))
    rig.advance(0.3)
    assert rig.state("ops", "zai") == "missing"
    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    rig.touch(rig.store("ops"), run=False)
    rig.run_until_idle()
    assert rig.state("ops", "zai") == "usable"


# ------------------------------------------------------------------------------------------------------------ overruns


def test_an_overrun_keeps_the_last_good_answer_and_its_late_result_is_dropped(rig: Rig) -> None:
    """A reading that hangs is given up at its deadline: counted, not fresh, and what it finds later counts nothing."""
    rig.sources.hold(rig.store())
    rig.touch(rig.store(), run=False)
    rig.run_until_idle()
    hung = rig.sources.waiting[rig.store()][0]
    rig.advance(rig.settings.source_deadline_s)
    assert rig.stats().deadline_overruns == 1
    assert (rig.state("ops"), rig.answer("ops").fresh) == ("usable", False)
    rig.files.write_profiles(groq__me=api_key("groq"))
    rig.to_warmer(SourceRead(source=rig.store(), ticket=2, reading=hung.read()))  # type: ignore[arg-type]
    discarded = rig.stats().discarded_results
    rig.run_until_idle()
    assert rig.stats().discarded_results == discarded + 1
    assert rig.state("ops", "groq") == "missing"
    rig.sources.release(rig.store())
    rig.advance(10.0)
    assert (rig.state("ops", "groq"), rig.answer("ops").fresh) == ("usable", True)


@pytest.mark.parametrize("failure", [Failure.OVERRAN, Failure.QUARANTINED, Failure.RAISED_EXIT, Failure.FAILED])
def test_every_way_to_fail_keeps_the_last_good_map(rig: Rig, failure: Failure) -> None:
    """Whatever becomes of a warm's readings, the map stays as it was, and the next try makes it fresh again."""
    answers = rig.answers()
    for source in rig.read_sources():
        rig.sources.hold(source)
    rig.recheck()
    rig.run_until_idle()
    for source in rig.read_sources():
        rig.sources.fail(source, failure)
    rig.advance(0.02)
    assert rig.answers() == answers
    assert not rig.answer().fresh
    for source in rig.read_sources():
        rig.sources.release(source)
    rig.advance(0.05)
    assert rig.answers() == answers
    assert rig.answer().fresh
    assert rig.open_generations() == ()


def test_an_invalid_config_keeps_the_old_answers(rig: Rig) -> None:
    """While the config can't be read its agents, providers and answers stay, not fresh; then the new one counts."""
    rig.files.write_providers(acme=custom())
    rig.touch(HOME_SOURCE)
    answers = rig.answers()
    rig.files.replace(rig.files.path / "openclaw.json", "{ models: [ ")
    rig.touch(HOME_SOURCE, run=False)
    rig.run_until_idle()
    assert rig.answers() == answers
    assert not rig.answer("ops", "acme").fresh
    assert "openclaw.json" in rig.condition("ConfigValid").message
    rig.files.write_providers()
    rig.touch(HOME_SOURCE)
    assert (rig.state("ops", "acme"), rig.answer("ops", "acme").fresh) == ("missing", True)
    assert rig.condition("ConfigValid").status


def test_a_login_that_breaks_concerns_its_provider_only(rig: Rig) -> None:
    """Another program's login that can't be read leaves all other providers fresh."""
    rig.sources.hold(CODEX)
    rig.touch(CODEX, run=False)
    rig.run_until_idle()
    rig.sources.fail(CODEX, Failure.FAILED)
    rig.run_until_idle()
    assert not rig.answer("main", "openai-codex").fresh
    assert rig.answer("ops", "zai").fresh
    assert not rig.condition("LoginsReadable").status


# ---------------------------------------------------------------------------------------------------------------- time


def token(rig: Rig, lives_s: float) -> dict[str, object]:
    """Return a stored token that ends some seconds from now."""
    return {
        "type": "token",
        "provider": "groq",
        "token": "canary-groq-5512",
        "expires": int((rig.clock.epoch() + lives_s) * 1000),
    }


def test_an_expiry_is_an_event(rig: Rig) -> None:
    """A token that ends is `expired` from that moment on, for all who inherit it; nothing is read for that."""
    rig.files.write_profiles(groq__me=token(rig, 3600.0))
    rig.touch(rig.store())
    before = rig.stats()
    rig.advance(3590.0)
    assert rig.state("ops", "groq") == "usable"
    assert "provider_checks" not in rig.since(before)
    rig.advance(10.1)
    assert (rig.state("main", "groq"), rig.state("ops", "groq")) == ("expired", "expired")
    counted = rig.since(before)
    assert (counted["alarms"], counted["provider_checks"]) == (1, 2)
    assert not counted.keys() & {"store_reads", "shared_reads"}


def test_a_clock_that_jumps_forward_is_noticed(rig: Rig) -> None:
    """When the wall clock is set ahead, what ended by it shows at the next look at the clock."""
    rig.files.write_profiles(groq__me=token(rig, 86_400.0))
    rig.touch(rig.store())
    rig.advance(1.0)
    rig.clock.jump_epoch(2 * 86_400.0)
    rig.advance(CLOCK_LOOK_S + 0.1)
    assert rig.state("ops", "groq") == "expired"


def test_a_clock_that_jumps_back_does_not_end_anything_early(rig: Rig) -> None:
    """When the wall clock is set back, an answer lasts until its end by that clock, without a storm of alarms."""
    rig.files.write_profiles(groq__me=token(rig, 100.0))
    rig.touch(rig.store())
    rig.advance(50.0)
    rig.clock.jump_epoch(-3600.0)
    rig.advance(200.0)
    assert rig.state("ops", "groq") == "usable"
    assert len(rig.handled(TimePassed)) <= 3
    rig.advance(3600.0)
    assert rig.state("ops", "groq") == "expired"
    assert len(rig.handled(TimePassed)) <= 20


def test_a_clock_that_was_ahead_for_a_moment_ends_nothing(rig: Rig) -> None:
    """Set forward and back between two looks: what was answered meanwhile is answered again."""
    rig.files.write_profiles(groq__me=token(rig, 100.0))
    rig.touch(rig.store())
    rig.advance(1.0)
    rig.clock.jump_epoch(3600.0)
    rig.files.write_profiles(groq__me=token(rig, 100.0 - 3600.0))
    rig.touch(rig.store())
    assert rig.state("ops", "groq") == "expired"
    rig.clock.jump_epoch(-3600.0)
    rig.advance(CLOCK_LOOK_S + 0.1)
    assert rig.state("ops", "groq") == "usable"


# ----------------------------------------------------------------------------------------------------- coming and going


def test_a_config_that_is_briefly_gone_changes_nothing(rig: Rig) -> None:
    """An editor that removes the config and writes it again retires no agent; one that stays away is believed."""
    config = rig.files.path / "openclaw.json"
    text, before = config.read_text(), rig.stats()
    config.unlink()
    rig.touch(HOME_SOURCE)
    rig.advance(0.1)
    assert rig.state("ops", "zai") == "usable"
    rig.files.replace(config, text)
    rig.touch(HOME_SOURCE)
    rig.advance(1.0)
    assert rig.since(before).keys() == {"shared_reads", "store_reads", "watch_noops"}
    config.unlink()
    rig.touch(HOME_SOURCE)
    rig.advance(1.0)
    assert rig.runtime.prepared.agents.get("ops") is None
    assert "gone" in rig.condition("ConfigValid").message
    rig.files.replace(config, text)
    rig.touch(HOME_SOURCE)
    assert rig.condition("ConfigValid").status


def test_a_source_that_is_forgotten_and_back_takes_no_result_of_its_earlier_life(rig: Rig) -> None:
    """A reading that began before an agent left is late for the agent that came back."""
    rig.sources.hold(rig.store("ops"))
    rig.touch(rig.store("ops"), run=False)
    rig.run_until_idle()
    early = rig.sources.waiting[rig.store("ops")][0]
    rig.files.write_agents("main")
    rig.touch(HOME_SOURCE)
    rig.files.write_agents("main", "ops")
    rig.touch(HOME_SOURCE)
    found = early.read()
    rig.files.write_profiles("ops", groq__me=api_key("groq"))
    rig.to_warmer(SourceRead(source=rig.store("ops"), ticket=2, reading=found))  # type: ignore[arg-type]
    rig.run_until_idle()
    rig.sources.release(rig.store("ops"))
    rig.run_until_idle()
    assert (rig.state("ops", "groq"), rig.state("ops", "zai")) == ("usable", "missing")


def test_a_reading_that_gets_no_reader_is_given_up_after_the_budget(make_rig: MakeRig) -> None:
    """A deadline counts from a reading's begin; the budget of a sweep also ends the wait for one."""
    rig = make_rig("main", "ops", source_deadline_s=1000.0, sweep_budget_s=30.0)
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    rig.sources.hold(rig.store("ops"))
    rig.start()
    rig.run_until_idle()
    assert rig.state("main") == "usable"
    rig.advance(29.0)
    assert rig.answer("ops").reason == "not warmed"
    rig.advance(2.0)
    assert "not read within 30 s" in rig.condition("StoresReadable").message
    assert rig.state("ops", "zai") == "unknown"
    rig.sources.release(rig.store("ops"))
    rig.advance(60.0)
    assert rig.state("ops", "zai") == "usable"
    assert rig.condition("StoresReadable").status


# ------------------------------------------------------------------------------------------------------ smaller files


LOGIN = json.dumps(
    {
        "claudeAiOauth": {
            "accessToken": "canary-a-000000",
            "refreshToken": "canary-r-000000",
            "expiresAt": 4102444800000,
        }
    }
)


def test_a_torn_login_keeps_the_last_good_answer(rig: Rig) -> None:
    """A login file that is half written is told in the health and tried again; what it held still counts."""

    def shown() -> tuple[str, bool]:
        verdict = rig.answer("main", "claude-cli")
        return str(verdict.state), verdict.fresh

    path = rig.files.user / ".claude" / ".credentials.json"
    rig.files.replace(path, LOGIN)
    rig.touch(CLAUDE)
    assert shown() == ("usable", True)
    rig.files.replace(path, LOGIN[:30])
    rig.touch(CLAUDE)
    rig.advance(5.0)
    assert shown() == ("usable", False)
    assert not rig.condition("LoginsReadable").status
    rig.files.replace(path, LOGIN)
    rig.advance(60.0)
    assert shown() == ("usable", True)
    assert rig.condition("LoginsReadable").status
    rig.files.replace(path, "{}")
    rig.touch(CLAUDE)
    rig.advance(1.0)
    assert rig.state("main", "claude-cli") != "usable", "a file without a login is a logout"


def test_a_dotenv_that_is_written_anew_was_never_gone(rig: Rig) -> None:
    """A file beside the config that is gone for less than 250 ms was being replaced; one that stays away is gone."""
    path = rig.files.path / ".env"
    rig.files.replace(path, "GROQ_API_KEY=canary-groq-0091\n")
    rig.touch(HOME_SOURCE)
    assert rig.state("ops", "groq") == "usable"
    published = len(rig.published)
    path.unlink()
    rig.touch(HOME_SOURCE)
    rig.advance(0.1)
    rig.files.replace(path, "GROQ_API_KEY=canary-groq-0091\n")
    rig.touch(HOME_SOURCE)
    rig.advance(1.0)
    assert (rig.state("ops", "groq"), len(rig.published)) == ("usable", published)
    path.unlink()
    rig.touch(HOME_SOURCE)
    rig.advance(1.0)
    assert rig.state("ops", "groq") == "missing"


def test_a_torn_secret_file_is_read_again_by_itself(rig: Rig) -> None:
    """A file of secrets that is whole again shows without a further event, like any other."""
    path = rig.files.user / "vault.json"
    rig.files.replace(path, '{"acme": "canary-acme-555"}')
    path.chmod(0o600)
    rig.files.write_config(secrets={"providers": {"vault": {"source": "file", "path": str(path)}}})
    rig.files.write_providers(acme={**custom(), "apiKey": {"source": "file", "provider": "vault", "id": "/acme"}})
    rig.touch(HOME_SOURCE)
    assert rig.state("ops", "acme") == "usable"
    rig.files.replace(path, '{"acme": "can')
    rig.touch(HOME_SOURCE)
    assert rig.state("ops", "acme") == "usable"
    assert not rig.condition("SecretFilesReadable").status
    rig.files.replace(path, "{}")
    rig.advance(0.5)
    assert rig.state("ops", "acme") == "unresolved"


def test_reloads_of_a_config_that_stays_broken_wait_together(rig: Rig) -> None:
    """However often a broken config is reloaded, what waits for it doesn't grow, and the mended one answers all."""
    config = rig.files.path / "openclaw.json"
    text = config.read_text()
    rig.files.replace(config, "{")
    asked = []
    for _ in range(200):
        asked.append(rig.reload_config())
        rig.run_until_idle()
    assert len(rig.warmer._shared.diffs._asked) <= 2
    assert set(asked) <= set(rig.open_generations())
    rig.files.replace(config, text)
    rig.reload_config()
    rig.run_until_idle()
    assert not rig.open_generations()


def test_a_store_that_is_read_while_the_dotenv_is_away_is_right_when_it_is_back(rig: Rig) -> None:
    """A reference that was looked up in the moment in which its variable's file was replaced is looked up again."""
    dotenv, reference = rig.files.path / ".env", {"source": "env", "provider": "default", "id": "THE_TEAMS_OWN_KEY"}
    rig.files.replace(dotenv, "THE_TEAMS_OWN_KEY=canary-team-00917\n")
    rig.files.write_profiles(xai__me={"type": "api_key", "provider": "xai", "keyRef": reference})
    rig.touch_all()
    assert rig.state("ops", "xai") == "usable"
    dotenv.unlink()
    rig.touch(HOME_SOURCE)
    rig.touch(rig.store())
    rig.files.replace(dotenv, "THE_TEAMS_OWN_KEY=canary-team-00917\n")
    rig.touch(HOME_SOURCE)
    rig.advance(1.0)
    assert rig.state("ops", "xai") == "usable"
