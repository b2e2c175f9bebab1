"""Which URLs may be fetched."""

from __future__ import annotations

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.errors import SetupError
from livegate.gateway.urls import Location, UrlList, location_from_url


def admits(url: str, *prefixes: str) -> bool:
    return UrlList(prefixes, ()).admits(location_from_url(url))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/a", Location("http", "h", 80, "/a")),
        ("https://h", Location("https", "h", 443, "/")),
        ("HTTPS://Host.Example:8443/a?b=c#d", Location("https", "host.example", 8443, "/a?b=c")),
        ("http://[::1]:81/", Location("http", "::1", 81, "/")),
        ("http://h/a%20b", Location("http", "h", 80, "/a%20b")),
        ("http://h/张.jpg?名=三", Location("http", "h", 80, "/%E5%BC%A0.jpg?%E5%90%8D=%E4%B8%89")),
        ("http://h/..／a", Location("http", "h", 80, "/..%EF%BC%8Fa")),
    ],
)
def test_location_from_url_takes_it_apart(url: str, expected: Location) -> None:
    """Scheme and host in small letters, the scheme's port, no fragment."""
    assert location_from_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/a/b",
        "ftp://h/a",
        "file:///etc/passwd",
        "http:///a",
        "http://user@h/a",
        "http://h@other/a",
        "http://h\\@other/a",
        "http://h:port/",
        "http://h:99999/",
        "http://[::1/",
        "http://h/a/../b",
        "http://h/./b",
        "http://h/%2e%2E/b",
        "http://h/a%2fb",
        "http://h/a\\b",
        "http://h/%00",
        "http://h/a b",
        "http://h/\r\nX: y",
        "http://bücher.example/",
        "http://h_st/",
        "http://-h/",
        "http://h/" + "a" * 2048,
        "http://h/" + "张" * 300,
        "http://h/\ud800",
        "http://h／a",
    ],
)
def test_location_from_url_refuses_what_can_be_read_in_two_ways(url: str) -> None:
    """Whatever a server, or another parser, might understand otherwise."""
    with pytest.raises(ValueError, match=r"."):
        location_from_url(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/faces/1.jpg", True),
        ("http://h:80/faces/1.jpg?x=../..", True),
        ("http://h/faces", True),
        ("http://h/faces2/1.jpg", False),
        ("http://h/", False),
        ("https://h/faces/1.jpg", False),
        ("http://h:8080/faces/1.jpg", False),
        ("http://h.evil/faces/1.jpg", False),
        ("http://other/own/1.jpg", True),
    ],
)
def test_admits_only_what_is_below_a_prefix(url: str, expected: bool) -> None:
    """Origin and folder; a name that only begins alike is another one."""
    assert admits(url, "http://h/faces/", "http://other") is expected


def test_admits_nothing_by_default() -> None:
    """An empty list is an empty list."""
    assert not admits("http://h/")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.1.2.3", True),
        ("10.1.3.3", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.251", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::5db8:d822", True),
        ("64:ff9b:1::7f00:1", False),
        ("fec0::1", False),
        ("::127.0.0.1", False),
        ("::ffff:0:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("4000::1", False),
    ],
)
def test_admits_address_public_ones_and_listed_networks(address: str, expected: bool) -> None:
    """Also where an IPv6 address leads to an IPv4 one."""
    assert UrlList((), ("10.1.2.0/24",)).admits_address(ipaddress.ip_address(address)) is expected


@pytest.mark.parametrize(
    ("prefixes", "networks"),
    [
        (("h/faces",), ()),
        (("ftp://h/",), ()),
        (("http://h/faces?size=1",), ()),
        ((), ("10.1.2.3/8",)),
        ((), ("x",)),
    ],
)
def test_list_that_cannot_be_read_is_refused_at_the_start(
    prefixes: tuple[str, ...], networks: tuple[str, ...]
) -> None:
    """The message names the entry."""
    with pytest.raises(SetupError, match=r"urls\.(allow|networks) has") as caught:
        UrlList(prefixes, networks)
    assert caught.value.code == 2041


@given(st.text(max_size=60), st.text(max_size=30))
def test_location_from_url_of_any_text_is_refused_or_stays_below(text: str, rest: str) -> None:
    """Nothing else is raised, and a redirect by any text stays on the list or is refused."""
    base = location_from_url("http://h/faces/a.jpg")
    own = UrlList(("http://h/faces/",), ())
    for url, start in ((text, None), (f"http://h/faces/{rest}", None), (text, base)):
        with contextlib.suppress(ValueError):
            location = location_from_url(url, start)
            parts = location.target.partition("?")[0].split("/")
            assert not {"..", "."} & set(parts)
            assert own.admits(location) == (location.origin == base.origin and parts[1] == "faces")
