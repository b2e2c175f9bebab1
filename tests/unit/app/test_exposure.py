"""Which addresses need credentials."""

from __future__ import annotations

import pytest

from livegate.app.exposure import is_loopback, pilot_models_note, require_credentials, served_dialects
from livegate.app.server import build_dialects
from livegate.core.config import AccessKey, AccessToken, App
from livegate.core.errors import ErrorCode, SetupError
from livegate.manifests.store import ModelStore
from support import config_with


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        (":1", False),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("192.168.1.4:1", False),
        ("kiosk.example:1", False),
        ("localhost.example:1", False),
    ],
)
def test_is_loopback_knows_what_others_can_reach(address: str, expected: bool) -> None:
    """Only loopback addresses and the name localhost count as inside."""
    assert is_loopback(address) is expected


@pytest.mark.parametrize("address", ["", "x", "1.2.3.4", "h:port", "h:70000", "h:-1"])
def test_is_loopback_nonsense_is_refused(address: str) -> None:
    """What is not HOST:PORT is a mistake in the configuration."""
    with pytest.raises(SetupError) as caught:
        is_loopback(address)
    assert caught.value.code is ErrorCode.CONFIG_ADD_FAIL


APP = App(id="a", key="k" * 16)
ACCESS = AccessKey(access="a", secret="k" * 16)
TOKEN = AccessToken(name="a", token="k" * 16)
OUTSIDE = {"bind": "0.0.0.0:1"}


@pytest.mark.parametrize(
    ("sections", "refused"),
    [
        ({}, ""),
        ({"grpc": OUTSIDE}, "grpc"),
        ({"grpc": {**OUTSIDE, "tokens": ("t",)}}, ""),
        ({"metrics": OUTSIDE}, "metrics"),
        ({"metrics": {**OUTSIDE, "tokens": ("t",)}}, ""),
        ({"http": OUTSIDE}, "http"),
        ({"http": OUTSIDE, "aipaas": {"apps": (APP,)}}, ""),
        ({"http": OUTSIDE, "aipaas": {"apps": (APP,), "auth": "none"}}, "http"),
        ({"http": OUTSIDE, "aipaas": {"auth": "hmac"}}, ""),
        ({"http": OUTSIDE, "huawei_frs": {"keys": (ACCESS,)}}, ""),
        ({"http": OUTSIDE, "huawei_frs": {"tokens": (TOKEN,)}}, ""),
        ({"http": OUTSIDE, "huawei_frs": {"auth": "aksk"}}, ""),
        ({"http": OUTSIDE, "huawei_frs": {"auth": "token"}}, ""),
        ({"http": OUTSIDE, "huawei_frs": {"keys": (ACCESS,), "auth": "none"}}, "http"),
    ],
)
def test_require_credentials_holds_for_every_face(sections: dict, refused: str) -> None:
    """A face that others can reach needs credentials of its own; the message says which and how."""
    config = config_with(**sections)
    if not refused:
        require_credentials(config, served_dialects(config, build_dialects(config)))
        return
    with pytest.raises(SetupError) as caught:
        require_credentials(config, served_dialects(config, build_dialects(config)))
    assert caught.value.message.startswith(f"{refused}.bind")
    assert "127.0.0.1" in caught.value.hint


@pytest.mark.parametrize(
    ("sections", "served"),
    [
        ({}, ["aipaas", "huawei_frs"]),
        ({"aipaas": {"apps": (APP,)}}, ["aipaas", "huawei_frs"]),
        ({"http": OUTSIDE, "aipaas": {"apps": (APP,)}}, ["aipaas"]),
        ({"http": OUTSIDE, "huawei_frs": {"keys": (ACCESS,)}}, ["huawei_frs"]),
        ({"http": OUTSIDE, "aipaas": {"auth": "none"}, "huawei_frs": {"auth": "token"}}, ["huawei_frs"]),
    ],
)
def test_served_dialects_outside_loopback_are_those_with_credentials(
    sections: dict, served: list[str]
) -> None:
    """Credentials for one cloud's clients open no other cloud's door."""
    config = config_with(**sections)
    every = [dialect for dialect in build_dialects(config) if dialect.name in ("aipaas", "huawei_frs")]
    assert [dialect.name for dialect in served_dialects(config, every)] == served


@pytest.mark.parametrize(
    ("sections", "reachable"),
    [
        ({}, ""),
        ({"grpc": OUTSIDE}, "grpc 0.0.0.0:1"),
        ({"http": OUTSIDE, "grpc": {"bind": "10.0.0.9:7"}}, "grpc 10.0.0.9:7, http 0.0.0.0:1"),
        ({"metrics": OUTSIDE}, ""),
        ({"http": {"bind": ""}}, ""),
    ],
)
def test_models_for_pilots_are_told_of_where_others_reach_them(
    sections: dict[str, dict[str, object]], reachable: str
) -> None:
    """Which models, at which address, and where there are stronger ones; on loopback nothing."""
    store = ModelStore()
    pilots = [store.manifest("lg_silent"), store.manifest("lg_detect"), store.manifest("yunet_n")]
    note = pilot_models_note(config_with(**sections), pilots)
    if not reachable:
        assert note is None
        return
    assert note is not None
    assert (note["models"], note["reachable"]) == ("lg_detect, lg_silent", reachable)
    assert "livegate models pull reference" in note["stronger"]
    assert pilot_models_note(config_with(**sections), [store.manifest("yunet_n")]) is None
