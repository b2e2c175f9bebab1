"""Which URLs may be fetched: parsed once, by these rules, and connected to as they were judged.

A message must not make the box connect wherever a stranger likes (server-side request forgery). So a
URL has to begin with one of the operator's prefixes, spelled so that no two readers could take it
for different ones, and its host's addresses have to be public ones, or listed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote, urljoin, urlsplit

from livegate.core.errors import ErrorCode, SetupError

PORTS = {"http": 80, "https": 443}
MAX_URL = 2048
VISIBLE = re.compile(r"[!-~]+")
FOREIGN = re.compile(r"[^\x00-\x7f]+")
"""What is not ASCII: sent as it is by some clients, and by all that a query's decoding has passed."""
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
HIDDEN = re.compile(r"\\|%2e|%2f|%5c|%00", re.IGNORECASE)
"""Spellings of dots and slashes that servers undo, some of them."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")
NAT64 = ipaddress.ip_network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""All that IANA has given out (RFC 4291, 2.4)."""


@dataclass(frozen=True, slots=True)
class Location:
    """An absolute URL, in parts. `target`: path and query, as they are sent."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Where it leads to."""
        return self.scheme, self.host, self.port

    def below(self, prefix: Location) -> bool:
        """Whether it begins with the prefix; a path counts up to a slash, "/faces" is not "/faces2"."""
        if self.origin != prefix.origin:
            return False
        path, stem = self.target.partition("?")[0], prefix.target.rstrip("/")
        return path == stem or path.startswith(f"{stem}/")


def location_from_url(url: str, base: Location | None = None) -> Location:
    """Take a URL apart; with a base (a redirect's) it may be a relative one.

    Letters of a path or a query that are not ASCII are escaped, as UTF-8.

    Raises:
        ValueError: it is none that is fetched: another scheme, a user in it, dots that climb, ….
    """
    if len(url) <= MAX_URL:
        url = FOREIGN.sub(lambda found: quote(found[0]), url)
    if not VISIBLE.fullmatch(url) or len(url) > MAX_URL:
        raise ValueError("a URL is at most 2048 visible characters, counted when they are escaped")
    if base is not None:
        url = urljoin(_text(base), url)
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.netloc:
        raise ValueError("only http and https are fetched")
    if "@" in parts.netloc:
        raise ValueError("a URL with a user name in it is not fetched")
    path = parts.path or "/"
    if HIDDEN.search(path) or any(part in (".", "..") for part in path.split("/")):
        raise ValueError("dots and slashes in a path must be plain, and must not climb")
    target = f"{path}?{parts.query}" if parts.query else path
    return Location(parts.scheme, _host(parts.hostname or ""), parts.port or PORTS[parts.scheme], target)


class UrlList:
    """The operator's prefixes, and the private networks that he lets through."""

    def __init__(self, prefixes: Iterable[str], networks: Iterable[str]) -> None:
        """Read both.

        Raises:
            SetupError: CONFIG_ADD_FAIL when one cannot be read.
        """
        self._prefixes = tuple(_configured(_prefix, text, "allow") for text in prefixes)
        self._networks = tuple(_configured(ipaddress.ip_network, text, "networks") for text in networks)

    def admits(self, location: Location) -> bool:
        """Whether a prefix covers it."""
        return any(location.below(prefix) for prefix in self._prefixes)

    def admits_address(self, address: Address) -> bool:
        """Whether a host's address may be connected to: a public one, or one of a listed network."""
        if any(address in network for network in self._networks):
            return True
        return all(map(_is_public, _leads_to(address)))


def _is_public(address: Address) -> bool:
    """Python calls IPv6 ranges global, too, that nobody was given; old private ones among them."""
    is_given = address.version == 4 or address in GLOBAL_UNICAST
    return is_given and address.is_global and not address.is_multicast


def _leads_to(address: Address) -> tuple[Address, ...]:
    """Where a connection may end: an IPv6 address may stand for an IPv4 one, or lead through some."""
    if not isinstance(address, ipaddress.IPv6Address):
        return (address,)
    if address in NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    beside = (address.sixtofour, *(address.teredo or ()))
    return (address, *(one for one in beside if one is not None))


def _prefix(text: str) -> Location:
    """A prefix, which ends within the path: behind a query nothing would ever match."""
    if "?" in text or "#" in text:
        raise ValueError("a prefix has no query and no fragment")
    return location_from_url(text)


def _host(name: str) -> str:
    if HOST.fullmatch(name):
        return name
    try:
        return str(ipaddress.IPv6Address(name))
    except ValueError:
        raise ValueError("a host is a name in ASCII or an address") from None


def _text(location: Location) -> str:
    host = f"[{location.host}]" if ":" in location.host else location.host
    return f"{location.scheme}://{host}:{location.port}{location.target}"


def _configured(read: Callable[[str], T], text: str, key: str) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL,
            f"urls.{key} has {text!r}: {error}",
            hint='allow = ["https://host/folder/"], networks = ["10.1.2.0/24"]',
        ) from error
