"""The merged environment, whose values stay inside this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NoReturn, final

PROCESS: Final = "environment"
"""Origin of what the process itself was given."""
CONFIG: Final = "config env"
"""Origin of what the config's `env` block sets."""

_DROPPED = {ord(character): None for character in "\r\n\u2028\u2029"}


def cleaned(value: str) -> str:
    """Return what counts of a credential value: no line breaks, nothing above U+00FF, trimmed (formats 4.3;
    provider-env-vars.ts).
    """
    text = value.translate(_DROPPED)
    if not text.isascii():
        text = "".join(character for character in text if character <= "\u00ff")
    return text.strip()


@final
class OpaqueEnv:
    """Variables with their origins; immutable, safe on any thread.

    It shows names and never values: not in its repr, not when iterated, not when pickled or formatted.
    """

    __slots__ = ("_origins", "_values")

    def __init__(self, variables: Mapping[str, str], origin: str = PROCESS) -> None:
        self._values = {
            name: value for name, value in variables.items() if isinstance(name, str) and isinstance(value, str)
        }
        self._origins = dict.fromkeys(self._values, origin)

    def get(self, name: str, /) -> str | None:
        """Return the value as a credential, cleaned; None when it doesn't count."""
        value = self._values.get(name)
        return (cleaned(value) or None) if value else None

    def raw(self, name: str, /) -> str | None:
        """Return the value exactly as it was set; None when it was not."""
        return self._values.get(name)

    def text(self, name: str, /) -> str:
        """Return the trimmed value, for paths and switches; empty when there is none."""
        return (self._values.get(name) or "").strip()

    def origin(self, name: str, /) -> str:
        """Return which layer set a variable; empty when none did."""
        return self._origins.get(name, "")

    def with_variable(self, name: str, value: str) -> OpaqueEnv:
        """Return a new environment in which the process itself was given one variable more, or another value of it."""
        changed = OpaqueEnv({})
        changed._values = {**self._values, name: value}
        changed._origins = {**self._origins, name: PROCESS}
        return changed

    def with_layer(
        self, variables: Mapping[str, str] | OpaqueEnv, origin: str, *, over_blank: bool = False
    ) -> OpaqueEnv:
        """Return a new environment with a lower layer: only names that aren't set yet are taken, or with `over_blank`
        blank ones too.
        """
        merged = OpaqueEnv({})
        merged._values = dict(self._values)
        merged._origins = dict(self._origins)
        added = variables._values if isinstance(variables, OpaqueEnv) else variables
        for name, value in added.items():
            present = self._values.get(name)
            if present is None or (over_blank and not present.strip()):
                merged._values[name] = value
                merged._origins[name] = origin
        return merged

    @property
    def raw_side(self) -> RawSide:
        """The same variables, answering `get` with raw values, for code that reads paths."""
        return RawSide(self)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"OpaqueEnv(<{len(self._values)} variables>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an OpaqueEnv holds secrets and is not pickled")

    def __copy__(self) -> OpaqueEnv:
        return self

    def __deepcopy__(self, memo: object) -> OpaqueEnv:
        return self


@final
class RawSide:
    """A view of an environment whose `get` answers raw values."""

    __slots__ = ("_env",)

    def __init__(self, env: OpaqueEnv) -> None:
        self._env = env

    def get(self, name: str, /) -> str | None:
        """Return the value exactly as it was set; None when it was not."""
        return self._env.raw(name)

    def __reduce__(self) -> NoReturn:
        raise TypeError("an OpaqueEnv holds secrets and is not pickled")


@final
class Secret:
    """One secret on its way out; it comes out by `reveal` alone.

    It is behind a function: printers that walk an object's attributes find nothing else. Two are equal only when they
    are one object, so that comparing tells nothing.
    """

    __slots__ = ("_reveal",)

    def __init__(self, text: str) -> None:
        self._reveal: Callable[[], str] = lambda: text

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._reveal()

    def __repr__(self) -> str:
        return "Secret(<secret>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self
