"""A port's routes: a virtual host per load balancer, a route per rule. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from turnout.loadbalancer.envoy.matches import SOURCE_HEADER, Json, match_for
from turnout.loadbalancer.picture import Rule, Site, group_name

TYPE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
UNAVAILABLE = (
    "<html><head><title>503 Service Temporarily Unavailable</title></head>"
    "<body><center><h1>503 Service Temporarily Unavailable</h1></center></body></html>"
)
ALL_ZERO = "all-zero"
"""Marks, in the log of failures, the 503 of a rule whose weights are all zero."""
REDIRECTS = {"HTTP_301": "MOVED_PERMANENTLY", "HTTP_302": "FOUND"}

Ports = Callable[[int], int]
"""The port that answers for a port of the API."""


def route_config_name(port: int) -> str:
    return f"port-{port}"


def render_routes(port: int) -> Json:
    """Envoy's RouteConfiguration of a port, but for its virtual hosts."""
    return {
        "@type": TYPE,
        "name": route_config_name(port),
        "ignore_port_in_host_matching": True,
        "request_headers_to_add": [FORWARDED_FOR],
        "request_headers_to_remove": [SOURCE_HEADER, "x-envoy-internal", "x-envoy-external-address"],
    }


def claimed_domains(sites: Sequence[Site]) -> list[tuple[Site, tuple[str, ...]]]:
    """The domains of each site; what two of them claim is the first one's. Sites without any are left out."""
    taken: set[str] = set()
    claimed = []
    for site in sites:
        if domains := tuple(domain for domain in site.domains if domain not in taken):
            taken.update(domains)
            claimed.append((site, domains))
    return claimed


def render_host(site: Site, domains: Sequence[str], bound_port: Ports) -> Json:
    """Envoy's VirtualHost of a site."""
    return {
        "name": site.listener_arn,
        "domains": list(domains),
        "retry_policy": RETRIES,
        "routes": [_route(site, rule, bound_port) for rule in site.rules],
    }


def discovery(resource: str) -> tuple[str, str]:
    """The file of a resource, and its version: a hash, so that equal contents have equal versions."""
    version = hashlib.sha256(resource.encode()).hexdigest()[:8]
    return f'{{"version_info":"{version}","resources":[{resource}]}}', version


def compact(resource: Json) -> str:
    return json.dumps(resource, separators=(",", ":"))


def _route(site: Site, rule: Rule, bound_port: Ports) -> Json:
    # Refused actions (authenticate-*) never get here; what remains is one action, the last.
    action = rule.actions[-1]
    route: Json = {"name": site.listener_arn, "match": match_for(rule.conditions)}
    if action["Type"] == "forward":
        route.update(_forward(site, action))
    elif action["Type"] == "redirect":
        route["redirect"] = redirect_for(action["RedirectConfig"], bound_port)
    else:
        route.update(_fixed_response(action["FixedResponseConfig"]))
    if "direct_response" in route and action["Type"] == "forward":
        route["name"] = f"{ALL_ZERO} {site.listener_arn}"
    return route


def _forward(site: Site, action: Mapping[str, Any]) -> Json:
    weights = {
        group_name(group["TargetGroupArn"]): group.get("Weight", 1)
        for group in action["ForwardConfig"]["TargetGroups"]
        if group.get("Weight", 1) > 0
    }
    if not weights:
        # Legal on ELB; Envoy rejects a route whose weights add up to nothing.
        return {
            "direct_response": {"status": 503, "body": {"inline_string": UNAVAILABLE}},
            "response_headers_to_add": [_content_type("text/html")],
        }
    route: Json = {
        "timeout": "0s",  # streams go on as long as data flows
        "idle_timeout": f"{site.idle_timeout_s}s",
    }
    if len(weights) == 1:
        route["cluster"] = next(iter(weights))
    else:
        clusters = [{"name": name, "weight": weight} for name, weight in weights.items()]
        route["weighted_clusters"] = {"clusters": clusters}
    return {"route": route}


RETRIES: Json = {
    # Only what has not reached the application: anything else might happen twice.
    "retry_on": "connect-failure,reset-before-request",
    "num_retries": 2,
    "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.05s"},
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": 3,
}


def _fixed_response(config: Mapping[str, Any]) -> Json:
    response: Json = {"status": int(config["StatusCode"])}
    rendered: Json = {"direct_response": response}
    if body := config.get("MessageBody"):
        response["body"] = {"inline_string": body}
        rendered["response_headers_to_add"] = [_content_type(config.get("ContentType") or "text/plain")]
    return rendered


FORWARDED_FOR: Json = {
    "header": {"key": "x-forwarded-for", "value": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"},
    "append_action": "APPEND_IF_EXISTS_OR_ADD",
}


def _content_type(value: str) -> Json:
    return {"header": {"key": "content-type", "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def redirect_for(config: Mapping[str, Any], bound_port: Ports) -> Json:
    """Envoy's RedirectAction. The API refuses the templates for which this has no words (`check_redirect`)."""
    redirect: Json = {"response_code": REDIRECTS[config["StatusCode"]]}
    if (protocol := config["Protocol"]) != "#{protocol}":
        redirect["scheme_redirect"] = protocol.lower()
    if (port := config["Port"]) != "#{port}":
        redirect["port_redirect"] = bound_port(int(port))
    if (host := config["Host"]) != "#{host}":
        redirect["host_redirect"] = host
    path, query = config["Path"], config["Query"]
    if path != "/#{path}":
        if "#{path}" in path:
            before, after = path.split("#{path}")
            redirect["regex_rewrite"] = {
                "pattern": {"regex": "^/(.*)$"},
                "substitution": rf"{_substituted(before)}\1{_substituted(after)}",
            }
        else:
            redirect["path_redirect"] = path if query in ("", "#{query}") else f"{path}?{query}"
    if query == "":
        redirect["strip_query"] = True
    return redirect


def check_redirect(config: Mapping[str, Any]) -> str | None:
    """What `redirect_for` has no words for; None if it can say it all."""
    if "#{" in config["Host"].replace("#{host}", "", 1) or (config["Host"] != "#{host}" and "#{" in config["Host"]):
        return f"Host {config['Host']!r}: either #{{host}} alone, or a plain name"
    path, query = config["Path"], config["Query"]
    if path.count("#{path}") > 1 or re.search(r"#\{(?!path\})", path):
        return f"Path {path!r}: #{{path}} once, and no other template"
    if query not in ("", "#{query}") and ("#{" in query or "#{path}" in path):
        return f"Query {query!r}: #{{query}}, nothing, or a plain query together with a plain path"
    return None


def _substituted(text: str) -> str:
    return text.replace("\\", r"\\")
