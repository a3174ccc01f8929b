"""An error that we answer in moto's place, in the protocol of whoever asked. Pure."""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

from turnout.errors import AwsError
from turnout.gateway.moto.request import Reply, Request

_XML_SERVICES = frozenset({"s3", "route53", "cloudfront"})


def refuse(request: Request, error: AwsError) -> Reply:
    """XML to callers of the query and rest-xml protocols, JSON to all others."""
    form = request.by_name.get("content-type", "").startswith("application/x-www-form-urlencoded")
    described = f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
    if request.service == "s3":
        return error.status, [("content-type", "application/xml")], described.encode()
    if form or request.service in _XML_SERVICES:
        body = f"<ErrorResponse>{described}</ErrorResponse>"
        return error.status, [("content-type", "text/xml")], body.encode()
    headers = [("content-type", "application/x-amz-json-1.1"), ("x-amzn-errortype", error.code)]
    return error.status, headers, json.dumps({"__type": error.code, "message": error.message}).encode()
