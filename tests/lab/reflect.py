"""A gRPC client that learns everything from the server: METHOD of the Inspect service, as JSON."""

import json
import sys
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

SERVICE = "dualpath.v1.Inspect"


def call(address: str, method: str, request: str) -> list[dict[str, Any]]:
    """Return every row that a streaming list method sends."""
    with grpc.insecure_channel(address) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        found = pool.FindServiceByName(SERVICE).FindMethodByName(method)
        ask, answer = GetMessageClass(found.input_type), GetMessageClass(found.output_type)
        stream = channel.unary_stream(
            f"/{SERVICE}/{method}", ask.SerializeToString, answer.FromString
        )
        pages = [json_format.MessageToDict(m) for m in stream(json_format.Parse(request, ask()))]
    return [
        row for page in pages for rows in page.values() if isinstance(rows, list) for row in rows
    ]


def main() -> None:
    address, method, request = sys.argv[1:]
    sys.stdout.write(json.dumps(call(address, method, request)))


if __name__ == "__main__":
    main()
