"""Settings: defaults, the sample file, and errors that help."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import msgspec
import pytest

from openclaw_actors.errors import SettingsError
from openclaw_actors.home.digest import Digester
from openclaw_actors.settings import Settings

SAMPLE = Path(__file__).parents[2] / "config" / "settings.toml"
KEY = b"canary-digest-key-of-some-length"


def write(folder: Path, text: str) -> Path:
    """Write a settings file."""
    path = folder / "settings.toml"
    path.write_text(text)
    return path


def test_sample_file_holds_every_setting_with_its_default() -> None:
    """The sample loads as the defaults and names each field."""
    assert Settings.from_toml(SAMPLE) == Settings()
    text = SAMPLE.read_text()
    assert [name for name in Settings.__struct_fields__ if f"{name} = " not in text] == []


def test_left_out_fields_have_their_defaults(tmp_path: Path) -> None:
    """A file may hold just what differs; whole numbers do for seconds."""
    settings = Settings.from_toml(write(tmp_path, "source_deadline_s = 2\nwatch = false\n"))
    assert (settings.source_deadline_s, settings.watch, settings.read_threads) == (2.0, False, 16)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("read_thread = 4", ("read_thread", "Did you mean read_threads?")),
        ("zzz = 4", ("zzz", "no such setting")),
        ('read_threads = "many"', ("read_threads", "int")),
        ("read_threads = 2.5", ("read_threads", "int")),
        ("read_threads = 0", ("read_threads", "more than zero")),
        ("source_deadline_s = -1.0", ("source_deadline_s", "more than zero")),
        ("source_deadline_s = nan", ("source_deadline_s", "more than zero")),
        ("poll_interval_s = inf", ("poll_interval_s", "more than zero")),
        ("watch = 1", ("watch", "bool")),
        ('digest_key = "c2hvcnQ="', ("digest_key", "16 to 64 bytes")),
        ("retry_first_s = 90.0", ("retry_first_s", "retry_max_s")),
        ("watch = \n", ("TOML", "line 1")),
        ("mirror_presence_version = '9'", ("mirror_presence_version", "no such setting")),
    ],
)
def test_errors_name_file_field_and_remedy(tmp_path: Path, text: str, named: tuple[str, ...]) -> None:
    """What can't be used says in which file and field, and what to do."""
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        Settings.from_toml(path)
    assert str(path) in str(caught.value)
    assert all(word in str(caught.value) for word in named)


def test_a_file_that_cannot_be_read_is_a_settings_error(tmp_path: Path) -> None:
    """A missing file names itself."""
    with pytest.raises(SettingsError, match=r"nowhere\.toml: can't be read"):
        Settings.from_toml(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    "wrong",
    [{"read_threads": 0}, {"read_threads": True}, {"watch": 1}, {"poll_interval_s": "1"}, {"digest_key": b"short"}],
)
def test_wrong_values_in_code_are_refused_too(wrong: dict[str, object]) -> None:
    """The same laws hold without a file."""
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Settings(**wrong)  # type: ignore[arg-type]


def test_digest_key_shows_nowhere() -> None:
    """Neither repr, str nor an error holds the key."""
    settings = Settings(digest_key=KEY, read_threads=4)
    assert repr(settings) == "Settings(read_threads=4, digest_key='<set>')"
    assert KEY.decode() not in f"{settings} {settings.__rich_repr__()}"
    with pytest.raises(SettingsError) as caught:
        Settings(digest_key=KEY * 3)
    assert KEY.decode() not in str(caught.value)


def test_settings_with_a_digest_key_are_not_encoded() -> None:
    """No dump of settings holds the key; those without one can be dumped, and the key still makes digests."""
    settings = Settings(digest_key=KEY)
    for encode in (msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins):
        with pytest.raises(TypeError) as caught:
            encode(settings)
        assert KEY.decode() not in str(caught.value)
    assert KEY.decode() not in f"{msgspec.structs.asdict(settings)} {settings.digest_key!s}"
    assert b"digest_key" in msgspec.json.encode(Settings())
    assert Digester(settings.digest_key)("x") == Digester(KEY)("x")


def test_digest_key_is_base64_in_a_file(tmp_path: Path) -> None:
    """A fleet shares a key through its settings file."""
    encoded = msgspec.json.encode(KEY).decode()
    assert Settings.from_toml(write(tmp_path, f"digest_key = {encoded}")).digest_key == KEY


def test_settings_are_frozen() -> None:
    """A running system's settings never change under it."""
    with pytest.raises(AttributeError):
        Settings().watch = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("read_threads = " + "9" * 5000, "is not valid TOML"),
        ("read_threads = 0x" + "f" * 5000, "read_threads must be at most"),
        ("source_deadline_s = 0x" + "f" * 5000, "source_deadline_s: number out of range"),
        ("source_deadline_s = 1e300", "source_deadline_s must be at most 1000000000"),
        ("x = " + "[" * 30_000, "is not valid TOML"),
        ("a." * 30_000 + "b = 1", "line 1: is no setting"),
        ("#" * 70_000, "larger than"),
        ('"a\\u0007' + "b" * 200 + '" = 1', "there is no such setting"),
    ],
    ids=lambda value: value[:24],
)
def test_what_no_number_or_stack_can_take_is_an_error_of_ours(tmp_path: Path, text: str, says: str) -> None:
    """Digits and brackets without end, and times that no clock can wait for, are refused like any other mistake."""
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=says) as caught:
        Settings.from_toml(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


def test_a_digest_key_is_copied_and_not_pickled() -> None:
    """Settings with a key stay in their process."""
    settings = Settings(digest_key=b"k" * 32)
    assert copy.deepcopy(settings) == copy.copy(settings) == settings
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="secret"):
            pickle.dumps(settings, protocol)
    assert pickle.dumps(Settings(read_threads=3))
