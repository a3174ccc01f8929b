"""S3 requests in the one form that moto reads well: the bucket in the path, the body as it is. Pure.

What SDKs send otherwise: the bucket in the host name, and bodies in aws-chunked encoding with the checksum behind.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

from __future__ import annotations

import re
from dataclasses import replace

from turnout.gateway.moto.request import Request

_SUFFIXES = (".localhost.localstack.cloud", ".localhost", ".amazonaws.com", ".amazonaws.com.cn")
_ENDPOINT = re.compile(
    r"^(?:(?P<bucket>.+?)\.)?s3(?:-accelerate|-fips)?(?:\.(?:dualstack|fips))?(?:[.-][a-z]{2}(?:-[a-z]+)+-\d)?$"
)
_TRANSFER_HEADERS = {"content-length", "transfer-encoding", "x-amz-decoded-content-length", "x-amz-trailer"}


def bucket_in_host(host: str) -> str | None:
    """The bucket that a Host header names (`b.s3.localhost:4566`, `b.localhost`); None in path style."""
    name = re.sub(r":\d+$", "", host)
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            front = name.removesuffix(suffix)
            if match := _ENDPOINT.match(front):
                return match["bucket"]
            return None if "amazonaws" in suffix else front
    return None


def is_for_s3(request: Request) -> bool:
    """S3 is the service that people call without a signature, and without naming an operation."""
    return request.service == "s3" or (request.service is None and request.operation is None)


def plain(request: Request) -> Request:
    """The same request in path style to AWS's own host name, its body decoded, trailing checksums in the head."""
    path = request.path_and_query
    if bucket := bucket_in_host(request.by_name.get("host", "")):
        path = f"/{bucket}{path}"
    headers = [(name, value) for name, value in request.headers if name.lower() != "host"]
    headers.append(("Host", f"s3.{request.region or 'us-east-1'}.amazonaws.com"))
    request = replace(request, path_and_query=path, headers=headers)
    if request.by_name.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        return _without_chunks(request)
    return request


def _without_chunks(request: Request) -> Request:
    body, trailers = decode_chunks(request.body)
    headers = []
    for name, value in request.headers:
        lower = name.lower()
        if lower == "content-encoding":
            encodings = [word for word in re.split(r"\s*,\s*", value) if word and word != "aws-chunked"]
            headers += [(name, ",".join(encodings))] if encodings else []
        elif lower == "x-amz-content-sha256":
            headers.append((name, "UNSIGNED-PAYLOAD"))
        elif lower not in _TRANSFER_HEADERS:
            headers.append((name, value))
    headers += [(name, value) for name, value in trailers if name.startswith("x-amz-checksum-")]
    return replace(request, headers=[*headers, ("Content-Length", str(len(body)))], body=body)


def decode_chunks(body: bytes) -> tuple[bytes, list[tuple[str, str]]]:
    """The payload of an aws-chunked body, and its trailing headers. Raises ValueError if it is torn."""
    view, at, pieces = memoryview(body), 0, []
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end].partition(b";")[0], 16)
        at = end + 2
        if size == 0:
            break
        if body[at + size : at + size + 2] != b"\r\n":
            raise ValueError(f"the chunk at byte {at} is not {size} bytes long")
        pieces.append(view[at : at + size])
        at += size + 2
    lines = body[at:].decode("latin-1").split("\r\n")
    trailers = [line.partition(":") for line in lines if ":" in line]
    return b"".join(pieces), [(name.strip().lower(), value.strip()) for name, _, value in trailers]
