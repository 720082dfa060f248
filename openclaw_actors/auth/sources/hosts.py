"""Which base URLs are local: the two lists of OpenClaw 2026.5.22 (model-auth.ts and its ollama plugin; formats 4.6).

Hosts are compared as the URL standard writes them, since OpenClaw compares what `new URL(…).hostname` gives it: lower
case, number-like hosts as dotted IPv4, IPv6 in its shortest form.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from urllib.parse import unquote

_NAMES = frozenset({"localhost", "docker.orb.internal", "host.docker.internal", "host.orb.internal"})
_IPV4 = frozenset({"127.0.0.1", "0.0.0.0"})  # noqa: S104 - compared, never bound
_PRIVATE_IPV4 = tuple(ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_IPV6 = frozenset(ipaddress.IPv6Address(text) for text in ("::1", "::ffff:7f00:1"))
_OLLAMA_IPV6 = frozenset(ipaddress.IPv6Address(text) for text in ("::1", "::"))
_OLLAMA_IPV6_NETS = tuple(ipaddress.IPv6Network(text) for text in ("fe80::/10", "fc00::/7"))
_SPECIAL = frozenset({"http", "https", "ws", "wss", "ftp"})
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*):")
_NUMBER = re.compile(r"^(?:0[xX][0-9A-Fa-f]*|[0-9]+)$")
_FORBIDDEN = re.compile(r"[\x00-\x20#%/:<>?@\[\\\]^|\x7f]")
_MAX_PORT = 65535

Host = str | ipaddress.IPv4Address | ipaddress.IPv6Address


def is_local(base_url: str) -> bool:
    """Tell whether a base URL is on this machine or a private network, by the core's list; an unparsable one is not."""
    host = _host(base_url)
    if isinstance(host, ipaddress.IPv6Address):
        return host in _IPV6
    return host is not None and _is_local_name_or_ipv4(host)


def is_local_for_ollama(base_url: str) -> bool:
    """Tell the same by the ollama plugin's own list, which knows single-label names and local IPv6 networks."""
    host = _host(base_url)
    if isinstance(host, ipaddress.IPv6Address):
        return host in _OLLAMA_IPV6 or any(host in net for net in _OLLAMA_IPV6_NETS)
    if isinstance(host, str) and "." not in host:
        return True
    return host is not None and _is_local_name_or_ipv4(host)


def _is_local_name_or_ipv4(host: str | ipaddress.IPv4Address) -> bool:
    if isinstance(host, ipaddress.IPv4Address):
        return str(host) in _IPV4 or any(host in net for net in _PRIVATE_IPV4)
    return host in _NAMES or host.endswith(".local")


@functools.lru_cache(maxsize=1024)
def _host(url: str) -> Host | None:
    """Return the host of a URL, empty when it is of a kind that needs none; None when it can't be parsed."""
    text = re.sub(r"[\t\r\n]", "", url).strip("".join(map(chr, range(0x21))))
    match = _SCHEME.match(text)
    if match is None or match.end() == len(text):  # `invalid:` stands for a base URL that makes no sense
        return None
    special = match[1].lower() in _SPECIAL
    rest = text[match.end() :]
    if special:
        rest = rest.replace("\\", "/").lstrip("/")
    elif rest.startswith("//"):
        rest = rest[2:]
    else:
        return ""  # `localhost:11434` is a URL too, of the scheme `localhost`
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    if authority.startswith("["):
        inside, closed, port = authority[1:].partition("]")
        port = port.removeprefix(":") if port.startswith(":") or not port else "?"
        if not closed or not _is_port(port):
            return None
        try:
            return ipaddress.IPv6Address(inside) if "%" not in inside else None
        except ValueError:
            return None
    name, _, port = authority.partition(":")
    if not name and not special and not port:
        return ""
    if not name or not _is_port(port):
        return None
    name = unquote(name).lower() if special else name.lower()
    if _FORBIDDEN.search(name):
        return None
    return _ipv4_or_name(name) if special else name


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and int(text) <= _MAX_PORT)


def _ipv4_or_name(name: str) -> Host | None:
    """Read a host as the URL standard does: one that ends in a number is an IPv4 address or an error."""
    parts = name.split(".")
    if len(parts) > 1 and not parts[-1]:
        parts.pop()
    if not _NUMBER.match(parts[-1]):
        return name
    if len(parts) > 4 or not all(_NUMBER.match(part) for part in parts):
        return None
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        return None
    *head, last = numbers
    if any(number > 255 for number in head) or last >= 256 ** (5 - len(numbers)):
        return None
    value = last + sum(number * 256 ** (3 - place) for place, number in enumerate(head))
    return ipaddress.IPv4Address(value)


def _number(part: str) -> int:
    if part[:2].lower() == "0x":
        return int(part[2:] or "0", 16)
    return int(part, 8) if len(part) > 1 and part.startswith("0") else int(part)
