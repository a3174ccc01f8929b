"""A real Envoy serves the certificates of HTTPS listeners, by name and by policy, and loses nobody for a new one."""

from __future__ import annotations

import asyncio
import ssl
import stat
import subprocess
import warnings
from pathlib import Path

import pytest

from tests.real.balancer import Application, Balancer, forward, running, until
from tests.real.securing import certify, listen_securely, shake, trusting, until_shown
from turnout.authority import Authority

pytestmark = pytest.mark.real


def test_the_certificate_is_chosen_by_the_name_that_is_asked_for(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path / "home") as balancer:
            first = certify(balancer, "www.example.com")
            second = certify(balancer, "shop.example.org", "*.shop.example.org")
            third = certify(balancer, "api.example.net")
            await listen_securely(balancer, "web", 443, first, second)
            await listen_securely(balancer, "api", 443, third)
            client, port = trusting(balancer), balancer.port(443)
            assert (await until_shown(port, client, "api.example.net")).body == "api"
            for name, expected, body in (
                ("www.example.com", "www.example.com", "web"),
                ("shop.example.org", "shop.example.org", "web"),
                ("a.shop.example.org", "shop.example.org", "web"),
                ("api.example.net", "api.example.net", "api"),
            ):
                said = await until_shown(port, client, name)
                assert (said.names[0], said.body) == (expected, body), name
            with pytest.raises(ssl.SSLCertVerificationError, match="not valid for 'nobody"):
                await shake(port, client, "nobody.example")
            client.check_hostname = False
            assert (await shake(port, client, "nobody.example")).names == ("www.example.com",)
            await curls(balancer, "shop.example.org", port)

    asyncio.run(story())


async def curls(balancer: Balancer, name: str, port: int) -> None:
    """As somebody types it."""
    ca = str(Authority(balancer.config.authority).path)
    command = ["curl", "-sS", "--cacert", ca, "--resolve", f"{name}:{port}:127.0.0.1", f"https://{name}:{port}/"]
    said = await asyncio.to_thread(
        subprocess.run, [*command, "-w", " %{http_version}"], capture_output=True, text=True, timeout=20, check=False
    )
    assert (said.stdout, said.returncode) == ("web 2", 0), said.stderr


@pytest.mark.parametrize(
    ("policy", "taken", "refused"),
    [
        ("ELBSecurityPolicy-2016-08", "TLSv1", "TLSv1.3"),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", "TLSv1.2", "TLSv1.1"),
        ("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", "TLSv1.3", "TLSv1"),
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", "TLSv1.3", "TLSv1.2"),
    ],
)
def test_a_security_policy_decides_about_the_versions_of_tls(
    tmp_path: Path, policy: str, taken: str, refused: str
) -> None:
    async def story() -> None:
        async with running(tmp_path / "home") as balancer:
            certificate = certify(balancer, "www.example.com")
            await listen_securely(balancer, "web", 443, certificate, SslPolicy=policy)
            port = balancer.port(443)
            assert (await until_shown(port, only(balancer, taken), "www.example.com")).version == taken
            with pytest.raises(OSError):
                await shake(port, only(balancer, refused), "www.example.com")

    asyncio.run(story())


def only(balancer: Balancer, version: str) -> ssl.SSLContext:
    """A client that speaks one version of TLS, however old."""
    context = trusting(balancer)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version.replace(".", "_")]
    return context


def test_http_2_is_agreed_on_unless_it_is_switched_off(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path / "home") as balancer:
            listener = await listen_securely(balancer, "web", 443, certify(balancer, "www.example.com"))
            client, port = trusting(balancer, alpn=("h2", "http/1.1")), balancer.port(443)
            assert (await until_shown(port, client, "www.example.com")).alpn == "h2"
            described = await balancer.asks("DescribeListeners", ListenerArns=[listener])
            off = [{"Key": "routing.http2.enabled", "Value": "false"}]
            await balancer.asks(
                "ModifyLoadBalancerAttributes",
                LoadBalancerArn=described["Listeners"][0]["LoadBalancerArn"],
                Attributes=off,
            )

            async def is_off() -> bool:
                return (await until_shown(port, client, "www.example.com")).alpn == "http/1.1"

            await until(is_off)

    asyncio.run(story())


