"""`doctor` on real homes: what it finds, how bad it takes it to be, and that it changes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faults import run_in_namespace
from homes import CANARY, Home, api_key, replace_text, secret, token, write_secret

from openclaw_actors.cli.diagnosis import watched
from openclaw_actors.cli.doctor import write_report
from openclaw_actors.watching.limits import InotifyLimits
from openclaw_actors.watching.mounts import Mounts

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config" / "example"
CHECKS = [
    "conditions", "files", "providers", "expiries", "permissions", "mounts", "watches", "file-systems", "shadowed",
    "gateway",
]  # fmt: skip
OF_THE_MACHINE = {"mounts", "watches", "file-systems"}
"""Checks whose findings depend on where the tests run."""
LONG_MOUNTS = (
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
    "40 27 0:50 / /srv/shared rw,relatime - nfs4 server:/export rw\n"
    "41 27 254:0 /host/config /srv/local/openclaw.json rw,relatime - ext4 /dev/vda rw\n"
)


def doctor(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as the user of this home, with all secrets canaries: none may show."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "openclaw_actors", "doctor", "--home", str(home.path), *arguments],
        env={**kept, **home.env, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        cwd=home.user,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert CANARY not in done.stdout + done.stderr
    return done


def findings(home: Home, check: str | None = None) -> list[dict[str, Any]]:
    """Return the findings of `doctor --json`, of one check or of all that don't depend on the machine."""
    done = doctor(home, "--json")
    found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    return [one for one in found if (one["check"] not in OF_THE_MACHINE if check is None else one["check"] == check)]


def close(home: Home) -> Home:
    """Close every file of a home to others."""
    for path in home.path.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
    return home


