"""Every knob, with its unit and default. `config/settings.toml` shows them all."""

from __future__ import annotations

import math
import os
from typing import Any, ClassVar, NoReturn, Self, SupportsIndex, TypeVar, final

import msgspec

from openclaw_actors.errors import SettingsError

_MIN_KEY_BYTES = 16
_MAX_KEY_BYTES = 64  # BLAKE2b takes no longer key
_MAX_FILE_BYTES = 64 * 1024
_MAX_DOTS = 50
"""More dots than any line of settings has. What a key of n parts costs tomllib in memory grows with n²: 100,000 of them
would take all that there is.
"""
_LARGEST_TIME = 1e9
"""32 years in seconds: more than anybody waits for, and less than what a lock's time-out can take (some 9e9)."""
_LARGEST_COUNT = 2**53


@final
class DigestKey(bytes):
    """The key as settings hold it: the same bytes, but its repr doesn't show them, and neither msgspec nor pickle takes
    it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "<digest key>"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise TypeError("a digest key is a secret and is not pickled: give it to each process by itself")

    def __copy__(self) -> DigestKey:
        return self

    def __deepcopy__(self, memo: object) -> DigestKey:
        return self


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a supervisor works. Immutable; the defaults suit one gateway on one machine.

    Raises SettingsError, which names the field and the remedy, for a value that makes no sense.
    """

    mirror_presence_version: ClassVar[str] = "2026.5.22"
    """The OpenClaw version whose answers `presence` mirrors. Fixed: not a knob."""

    watch: bool = True
    """Whether files are watched. Default true."""
    one_shot: bool = False
    """Whether each source is read once only, waiting for slow ones up to their deadline. Default false."""
    source_deadline_s: float = 5.0
    """How long one source may take to be read before it is abandoned, in seconds. Default 5."""
    source_grace_s: float = 0.1
    """How long a first publication waits for another program's slow login file, in seconds. Default 0.1."""
    sweep_budget_s: float = 30.0
    """How long all reading of one sweep may take, in seconds. Default 30."""
    sweep_slice_ms: float = 1.0
    """How long a sweep works before it lets other threads run, in milliseconds. Default 1."""
    sweep_slice_checks: int = 64
    """How many checks a sweep makes, at most, before it lets other threads run. Default 64."""
    read_threads: int = 16
    """How many sources are read at the same time, at most. Default 16."""
    quarantine_after: int = 3
    """After how many overruns a source is left alone until its files change or someone asks. Default 3."""
    hint_interval_s: float = 0.03
    """How often a file that keeps changing is read, at most, in seconds between two readings. Default 0.03."""
    torn_retry_s: float = 0.05
    """When a file that was broken is read again, in seconds. Default 0.05."""
    gone_grace_s: float = 0.25
    """How long a store may be gone before that is a logout, in seconds. Default 0.25."""
    retry_first_s: float = 0.5
    """When a failed warm is tried again for the first time, in seconds; pauses double from there. Default 0.5."""
    retry_max_s: float = 60.0
    """The longest pause between two tries of a failed warm, in seconds. Default 60."""
    resync_interval_s: float = 300.0
    """How often everything is compared with the disk, as a net under the events, in seconds. Default 300."""
    trigger_loop_sweeps: int = 30
    """How many sweeps in a minute a source's file events may cause without changing any answer, before it is read more
    slowly. Default 30."""
    trigger_loop_interval_s: float = 10.0
    """How often such a source is read, at most, until it settles, in seconds. Default 10."""
    poll_interval_s: float = 1.0
    """How often paths are looked at where watching isn't possible, in seconds. Default 1."""
    force_polling: bool = False
    """Whether paths are polled even where watching is possible. Default false."""
    usage_flush_s: float = 0.25
    """How long usage writes are gathered before they go to disk, in seconds. Default 0.25."""
    lock_timeout_s: float = 5.0
    """How long a write waits for the lock of a store, in seconds. Default 5."""
    restart_first_s: float = 0.05
    """When an actor that died is first started again, in seconds; pauses double from there. Default 0.05."""
    restart_max_s: float = 5.0
    """The longest pause before an actor is started again, in seconds. Default 5."""
    restart_intensity: int = 10
    """How many restarts within `restart_period_s` are taken for a fault that restarting doesn't mend. Default 10."""
    restart_period_s: float = 60.0
    """The period in which restarts are counted, in seconds. Default 60."""
    max_store_bytes: int = 64 * 1024 * 1024
    """The largest store file that is read, in bytes. Default 67108864 (64 MiB)."""
    control_socket: bool = False
    """Whether `openclaw-actors recheck` of the same user can reach this process, by a socket in the user's runtime
    directory. Default false."""
    tune_interpreter: bool = False
    """Whether settings of the whole process are changed, from start to stop: threads hand over the interpreter after
    1 ms instead of 5 (`sys.setswitchinterval`), and garbage collections leave out what is there after the first warm
    (`gc.freeze`). It touches the embedder's threads too, which is why it has to be asked for. Default false."""
    digest_key: bytes | None = None
    """The key by which secrets are compared, 16 to 64 bytes (base64 in TOML); a random one per process by default.

    Held as a `DigestKey`: settings that have one can't be encoded, so that no dump of them holds it.
    """

    def __post_init__(self) -> None:
        if isinstance(self.digest_key, bytes):
            msgspec.structs.force_setattr(self, "digest_key", DigestKey(self.digest_key))
        for name, default in _defaults(type(self)):
            if name != "digest_key":
                _check_value(name, getattr(self, name), default)
        key = self.digest_key
        if key is not None and not (isinstance(key, bytes) and _MIN_KEY_BYTES <= len(key) <= _MAX_KEY_BYTES):
            raise SettingsError(
                f"digest_key must be {_MIN_KEY_BYTES} to {_MAX_KEY_BYTES} bytes. Give another key, or leave it out"
            )
        for first, most in (("retry_first_s", "retry_max_s"), ("restart_first_s", "restart_max_s")):
            if getattr(self, first) > getattr(self, most):
                raise SettingsError(f"{first} is larger than {most}. Make {most} at least as large")

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Self:
        """Read settings from a TOML file; fields that it leaves out have their defaults. Reads the file.

        Raises SettingsError that names the file, the field or line, and the remedy; never a value.
        """
        read = _from_toml(cls, os.fspath(path))
        if isinstance(read, str):
            # raised here, where no variable holds what stands in the file
            raise SettingsError(read)
        return read

    def __repr__(self) -> str:
        shown = [f"{name}={value!r}" for name, value in self.__rich_repr__()]
        return f"Settings({', '.join(shown)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return what differs from the defaults; the key is never among it."""
        shown: list[tuple[str, Any]] = []
        for name, default in _defaults(type(self)):
            value = getattr(self, name)
            if value != default:
                shown.append((name, "<set>" if name == "digest_key" else value))
        return shown


