"""The archive: what is written is read, and nothing else is."""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bundle_kit import bundle_bytes, manifest_of, signing_key
from livegate.bundles.archive import (
    BLOCK_BYTES,
    END,
    Seal,
    header,
    read_members,
    read_seal,
    require_length,
)
from livegate.bundles.manifest import MAX_MANIFEST_BYTES, Member, manifest_from_bytes
from livegate.bundles.trust import DigestTrust, KeyTrust, Trust
from livegate.core.errors import ErrorCode, LiveGateError

LONG = f"wheels/{'a' * 120}-1-py3-none-any.whl"
MEMBERS = {"config/livegate.toml": b"", "models/m/w.onnx": b"weights" * 100, LONG: b"x" * BLOCK_BYTES}
KEY = signing_key()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A bundle."""
    manifest = manifest_of(MEMBERS)
    seal = KEY.seal(manifest.to_bytes())
    return bundle_bytes(seal, manifest, MEMBERS, tmp_path_factory.mktemp("sources"))


def unpack(content: bytes, trust: Trust) -> dict[str, bytes]:
    """Every member, as an installer reads them."""
    stream, found = io.BytesIO(content), {}

    @contextlib.contextmanager
    def sink(member: Member) -> Iterator[BinaryIO]:
        place = io.BytesIO()
        yield place
        found[member.path] = place.getvalue()

    seal = read_seal(stream)
    trust.require(seal)
    read_members(stream, manifest_from_bytes(seal.manifest), sink)
    return found


def both(content: bytes) -> tuple[Trust, Trust]:
    """The ways to believe this very bundle."""
    return KeyTrust((KEY.public,)), DigestTrust(read_seal(io.BytesIO(content)).digest)


def test_members_come_back_as_they_went_in(whole: bytes) -> None:
    """By the signature and by the digest."""
    for trust in both(whole):
        assert unpack(whole, trust) == MEMBERS


def test_tar_reads_it_too(whole: bytes) -> None:
    """Somebody who looks into a bundle needs no LiveGate."""
    with tarfile.open(fileobj=io.BytesIO(whole), mode="r:") as tar:
        names = tar.getnames()
        assert names == ["manifest.json", "manifest.sig", *sorted(MEMBERS)]
        for name, content in MEMBERS.items():
            stream = tar.extractfile(name)
            assert stream is not None
            assert stream.read() == content


def test_every_flipped_byte_is_refused(whole: bytes) -> None:
    """Wherever it is: headers, padding, manifest, signature, members, the end."""
    trusts = both(whole)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << (place % 8)
        for trust in trusts:
            with pytest.raises(LiveGateError):
                unpack(bytes(changed), trust)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(draw=st.data())
def test_cut_lengthened_or_patched_bundles_are_refused(whole: bytes, draw: st.DataObject) -> None:
    """Any other bytes than those that were signed."""
    start = draw.draw(st.integers(0, len(whole)))
    end = draw.draw(st.integers(start, len(whole)))
    changed = whole[:start] + draw.draw(st.binary(max_size=600)) + whole[end:]
    if changed == whole:
        return
    for trust in both(whole):
        with pytest.raises(LiveGateError):
            unpack(changed, trust)


@given(content=st.binary(max_size=3000))
def test_garbage_is_refused(content: bytes) -> None:
    """What is no bundle at all gets the same error."""
    with pytest.raises(LiveGateError) as caught:
        read_seal(io.BytesIO(content))
    assert caught.value.code is ErrorCode.READ_FAIL


@pytest.mark.parametrize("tail", [b"\0", b"\0" * BLOCK_BYTES, b"more"])
def test_something_behind_the_end_is_refused(whole: bytes, tail: bytes) -> None:
    """Zeros as well, which tar itself would pass over."""
    with pytest.raises(LiveGateError, match="behind its end"):
        unpack(whole + tail, KeyTrust((KEY.public,)))


def test_huge_manifest_is_refused_before_it_is_read() -> None:
    """The size in the first header is held to the limit, whatever follows."""
    stream = io.BytesIO(header("manifest.json", MAX_MANIFEST_BYTES + 1))
    with pytest.raises(LiveGateError) as caught:
        read_seal(stream)
    assert caught.value.code is ErrorCode.OUT_OF_RANGE


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"5", b"x"])
def test_link_device_folder_or_extension_is_refused(whole: bytes, kind: bytes) -> None:
    """Headers of other kinds, with a right checksum, stand nowhere in a bundle."""
    path = "config/livegate.toml"
    changed = whole.replace(header(path, 0), header(path, 0, kind))
    assert changed != whole
    with pytest.raises(LiveGateError, match="other bytes before config"):
        unpack(changed, KeyTrust((KEY.public,)))


def test_wrong_length_is_told_before_anything_is_copied(whole: bytes, tmp_path: Path) -> None:
    """Cut files are the commonest accident of a stick."""
    path = tmp_path / "bundle"
    path.write_bytes(whole[:-BLOCK_BYTES])
    with path.open("rb") as stream:
        seal = read_seal(stream)
        with pytest.raises(LiveGateError, match=f"{len(whole) - BLOCK_BYTES} bytes"):
            require_length(stream, seal, manifest_from_bytes(seal.manifest))
    path.write_bytes(whole)
    with path.open("rb") as stream:
        require_length(stream, read_seal(stream), manifest_from_bytes(seal.manifest))


def test_medium_that_fails_is_a_damaged_bundle() -> None:
    """An input/output error in the middle is told as what it is."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(LiveGateError, match="Input/output error"):
        read_seal(Failing())


def test_seal_digest_depends_on_the_signature() -> None:
    """An installer that believes a digest takes the bundle whole or not at all."""
    assert Seal(b"m", b"s").digest != Seal(b"m", b"t").digest
    assert len(END) == 2 * BLOCK_BYTES
