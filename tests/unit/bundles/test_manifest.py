"""The manifest: one form, known paths, limits."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle_kit import contents, manifest_of
from livegate.bundles.manifest import (
    MAX_BYTES,
    MAX_MEMBERS,
    BundleManifest,
    Member,
    Target,
    manifest_from_bytes,
)
from livegate.core.errors import ErrorCode, LiveGateError

SHA = "0" * 64


def with_members(*members: Member) -> BundleManifest:
    return dataclasses.replace(manifest_of({}), members=members)


def refused(manifest: BundleManifest) -> LiveGateError:
    with pytest.raises(LiveGateError) as caught:
        manifest_from_bytes(manifest.to_bytes())
    return caught.value


def test_manifest_survives_the_way_through_its_bytes() -> None:
    """All fields."""
    manifest = manifest_of(contents(), has_secrets=True)
    assert manifest_from_bytes(manifest.to_bytes()) == manifest


@pytest.mark.parametrize(
    "path",
    [
        *(
            "../evil",
            "/etc/passwd",
            "wheels/../../evil.whl",
            "wheels/a/b.whl",
            "wheels/.whl",
            "wheels//a.whl",
        ),
        *(
            "models/../x",
            "models/a/../b",
            "models/a/.hidden",
            "models/A/x",
            "models/a/b/c",
            "config/other.toml",
        ),
        *(
            "wheels/a.whl\n",
            "wheels/a.whl/..",
            "wheels\\a.whl",
            "",
            ".",
            "wheels/ä.whl",
            "config/livegate.toml/",
        ),
        *("bin/livegate", "bundle.json", "wheels/a.tar.gz", "models/a/b\0", f"wheels/{'a' * 250}.whl"),
    ],
)
def test_path_that_a_bundle_has_no_place_for_is_refused(path: str) -> None:
    """Even when it is signed."""
    assert refused(with_members(Member(path, 1, SHA))).code is ErrorCode.READ_FAIL


def test_members_are_sorted_and_each_is_there_once() -> None:
    """So that there is one order, and no file is written twice."""
    one, two = Member("models/a/x", 1, SHA), Member("models/b/x", 1, SHA)
    manifest_from_bytes(with_members(one, two).to_bytes())
    refused(with_members(two, one))
    refused(with_members(one, one))


def test_limits_hold_before_anything_is_copied() -> None:
    """Members, bytes, and bytes when installed."""
    many = (Member(f"models/a/x{number:04}", 1, SHA) for number in range(MAX_MEMBERS + 1))
    for manifest in (
        with_members(*many),
        with_members(Member("models/a/x", MAX_BYTES + 1, SHA)),
        dataclasses.replace(manifest_of({}), unpacked_bytes=5 * MAX_BYTES),
    ):
        assert refused(manifest).code is ErrorCode.OUT_OF_RANGE


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "../1"},
        {"version": ""},
        {"made_s": -1},
        {"made_s": True},
        {"target": Target("x86_64", "3.10; rm", "2.35")},
        {"target": Target("x86_64", "3.10", "")},
        {"members": (Member("models/a/x", 1, "0" * 63),)},
        {"members": (Member("models/a/x", -1, SHA),)},
    ],
)
def test_value_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    """A version becomes a folder's name, a release of Python a command."""
    assert refused(manifest_of({}, **changes)).code is ErrorCode.READ_FAIL


@pytest.mark.parametrize("change", ["unknown", "member", "order", "space", "format", "missing"])
def test_other_form_is_refused(change: str) -> None:
    """Unknown keys, another order, spaces, another format, missing keys."""
    tables = json.loads(manifest_of(contents()).to_bytes())
    compact = {"separators": (",", ":"), "sort_keys": True}
    if change == "unknown":
        tables["more"] = 1
    elif change == "member":
        tables["members"][0]["mode"] = 7
    elif change == "order":
        compact["sort_keys"] = False
        tables = dict(reversed(tables.items()))
    elif change == "space":
        del compact["separators"]
    elif change == "format":
        tables["format"] = 2
    else:
        del tables["target"]
    with pytest.raises(LiveGateError) as caught:
        manifest_from_bytes(json.dumps(tables, **compact).encode() + b"\n")  # type: ignore[call-overload]
    assert caught.value.code is ErrorCode.READ_FAIL


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


@given(st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())))
def test_garbage_is_refused_with_our_error(content: bytes) -> None:
    """Nothing else is raised."""
    with pytest.raises(LiveGateError):
        manifest_from_bytes(content)


@given(name=st.sampled_from(sorted(json.loads(manifest_of({}).to_bytes()))), value=JSON)
def test_any_value_in_any_field_is_taken_whole_or_refused(name: str, value: object) -> None:
    """No field lets a value of another kind through."""
    tables = json.loads(manifest_of({}).to_bytes())
    tables[name] = value
    content = json.dumps(tables, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    with contextlib.suppress(LiveGateError):
        assert manifest_from_bytes(content).to_bytes() == content
