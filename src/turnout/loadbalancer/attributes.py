"""Attributes of load balancers, target groups and listeners: their defaults, and which values turnout makes true."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnout.errors import AwsError

Test = Callable[[str], bool]


def _one_of(*values: str) -> Test:
    return lambda value: value in values


@dataclass(frozen=True)
class _Between:
    """What AWS itself refuses outside of its limits."""

    low: int
    high: int

    def __call__(self, value: str) -> bool:
        return value.isdigit() and self.low <= int(value) <= self.high


ANY = _one_of  # () accepts the default alone
SWITCH = _one_of("true", "false")

Table = Mapping[str, tuple[str, Test]]

BALANCER: Table = {
    "access_logs.s3.enabled": ("false", ANY()),
    "access_logs.s3.bucket": ("", ANY()),
    "access_logs.s3.prefix": ("", ANY()),
    "client_keep_alive.seconds": ("3600", ANY()),
    "connection_logs.s3.enabled": ("false", ANY()),
    "connection_logs.s3.bucket": ("", ANY()),
    "connection_logs.s3.prefix": ("", ANY()),
    "deletion_protection.enabled": ("false", SWITCH),
    "health_check_logs.s3.enabled": ("false", ANY()),
    "health_check_logs.s3.bucket": ("", ANY()),
    "health_check_logs.s3.prefix": ("", ANY()),
    "idle_timeout.timeout_seconds": ("60", _Between(1, 4000)),
    "ipv6.deny_all_igw_traffic": ("false", ANY()),
    "load_balancing.cross_zone.enabled": ("true", ANY()),
    "routing.http.desync_mitigation_mode": ("defensive", ANY()),
    "routing.http.drop_invalid_header_fields.enabled": ("false", ANY()),
    "routing.http.preserve_host_header.enabled": ("false", SWITCH),  # the Host header is always passed on as it came
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": ("false", ANY()),
    "routing.http.xff_client_port.enabled": ("false", ANY()),
    "routing.http.xff_header_processing.mode": ("append", ANY()),
    "routing.http2.enabled": ("true", SWITCH),  # of HTTPS listeners only
    "waf.fail_open.enabled": ("false", ANY()),
    "zonal_shift.config.enabled": ("false", ANY()),
}

GROUP: Table = {
    "deregistration_delay.timeout_seconds": ("300", _Between(0, 3600)),
    "load_balancing.algorithm.type": ("round_robin", _one_of("round_robin", "least_outstanding_requests")),
    "load_balancing.algorithm.anomaly_mitigation": ("off", ANY()),
    "load_balancing.cross_zone.enabled": ("use_load_balancer_configuration", SWITCH),  # there is one zone
    "slow_start.duration_seconds": ("0", lambda value: value == "0" or _Between(30, 900)(value)),
    "stickiness.enabled": ("false", ANY()),
    "stickiness.type": ("lb_cookie", _one_of("lb_cookie", "app_cookie")),
    "stickiness.app_cookie.cookie_name": ("", lambda value: True),
    "stickiness.app_cookie.duration_seconds": ("86400", _Between(1, 604800)),
    "stickiness.lb_cookie.duration_seconds": ("86400", _Between(1, 604800)),
    "target_group_health.dns_failover.minimum_healthy_targets.count": ("1", ANY()),
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": ("off", ANY()),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": ("1", ANY()),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": ("off", ANY()),
}

LISTENER: Table = {
    "routing.http.response.server.enabled": ("true", ANY()),
    **{
        f"routing.http.response.{header}.header_value": ("", ANY())
        for header in (
            "strict_transport_security",
            "access_control_allow_origin",
            "access_control_allow_methods",
            "access_control_allow_headers",
            "access_control_allow_credentials",
            "access_control_expose_headers",
            "access_control_max_age",
            "content_security_policy",
            "x_content_type_options",
            "x_frame_options",
        )
    },
}


def with_defaults(table: Table, kept: Mapping[str, str]) -> dict[str, str]:
    """Every attribute with its value."""
    return {key: kept.get(key, default) for key, (default, _) in table.items()}


def described(table: Table, kept: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(with_defaults(table, kept).items())]


def changed(table: Table, kept: Mapping[str, str], attributes: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What is kept after a modification. Raises AwsError for a key that is none, and a value that would do nothing."""
    now = dict(kept)
    for attribute in attributes:
        key, value = attribute.get("Key", ""), attribute.get("Value", "")
        if key not in table:
            raise AwsError("InvalidConfigurationRequest", f"Attribute key '{key}' is not recognized")
        default, is_made_true = table[key]
        if isinstance(is_made_true, _Between) and not is_made_true(value):
            between = f"{is_made_true.low}-{is_made_true.high}"
            raise AwsError("ValidationError", f"'{key}' value '{value}' must be between '{between}' inclusive")
        if value != default and not is_made_true(value):
            raise AwsError(
                "InvalidConfigurationRequest",
                f"turnout cannot make the attribute {key} = '{value}' true; what it can is its default, '{default}',"
                " and what docs/operations.md lists",
            )
        now[key] = value
    return now
