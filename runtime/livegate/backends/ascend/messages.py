"""ACL's error numbers in our table: the number, its name and its own words stay in the message.

Source: CANN, aclError (1xxxxx: the caller or the environment; 2xxxxx: resources; 3xxxxx: the work;
5xxxxx: inside): hiascend.com, runtime API, data types, aclError; get_recent_err_msg.
"""

from __future__ import annotations

from typing import Any

from livegate.core.errors import EngineError, ErrorCode, SetupError, first_line

REPEATED_INIT = 100002
NAMES = {
    100000: "ACL_ERROR_INVALID_PARAM",
    100001: "ACL_ERROR_UNINITIALIZE",
    100003: "ACL_ERROR_INVALID_FILE",
    100011: "ACL_ERROR_INVALID_MODEL_ID",
    100012: "ACL_ERROR_DESERIALIZE_MODEL",
    100013: "ACL_ERROR_PARSE_MODEL",
    100016: "ACL_ERROR_MODEL_MISSING_ATTR",
    100017: "ACL_ERROR_MODEL_INPUT_NOT_MATCH",
    100018: "ACL_ERROR_MODEL_OUTPUT_NOT_MATCH",
    100039: "ACL_ERROR_COMPILING_STUB_MODE",
    107000: "ACL_ERROR_RT_PARAM_INVALID",
    107001: "ACL_ERROR_RT_INVALID_DEVICEID",
    107002: "ACL_ERROR_RT_CONTEXT_NULL",
    107003: "ACL_ERROR_RT_STREAM_CONTEXT",
    107004: "ACL_ERROR_RT_MODEL_CONTEXT",
    107005: "ACL_ERROR_RT_STREAM_MODEL",
    107017: "ACL_ERROR_RT_INVALID_HANDLE",
    107019: "ACL_ERROR_RT_WAIT_TIMEOUT",
    107020: "ACL_ERROR_RT_TASK_TIMEOUT",
    107023: "ACL_ERROR_RT_STREAM_ABORT",
    200000: "ACL_ERROR_BAD_ALLOC",
    200002: "ACL_ERROR_INVALID_DEVICE",
    200004: "ACL_ERROR_RESOURCE_NOT_MATCH",
    200005: "ACL_ERROR_INVALID_RESOURCE_HANDLE",
    207000: "ACL_ERROR_RT_FEATURE_NOT_SUPPORT",
    207001: "ACL_ERROR_RT_MEMORY_ALLOCATION",
    207002: "ACL_ERROR_RT_MEMORY_FREE",
    207003: "ACL_ERROR_RT_AICORE_OVER_FLOW",
    207004: "ACL_ERROR_RT_NO_DEVICE",
    207005: "ACL_ERROR_RT_RESOURCE_ALLOC_FAIL",
    207006: "ACL_ERROR_RT_NO_PERMISSION",
    207008: "ACL_ERROR_RT_NO_STREAM_RESOURCE",
    207010: "ACL_ERROR_RT_NO_MODEL_RESOURCE",
    300000: "ACL_ERROR_STORAGE_OVER_LIMIT",
    500000: "ACL_ERROR_INTERNAL_ERROR",
    500001: "ACL_ERROR_FAILURE",
    500002: "ACL_ERROR_GE_FAILURE",
    500003: "ACL_ERROR_RT_FAILURE",
    500004: "ACL_ERROR_DRV_FAILURE",
}
OURS = {
    **dict.fromkeys((200000, 207001, 207005, 207008, 207010, 300000), ErrorCode.ALLOC_MEM),
    **dict.fromkeys((107003, 107005, 107017, 107023, 200004, 200005), ErrorCode.STREAM_INVALID),
    **dict.fromkeys((107019, 107020), ErrorCode.TIMEOUT),
    **dict.fromkeys((100001, 100039, 107001, 200002, 207004, 207006, 500004), ErrorCode.INIT_FAIL),
}
"""What a number is whatever was being done; every other one is the failure of what was done."""
HINTS = {
    ErrorCode.ALLOC_MEM: "free memory of the NPU, or set fewer workers (server.workers)",
    ErrorCode.INIT_FAIL: "`npu-smi info` shows the device; the user has to be in the group HwHiAiUser",
}
MAX_SAID_CHARS = 300


class AclError(Exception):
    """A call of ACL failed: its number, the call, and what ACL says of it."""

    def __init__(self, status: int, call: str, said: str = "") -> None:
        """Keep all three."""
        name = NAMES.get(status, "no name in our table")
        super().__init__(f"{call}: ACL error {status} ({name}){f': {said}' if said else ''}")
        self.status = status
        self.call = call

    @property
    def fields(self) -> dict[str, str]:
        """For machines."""
        return {"acl_code": str(self.status), "acl_call": self.call}


def check(acl: Any, call: str, status: int) -> None:
    """Hold that a call succeeded.

    Raises:
        AclError: it did not.
    """
    if status != 0:
        raise AclError(int(status), call, _recent(acl))


def setup_error(fact: str, error: AclError) -> SetupError:
    """What went wrong before anything ran: MODELINIT_FAIL, where the number says nothing else."""
    code = OURS.get(error.status, ErrorCode.MODELINIT_FAIL)
    return SetupError(code, f"{fact}: {error}", hint=HINTS.get(code, ""), fields=error.fields)


def run_error(fact: str, error: AclError) -> EngineError:
    """What went wrong while a network ran: MODELINFER_FAIL, where the number says nothing else."""
    code = OURS.get(error.status, ErrorCode.MODELINFER_FAIL)
    return EngineError(f"{fact}: {error}", code=code, fields=error.fields)


def _recent(acl: Any) -> str:
    """The thread's last error in ACL's own words; older releases have none."""
    tell = getattr(acl, "get_recent_err_msg", None)
    try:
        said = tell() if tell else ""
    except Exception as error:  # noqa: BLE001 - the words are an extra
        return first_line(error)
    return " ".join(str(said or "").split())[:MAX_SAID_CHARS]
