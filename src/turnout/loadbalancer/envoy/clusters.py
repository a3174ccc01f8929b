"""Target groups as Envoy's clusters, and their targets as its endpoints. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from turnout.loadbalancer.envoy.matches import Json
from turnout.loadbalancer.picture import Check, Endpoint, Group

TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ASSIGNMENT = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
USER_AGENT = "ELB-HealthChecker/2.0"
UNLIMITED = 1_000_000_000
POLICIES = {"round_robin": "ROUND_ROBIN", "least_outstanding_requests": "LEAST_REQUEST"}
SLOW_START = {"round_robin": "round_robin_lb_config", "least_outstanding_requests": "least_request_lb_config"}


def render_cluster(name: str, group: Group, endpoints: Path | Json, health_log: Path) -> Json:
    """Envoy's Cluster of a target group. `endpoints`: their file, or themselves."""
    cluster: Json = {
        "@type": TYPE,
        "name": name,
        "connect_timeout": "5s",
        "lb_policy": POLICIES[group.algorithm],
        # A deregistered target gets no new request even while its checks succeed.
        "ignore_health_on_host_removal": True,
        # ELB fails open when no target is healthy, and only then. Envoy knows whole percents.
        # Its workers hear of a change of health at once: by default Envoy gathers changes for a second.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}, "update_merge_window": "0s"},
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": UNLIMITED,
                    "max_pending_requests": UNLIMITED,
                    "max_requests": UNLIMITED,
                    "max_retries": UNLIMITED,
                }
            ]
        },
        # Shorter than the 5 s after which Node and uvicorn close an idle connection: else a request may meet the close.
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
                "common_http_protocol_options": {"idle_timeout": "4s"},
            }
        },
    }
    if isinstance(endpoints, Path):
        cluster.update(type="EDS", eds_cluster_config={"eds_config": file_source(endpoints)})
    else:
        inner = {member: value for member, value in endpoints.items() if member != "@type"}
        cluster.update(type="STATIC", load_assignment=inner)
    if group.slow_start_s:
        cluster[SLOW_START[group.algorithm]] = {"slow_start_config": {"slow_start_window": f"{group.slow_start_s}s"}}
    if group.check is not None:
        cluster["health_checks"] = [render_check(group.check, health_log)]
    return cluster


def render_check(check: Check, health_log: Path) -> Json:
    """Envoy's HealthCheck: the first is at once, one success is enough for a new target."""
    interval = f"{check.interval_s}s"
    return {
        "timeout": f"{check.timeout_s}s",
        "interval": interval,
        "no_traffic_interval": interval,
        "no_traffic_healthy_interval": interval,
        "healthy_threshold": check.healthy_threshold,
        "unhealthy_threshold": check.unhealthy_threshold,
        "reuse_connection": False,
        "always_log_health_check_failures": True,
        "event_logger": [
            {
                "name": "envoy.health_check.event_sinks.file",
                "typed_config": {
                    "@type": "type.googleapis.com/"
                    "envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink",
                    "event_log_path": str(health_log),
                },
            }
        ],
        "http_health_check": {
            "path": check.path,
            "expected_statuses": matcher_ranges(check.matcher),
            # Without it an unexpected status would make a target unhealthy at once, whatever the threshold.
            "retriable_statuses": [{"start": 100, "end": 600}],
            "request_headers_to_add": [
                {
                    "header": {"key": "user-agent", "value": USER_AGENT},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            ],
        },
    }


def matcher_ranges(matcher: str) -> list[Json]:
    """ "200,300-302" as half-open ranges."""
    ranges = []
    for part in matcher.split(","):
        first, _, last = part.strip().partition("-")
        ranges.append({"start": int(first), "end": int(last or first) + 1})
    return ranges


def render_assignment(name: str, endpoints: Sequence[Endpoint], healths: Sequence[bool] | None = None) -> Json:
    """Envoy's ClusterLoadAssignment of a target group. `healths`: what is known of each while it is not checked."""
    hosts = [_endpoint(endpoint) for endpoint in endpoints]
    for host, is_healthy in zip(hosts, healths or (), strict=False):
        host["health_status"] = "HEALTHY" if is_healthy else "UNHEALTHY"
    return {"@type": ASSIGNMENT, "cluster_name": name, "endpoints": [{"lb_endpoints": hosts}]}


def _endpoint(endpoint: Endpoint) -> Json:
    check: Json = {"hostname": f"{endpoint.host}:{endpoint.check_port}"}
    if endpoint.check_port != endpoint.port:
        check["port_value"] = endpoint.check_port
    address = {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}
    return {"endpoint": {"address": address, "health_check_config": check}}


def file_source(path: Path) -> Json:
    """Read from a file, and again whenever another is moved in its place.

    The watch is on that one name: with a `watched_directory` every move would make Envoy read all its neighbours."""
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}
