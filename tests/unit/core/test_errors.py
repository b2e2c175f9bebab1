"""The error table against the contract, the documentation and the exceptions that carry it."""

from __future__ import annotations

import grpc
import pytest

from livegate.core.errors import (
    AuthError,
    DeadlineError,
    EngineError,
    ErrorCode,
    LiveGateError,
    QueueError,
    RequestError,
    SetupError,
    as_livegate_error,
    errors_markdown,
)
from support import ROOT, shared

SEED_MISPRINTS = {1004: "nvalid parameter"}
DISPLACED_CHINESE = {2001, 2002, 2003, 2004}


def contract_rows() -> list[tuple[int, str, str, str]]:
    """Number, symbol, English and Chinese of every row of the contract's table."""
    text = shared("seeds", "000_8f029d881a3fd524.txt").read_text(encoding="utf-8")
    cells = (
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| APP_ERR_")
    )
    return [(int(code), symbol, english, chinese) for symbol, code, chinese, english in cells]


def test_error_table_has_fifty_codes() -> None:
    """The table has as many codes as the contract, each with a number and a symbol of its own."""
    assert len(ErrorCode) == 50
    assert len({code.symbol for code in ErrorCode}) == 50


def test_error_table_numbers_and_symbols_equal_the_contract() -> None:
    """Numbers and symbols are the contract's, in its order."""
    assert [(int(c), c.symbol) for c in ErrorCode] == [row[:2] for row in contract_rows()]


def test_error_table_english_equals_the_contract_but_for_its_misprint() -> None:
    """English texts are the contract's letter for letter; only 1004 has its first letter back."""
    told = {code: english for code, _, english, _ in contract_rows()}
    assert {code: told[code] for code in SEED_MISPRINTS} == SEED_MISPRINTS
    told[1004] = "Invalid parameter"
    assert {int(c): c.english for c in ErrorCode} == told


def test_error_table_chinese_equals_the_contract_but_for_the_displaced_rows() -> None:
    """Chinese texts are the contract's, except in the four rows where its column has slipped."""
    told = {code: chinese.replace(",", "，") for code, _, _, chinese in contract_rows()}
    ours = {int(c): c.chinese for c in ErrorCode}
    assert {code for code in told if ours[code] != told[code]} == DISPLACED_CHINESE


def test_error_table_displaced_chinese_is_one_row_up() -> None:
    """In the slipped rows our text is the one that the contract prints one row further down."""
    told = {code: chinese for code, _, _, chinese in contract_rows()}
    for code in (2001, 2002, 2003):
        assert ErrorCode(code).chinese == told[code + 1]


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.symbol)
def test_error_code_row_is_complete(code: ErrorCode) -> None:
    """Every code has texts, a gRPC status that exists, an HTTP status, and says what raises it."""
    assert code.english
    assert code.chinese
    assert code.origin
    assert code.grpc_status in grpc.StatusCode.__members__
    assert code.http_status == 200 if code is ErrorCode.OK else 400 <= code.http_status < 600
    assert code.origin != "reserved:"


def test_error_code_ok_is_the_only_success() -> None:
    """Only code 0 is rendered as OK in gRPC, so no error can look like an answer."""
    assert [c for c in ErrorCode if c.grpc_status == "OK"] == [ErrorCode.OK]


def test_error_code_reserved_is_read_from_origin() -> None:
    """`is_reserved` tells the codes that nothing raises from those that something does."""
    assert ErrorCode.FREE_MEM.is_reserved
    assert not ErrorCode.DECODE_FAIL.is_reserved


def test_errors_markdown_equals_the_documentation() -> None:
    """docs/errors.md is what the table generates."""
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert text.startswith(errors_markdown())  # the dialects' reserved codes follow


def test_errors_markdown_has_a_line_for_every_code() -> None:
    """Every code appears in the documentation with its symbol."""
    lines = errors_markdown().splitlines()
    for code in ErrorCode:
        assert any(line.startswith(f"| {int(code)} | {code.symbol} |") for line in lines)


def test_livegate_error_text_is_english_then_message() -> None:
    """What goes into `msg` is the table's English, then the message, without the hint."""
    error = RequestError(ErrorCode.PARAM_FAILURE, "image 2 is small", hint="send a larger one")
    assert error.text == "param check fail: image 2 is small"


def test_livegate_error_str_has_number_symbol_message_and_hint() -> None:
    """The line that a log shows has the number, the symbol, the fact and what to do."""
    error = RequestError(ErrorCode.PARAM_FAILURE, "image 2 is small", hint="send a larger one")
    assert str(error) == "1031 APP_ERR_COMM_PARAM_FAILURE: image 2 is small (send a larger one)"


def test_livegate_error_without_hint_has_no_parentheses() -> None:
    """An error without a hint ends after its message."""
    assert str(SetupError(ErrorCode.INIT_FAIL, "no")) == "1013 APP_ERR_COMM_INIT_FAIL: no"


def test_livegate_error_fields_are_not_shared_between_errors() -> None:
    """Two errors made without fields do not write into one dictionary."""
    first, second = QueueError(ErrorCode.QUEUE_FULL, "a"), QueueError(ErrorCode.QUEUE_FULL, "b")
    first.fields["key"] = "value"
    assert second.fields == {}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AuthError("who?"), ErrorCode.NO_PERMISSION),
        (EngineError("broken"), ErrorCode.MODELINFER_FAIL),
        (DeadlineError("late"), ErrorCode.TIMEOUT),
    ],
)
def test_livegate_error_of_one_code_carries_it(error: LiveGateError, code: ErrorCode) -> None:
    """The classes that stand for one code always carry that code."""
    assert error.code is code


def test_auth_error_is_a_request_error() -> None:
    """Whoever catches what the caller can mend catches missing credentials too."""
    assert isinstance(AuthError("who?"), RequestError)


def test_as_livegate_error_of_ours_is_the_same_object() -> None:
    """An error of ours keeps its number, hint and fields."""
    error = QueueError(ErrorCode.QUEUE_FULL, "full")
    assert as_livegate_error(error) is error


def test_as_livegate_error_of_memory_error_is_1006() -> None:
    """Running out of memory has a number of its own."""
    assert as_livegate_error(MemoryError()).code is ErrorCode.OUT_OF_MEM


@pytest.mark.parametrize("error", [ValueError("secret path"), KeyError("x"), KeyboardInterrupt()])
def test_as_livegate_error_of_anything_else_is_1002_without_its_text(error: BaseException) -> None:
    """An unexpected exception is 1002; only its type goes out, never its text."""
    ours = as_livegate_error(error)
    assert ours.code is ErrorCode.INNER
    assert type(error).__name__ in ours.message
    assert "secret" not in str(ours)
