"""The header of a container and its seal: what opens, and what is refused before anything is copied."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.errors import ErrorCode, RequestError, SetupError
from livegate.ingest.envelope import HEAD, MAGIC, DeviceKey, key_from_text, unwrap, wrap

KEY = DeviceKey("kiosk-7", bytes(range(32)))
KEYS = {KEY.device_id: KEY.key}
BODY = b"a body of some bytes"


def refusal(content: bytes, *, max_bytes: int = 1000, keys: dict[str, bytes] = KEYS) -> RequestError:
    with pytest.raises(RequestError) as caught:
        unwrap(content, keys, max_bytes=max_bytes)
    return caught.value


@pytest.mark.parametrize("seal", [None, KEY])
@pytest.mark.parametrize("body", [b"", BODY])
def test_body_comes_back(seal: DeviceKey | None, body: bytes) -> None:
    """Sealed or not; the device is told only where its key proves it."""
    found = unwrap(wrap(body, seal), KEYS, max_bytes=1000)
    assert found.body == body
    assert found.device_id == ("kiosk-7" if seal else "")
    assert found.is_sealed is (seal is not None)


def test_seal_hides_the_body_and_differs_each_time() -> None:
    """The cipher's nonce is random: the same body never gives the same file."""
    one, other = wrap(BODY, KEY), wrap(BODY, KEY)
    assert BODY not in one
    assert one != other
    assert BODY in wrap(BODY)


@given(st.integers(0, len(wrap(BODY, KEY)) * 8 - 1))
def test_one_flipped_bit_of_a_sealed_file_is_refused(bit: int) -> None:
    """Header, key id, nonce, ciphertext or tag: nothing opens, and the error has its number."""
    content = bytearray(wrap(BODY, KEY))
    content[bit // 8] ^= 1 << bit % 8
    assert refusal(bytes(content)).code in (ErrorCode.DECODE_FAIL, ErrorCode.OUT_OF_RANGE)


@pytest.mark.parametrize("seal", [None, KEY])
def test_every_truncation_is_refused(seal: DeviceKey | None) -> None:
    """Wherever a file ends too soon; and one byte too many."""
    content = wrap(BODY, seal)
    for end in range(len(content)):
        assert refusal(content[:end]).code is ErrorCode.DECODE_FAIL
    assert refusal(content + b"\0").code is ErrorCode.DECODE_FAIL


def test_wrong_key_and_unknown_device_say_so() -> None:
    """Two mistakes of an operator, told apart."""
    assert "does not open" in refusal(wrap(BODY, DeviceKey("kiosk-7", bytes(32)))).message
    assert "no key for the device other" in refusal(wrap(BODY, DeviceKey("other", bytes(32)))).message


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ((MAGIC, 2, 0, 0, 4), "version is 2"),
        ((MAGIC, 1, 2, 0, 4), "kind 2"),
        ((MAGIC, 1, 0, 3, 1), "nothing is sealed"),
        ((MAGIC, 1, 0, 0, 5), "its header says"),
    ],
)
def test_odd_header_is_refused(head: tuple[bytes, int, int, int, int], why: str) -> None:
    """Versions and seals that nobody knows yet, and lengths that do not add up."""
    assert why in refusal(HEAD.pack(*head) + b"body").message


def test_device_id_with_odd_letters_is_refused_and_not_repeated() -> None:
    """What stands in a header is a stranger's text."""
    content = HEAD.pack(MAGIC, 1, 1, 4, 16) + b"\r\n[m" + bytes(12 + 16)
    assert "names no device" in refusal(content).message


def test_declared_size_above_the_limit_is_refused_first() -> None:
    """The number alone is enough, without the bytes."""
    assert refusal(HEAD.pack(MAGIC, 1, 0, 0, 1 << 31), max_bytes=99).code is ErrorCode.OUT_OF_RANGE


@given(st.binary(max_size=80))
def test_garbage_after_the_magic_is_an_error_with_a_number(garbage: bytes) -> None:
    """Never a defect."""
    assert refusal(MAGIC + garbage).code in (ErrorCode.DECODE_FAIL, ErrorCode.OUT_OF_RANGE)


@pytest.mark.parametrize(
    ("device_id", "text"), [("", "ab" * 32), ("a b", "ab" * 32), ("a", "ab" * 31), ("a", "zz" * 32)]
)
def test_key_text_that_is_none_is_refused_and_not_repeated(device_id: str, text: str) -> None:
    """64 hexadecimal digits; a message never holds them."""
    with pytest.raises(SetupError) as caught:
        key_from_text(device_id, text)
    assert text not in str(caught.value)


def test_key_is_not_in_its_repr() -> None:
    """Whatever prints a key, prints its device only."""
    assert repr(key_from_text("kiosk-7", "ab" * 32 + "\n")) == "DeviceKey(device_id='kiosk-7')"
