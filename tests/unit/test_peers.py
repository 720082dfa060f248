"""The peers' own parts: what is read out of logs and answers, where things are installed, what is said when not."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import msgspec
import pytest

sys.path.append(str(Path(__file__).parents[2]))  # the bench is run from the project root and not installed

from bench.app import run
from bench.homes import KEY_PROVIDERS, make_home
from bench.peers import litellm, litellm_child, npm
from bench.peers.cache import CACHE_VARIABLE, cache_dir, replaced_folder
from bench.peers.homes import copy_home, distinct_home, main_profiles
from bench.peers.openclaw.commands import profiles_in
from bench.peers.openclaw.installation import NEWEST, install, installation, node_package_here
from bench.peers.openclaw.log_lines import Warmed, WarmFailed, read_line, shown
from bench.peers.openclaw.peer import OPENCLAW
from bench.peers.protocol import Limits, PeerError, PeerFigures
from bench.peers.registry import find, names


class Quiet:
    """Follows a measurement and asks for nothing."""

    def say(self, what: str) -> None:
        """Say nothing."""

    def is_over(self) -> bool:
        """Want no early end."""
        return False


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test away from the user's own cache folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    return folder


# --------------------------------------------------------------------------------------------------------- log and text


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "2026-11-21T13:04:31.665+00:00 [gateway] provider auth state pre-warmed in 14501ms eventLoopMax=1296.0ms\n",
            Warmed(14.501, 1.296),
        ),
        ("[gateway] provider auth state pre-warmed in 12.5ms", Warmed(0.0125, None)),
        ("[gateway] provider auth state pre-warm failed: Error: no", WarmFailed("Error: no")),
        ("[gateway] provider auth state pre-warm setup failed: Error: no", WarmFailed("Error: no")),
        ("[gateway] provider auth state re-warmed (auth-profile-failure) in 12ms eventLoopMax=2ms", None),
        ("[gateway] agent runtime plugins pre-warmed in 62ms", None),
        ("[gateway] ready", None),
    ],
)
def test_only_the_line_of_the_pre_warm_is_one(line: str, told: Warmed | WarmFailed | None) -> None:
    """Its end and its failure are told apart from each other and from everything else that is pre-warmed."""
    assert read_line(line) == told


def test_what_a_peer_says_is_shown_without_keys_and_paths() -> None:
    """A gateway that ends badly is quoted: its log may name the home and hold keys of it."""
    text = "\x1b[31mkey dummy-openai-AbC9 in /home/of/it/openclaw.json\x1b[39m"
    assert shown(text, "/home/of/it") == "key dummy-… in …/openclaw.json"


@pytest.mark.parametrize(
    ("status", "count"),
    [
        ({"auth": {"providers": [{"profiles": {"count": 2}}, {"profiles": {"count": 1}}]}}, 3),
        ({"auth": {"providers": []}}, 0),
        ({"auth": {}}, 0),
        ([], 0),
    ],
)
def test_profiles_are_counted_over_all_providers(status: object, count: int) -> None:
    """An answer without them counts none."""
    assert profiles_in(status) == count


# -------------------------------------------------------------------------------------------------------------- figures


def test_only_known_metrics_are_noted() -> None:
    """A misspelt metric is an error, not a figure that nobody looks for."""
    figures = PeerFigures(peer="x", version="1", agents=1)
    with pytest.raises(KeyError):
        figures.add("ready", 1.0)


def test_rounds_add_up() -> None:
    """Samples and problems of all rounds are kept, a note is once."""
    one, two = (PeerFigures(peer="x", version="1", agents=1, problems=[name], notes=["n"]) for name in ("a", "b"))
    one.add("ready_s", 1.0)
    two.add("ready_s", 2.0)
    two.add("warm_s", 3.0)
    one.extend(two)
    assert one.figures == {"ready_s": [1.0, 2.0], "warm_s": [3.0]}
    assert (one.problems, one.notes) == (["a", "b"], ["n"])


# ---------------------------------------------------------------------------------------------------------------- homes


@pytest.mark.parametrize("agents", [1, 2, 9])
def test_each_agent_of_a_peers_home_has_its_own_store(tmp_path: Path, agents: int) -> None:
    """OpenClaw refuses agents that share a folder; main is the first, and no two stores hold the same keys."""
    home = distinct_home(tmp_path / "home", agents=agents, seed=1)
    listed = home.config["agents"]["list"]
    assert [entry["id"] for entry in listed] == [agent.id for agent in home.agents]
    assert len(listed) == len(home.stores) == agents
    assert listed[0]["id"] == "main"
    assert not any("agentDir" in entry for entry in listed)
    for profile, field in (("groq:default", "key"), ("openai:personal", "email")):
        assert len({store[profile][field] for store in home.stores.values()}) == agents


def test_a_home_is_measured_on_a_copy(tmp_path: Path) -> None:
    """What OpenClaw writes stays in the copy, which only this user can open."""
    home = distinct_home(tmp_path / "home", agents=2, seed=1)
    home.write()
    copy = tmp_path / "copy"
    assert copy_home(home.path, copy) == home.config
    assert main_profiles(copy) == home.stores["main"]
    assert copy.stat().st_mode & 0o077 == 0


def test_a_home_that_leads_elsewhere_is_not_copied(tmp_path: Path) -> None:
    """An agent with a folder of its own choice would have OpenClaw write into the original."""
    home = make_home(tmp_path / "home", agents=6, seed=1)
    home.write()
    with pytest.raises(PeerError, match="shared"):
        copy_home(home.path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_folder_that_is_no_home_is_named(tmp_path: Path) -> None:
    """Neither a config nor a store is made up."""
    with pytest.raises(PeerError, match=r"openclaw\.json"):
        copy_home(tmp_path, tmp_path / "copy")
    with pytest.raises(PeerError, match=r"auth-profiles\.json"):
        main_profiles(tmp_path)


# ---------------------------------------------------------------------------------------------------------------- cache


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The bench's own variable, then XDG's, which counts only as an absolute path, then the user's default."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv(CACHE_VARIABLE)
    assert cache_dir() == tmp_path / "xdg" / "openclaw-actors-bench"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_dir() == tmp_path / ".cache" / "openclaw-actors-bench"


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    """What fails in the middle leaves the former one, and nothing half made beside it."""
    target = tmp_path / "cache" / "peer"
    with replaced_folder(target) as folder:
        (folder / "one").touch()
    with pytest.raises(KeyboardInterrupt), replaced_folder(target) as folder:  # noqa: PT012 the interruption comes late
        (folder / "two").touch()
        raise KeyboardInterrupt
    assert [one.name for one in target.iterdir()] == ["one"]
    with replaced_folder(target) as folder:
        (folder / "two").touch()
    assert [one.name for one in target.iterdir()] == ["two"]
    assert sorted(one.name for one in target.parent.iterdir()) == ["peer", "peer.lock"]


def test_what_a_killed_install_left_is_not_taken_over(tmp_path: Path) -> None:
    """The next one begins anew."""
    target = tmp_path / "cache" / "peer"
    left = target.with_name("peer.part")
    left.mkdir(parents=True)
    (left / "half").touch()
    with replaced_folder(target) as folder:
        assert list(folder.iterdir()) == []


def test_one_process_installs_a_peer_at_a_time(tmp_path: Path) -> None:
    """A second one is refused and destroys nothing of the first."""
    target = tmp_path / "cache" / "peer"
    with replaced_folder(target) as folder:
        with pytest.raises(PeerError, match="another process"), replaced_folder(target):
            pass
        (folder / "one").touch()
    assert [one.name for one in target.iterdir()] == ["one"]


# -------------------------------------------------------------------------------------------------------- installations


@pytest.mark.parametrize("peer", OPENCLAW, ids=lambda peer: peer.name)
def test_a_peer_that_is_not_there_names_the_command(peer: object) -> None:
    """Nothing is guessed about it, and measuring it is refused."""
    (found,) = find(peer.name)  # type: ignore[attr-defined]
    state = found.availability()
    assert (state.installed, state.version) == (False, None)
    assert state.remedy == f"python -m bench peers install {found.name}"
    with pytest.raises(PeerError, match=f"peers install {found.name}"):
        found.measure(Path(), Limits(), Quiet())


def test_a_folder_without_all_of_it_is_no_installation(cache: Path) -> None:
    """The receipt comes last, and the program must still be there."""
    folder = cache / "openclaw-2026.5.22"
    folder.mkdir(parents=True)
    assert installation("2026.5.22") is None
    (folder / "receipt.json").write_text('{"version": "2026.5.22", "node": "v24.0.0"}')
    assert installation("2026.5.22") is None


def fake_npm(folder: Path, script: str) -> Path:
    """Write a program `npm` and return its folder."""
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    return folder


WORKING = """
echo "$1" >> "$NPM_CALLS"
if [ "$1" = view ]; then echo '"'$NPM_LATEST'"'; exit 0; fi
for package in "$@"; do :; done
case "$package" in
  node-*)
    node="node_modules/${package%@*}/bin/node"
    mkdir -p "$(dirname "$node")"
    echo '#!/bin/sh' > "$node"
    echo 'test "$1" = --version && echo v24.0.0 || echo "OpenClaw '$NPM_LATEST'"' >> "$node"
    chmod +x "$node";;
  *)
    echo "npm http fetch GET 200 something" >&2
    mkdir -p node_modules/openclaw
    touch node_modules/openclaw/openclaw.mjs;;
