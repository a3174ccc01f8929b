"""A real Envoy takes every rule that the API accepts, and obeys it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.real.balancer import Application, Balancer, Client, answers, forward, get, running, until
from turnout.loadbalancer.picture import group_name

pytestmark = pytest.mark.real


async def fixed(balancer: Balancer, listener: str, priority: int, *conditions: dict[str, Any]) -> None:
    """A rule that answers its priority."""
    answer = {"StatusCode": "200", "ContentType": "text/plain", "MessageBody": str(priority)}
    await balancer.asks(
        "CreateRule",
        ListenerArn=listener,
        Priority=priority,
        Conditions=list(conditions),
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": answer}],
    )


def condition(field: str, **config: Any) -> dict[str, Any]:
    member = "".join(part.capitalize() for part in field.split("-"))
    names = {"HttpRequestMethod": "HttpRequestMethodConfig", "SourceIp": "SourceIpConfig"}
    return {"Field": field, names.get(member, f"{member}Config"): config}


def test_rules_are_tried_by_priority_and_all_their_conditions_must_hold(tmp_path: Path) -> None:
    async def story() -> None:
        blue = await Application("blue").start()
        async with running(tmp_path / "home") as balancer:
            listener = await balancer.listen(await balancer.balancer(), 80, **{await balancer.group("b", blue.port): 1})
            for priority, conditions in {
                10: [condition("path-pattern", Values=["/api/*"]), condition("http-request-method", Values=["POST"])],
                20: [condition("path-pattern", Values=["/api/*", "/img/?.png"])],
                30: [condition("host-header", Values=["*.Example.com"])],
                40: [condition("http-header", HttpHeaderName="X-Version", Values=["v2*"])],
                50: [condition("query-string", Values=[{"Key": "colour", "Value": "gr*n"}, {"Value": "any"}])],
                60: [condition("path-pattern", Values=["/here"]), condition("source-ip", Values=["127.0.0.0/8"])],
                70: [condition("path-pattern", Values=["/there"]), condition("source-ip", Values=["10.0.0.0/8"])],
            }.items():
                await fixed(balancer, listener, priority, *conditions)
            port = balancer.port(80)
            await until(lambda: answers(port, "60", "/here"))
            for path, host, headers, expected in (
                ("/api/a", "localhost", {}, "20"),
                ("/api/a", "localhost", {"x_method": "POST"}, "10"),
                ("/API/a", "localhost", {}, "blue"),
                ("/api", "localhost", {}, "blue"),
                ("/img/a.png", "localhost", {}, "20"),
                ("/img/ab.png", "localhost", {}, "blue"),
                ("/", "www.example.COM:8080", {}, "30"),
                ("/", "example.com", {}, "blue"),
                ("/", "localhost", {"x-version": "V2.1"}, "40"),
                ("/", "localhost", {"x-version": "v1"}, "blue"),
                ("/?a=1&colour=green", "localhost", {}, "50"),
                ("/?colour=blue&x=any", "localhost", {}, "50"),
                ("/?colour=blue", "localhost", {}, "blue"),
                ("/there", "localhost", {}, "blue"),
            ):
                assert (await get(port, path, host, **headers))[1] == expected, (path, host, headers)
            assert blue.last_head["x-forwarded-for"] == "127.0.0.1"
            assert blue.last_head["x-forwarded-proto"] == "http"
            assert not any(name.startswith(("x-envoy", "x-turnout", "x-request-id")) for name in blue.last_head)
        await blue.stop()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("config", "path", "location"),
    [
        ({"Protocol": "HTTPS", "Port": "443"}, "/a?b=c", "https://localhost:{443}/a?b=c"),
        ({"Host": "example.com"}, "/a?b=c", "http://example.com/a?b=c"),
        ({"Host": "example.com", "Path": "/new/#{path}"}, "/a/b?c=d", "http://example.com/new/a/b?c=d"),
        ({"Path": "/moved", "Query": "from=here"}, "/a?b=c", "http://localhost/moved?from=here"),
        ({"Path": "/moved", "Query": ""}, "/a?b=c", "http://localhost/moved"),
    ],
)
def test_a_redirect_leads_where_it_says(tmp_path: Path, config: dict[str, str], path: str, location: str) -> None:
    async def story() -> None:
        async with running(tmp_path / "home") as balancer:
            listener = await balancer.listen(await balancer.balancer(), 80, **{await balancer.group("b"): 1})
            redirect = {"Type": "redirect", "RedirectConfig": {**config, "StatusCode": "HTTP_302"}}
            await balancer.asks("ModifyListener", ListenerArn=listener, DefaultActions=[redirect])

            async def is_up() -> bool:
                try:
                    return (await get(balancer.port(80), path))[0] == 302
                except OSError:
                    return False

            await until(is_up)
            client = Client(balancer.port(80))
            await client.send(path)
            _, headers = await client.head()
            await client.close()
            assert headers["location"] == location.replace("{443}", str(balancer.port(443)))

    asyncio.run(story())


def test_load_balancers_on_one_port_are_told_apart_by_their_names(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path / "home") as balancer:
            names = {}
            for name in ("first", "second"):
                arn = await balancer.balancer(name)
                listener = await balancer.listen(arn, 80, **{await balancer.group(name): 1})
                answer = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": name}}
                await balancer.asks("ModifyListener", ListenerArn=listener, DefaultActions=[answer])
                described = await balancer.asks("DescribeLoadBalancers", LoadBalancerArns=[arn])
                names[name] = described["LoadBalancers"][0]["DNSName"]
            port = balancer.port(80)
            await until(lambda: answers(port, "second", host="second.elb.localhost"))
            assert await get(port, host=f"second.elb.localhost:{port}") == (200, "second")
            assert await get(port, host=names["second"]) == (200, "second")
            assert await get(port, host=names["first"].upper()) == (200, "first")
            assert await get(port, host="nobody.example.com") == (200, "first")
            assert sorted(balancer.room.ports().values()) == [
                f"http://127.0.0.1:{port}",
                f"http://second.elb.localhost:{port}",
            ]
            first = (await balancer.asks("DescribeLoadBalancers", Names=["first"]))["LoadBalancers"][0]
            await balancer.asks("DeleteLoadBalancer", LoadBalancerArn=first["LoadBalancerArn"])
            await until(lambda: answers(port, "second"))

    asyncio.run(story())


def test_the_checks_of_any_number_of_new_groups_are_found(tmp_path: Path) -> None:
    """Envoy refuses a dump by the names of five of them: their health would never be known."""

    async def story() -> None:
        async with running(tmp_path / "home") as balancer:
            listener = await balancer.listen(
                await balancer.balancer(), 80, **{await balancer.group("first-of-the-target-groups", 1): 1}
            )
            arns = [await balancer.group(f"a-target-group-of-some-length-{n:x}", 2) for n in range(12)]
            for number, arn in enumerate(arns, start=1):
                await balancer.asks(
                    "CreateRule",
                    ListenerArn=listener,
                    Priority=number,
                    Conditions=[{"Field": "path-pattern", "Values": [f"/{number}"]}],
                    Actions=forward(**{arn: 1}),
                )
            names = [group_name(arn) for arn in arns]
            for count in (1, 5, 8, 9, 12):
                wanted = set(names[:count])

                async def are_found(wanted: set[str] = wanted) -> bool:
                    return await balancer.envoy._admin.checked(wanted) == wanted

                await until(are_found)

    asyncio.run(story())
