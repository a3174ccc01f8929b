"""Bodies that a client has compressed: SDKs do it by themselves for operations with the trait requestCompression.

PutMetricData above 10 KiB is such a one. https://docs.aws.amazon.com/sdkref/latest/guide/feature-compression.html
"""

from __future__ import annotations

import zlib
from dataclasses import replace

from turnout.errors import AwsError
from turnout.gateway.protocol import Wire

LARGEST_BYTES = 64 * 2**20
"""Of a body that has been opened: a few kilobytes could fill the memory otherwise."""
_GZIP = 16 + zlib.MAX_WBITS


def opened(wire: Wire) -> Wire:
    """The request with its body as it was before it was compressed. Raises AwsError.

    To S3 an encoding is a property of the object, which is kept as it comes; its requests are neither of these kinds.
    """
    is_call = "x-amz-target" in wire.headers or "smithy-protocol" in wire.headers or is_form(wire)
    if not is_call or wire.headers.get("content-encoding", "").lower() != "gzip":
        return wire
    reader = zlib.decompressobj(_GZIP)
    try:
        body = reader.decompress(wire.body, LARGEST_BYTES)
    except zlib.error as error:
        raise AwsError(
            "SerializationException", f"the body is not gzip, as its Content-Encoding says: {error}"
        ) from error
    if len(body) >= LARGEST_BYTES:
        raise AwsError("RequestEntityTooLargeException", f"the body opens to more than {LARGEST_BYTES} bytes", 413)
    if not reader.eof:
        raise AwsError(
            "SerializationException", "the body is not gzip, as its Content-Encoding says: it ends too early"
        )
    return replace(wire, body=body)


def is_form(wire: Wire) -> bool:
    """Whether the parameters of the query protocol are in the body."""
    return wire.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