esac
"""


@pytest.fixture
def npm_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an npm that works first on the path, and return the file with what it was asked."""
    calls = tmp_path / "calls"
    monkeypatch.setenv("PATH", f"{fake_npm(tmp_path / 'bin', WORKING)}:/usr/bin:/bin")
    monkeypatch.setenv("NPM_CALLS", str(calls))
    monkeypatch.setenv("NPM_LATEST", "2027.1.1")
    return calls


def test_the_newest_version_is_what_npm_says_at_the_time(npm_calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is recorded, kept while it still is the newest, and replaced by the next."""
    told: list[str] = []
    assert install(NEWEST, told.append).receipt.version == "2027.1.1"
    assert any("answers of the registry" in one for one in told)
    install(NEWEST, told.append)
    assert npm_calls.read_text().split() == ["view", "install", "install", "view"]
    monkeypatch.setenv("NPM_LATEST", "2027.2.2")
    install(NEWEST, told.append)
    found = installation(NEWEST)
    assert found is not None
    assert (found.receipt.version, found.receipt.node) == ("2027.2.2", "v24.0.0")


def test_a_package_of_another_version_is_refused(npm_calls: Path) -> None:
    """A pinned version that says it is another one would be measured under a wrong name."""
    with pytest.raises(PeerError, match=r"2026\.5\.22 was installed, but .*2027\.1\.1"):
        install("2026.5.22", lambda _what: None)
    assert installation("2026.5.22") is None
    assert npm_calls.read_text().split() == ["install", "install"]


def test_an_install_that_fails_says_what_npm_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is there afterwards, and the lines of npm that tell why are in the error."""
    script = "echo 'npm http fetch GET 404' >&2; echo 'npm error code E404' >&2; exit 1\n"
    monkeypatch.setenv("PATH", f"{fake_npm(tmp_path / 'bin', script)}:/usr/bin:/bin")
    with pytest.raises(PeerError, match=r"failed with status 1: npm error code E404$"):
        install("2026.5.22", lambda _what: None)
    assert installation("2026.5.22") is None
    with pytest.raises(PeerError, match="found no version"):
        npm.resolve("openclaw", "latest")


def test_without_npm_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before anything is made."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PeerError, match=r"Install Node\.js with npm"):
        install("2026.5.22", lambda _what: None)
    assert not cache_dir().exists()


def test_a_machine_without_a_node_package_is_told_which_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only machines that npm has a Node binary for can run this peer."""
    monkeypatch.setattr("platform.machine", lambda: "vax")
    with pytest.raises(PeerError, match=r"vax.*Linux x86_64"):
        node_package_here()


# -------------------------------------------------------------------------------------------------------------- litellm


def test_litellm_gets_mains_api_keys_under_its_names(tmp_path: Path) -> None:
    """And nothing of this process's environment; logins and tokens have no place there."""
    home = distinct_home(tmp_path / "home", agents=1, seed=1)
    home.write()
    env = litellm.environment(home.path)
    keys = {name: value for name, value in env.items() if name.endswith("_API_KEY")}
    assert keys["GROQ_API_KEY"] == home.stores["main"]["groq:default"]["key"]
    assert {"TOGETHER_AI_API_KEY", "NVIDIA_NIM_API_KEY", "TENCENT_TOKENHUB_API_KEY"} <= keys.keys()
    assert len(keys) == len(KEY_PROVIDERS)
    assert set(env) - set(keys) == {"PATH", "HOME", "LITELLM_LOCAL_MODEL_COST_MAP"}


def test_litellms_first_call_is_told_from_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked without its providers being asked, once and then as often as wanted."""
    asked: list[dict[str, object]] = []

    def get_valid_models(**options: object) -> list[str]:
        asked.append(options)
        return ["a", "b"]

    monkeypatch.setitem(sys.modules, "litellm", types.SimpleNamespace(get_valid_models=get_valid_models))  # type: ignore[arg-type]
    answer = litellm_child.measure(3)
    assert asked == [{"check_provider_endpoint": False}] * 4
    assert (len(answer.later_s), answer.rows) == (3, 2)


def test_litellms_range_has_one_home() -> None:
    """The extra of pyproject.toml."""
    assert litellm.requirement().startswith("litellm>=")


# ------------------------------------------------------------------------------------------------------------- commands


def test_the_list_says_what_is_not_installed(capsys: pytest.CaptureFixture[str]) -> None:
    """Every peer is in it, with the command that installs it."""
    assert run(["peers", "list"]) == 0
    shown_lines = capsys.readouterr().out.splitlines()
    for name in names():
        assert any(line.startswith(name) for line in shown_lines)
    assert any("python -m bench peers install openclaw@newest" in line for line in shown_lines)


def test_a_name_without_a_version_is_all_of_them() -> None:
    """`openclaw` is the incumbent in three versions."""
    assert [peer.name for peer in find("openclaw")] == [peer.name for peer in OPENCLAW]


@pytest.mark.parametrize("command", ["install", "measure"])
def test_an_unknown_peer_is_wrong_usage(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The names that there are are told."""
    assert run(["peers", command, "openclw"]) == 64
    assert "openclaw@2026.5.22" in capsys.readouterr().err


def test_measuring_what_is_not_installed_fails_with_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, no file."""
    target = tmp_path / "figures.json"
    assert run(["peers", "measure", "openclaw@newest", "--json", str(target)]) == 1
    assert "peers install openclaw@newest" in capsys.readouterr().err
    assert not target.exists()


def test_an_install_without_npm_ends_with_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says what is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["peers", "install", "openclaw@2026.5.22"]) == 1
    assert "Install Node.js" in capsys.readouterr().err


def test_figures_are_written_nowhere_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Found out before anything is measured."""
    assert run(["peers", "measure", "litellm", "--json", "/nowhere/at/all.json"]) == 64
    assert "Make it first" in capsys.readouterr().err


def test_figures_are_plain_json() -> None:
    """Peers can be compared by whoever reads the file."""
    figures = PeerFigures(peer="x", version="1", agents=1)
    figures.add("ready_s", 1.0)
    assert json.loads(msgspec.json.encode(figures))["figures"] == {"ready_s": [1.0]}
