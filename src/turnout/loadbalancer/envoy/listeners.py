"""A port as Envoy's listener, and the process's own configuration. Pure.

Next to nothing that changes in the life of a load balancer is in here: Envoy replaces the chain of the listener, says
goodbye on the connections of the former one (`Connection: close`, GOAWAY), and closes them after its drain time, which
is a day (process.py). Where goodbyes are wanted there is a chain for each share of the connections.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from turnout.loadbalancer.envoy.clusters import file_source
from turnout.loadbalancer.envoy.matches import SOURCE_HEADER, Json
from turnout.loadbalancer.envoy.routes import ALL_ZERO, route_config_name
from turnout.loadbalancer.envoy.tls import INSPECTOR, Chain, chain_match, chain_matcher, transport_socket
from turnout.loadbalancer.picture import SHARES

TYPE = "type.googleapis.com/envoy.config.listener.v3.Listener"
_HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

BAD_GATEWAY = ["UF", "UC", "UR", "UPE"]
"""Envoy answers 503 when an application refuses, resets or garbles; ELB answers 502."""
FAILURES = ["LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NC", "URX", "SI", "UPE", "DT", "OM", "DO", "UMSDR"]
"""Response flags of requests without a complete answer, or with the balancer's. Not among them: clients that went
away (DC, DR), and malformed requests (DPE)."""

LOG_FORMAT = {
    "at": "%START_TIME(%s.%3f)%",
    "code": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "route": "%ROUTE_NAME%",
    "group": "%UPSTREAM_CLUSTER_RAW%",
    "authority": "%REQ(:AUTHORITY)%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "target": "%UPSTREAM_HOST%",
    "duration_ms": "%DURATION%",
}


@dataclass(frozen=True)
class Shape:
    """What of the sites of a port is in its listener itself."""

    source: bool = False
    """A rule asks for the address of the connection."""
    marks: tuple[int, ...] = ()
    """Of the shares into which the connections are parted; none: they are not."""
    chains: tuple[Chain, ...] = ()
    """Among which a connection chooses where TLS is spoken; none: it is not."""


def render_listener(
    port: int,
    host: str,
    bound_port: int,
    routes_file: Path,
    failure_log: Path,
    shape: Shape,
    secret_file: Callable[[str], Path],
) -> Json:
    """Envoy's Listener of a port of the API."""
    manager: Json = {
        "@type": _HTTP,
        "stat_prefix": route_config_name(port),
        "rds": {"route_config_name": route_config_name(port), "config_source": file_source(routes_file)},
        "use_remote_address": True,  # X-Forwarded-Proto and -Port are set, as ELB does
        "append_x_forwarded_port": True,
        # Envoy would name the machine's own address for a client on loopback: the routes append the real one.
        "skip_xff_append": True,
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        "http_protocol_options": {"accept_http_10": True},
        "common_http_protocol_options": {"idle_timeout": "3600s"},  # ELB's client keep-alive
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "stream_idle_timeout": "60s",
        "access_log": [_failure_log(failure_log)],
        "local_reply_config": {
            "mappers": [{"filter": {"response_flag_filter": {"flags": BAD_GATEWAY}}, "status_code": 502}]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            }
        ],
    }
    if shape.source:
        manager["early_header_mutation_extensions"] = [_SOURCE]
    listener: Json = {
        "@type": TYPE,
        "name": route_config_name(port),
        "address": {"socket_address": {"address": host, "port_value": bound_port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    sockets = [{"transport_socket": transport_socket(c.tls, secret_file)} if c.tls else {} for c in shape.chains]
    if shape.marks:
        # The name of a filter is nothing but a name: another one makes it another chain.
        listener["filter_chains"] = [
            {
                "name": f"{prefix}share-{number}",
                "filters": [{"name": f"http {mark}", "typed_config": manager}],
                **socket,
            }
            for prefix, socket in zip(_prefixes(shape), sockets or [{}], strict=True)
            for number, mark in enumerate(shape.marks)
        ]
        prefixes = _prefixes(shape)
        listener["filter_chain_matcher"] = chain_matcher(
            shape.chains, lambda number: _shares(len(shape.marks), prefixes[number])
        )
    elif shape.chains:
        listener["filter_chains"] = [
            {"filter_chain_match": chain_match(chain), "filters": [{"name": "http", "typed_config": manager}], **socket}
            for chain, socket in zip(shape.chains, sockets, strict=True)
        ]
    if shape.chains:
        listener["listener_filters"] = [INSPECTOR]
    return listener


def _prefixes(shape: Shape) -> list[str]:
    """Before the names of the shares of each chain."""
    return [f"chain-{number}-" for number in range(len(shape.chains))] or [""]


def marks_in(listener: Json) -> tuple[int, ...]:
    """The marks that a listener was rendered with."""
    names = [chain["filters"][0]["name"] for chain in listener["filter_chains"]][:SHARES]
    return tuple(int(name.removeprefix("http ")) for name in names) if "filter_chain_matcher" in listener else ()


def _shares(count: int, prefix: str) -> Json:
    """A connection's share is the last but one digit of its source port: kernels hand out even ports, or odd ones."""
    matchers = [
        {
            "predicate": {"single_predicate": {"input": _SOURCE_PORT, "value_match": _digit(number)}},
            "on_match": _chain(number, prefix),
        }
        for number in range(count - 1)
    ]
    return {"matcher_list": {"matchers": matchers}, "on_no_match": _chain(count - 1, prefix)}


def _digit(digit: int) -> Json:
    return {"safe_regex": {"google_re2": {}, "regex": f".*{digit}."}}


def _chain(number: int, prefix: str) -> Json:
    name = f"{prefix}share-{number}"
    value = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": name}
    return {"action": {"name": name, "typed_config": value}}


_SOURCE_PORT = {
    "name": "source port",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.SourcePortInput"},
}


_SOURCE = {
    "name": "source",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        "mutations": [
            {
                "append": {
                    "header": {"key": SOURCE_HEADER, "value": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            }
        ],
    },
}


def _failure_log(path: Path) -> Json:
    is_503 = {"comparison": {"op": "EQ", "value": {"default_value": 503, "runtime_key": "turnout.not_set"}}}
    all_zero = {
        "name": "all weights zero",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
            "expression": f"xds.route_name.startsWith('{ALL_ZERO}')",
        },
    }
    # The expression costs 3 µs, a fifteenth of a request: it is asked of 503s only.
    all_zero_503 = {"and_filter": {"filters": [{"status_code_filter": is_503}, {"extension_filter": all_zero}]}}
    return {
        "name": "failures",
        "filter": {"or_filter": {"filters": [{"response_flag_filter": {"flags": FAILURES}}, all_zero_503]}},
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(path),
            "log_format": {"json_format": LOG_FORMAT},
        },
    }


STATS: list[Json] = [
    {"safe_regex": {"regex": r"cluster\.[^.]+\.upstream_rq_(total|active|pending_active|completed|[2345]xx|time)"}},
    {"safe_regex": {"regex": r"(cluster\.[^.]+\.up|http\.port-\d+\.down)stream_cx_(total|active)"}},
    {"safe_regex": {"regex": r"http\.port-\d+\.downstream_(cx_drain_close|rq_active)"}},
    {"suffix": "update_rejected"},
    {"prefix": "server."},
]


def render_bootstrap(admin_socket: Path, clusters_file: Path, listeners_file: Path) -> Json:
    """What Envoy is started with: everything else comes from files that are replaced."""
    return {
        "node": {"id": "turnout", "cluster": "turnout"},
        "admin": {"address": {"pipe": {"path": str(admin_socket), "mode": 0o600}}},
        "stats_flush_on_admin": True,
        # Only what somebody reads: a question about one counter goes through all of them.
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": STATS}}},
        "dynamic_resources": {"cds_config": file_source(clusters_file), "lds_config": file_source(listeners_file)},
    }