def look(path: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return all files below a folder with mode, time and content."""
    found = {}
    for one in sorted(path.rglob("*")):
        seen = one.stat()
        found[str(one)] = (seen.st_mode, seen.st_mtime_ns, one.read_bytes() if one.is_file() else b"")
    return found


@pytest.fixture
def sound(home: Home) -> Home:
    """Return a home that nothing is wrong with."""
    return close(home.write_config().write_profiles(openai__work=api_key("openai")))


@pytest.fixture
def example(home: Home) -> Home:
    """Return a copy of the example home."""
    shutil.copytree(EXAMPLE, home.path, dirs_exist_ok=True)
    return home


def test_nothing_is_found_in_a_sound_home(sound: Home) -> None:
    """No finding of what is the home's own, and the report names every check that was made."""
    assert findings(sound) == []
    assert json.loads(doctor(sound, "--json").stdout)["checks"] == CHECKS


def test_it_writes_nothing(example: Home) -> None:
    """The home and the user's folder are the same afterwards, modes and times included."""
    before = look(example.path), look(example.user)
    doctor(example)
    assert (look(example.path), look(example.user)) == before


def test_each_finding_has_the_documented_fields(example: Home) -> None:
    """Findings are flat objects, worst first."""
    found = findings(example)
    keys = ["check", "severity", "path", "agent", "agents", "provider", "problem", "remedy"]
    assert found
    assert all(list(one) == keys for one in found)
    ranks = [("error", "warning", "note").index(one["severity"]) for one in found]
    assert ranks == sorted(ranks)


def test_the_example_home_shows_what_is_wrong_with_it(example: Home) -> None:
    """Broken providers with their next step, a dropped profile, an expired token, keys that others hide."""
    found = findings(example)
    errors = {(one["check"], one["provider"]) for one in found if one["severity"] == "error"}
    assert errors == {
        ("files", None), ("providers", "moonshot"), ("providers", "openrouter"), ("providers", "stepfun"),
        ("providers", "vercel-ai-gateway"), ("expiries", "github-copilot"),
    }  # fmt: skip
    by_provider = {one["provider"]: one for one in found if one["check"] == "providers"}
    assert by_provider["openrouter"]["remedy"] == "set EXAMPLE_UNSET_OPENROUTER_KEY"
    assert by_provider["amazon-bedrock"]["severity"] == "warning"
    assert "broken (non_object)" in next(one["problem"] for one in found if one["severity"] == "error")
    assert any(one["check"] == "shadowed" and "config:deepseek" in one["problem"] for one in found)


def test_the_exit_status_is_the_worst_severity(sound: Home) -> None:
    """0 for notes alone, 2 for warnings, 1 as soon as there is an error; the machine counts too."""
    statuses = []
    for change in (
        lambda: None,
        lambda: sound.profiles_path().chmod(0o644),
        lambda: sound.write_profiles(openai__work={"type": "api_key", "provider": "openai"}),
    ):
        change()
        done = doctor(sound, "--json")
        found = {one["severity"] for one in json.loads(done.stdout)["findings"]}
        assert done.returncode == (1 if "error" in found else 2 if "warning" in found else 0)
        statuses.append(done.returncode)
    assert statuses[0] in (0, 2)
    assert statuses[1:] == [2, 1]


def test_files_of_credentials_that_others_may_reach_are_named_with_the_cure(sound: Home) -> None:
    """Stores, a config with a literal key, a dotenv file with a key: each its path, mode and chmod."""
    sound.write_config(models={"providers": {"acme": {"baseUrl": "https://acme.invalid", "apiKey": secret("acme")}}})
    replace_text(sound.dotenv_path, f"GROQ_API_KEY={secret('groq')}\n")
    close(sound)
    open_ones = [sound.profiles_path(), sound.config_path, sound.dotenv_path]
    for path in open_ones:
        path.chmod(0o640)
    found = findings(sound, "permissions")
    assert [one["path"] for one in found] == [str(path) for path in open_ones]
    assert {one["problem"] for one in found} == {"others may reach it (mode 0640)"}
    assert found[0]["remedy"] == f"chmod 600 {open_ones[0]}"


def test_a_config_without_secrets_may_be_read_by_others(sound: Home) -> None:
    """Only what holds a secret has to be closed."""
    sound.config_path.chmod(0o644)
    assert findings(sound) == []


def test_a_secret_file_that_openclaw_would_refuse_is_an_error(sound: Home) -> None:
    """Its finding names file and remedy."""
    keys = sound.path / "keys.json"
    write_secret(keys, json.dumps({"groq": secret("groq")}))
    key = {"source": "file", "provider": "keys", "id": "/groq"}
    sound.write_config(
        secrets={"providers": {"keys": {"source": "file", "path": str(keys), "mode": "json"}}},
        models={"providers": {"groq": {"baseUrl": "https://groq.invalid", "apiKey": key}}},
    )
    close(sound)
    assert findings(sound) == []
    keys.chmod(0o644)
    found = [one for one in findings(sound, "files") if one["severity"] == "error"]
    assert [one["path"] for one in found] == [str(keys)]
    assert found[0]["remedy"]


def test_what_expires_soon_is_a_warning_and_what_has_expired_an_error(sound: Home) -> None:
    """Within 24 hours and nothing to refresh it with; what lasts longer isn't spoken of."""
    sound.write_profiles(
        zai__soon=token("zai", expires_in_s=3600 * 5),
        groq__gone=token("groq", expires_in_s=-3600 * 5),
        mistral__later=token("mistral", expires_in_s=3600 * 24 * 9),
    )
    found = {one["provider"]: one for one in findings(close(sound), "expiries")}
    assert set(found) == {"zai", "groq"}
    assert found["zai"]["severity"] == "warning"
    assert found["zai"]["agent"] == "main"
    assert "zai:soon expires in 4 h" in found["zai"]["problem"]
    assert found["groq"]["severity"] == "error"
    assert not [one for one in findings(sound, "providers") if one["provider"] == "groq"]


def test_a_torn_store_is_an_error(sound: Home) -> None:
    """It is named, and nothing of it is shown."""
    sound.profiles_path().write_text('{"profiles": {"a": {"key": "' + secret("torn"))
    (found,) = (one for one in findings(sound) if one["severity"] == "error")
    assert str(sound.profiles_path()) in found["problem"]


def test_agents_that_share_an_agent_dir_are_an_error(sound: Home) -> None:
    """OpenClaw would refuse such a config."""
    folder = str(sound.agent_dir())
    sound.write_config(agents={"list": [{"id": "main"}, {"id": "twin", "agentDir": folder}]})
    found = findings(close(sound), "files")
    assert ["same agent dir" in one["problem"] for one in found] == [True]
    assert found[0]["severity"] == "error"


def test_several_agents_with_the_same_problem_are_one_finding(home: Home) -> None:
    """What is inherited is told once, with all whom it is about."""
    home.agents("main", "ops", "lab").write_config()
    close(home.write_profiles(zai__soon=token("zai", expires_in_s=3600)))
    (found,) = findings(home, "expiries")
    assert found["agent"] is None
    assert found["agents"] == ["main", "ops", "lab"]


def test_a_config_that_cannot_be_read_is_the_one_finding(sound: Home) -> None:
    """It is an error, in JSON too, and it is said that nothing else was checked."""
    replace_text(sound.config_path, '{"models": {"apiKey": "' + secret("torn"))
    done = doctor(sound, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert report["checks"] == ["conditions", "gateway"]
    assert report["home"] == str(sound.path)
    assert str(sound.config_path) in report["findings"][0]["problem"]
    assert "2 checks made: 1 error" in doctor(sound).stdout


def test_a_home_that_is_not_there_is_an_error(home: Home) -> None:
    """Its answers come from variables and defaults alone, which is hardly meant."""
    home.path.rmdir()
    (found,) = (one for one in findings(home) if one["severity"] == "error")
    assert found["path"] == str(home.path)


def test_the_text_is_plain_in_a_pipe_and_ends_with_the_numbers(example: Home) -> None:
    """No escape sequence; findings under headings; the last line says what was done and found."""
    text = doctor(example).stdout
    assert "\x1b" not in text
    lines = text.splitlines()
    assert "6 errors" in lines
    assert lines[-1].startswith("10 checks made: 6 errors, ")
    assert any(line.startswith("  providers    main, ops, research: moonshot is malformed") for line in lines)
    assert doctor(example).stderr == ""


def test_a_terminal_gets_colour(example: Home) -> None:
    """Errors are red there."""
    ours, theirs = pty.openpty()
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "openclaw_actors", "doctor", "--home", str(example.path)],
        env={**kept, **example.env, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "TERM": "xterm"},
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    text = b""
    with contextlib.suppress(OSError):  # EIO: the other side is closed
        while part := os.read(ours, 4096):
            text += part
    os.close(ours)
    assert process.wait(30) == 1
    assert b"\x1b[1;31m6 errors" in text


def test_nothing_found_is_said_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Silence would leave open whether it was looked."""
    write_report("/home", CHECKS, [])
    assert capsys.readouterr().out.splitlines()[-1] == "10 checks made: nothing found"


# --------------------------------------------------------------------------------------------- limits and file systems


@pytest.mark.parametrize(
    ("needed", "limits", "says"),
    [
        (40, InotifyLimits(100, 128), []),
        (60, InotifyLimits(100, 128), ["over half of the 100"]),
        (40, InotifyLimits(100, 128, used_watches=70), ["30 of 100 are free"]),
        (40, InotifyLimits(100, 2, used_instances=2), ["all 2 inotify instances"]),
        (120, InotifyLimits(100, 1, used_instances=1), ["100 of 100 are free", "all 1 inotify instances"]),
    ],
)
def test_limits_of_inotify_are_compared_with_what_is_needed(
    needed: int, limits: InotifyLimits, says: list[str]
) -> None:
    """A warning when more than half is needed, or less is free than needed."""
    found = list(watched.watches(needed, limits))
    assert all(one.severity == "warning" and "sysctl" in one.remedy for one in found)
    assert [part in one.problem for part, one in zip(says, found, strict=True)] == [True] * len(says)


def test_without_inotify_polling_is_a_note() -> None:
    """Nothing is to be done about it."""
    assert [one.severity for one in watched.watches(5, None)] == ["note"]


def test_limits_are_read_with_what_the_users_processes_take(tmp_path: Path) -> None:
    """Each instance of each process counts with its watches; other descriptors don't."""
    limits = tmp_path / "sys" / "fs" / "inotify"
    limits.mkdir(parents=True)
    (limits / "max_user_watches").write_text("1000\n")
    (limits / "max_user_instances").write_text("8\n")
    for process, lines in (("12", 3), ("13", 4)):
        for part in ("fd", "fdinfo"):
            (tmp_path / process / part).mkdir(parents=True)
        (tmp_path / process / "fd" / "5").symlink_to("anon_inode:inotify")
        (tmp_path / process / "fdinfo" / "5").write_text("pos:\t0\n" + "inotify wd:1 ino:2\n" * lines)
        (tmp_path / process / "fd" / "6").symlink_to("/dev/null")
    shutil.copytree(tmp_path / "13", tmp_path / "14", symlinks=True)  # a fork of 13 has its descriptors
    (tmp_path / "14" / "status").write_text("Name:\tfork\nPPid:\t13\n")
    assert InotifyLimits.now(str(tmp_path)) == InotifyLimits(1000, 8, used_watches=7, used_instances=2)
    (tmp_path / "sys" / "user").mkdir()
    (tmp_path / "sys" / "user" / "max_inotify_watches").write_text("600\n")
    limit = InotifyLimits.now(str(tmp_path))
    assert limit is not None
    assert (limit.max_watches, limit.max_instances) == (600, 8)
    assert InotifyLimits.now(str(tmp_path / "none")) is None


def test_directories_to_watch_are_those_of_wanted_names_and_all_above(tmp_path: Path) -> None:
    """One that is missing is waited for in the one above."""
    folder = Path(os.path.realpath(tmp_path))
    (folder / "a").mkdir()
    found = watched.directories(watched.traces([str(folder / "a" / "one"), str(folder / "b" / "two")]))
    above = {str(one) for one in (folder / "a").parents} - {"/"}
    assert found == {str(folder / "a"), *above}


def test_a_network_file_system_and_a_mounted_file_are_told_once_each() -> None:
    """By their mount, however many files lie there."""
    mounts = Mounts(LONG_MOUNTS)
    traced = {
        "/srv/shared/a/x": (("/srv/shared/a", "x"),),
        "/srv/shared/y": (("/srv/shared", "y"),),
        "/srv/local/openclaw.json": (("/srv/local", "openclaw.json"),),
        "/srv/local/other": (("/srv/local", "other"),),
    }
    (shared,) = watched.file_systems(traced, mounts)
    assert (shared.path, shared.severity) == ("/srv/shared", "note")
    assert "nfs4" in shared.problem
    (single,) = watched.single_mounts(traced, mounts)
    assert (single.path, single.severity) == ("/srv/local/openclaw.json", "warning")


def find_a_real_mount(folder: str) -> None:
    """Mount a store as a single file and ask; runs in a mount namespace of its own."""
    home = Home(Path(folder))
    home.write_config().write_profiles(openai__work=api_key("openai"))
    outside = home.user / "store"
    shutil.copy(home.profiles_path(), outside)
    subprocess.run(["mount", "--bind", str(outside), str(home.profiles_path())], check=True)
    found = findings(home, "mounts")
    assert [one["path"] for one in found] == [str(home.profiles_path())], found
    assert found[0]["remedy"] == "Mount its directory instead."


def test_a_store_that_is_mounted_by_itself_is_found(tmp_path: Path) -> None:
    """What Docker does with `-v file:file`, with a real mount."""
    run_in_namespace(find_a_real_mount, Path(os.path.realpath(tmp_path)), options="-Urm")


def find_few_watches(folder: str) -> None:
    """Ask where next to no watches are granted; runs in a user namespace, whose own limit it sets (never `fs.inotify`,
    which is the machine's).
    """
    home = Home(Path(folder))
    home.write_config().write_profiles(openai__work=api_key("openai"))
    Path("/proc/sys/user/max_inotify_watches").write_text("3")
    (found,) = findings(home, "watches")
    assert "of 3 are free" in found["problem"], found


def test_few_watches_are_found(tmp_path: Path) -> None:
    """With a real limit."""
    run_in_namespace(find_few_watches, tmp_path, options="-Ur")
