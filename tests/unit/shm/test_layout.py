"""The messages: what goes in comes out, and C sees the same bytes."""

from __future__ import annotations

import contextlib
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.errors import ErrorCode, RequestError
from livegate.core.resources import resource_dir
from livegate.shm import layout
from livegate.shm.layout import (
    HEADER,
    MAGIC,
    MESSAGES,
    VERSION,
    Bye,
    Error,
    Hello,
    Message,
    MessageType,
    Result,
    decode,
    encode,
    field_offsets,
    message_bytes,
)

RANGES = {"I": (1 << 32) - 1, "Q": (1 << 64) - 1}


def c_name(kind: type[Message]) -> str:
    if issubclass(kind, Result):  # one struct, whether its slot comes back or not
        return "livegate_shm_result"
    return f"livegate_shm_{kind.__name__.lower()}"


def value_of(code: str) -> st.SearchStrategy[Any]:
    if code == "f":
        return st.floats(width=32, allow_nan=False)
    if code.endswith("s"):
        return st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=15)
    return st.integers(0, RANGES[code])


def message_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    codes = [code for code in kind.CODES.split() if not code.endswith("x")]
    return st.builds(kind, *map(value_of, codes))


@given(st.one_of([message_of(kind) for kind in MESSAGES]), st.integers(0, RANGES["I"]))
def test_message_encoded_and_decoded_is_the_same(message: Message, request_number: int) -> None:
    """Every message with every value survives the wire, with its request number."""
    assert decode(encode(message, request=request_number)) == (request_number, message)


@given(st.binary(max_size=300))
def test_decode_any_bytes_raises_nothing_but_request_errors(packet: bytes) -> None:
    """Bytes from anybody are refused with a code, never with a crash."""
    with pytest.raises(RequestError):
        decode(packet)


@given(st.sampled_from(MESSAGES), st.binary(max_size=250))
def test_decode_good_header_and_any_body_raises_nothing_but_request_errors(
    kind: type[Message], body: bytes
) -> None:
    """A body of another size is refused; one of the right size is read or refused."""
    packet = HEADER.pack(MAGIC, VERSION, kind.TYPE, HEADER.size + len(body), 1) + body
    if len(packet) != message_bytes(kind):
        with pytest.raises(RequestError, match="says"):
            decode(packet)
    else:
        with contextlib.suppress(RequestError):  # a text that is not UTF-8
            assert isinstance(decode(packet)[1], kind)


@pytest.mark.parametrize(
    ("position", "value", "code"),
    [
        (0, MAGIC + 1, ErrorCode.INVALID_PARAM),
        (1, VERSION + 1, ErrorCode.UNREALIZED),
        (2, 0, ErrorCode.INVALID_PARAM),
        (2, 12, ErrorCode.INVALID_PARAM),
        (3, 17, ErrorCode.INVALID_PARAM),
    ],
)
def test_decode_header_with_one_wrong_field_is_refused(
    position: int, value: int, code: ErrorCode
) -> None:
    """Each field of the header is looked at."""
    head = [MAGIC, VERSION, int(MessageType.BYE), HEADER.size, 1]
    assert decode(HEADER.pack(*head)) == (1, Bye())
    head[position] = value
    with pytest.raises(RequestError) as caught:
        decode(HEADER.pack(*head))
    assert caught.value.code is code


def test_decode_text_that_is_not_utf8_is_refused() -> None:
    """A name of wild bytes is not let in."""
    packet = bytearray(encode(Hello("door", 2, 2, 1, 3)))
    packet[HEADER.size] = 0xFF
    with pytest.raises(RequestError, match="not UTF-8"):
        decode(bytes(packet))


def test_encode_long_text_is_cut_on_a_character() -> None:
    """A text that does not fit loses whole characters and keeps its closing NUL."""
    packet = encode(Error(1, 0, "é" * 150))
    text = decode(packet)[1].text  # type: ignore[attr-defined]
    assert text == "é" * 99
    assert packet[-1] == 0


def header_text() -> str:
    return (resource_dir("proto") / "livegate_shm.h").read_text()


