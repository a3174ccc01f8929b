"""Which requests change what moto keeps. Pure, and conservative: what is not clearly a read is journaled."""

from __future__ import annotations

import re

from turnout.gateway.moto.request import Request

_READS = re.compile(
    r"Describe|List|Get|BatchGet|BatchDescribe|Head|Search|Query$|Scan$|Lookup|Filter|Validate|Simulate|Check"
)

WRITING_READS = {
    ("ec2", "DescribeReservedInstancesOfferings"): "makes the offerings when they are first asked for",
    ("kms", "DescribeKey"): "makes AWS's own keys when they are first asked for",
    ("kms", "ListAliases"): "the same",
    ("sts", "GetSessionToken"): "makes credentials",
    ("sts", "GetFederationToken"): "makes credentials",
}
"""Reads by their name that moto writes at."""

HARMLESS = {
    ("kms", "Decrypt"),
    ("kms", "Encrypt"),
    ("kms", "GenerateDataKey"),
    ("kms", "Sign"),
    ("kms", "Verify"),
}
"""Not reads by their name, yet they leave nothing behind."""

_INVOCATION = re.compile(r"/[\d-]+/functions/[^/]+/(?:invocations|invoke-async|response-streaming-invocations)/?")


def is_read(request: Request) -> bool:
    """Whether the request may be left out of the journal."""
    operation = request.operation
    if operation is None:
        return request.method in ("GET", "HEAD", "OPTIONS")
    named = (request.service or "", operation)
    if named in WRITING_READS:
        return False
    return named in HARMLESS or _READS.match(operation) is not None


def is_invocation(request: Request) -> bool:
    """Whether it asks for a Lambda function to run. Nothing here runs one, and moto's answer would be made up."""
    return request.operation is None and _INVOCATION.fullmatch(request.path) is not None
