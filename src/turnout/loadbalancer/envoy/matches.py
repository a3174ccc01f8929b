"""Rule conditions as Envoy's route matches. Pure.

A rule's conditions must all hold; the values of one condition are alternatives. Envoy matches one path and any number
of headers, so everything that is not a lone path becomes a regular expression over a header or pseudo-header.
Wildcards are ELB's: `*` is any characters, `?` exactly one.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html#rule-condition-types
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Json = dict[str, Any]

SOURCE_HEADER = "x-turnout-source-ip"
"""The address of the connection, put there by the listener before routing and taken away behind it."""

_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


def match_for(conditions: Sequence[Mapping[str, Any]]) -> Json:
    """Envoy's RouteMatch of a rule; of every request if there are no conditions."""
    match: Json = {"prefix": "/"}
    headers: list[Json] = []
    has_path = False
    for condition in conditions:
        values = condition_values(condition)
        if condition["Field"] == "path-pattern" and not has_path:
            match, has_path = _path_match(values), True
        else:
            headers.append(_header_match(condition, values))
    if headers:
        match["headers"] = headers
    return match


def condition_values(condition: Mapping[str, Any]) -> list[Any]:
    """The alternatives of a condition, wherever AWS keeps them."""
    for member in _CONFIGS:
        if member in condition:
            return list(condition[member].get("Values", []))
    return list(condition.get("Values", []))


_CONFIGS = (
    "PathPatternConfig",
    "HostHeaderConfig",
    "HttpHeaderConfig",
    "HttpRequestMethodConfig",
    "QueryStringConfig",
    "SourceIpConfig",
)


def needs_source(rules: Iterable[Any]) -> bool:
    """Whether a rule asks where the connection comes from."""
    return any(condition["Field"] == "source-ip" for rule in rules for condition in rule.conditions)


def _path_match(values: Sequence[str]) -> Json:
    if len(values) == 1:
        value = values[0]
        if not re.search(r"[*?]", value):
            return {"path": value}
        if value.endswith("*") and not re.search(r"[*?]", value[:-1]) and value.startswith("/"):
            return {"prefix": value[:-1]}
    return {"safe_regex": {"regex": _any_of(values)}}


def _header_match(condition: Mapping[str, Any], values: Sequence[Any]) -> Json:
    field = condition["Field"]
    if field == "path-pattern":
        return _header(":path", rf"{_any_of(values)}(\?.*)?")
    if field == "host-header":
        return _header(":authority", rf"(?i){_any_of(values)}(:[0-9]+)?")
    if field == "http-header":
        return _header(condition["HttpHeaderConfig"]["HttpHeaderName"].lower(), f"(?i){_any_of(values)}")
    if field == "http-request-method":
        return _header(":method", "|".join(literal(value) for value in values))
    if field == "query-string":
        pairs = "|".join(_pair(pair.get("Key"), pair["Value"]) for pair in values)
        return _header(":path", rf"(?i)[^?]*\?(.*&)?({pairs})(&.*)?")
    if field == "source-ip":
        return _header(SOURCE_HEADER, "|".join(network_regex(value) for value in values))
    raise AssertionError(f"a condition on {field} got past the API")


def _header(name: str, regex: str) -> Json:
    return {"name": name, "string_match": {"safe_regex": {"regex": regex}}}


def _pair(key: str | None, value: str) -> str:
    name = "[^=&]*" if key is None else pattern(key, r"[^&=]")
    return f"{name}={pattern(value, '[^&]')}"


def _any_of(values: Sequence[str]) -> str:
    return f"({'|'.join(pattern(value) for value in values)})"


def pattern(text: str, any_character: str = ".") -> str:
    """ELB's wildcards as a regular expression; a backslash takes a wildcard's meaning away."""
    parts: list[str] = []
    characters = iter(text)
    for character in characters:
        if character == "\\":
            parts.append(literal(next(characters, "\\")))
        elif character == "*":
            parts.append(f"{any_character}*")
        elif character == "?":
            parts.append(any_character)
        else:
            parts.append(literal(character))
    return "".join(parts)


def literal(text: str) -> str:
    """`text` as RE2 reads it."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def network_regex(cidr: str) -> str:
    """The IPv4 addresses of a network as a regular expression; of IPv6 single addresses only."""
    network = ipaddress.ip_network(cidr, strict=False)
    if network.version == 6:
        return literal(str(network.network_address))
    first, last = int(network.network_address), int(network.broadcast_address)
    octets = []
    for shift in (24, 16, 8, 0):
        low, high = first >> shift & 255, last >> shift & 255
        octets.append(str(low) if low == high else f"({'|'.join(str(n) for n in range(low, high + 1))})")
    return r"\.".join("[0-9]+" if octet.count("|") == 255 else octet for octet in octets)