def test_a_certificate_is_replaced_without_a_lost_request_or_connection(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path / "home") as balancer:
            certificate = certify(balancer, "www.example.com")
            await listen_securely(balancer, "web", 443, certificate)
            client, port = trusting(balancer), balancer.port(443)
            before = await until_shown(port, client, "www.example.com")
            secrets = list((balancer.config.envoy / "secrets").iterdir())
            assert [stat.S_IMODE(path.stat().st_mode) for path in secrets] == [0o600]
            over, serials = asyncio.Event(), set[str]()

            async def new_ones() -> None:
                while not over.is_set():
                    serials.add((await shake(port, client, "www.example.com")).serial)

            async def kept() -> int:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=client, server_hostname="www.example.com"
                )
                count = 0
                while not over.is_set():
                    writer.write(b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
                    head = await reader.readuntil(b"\r\n\r\n")
                    assert head.startswith(b"HTTP/1.1 200")
                    assert b"connection: close" not in head.lower()
                    assert await reader.readexactly(3) == b"web"
                    count += 1
                writer.close()
                return count

            asking = [asyncio.create_task(new_ones()), asyncio.create_task(new_ones())]
            keeping = asyncio.create_task(kept())
            for _ in range(3):
                shown = (await shake(port, client, "www.example.com")).serial
                certify(balancer, "www.example.com", replaced=certificate)

                async def is_another(former: str = shown) -> bool:
                    return (await shake(port, client, "www.example.com")).serial != former

                await until(is_another)
            over.set()
            await asyncio.gather(*asking)
            assert await keeping > 10
            assert len(serials | {before.serial}) == 4
            assert len(list(balancer.config.certificate_keys.iterdir())) == 1

    asyncio.run(story())


def test_long_connections_are_told_goodbye_under_https_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path / "home") as balancer:
            first, second = certify(balancer, "www.example.com"), certify(balancer, "api.example.net")
            listener = await listen_securely(balancer, "web", 443, first)
            await listen_securely(balancer, "api", 443, second, SslPolicy="ELBSecurityPolicy-TLS13-1-3-2021-06")
            tag = {"Key": "turnout:long-connections", "Value": "announce"}
            await balancer.asks("AddTags", ResourceArns=[listener], Tags=[tag])
            client, port = trusting(balancer), balancer.port(443)
            for name, body in (("www.example.com", "web"), ("api.example.net", "api")):
                assert (await until_shown(port, client, name)).body == body
            await balancer.traffic.announce("us-east-1", listener, "test", 1.0)
            for name, body in (("www.example.com", "web"), ("api.example.net", "api")):
                assert (await until_shown(port, client, name)).body == body

    asyncio.run(story())


def test_targets_hear_of_https_and_a_redirect_leads_to_it(tmp_path: Path) -> None:
    async def story() -> None:
        blue = await Application("blue").start()
        async with running(tmp_path / "home") as balancer:
            listener = await listen_securely(balancer, "web", 443, certify(balancer, "www.example.com"))
            group = await balancer.group("b", blue.port)
            await balancer.asks("ModifyListener", ListenerArn=listener, DefaultActions=forward(**{group: 1}))
            arn = (await balancer.asks("DescribeListeners", ListenerArns=[listener]))["Listeners"][0]["LoadBalancerArn"]
            redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
            plain = await balancer.listen(arn, 80, **{group: 1})
            await balancer.asks(
                "ModifyListener", ListenerArn=plain, DefaultActions=[{"Type": "redirect", "RedirectConfig": redirect}]
            )

            async def is_blue() -> bool:
                return (await until_shown(balancer.port(443), trusting(balancer), "www.example.com")).body == "blue"

            await until(is_blue)
            assert blue.last_head["x-forwarded-proto"] == "https"
            command = ["curl", "-sS", "-L", "--cacert", str(Authority(balancer.config.authority).path)]
            for port in (balancer.port(80), balancer.port(443)):
                command += ["--resolve", f"www.example.com:{port}:127.0.0.1"]
            followed = await asyncio.to_thread(
                subprocess.run,
                [*command, f"http://www.example.com:{balancer.port(80)}/"],
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            assert (followed.stdout, followed.returncode) == ("blue", 0), followed.stderr
        await blue.stop()

    asyncio.run(story())