def _defaults(cls: type[Settings]) -> list[tuple[str, object]]:
    """Return each field with its default; every field has one."""
    return list(zip(cls.__struct_fields__, cls.__struct_defaults__, strict=True))


def _check_value(name: str, value: object, default: object) -> None:
    """Refuse a value of another kind than the default's, and numbers that aren't positive."""
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise SettingsError(f"{name} must be true or false. Give one of them, or leave it out")
        return
    kinds: tuple[type, ...] = (int,) if isinstance(default, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        what = "a whole number" if kinds == (int,) else "a number"
        raise SettingsError(f"{name} must be {what}. Give one, or leave it out for {default}")
    most = _LARGEST_COUNT if kinds == (int,) else _LARGEST_TIME
    if math.inf > value > most:  # type: ignore[operator]  # not by way of a float: an int may be too large for any
        raise SettingsError(f"{name} must be at most {most:.0f}. Give a smaller number, or leave it out for {default}")
    if not (value > 0 and math.isfinite(value)):  # type: ignore[operator, arg-type]
        raise SettingsError(f"{name} must be more than zero. Give a positive number, or leave it out for {default}")


_S = TypeVar("_S", bound=Settings)


def _from_toml(cls: type[_S], name: str) -> _S | str:
    """Return the settings in a file, or file, place, problem and remedy of what is wrong with it."""
    import tomllib  # only whoever has a file pays for the parser

    try:
        with open(name, "rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) else "no file can have that name"
        return f"{name}: can't be read ({why}). Check the path and its permissions"
    if len(data) > _MAX_FILE_BYTES:
        return f"{name}: is larger than {_MAX_FILE_BYTES} bytes. Is it the right file? See config/settings.toml"
    dotted = next((number for number, line in enumerate(data.splitlines(), 1) if _is_dotted(line)), 0)
    if dotted:
        return f"{name}: line {dotted}: is no setting. Mend it or start from config/settings.toml"
    try:
        document = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError, and not the only one
        place = str(error).rpartition("(")[2].rstrip(")") if isinstance(error, tomllib.TOMLDecodeError) else ""
        place = place if "line" in place else "somewhere"
        return f"{name}: is not valid TOML ({place}). Mend it or start from config/settings.toml"
    unknown = sorted(document.keys() - set(cls.__struct_fields__))
    if unknown:
        return f"{name}: {_shown(unknown[0])}: there is no such setting. {_nearest(unknown[0], cls)}"
    try:
        return msgspec.convert(document, cls)
    except SettingsError as error:
        return f"{name}: {error}"
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at ")
        field = place.strip("`").removeprefix("$.") or "a field"
        return f"{name}: {field}: {problem[:1].lower()}{problem[1:]}. Give a value of that kind, or leave it out"


def _shown(name: str) -> str:
    """Return a name out of a file, fit for a terminal."""
    return name[:80] if name[:80].isprintable() else repr(name[:80])


def _is_dotted(line: bytes) -> bool:
    """Tell whether a line has more dots than any setting; those of comments don't count."""
    return line.count(b".") > _MAX_DOTS and not line.lstrip().startswith(b"#")


def _nearest(name: str, cls: type[Settings]) -> str:
    import difflib

    near = difflib.get_close_matches(name[:80], cls.__struct_fields__, 1)
    return f"Did you mean {near[0]}?" if near else "See config/settings.toml for all of them"
