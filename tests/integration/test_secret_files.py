"""Secrets that files hold: what happens to a file shows in the answers, without a restart and without being asked."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from homes import Home, Supervise, eventually, secret, write_secret

from openclaw_actors import AuthSupervisor, Change

AGENTS = ("main", "ops")


def vault_path(home: Home) -> Path:
    """Return the secret file that the homes here declare."""
    return home.user / "secrets" / "vault.json"


def write_vault(home: Home, **secrets: str) -> None:
    """Replace the secret file."""
    write_secret(vault_path(home), json.dumps(secrets))


@pytest.fixture
def vault(home: Home) -> Home:
    """Return a home with a provider and a stored profile whose keys are in a file that isn't there yet."""
    vault_path(home).parent.mkdir()
    home.agents(*AGENTS).write_config(
        secrets={"providers": {"vault": {"source": "file", "path": str(vault_path(home))}}},
        models={
            "providers": {
                "acme": {
                    "baseUrl": "https://acme.test/v1",
                    "apiKey": {"source": "file", "provider": "vault", "id": "/acme"},
                    "api": "openai-completions",
                    "models": [{"id": "anvil-1"}],
                }
            }
        },
    )
    home.write_profiles(
        zai__me={"type": "api_key", "provider": "zai", "keyRef": {"source": "file", "provider": "vault", "id": "/zai"}}
    )
    return home


def states(supervisor: AuthSupervisor) -> tuple[str, ...]:
    """Return the states of the configured and of the stored provider: once if both agents agree on them, else all."""
    found = [tuple(supervisor.verdict(one, agent_id=agent).state.value for one in ("acme", "zai")) for agent in AGENTS]
    return found[0] if found[0] == found[1] else found[0] + found[1]


def reason_of(supervisor: AuthSupervisor, name: str) -> str:
    """Return the reason of a provider."""
    return supervisor.verdict(name, agent_id="ops").reason


def test_a_secret_file_that_comes_and_goes_is_seen(vault: Home, supervise: Supervise) -> None:
    """Configured and inherited keys become usable with the file and unresolved without it; presence follows in the
    config and stays in the store.
    """
    supervisor = supervise(vault)
    assert states(supervisor) == ("unresolved", "unresolved")
    config = supervisor.health().condition("ConfigValid")
    assert config is not None
    assert config.status, "a missing secret file is no broken config"
    assert str(vault_path(vault)) in reason_of(supervisor, "acme")
    assert (supervisor.presence("acme"), supervisor.presence("zai")) == (False, True)
    for _ in range(2):
        write_vault(vault, acme=secret("acme"), zai=secret("zai"))
        assert eventually(lambda: states(supervisor) == ("usable", "usable"))
        assert "file:vault:/acme" in reason_of(supervisor, "acme")
        assert (supervisor.presence("acme"), supervisor.presence("zai")) == (True, True)
        vault_path(vault).unlink()
        assert eventually(lambda: states(supervisor) == ("unresolved", "unresolved"))
        assert (supervisor.presence("acme"), supervisor.presence("zai")) == (False, True)


def test_a_change_of_one_secret_checks_what_it_is_a_secret_of(vault: Home, supervise: Supervise) -> None:
    """Another file format changes nothing; another secret of one provider checks that provider, for both agents."""
    write_vault(vault, acme=secret("acme"), zai=secret("zai"))
    supervisor = supervise(vault)
    changes: list[Change] = []
    supervisor.subscribe(changes.append)
    before = supervisor.stats()
    write_secret(vault_path(vault), json.dumps({"zai": secret("zai"), "acme": secret("acme")}, indent=8))
    assert eventually(lambda: supervisor.stats().shared_reads > before.shared_reads)
    write_vault(vault, acme=secret("acme"), zai="")
    assert eventually(lambda: states(supervisor) == ("usable", "unresolved"))
    assert eventually(lambda: len(changes) == 2)
    assert {(one.provider, one.new.state) for one in changes} == {("zai", "unresolved")}
    assert supervisor.stats().provider_checks - before.provider_checks == 2


