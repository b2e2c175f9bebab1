"""The gRPC face: one method, BytesValue there and back. Ray Serve's proxy imports `add_judge`."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import BytesValue

SERVICE = "livegate.peers.Judge"


def add_judge(servicer: Any, server: Any) -> None:
    """What protoc would generate for `rpc Judge(BytesValue) returns (BytesValue)`."""
    method = grpc.unary_unary_rpc_method_handler(
        servicer.Judge,
        request_deserializer=BytesValue.FromString,
        response_serializer=BytesValue.SerializeToString,
    )
    handler = grpc.method_handlers_generic_handler(SERVICE, {"Judge": method})
    server.add_generic_rpc_handlers((handler,))