def c_enum(name: str) -> dict[str, int]:
    body = re.search(rf"enum {name} \{{(.*?)\}};", header_text(), re.S)
    assert body, name
    return {n: int(v) for n, v in re.findall(r"LIVEGATE_SHM_(\w+) = (\d+)", body[1])}


def test_enums_in_header_are_those_in_python() -> None:
    """Types, formats and reasons have one number each, in both languages."""
    assert c_enum("livegate_shm_type") == {t.name: t.value for t in layout.MessageType}
    assert c_enum("livegate_shm_pixel_format") == {t.name: t.value for t in layout.PixelFormat}
    assert c_enum("livegate_shm_reason") == {t.name: t.value for t in layout.DropReason}


C_TYPES = {"I": r"uint32_t", "Q": r"uint64_t", "f": r"float", "s": r"char"}


@pytest.mark.parametrize("kind", MESSAGES)
def test_header_file_read_as_text_has_the_fields_of_python(kind: type[Message]) -> None:
    """Without a compiler too: the same fields of the same types in the same order."""
    body = re.search(rf"struct {c_name(kind)} \{{(.*?)\n?\}} LIVEGATE", header_text(), re.S)
    assert body
    plain = re.sub(r"/\*.*?\*/", "", body[1], flags=re.S)
    found = re.findall(r"(struct livegate_shm_header|\w+) (\w+)(?:\[\w+\])?;", plain)
    names = iter(kind.__struct_fields__)
    wanted = [("struct livegate_shm_header", "header")]
    for code in kind.CODES.split():
        if code.endswith("x"):
            wanted.append(("uint32_t", "reserved"))
        else:
            wanted.append((C_TYPES[code[-1]], next(names)))
    assert found == wanted


def test_compiled_header_has_the_sizes_and_offsets_of_python(tmp_path: Path) -> None:
    """The C compiler's own word on every size, offset and constant."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here: apt install gcc")
    lines = []
    wanted = {"magic": MAGIC, "version": VERSION, "camera": layout.CAMERA_BYTES}
    wanted["text"] = layout.TEXT_BYTES
    lines.append(
        'printf("magic %zu\\nversion %zu\\ncamera %zu\\ntext %zu\\n", (size_t)LIVEGATE_SHM_MAGIC, '
        "(size_t)LIVEGATE_SHM_VERSION, (size_t)LIVEGATE_SHM_CAMERA_BYTES, "
        "(size_t)LIVEGATE_SHM_TEXT_BYTES);"
    )
    for kind in MESSAGES:
        name = c_name(kind)
        wanted[name] = message_bytes(kind)
        lines.append(f'printf("{name} %zu\\n", sizeof(struct {name}));')
        for field, offset in field_offsets(kind).items():
            wanted[f"{name}.{field}"] = offset
            lines.append(f'printf("{name}.{field} %zu\\n", offsetof(struct {name}, {field}));')
    source = tmp_path / "sizes.c"
    body = "\n".join(lines)
    source.write_text(
        f'#include <stdio.h>\n#include "livegate_shm.h"\nint main(void) {{\n{body}\nreturn 0; }}\n'
    )
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{resource_dir('proto')}"]
    subprocess.run([compiler, *flags, str(source), "-o", str(tmp_path / "sizes")], check=True)
    output = subprocess.run([str(tmp_path / "sizes")], check=True, capture_output=True, text=True)
    found = dict(line.split() for line in output.stdout.splitlines())
    assert {name: int(value) for name, value in found.items()} == wanted


def test_header_file_compiles_as_cpp(tmp_path: Path) -> None:
    """A C++ integrator includes the same file."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler here: apt install g++")
    source = tmp_path / "empty.cpp"
    source.write_text('#include "livegate_shm.h"\nint main() { return 0; }\n')
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{resource_dir('proto')}"]
    subprocess.run([compiler, *flags, "-fsyntax-only", str(source)], check=True)


def test_header_struct_is_sixteen_bytes() -> None:
    """The header's own layout, which `field_offsets` builds on."""
    assert HEADER.size == struct.calcsize("<IHHII") == 16