@pytest.mark.parametrize(("evidence", "name"), [("config:acme", "acme"), ("zai:me", "zai")])
def test_a_refused_secret_that_is_replaced_in_its_file_is_usable(
    evidence: str, name: str, vault: Home, supervise: Supervise
) -> None:
    """The refusal is of that secret, wherever it stands: not of the reference, nor of the next one in the file."""
    write_vault(vault, acme=secret("acme"), zai=secret("zai"))
    supervisor = supervise(vault)
    supervisor.report_failure(evidence, "auth")
    assert eventually(lambda: states(supervisor).count("rejected") == 1)
    write_vault(vault, acme=secret("acme-2"), zai=secret("zai-2"))
    assert eventually(lambda: states(supervisor) == ("usable", "usable"))
    write_vault(vault, acme=secret("acme"), zai=secret("zai"))
    assert eventually(lambda: states(supervisor).count("rejected") == 1)
    assert supervisor.verdict(name).state == "rejected"


def test_the_health_names_a_secret_file_that_cannot_be_read(vault: Home, supervise: Supervise) -> None:
    """File, problem and remedy are in the health for as long as the trouble lasts."""
    supervisor = supervise(vault)
    condition = supervisor.health().condition("SecretFilesReadable")
    assert condition is not None
    assert not condition.status
    assert str(vault_path(vault)) in condition.message
    write_vault(vault, acme=secret("acme"), zai=secret("zai"))
    assert eventually(lambda: supervisor.health().ok)


def test_a_torn_secret_file_changes_no_answer(vault: Home, supervise: Supervise) -> None:
    """A writer in place that stops half-way leaves the last good secrets in force until it is done."""
    write_vault(vault, acme=secret("acme"), zai=secret("zai"))
    supervisor = supervise(vault)
    changes: list[Change] = []
    supervisor.subscribe(changes.append)
    reads = supervisor.stats().shared_reads
    vault_path(vault).write_text('{"acme": "' + secret("torn"))
    assert eventually(lambda: supervisor.stats().shared_reads > reads)
    supervisor.recheck()
    assert eventually(lambda: all(supervisor.verdict(one, agent_id="ops").fresh for one in ("acme", "zai")))
    assert states(supervisor) == ("usable", "usable")
    assert changes == []
    vault_path(vault).write_text(json.dumps({"acme": secret("acme")}))
    assert eventually(lambda: states(supervisor) == ("usable", "unresolved"))


def test_permissions_count_when_they_change(vault: Home, supervise: Supervise) -> None:
    """A file that is opened to others is refused, and taken again when it is closed, without being written."""
    write_vault(vault, acme=secret("acme"), zai=secret("zai"))
    supervisor = supervise(vault)
    vault_path(vault).chmod(0o644)
    assert eventually(lambda: states(supervisor) == ("unresolved", "unresolved"))
    assert "mode 644" in reason_of(supervisor, "acme")
    vault_path(vault).chmod(0o600)
    assert eventually(lambda: states(supervisor) == ("usable", "usable"))
    assert eventually(lambda: supervisor.health().ok)


def test_a_folder_that_is_swapped_is_seen(vault: Home, supervise: Supervise) -> None:
    """A symbolic link to a folder of secrets that is led elsewhere leads to other secrets."""
    folder = vault_path(vault).parent
    for version in ("v1", "v2"):
        (vault.user / version).mkdir()
    folder.rmdir()
    folder.symlink_to(vault.user / "v1")
    write_vault(vault, acme=secret("acme"))
    write_secret(vault.user / "v2" / "vault.json", json.dumps({"zai": secret("zai")}))
    supervisor = supervise(vault)
    assert states(supervisor) == ("usable", "unresolved")
    (vault.user / "next").symlink_to(vault.user / "v2")
    os.replace(vault.user / "next", folder)
    assert eventually(lambda: states(supervisor) == ("unresolved", "usable"))
    write_secret(vault.user / "v2" / "vault.json", json.dumps({"acme": secret("acme"), "zai": secret("zai")}))
    assert eventually(lambda: states(supervisor) == ("usable", "usable"))


def test_a_config_that_declares_the_file_later_is_seen(vault: Home, supervise: Supervise) -> None:
    """Until then nobody opens the file; from then on it is watched."""
    write_vault(vault, acme=secret("acme"), zai=secret("zai"))
    secrets = vault.config.pop("secrets")
    vault.write_config()
    supervisor = supervise(vault)
    assert states(supervisor) == ("unresolved", "unresolved")
    assert "not declared" in reason_of(supervisor, "acme")
    vault.write_config(secrets=secrets)
    assert eventually(lambda: states(supervisor) == ("usable", "usable"))
    write_vault(vault, zai=secret("zai"))
    assert eventually(lambda: states(supervisor) == ("unresolved", "usable"))
