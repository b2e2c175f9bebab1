"""Keys: who is believed, and how a private one is kept."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from bundle_kit import signing_key
from livegate.bundles.archive import Seal
from livegate.bundles.signing import new_key, read_signing_key
from livegate.bundles.trust import DigestTrust, KeyTrust, PublicKey, read_keys
from livegate.core.errors import ErrorCode, LiveGateError

KEY, OTHER = signing_key(), signing_key()
SEAL = KEY.seal(b"manifest")


def code_of(trust: KeyTrust | DigestTrust, seal: Seal) -> ErrorCode:
    with pytest.raises(LiveGateError) as caught:
        trust.require(seal)
    return caught.value.code


def test_seal_of_a_known_key_is_believed() -> None:
    """Whichever of several it is."""
    KeyTrust((OTHER.public, KEY.public)).require(SEAL)


def test_unknown_key_wrong_signature_and_no_key_are_refused() -> None:
    """Each with 1010."""
    assert code_of(KeyTrust((OTHER.public,)), SEAL) is ErrorCode.NO_PERMISSION
    assert code_of(KeyTrust(()), SEAL) is ErrorCode.NO_PERMISSION
    assert code_of(KeyTrust((PublicKey(b"\0" * 32),)), SEAL) is ErrorCode.NO_PERMISSION
    for signature in (b"", bytes(64), SEAL.signature[::-1], OTHER.seal(b"manifest").signature):
        assert code_of(KeyTrust((KEY.public,)), Seal(b"manifest", signature)) is ErrorCode.NO_PERMISSION


def test_signature_of_the_bare_bytes_is_none_of_a_bundle() -> None:
    """A key that signs other things, too, signs no bundle by that."""
    private = Ed25519PrivateKey.generate()
    public = PublicKey(private.public_key().public_bytes_raw())
    assert code_of(KeyTrust((public,)), Seal(b"m", private.sign(b"m"))) is ErrorCode.NO_PERMISSION


def test_only_the_key_that_signed_is_worth_believing() -> None:
    """A file of keys names somebody else, too: he is not believed because of another's bundle."""
    keys = (OTHER.public, KEY.public)
    assert KeyTrust(keys).worth(keys, SEAL) == (KEY.public,)
    assert KeyTrust((KEY.public,)).worth((OTHER.public,), SEAL) == ()
    assert DigestTrust(SEAL.digest).worth(keys, SEAL) == keys


def test_digest_is_of_one_seal_only() -> None:
    """What an installer carries."""
    DigestTrust(SEAL.digest).require(SEAL)
    assert code_of(DigestTrust(SEAL.digest), KEY.seal(b"other")) is ErrorCode.NO_PERMISSION


def test_new_key_is_private_and_signs(tmp_path: Path) -> None:
    """Mode 0600, never written over, and its public half believes it."""
    key, public = new_key(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert read_keys(public) == (key.public,)
    KeyTrust(read_keys(public)).require(read_signing_key(tmp_path / "key").seal(b"m"))
    with pytest.raises(LiveGateError) as caught:
        new_key(tmp_path / "key")
    assert caught.value.code is ErrorCode.EXIST
    assert read_signing_key(tmp_path / "key").public == key.public


@pytest.mark.parametrize("there", ["key", "key.pub"])
def test_half_of_a_key_that_is_there_stops_both(tmp_path: Path, there: str) -> None:
    """No private key without its public one, and none beside another's."""
    (tmp_path / there).touch()
    with pytest.raises(LiveGateError):
        new_key(tmp_path / "key")
    assert [path.name for path in tmp_path.iterdir()] == [there]


def test_private_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """It is worth nothing any more."""
    new_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(LiveGateError, match="others may read") as caught:
        read_signing_key(tmp_path / "key")
    assert caught.value.code is ErrorCode.NO_PERMISSION


def test_other_private_keys_are_refused(tmp_path: Path) -> None:
    """Garbage, a key of another kind, and a public one."""
    curve = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    for content in (b"", b"nonsense", curve, KEY.public.line.encode()):
        path = tmp_path / "key"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(LiveGateError) as caught:
            read_signing_key(path)
        assert caught.value.code is ErrorCode.READ_FAIL


def test_file_of_keys_may_hold_remarks(tmp_path: Path) -> None:
    """And empty lines."""
    path = tmp_path / "keys"
    path.write_text(f"# us\n\n{KEY.public.line}{OTHER.public.line}")
    assert read_keys(path) == (KEY.public, OTHER.public)


@given(line=st.binary(min_size=1, max_size=80))
def test_line_that_is_no_key_is_refused(tmp_path_factory: pytest.TempPathFactory, line: bytes) -> None:
    """Never passed over: half a key is no key."""
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_bytes(b"x" + line)
    with pytest.raises(LiveGateError) as caught:
        read_keys(path)
    assert caught.value.code is ErrorCode.READ_FAIL


def test_file_of_keys_may_come_from_a_windows_editor(tmp_path: Path) -> None:
    """Which begins it with a mark."""
    path = tmp_path / "keys"
    path.write_bytes(b"\xef\xbb\xbfed25519 " + b"ab" * 32 + b"\r\n")
    assert [key.raw.hex() for key in read_keys(path)] == ["ab" * 32]
