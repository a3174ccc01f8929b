"""Conditions of rules: checked, and brought into the shape in which ELB describes them. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

from turnout.errors import AwsError

Document = dict[str, Any]

CONFIGS = {
    "path-pattern": "PathPatternConfig",
    "host-header": "HostHeaderConfig",
    "http-header": "HttpHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "query-string": "QueryStringConfig",
    "source-ip": "SourceIpConfig",
}
WITH_PLAIN_VALUES = ("path-pattern", "host-header")
"""Their values may be given, and are always described, in both ways."""
MOST_VALUES = 5
LONGEST_VALUE = 128
LONGEST_NAME = 40
"""Characters, of a header's or a method's name."""
_METHOD = re.compile(r"[A-Z_-]+")
AT_MOST_ONCE = ("path-pattern", "host-header", "http-request-method", "source-ip")


def normal_conditions(conditions: Sequence[Mapping[str, Any]]) -> list[Document]:
    """The conditions as Describe shows them. Raises AwsError for what ELB, or turnout, does not accept."""
    normal = [_normal(condition) for condition in conditions]
    for field in AT_MOST_ONCE:
        if sum(condition["Field"] == field for condition in normal) > 1:
            raise AwsError("ValidationError", f"A rule can have one condition of type '{field}'")
    values = sum(len(condition[CONFIGS[condition["Field"]]]["Values"]) for condition in normal)
    if values > MOST_VALUES:
        raise AwsError("ValidationError", f"A rule has {MOST_VALUES} condition values at most, this one has {values}")
    return normal


def _normal(condition: Mapping[str, Any]) -> Document:
    field = condition.get("Field")
    if field not in CONFIGS:
        raise AwsError("ValidationError", f"Condition field '{field}' must be one of '[{', '.join(CONFIGS)}]'")
    if condition.get("RegexValues") or (condition.get(CONFIGS[field]) or {}).get("RegexValues"):
        raise AwsError("InvalidConfigurationRequest", "turnout does not implement regular expressions in rules yet")
    config = _config(condition, field)
    for value in config["Values"]:
        _check_value(field, value)
    if field == "http-header":
        name = config.get("HttpHeaderName")
        if not name:
            raise AwsError("ValidationError", "HttpHeaderName must be specified")
        _check_length("HttpHeaderName", name, LONGEST_NAME)
    normal: Document = {"Field": field, CONFIGS[field]: config}
    if field in WITH_PLAIN_VALUES:
        normal["Values"] = config["Values"]
    return normal


def _config(condition: Mapping[str, Any], field: str) -> Document:
    """What a condition looks at, with the values that it looks for: one at least."""
    member, plain = CONFIGS[field], condition.get("Values")
    if field not in WITH_PLAIN_VALUES:
        if plain:
            raise AwsError("ValidationError", f"The 'Values' field is not compatible with '{field}'")
        if condition.get(member) is None:
            raise AwsError("ValidationError", f"A '{member}' must be specified with '{field}'")
        if not condition[member].get("Values"):
            raise AwsError("ValidationError", f"A '{field}' value must be specified")
        return dict(condition[member])
    if plain and condition.get(member):
        raise AwsError(
            "ValidationError", f"You cannot provide both Values and '{member}' for a condition of type '{field}'"
        )
    if plain and len(plain) > 1:
        raise AwsError("ValidationError", f"The '{field}' field contains too many values; the limit is '1'")
    values = plain or (condition.get(member) or {}).get("Values")
    if not values:
        raise AwsError("ValidationError", "A condition value must be specified")
    return {"Values": list(values)}


def _check_value(field: str, value: Any) -> None:
    match field:
        case "query-string":
            if value.get("Value") is None:
                raise AwsError("ValidationError", "A 'Value' must be specified in 'QueryStringKeyValuePair'")
            for member, text in value.items():
                _check_length(member, text, LONGEST_VALUE)
        case "source-ip":
            _check_network(value)
        case "http-request-method":
            _check_length(field, value, LONGEST_NAME)
            if not _METHOD.fullmatch(value):
                raise AwsError(
                    "ValidationError",
                    f"The '{field}' value is invalid; the allowed characters are A-Z, hyphen and underscore",
                )
        case _:
            _check_length(field, value, LONGEST_VALUE)


def _check_length(what: str, value: str, longest: int) -> None:
    if len(value) > longest:
        raise AwsError("ValidationError", f"The '{what}' value is too long; the limit is '{longest}'")


def _check_network(value: str) -> None:
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise AwsError("ValidationError", f"'{value}' is not an address range in CIDR format") from error
    if network.version == 6 and network.prefixlen != 128:
        raise AwsError("InvalidConfigurationRequest", "turnout does not implement ranges of IPv6 addresses yet")
