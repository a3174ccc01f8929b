"""Certificates for a balancer without ACM, and clients that speak TLS."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any

from tests.real.balancer import REGION, Balancer
from turnout.acm.reading import facts_of
from turnout.authority import Authority
from turnout.names import arn, new_uuid


@dataclass(frozen=True)
class Said:
    """What a server showed in a handshake, and answered."""

    names: tuple[str, ...]
    serial: str
    version: str
    alpn: str | None
    body: str


def certify(balancer: Balancer, *names: str, replaced: str | None = None) -> str:
    """The ARN of a certificate that the home's authority has signed."""
    authority = Authority(balancer.config.authority)
    issued = authority.issue(names, "EC_prime256v1", balancer.clock.now())
    certificate = {
        "CertificateArn": replaced or arn("acm", REGION, f"certificate/{new_uuid()}"),
        **facts_of(issued.certificate),
        "Status": "ISSUED",
        "Type": "IMPORTED",
        "Certificate": issued.certificate,
        "Chain": authority.ensure(),
        "key": balancer.certificates.keep_key(issued.key),
    }
    with balancer.store.transaction() as tx:
        balancer.certificates.put(tx, certificate)
    return str(certificate["CertificateArn"])


async def listen_securely(balancer: Balancer, name: str, port: int, *certificates: str, **settings: Any) -> str:
    """An HTTPS listener of a new load balancer that answers its name. The first certificate is the default."""
    answer = {"StatusCode": "200", "ContentType": "text/plain", "MessageBody": name}
    made = await balancer.asks(
        "CreateListener",
        LoadBalancerArn=await balancer.balancer(name),
        Protocol="HTTPS",
        Port=port,
        Certificates=[{"CertificateArn": certificates[0]}],
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": answer}],
        **settings,
    )
    listener = str(made["Listeners"][0]["ListenerArn"])
    if more := [{"CertificateArn": one} for one in certificates[1:]]:
        await balancer.asks("AddListenerCertificates", ListenerArn=listener, Certificates=more)
    return listener


def trusting(balancer: Balancer, *, alpn: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
    """As strict a client as any, that trusts the home's authority alone."""
    context = ssl.create_default_context(cafile=str(Authority(balancer.config.authority).path))
    context.set_alpn_protocols(list(alpn))
    return context


async def shake(port: int, context: ssl.SSLContext, name: str) -> Said:
    """One request over a new connection. Raises ssl.SSLError, OSError."""
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        try:
            shown: ssl.SSLObject = writer.get_extra_info("ssl_object")
            body = ""
            if shown.selected_alpn_protocol() != "h2":
                writer.write(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                body = (await reader.read()).decode().partition("\r\n\r\n")[2]
            certificate: Any = shown.getpeercert() or {}
            names = tuple(value for _, value in certificate.get("subjectAltName", ()))
            version = shown.version() or ""
            return Said(names, certificate.get("serialNumber", ""), version, shown.selected_alpn_protocol(), body)
        finally:
            writer.close()


async def until_shown(port: int, context: ssl.SSLContext, name: str, *, within_s: float = 10) -> Said:
    """The first answer to `name` that a client takes."""
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        try:
            return await shake(port, context, name)
        except OSError:  # refused, or not yet the right certificate
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.02)
