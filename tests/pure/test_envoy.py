"""What Envoy is told of a small blue/green setup, to the letter: tests/pure/golden. Rewrite with GOLDEN=1."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from turnout.loadbalancer.envoy.clusters import render_assignment, render_cluster
from turnout.loadbalancer.envoy.listeners import Shape, marks_in, render_bootstrap, render_listener
from turnout.loadbalancer.envoy.routes import claimed_domains, redirect_for, render_host, render_routes
from turnout.loadbalancer.envoy.tls import chains_of, render_secret
from turnout.loadbalancer.picture import Check, Endpoint, Group, Rule, Secret, Site, Tls, group_name

GOLDEN = Path(__file__).parent / "golden"
HOME = Path("/home/envoy")
LISTENER = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/web/0000000000000001/0000000000000002"


def group(name: str) -> str:
    return f"arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/{name}/0000000000000003"


def forward(**weights: int) -> list[dict[str, Any]]:
    groups = [{"TargetGroupArn": group(name), "Weight": weight} for name, weight in weights.items()]
    return [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]


def plus_18000(port: int) -> int:
    return port + 18000 if port < 1024 else port


CHECK = Check("/healthz", 10, 5, 3, 2, "200-299,302")
SITE = Site(
    LISTENER,
    ("web-1.us-east-1.elb.localhost", "web.elb.localhost", "*"),
    (
        Rule(
            "first",
            [
                {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/api/*", "/v?/x"]}},
                {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.example.com"]}},
                {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET", "HEAD"]}},
                {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-A", "Values": ["b.c"]}},
                {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "k", "Value": "v*"}]}},
                {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.1.0.0/15", "127.0.0.1/32"]}},
            ],
            [
                {
                    "Type": "fixed-response",
                    "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "no"},
                }
            ],
        ),
        Rule("canary", [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/"]}}], forward(blue=90, green=10)),
        Rule("zero", [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/z/*"]}}], forward(blue=0, green=0)),
        Rule("default", [], forward(green=0, blue=100)),
    ),
    30,
)

OLD = Tls(("web", "shop"), "ELBSecurityPolicy-2016-08")
NEW = Tls(("api",), "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", is_http2=False)
SECURE = (
    Site("web", ("web.elb.localhost", "www.example.com", "*"), (), tls=OLD),
    Site("api", ("api.elb.localhost", "www.example.com", "*.api.example.com"), (), tls=NEW),
    Site("plain", ("plain.elb.localhost",), ()),
)


def listener(port: int, shape: Shape) -> Any:
    files = (HOME / f"routes/{port}.json", HOME / "f.jsonl")
    return render_listener(port, "127.0.0.1", 18000 + port, *files, shape, lambda name: HOME / f"{name}.json")


RENDERED: dict[str, Any] = {
    "routes": lambda: {
        **render_routes(80),
        "virtual_hosts": [render_host(site, domains, plus_18000) for site, domains in claimed_domains([SITE])],
    },
    "cluster": lambda: render_cluster(
        group_name(group("blue")), Group(CHECK, "least_outstanding_requests", 30), HOME / "blue.json", HOME / "h.jsonl"
    ),
    "cluster-inline": lambda: render_cluster(
        "blue", Group(None), render_assignment("blue", [Endpoint("127.0.0.1", 4001, 4001)], [True]), HOME / "h.jsonl"
    ),
    "endpoints": lambda: render_assignment("blue", [Endpoint("127.0.0.1", 4001, 4001), Endpoint("10.0.0.7", 80, 8080)]),
    "listener": lambda: listener(80, Shape(source=True)),
    "listener-announce": lambda: listener(80, Shape(marks=(1, 0))),
    "listener-https": lambda: listener(443, Shape(chains=chains_of(SECURE))),
    "listener-https-announce": lambda: listener(443, Shape(marks=(1, 0), chains=chains_of(SECURE))),
    "secret": lambda: render_secret("web", Secret("-- chain --", "-- key --")),
    "bootstrap": lambda: render_bootstrap(HOME / "admin.sock", HOME / "clusters.json", HOME / "listeners.json"),
}


@pytest.mark.parametrize("name", RENDERED)
def test_envoy_is_told_exactly_this(name: str) -> None:
    path = GOLDEN / f"{name}.json"
    text = json.dumps(RENDERED[name](), indent=1) + "\n"
    if os.environ.get("GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_the_marks_of_a_listener_are_read_back_from_what_envoy_was_told() -> None:
    assert marks_in(RENDERED["listener-announce"]()) == (1, 0)
    assert marks_in(RENDERED["listener"]()) == ()


def test_a_domain_belongs_to_the_first_that_claims_it() -> None:
    second = Site("second", ("web.elb.localhost", "other.elb.localhost"), ())
    third = Site("third", ("other.elb.localhost",), ())
    assert claimed_domains([SITE, second, third]) == [(SITE, SITE.domains), (second, ("other.elb.localhost",))]


def test_weights_of_zero_are_left_out_and_a_lone_group_needs_no_weight() -> None:
    route = render_host(SITE, ["*"], plus_18000)["routes"][-1]["route"]
    assert route["cluster"] == "blue-0000000000000003"
    assert "weighted_clusters" not in route


def test_a_port_in_a_redirect_is_the_one_that_answers_for_it() -> None:
    config = {"Protocol": "HTTPS", "Port": "443", "Host": "#{host}", "Path": "/#{path}", "Query": "#{query}"}
    assert redirect_for({**config, "StatusCode": "HTTP_301"}, plus_18000) == {
        "response_code": "MOVED_PERMANENTLY",
        "scheme_redirect": "https",
        "port_redirect": 18443,
    }
