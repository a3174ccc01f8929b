"""Conditions of rules: checked, and brought into the shape in which ELB describes them. Pure."""

from __future__ import annotations

import ipaddress
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
    config = dict(condition.get(CONFIGS[field]) or {})
    if field in WITH_PLAIN_VALUES and "Values" not in config:
        config["Values"] = list(condition.get("Values") or [])
    if not config.get("Values"):
        raise AwsError("ValidationError", f"A condition value must be specified for the condition field '{field}'")
    if field == "http-header" and not config.get("HttpHeaderName"):
        raise AwsError("ValidationError", "HttpHeaderName must be specified")
    if field == "source-ip":
        for value in config["Values"]:
            _check_network(value)
    normal: Document = {"Field": field, CONFIGS[field]: config}
    if field in WITH_PLAIN_VALUES:
        normal["Values"] = config["Values"]
    return normal


def _check_network(value: str) -> None:
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise AwsError("ValidationError", f"'{value}' is not an address range in CIDR format") from error
    if network.version == 6 and network.prefixlen != 128:
        raise AwsError("InvalidConfigurationRequest", "turnout does not implement ranges of IPv6 addresses yet")
