"""Base URLs, made fit to be shown and compared."""

from __future__ import annotations

import re

_PARTS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*:)?(?P<slashes>[/\\]*)(?P<authority>[^/\\?#]*)(?P<path>[^?#]*)(?P<rest>.*)\Z",
    re.DOTALL,
)
_HOST = re.compile(r"(?:\[[^\[\]@]*\]|[^:@\[\]]*)(?::[0-9]*)?\Z")
_SCHEMES = frozenset({"", "http:", "https:", "ws:", "wss:"})


def public_url(value: object) -> str:
    """Return a base URL without anything that may be a secret: trimmed, no user name, password, query or fragment.

    A URL whose host part makes no sense (a password with an unescaped slash looks like that) becomes `invalid:`,
    which is no local address to anybody. Not a text: empty.
    """
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        return ""
    parts = _PARTS.match(text)
    if parts is None:
        return "invalid:"
    scheme, slashes = parts["scheme"] or "", parts["slashes"]
    if scheme and not slashes and parts["authority"].isdigit():
        # `localhost:11434`: what looks like a scheme is the host.
        return f"{scheme}{parts['authority']}{parts['path']}"
    user, _, host = parts["authority"].rpartition("@")
    if not _HOST.match(host) or (user and scheme.lower() not in _SCHEMES):
        return "invalid:"
    # An @ behind the host may be the end of a password with a slash in it.
    path = "" if "@" in parts["path"] else parts["path"]
    return f"{scheme}{slashes}{host}{path}"
