"""ELB's predefined security policies: which versions of TLS they take, and which ciphers, in their order.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
"""

from __future__ import annotations

from dataclasses import dataclass

TLS13 = "TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256"


@dataclass(frozen=True)
class SslPolicy:
    """`protocols` in ELB's words, the newest first; `ciphers` in OpenSSL's. `is_hybrid`: with a key exchange that
    also holds against quantum computers."""

    name: str
    protocols: tuple[str, ...]
    ciphers: tuple[str, ...]
    is_hybrid: bool = False


def _forward(*, cbc: bool = False, sha1: bool = False) -> str:
    """Ciphers with forward secrecy: GCM alone, with CBC and SHA-2 beside it, and with SHA-1."""
    found = []
    for bits, digest in ((128, "SHA256"), (256, "SHA384")):
        tails = [
            f"AES{bits}-GCM-{digest}",
            *([f"AES{bits}-{digest}"] if cbc else []),
            *([f"AES{bits}-SHA"] if sha1 else []),
        ]
        found += [f"ECDHE-{signed}-{tail}" for tail in tails for signed in ("ECDSA", "RSA")]
    return " ".join(found)


GCM = _forward()
SHA2 = _forward(cbc=True)
SHA1 = _forward(cbc=True, sha1=True)
STATIC_SHA2 = "AES128-GCM-SHA256 AES128-SHA256 AES256-GCM-SHA384 AES256-SHA256"
STATIC = "AES128-GCM-SHA256 AES128-SHA256 AES128-SHA AES256-GCM-SHA384 AES256-SHA256 AES256-SHA"

_TABLE = """
2016-08                    1.0 1.2  SHA1 STATIC
2015-05                    1.0 1.2  SHA1 STATIC
TLS-1-1-2017-01            1.1 1.2  SHA1 STATIC
TLS-1-2-2017-01            1.2 1.2  SHA2 STATIC_SHA2
TLS-1-2-Ext-2018-06        1.2 1.2  SHA1 STATIC
FS-2018-06                 1.0 1.2  SHA1
FS-1-1-2019-08             1.1 1.2  SHA1
FS-1-2-2019-08             1.2 1.2  SHA1
FS-1-2-Res-2019-08         1.2 1.2  SHA2
FS-1-2-Res-2020-10         1.2 1.2  GCM
TLS13-1-0-2021-06          1.0 1.3  TLS13 SHA1 STATIC
TLS13-1-1-2021-06          1.1 1.3  TLS13 SHA1 STATIC
TLS13-1-2-2021-06          1.2 1.3  TLS13 SHA2
TLS13-1-2-Ext1-2021-06     1.2 1.3  TLS13 SHA2 STATIC_SHA2
TLS13-1-2-Ext2-2021-06     1.2 1.3  TLS13 SHA1 STATIC
TLS13-1-2-Res-2021-06      1.2 1.3  TLS13 GCM
TLS13-1-3-2021-06          1.3 1.3  TLS13
TLS13-1-0-PQ-2025-09       1.0 1.3  TLS13 SHA1 STATIC
TLS13-1-2-PQ-2025-09       1.2 1.3  TLS13 SHA2
TLS13-1-2-Ext1-PQ-2025-09  1.2 1.3  TLS13 SHA2 STATIC_SHA2
TLS13-1-2-Ext2-PQ-2025-09  1.2 1.3  TLS13 SHA1 STATIC
TLS13-1-2-Res-PQ-2025-09   1.2 1.3  TLS13 GCM
TLS13-1-3-PQ-2025-09       1.3 1.3  TLS13
"""
"""Name, the oldest and the newest version, families of ciphers."""

_FAMILIES = {
    "TLS13": TLS13,
    "GCM": GCM,
    "SHA2": SHA2,
    "SHA1": SHA1,
    "STATIC": STATIC,
    "STATIC_SHA2": STATIC_SHA2,
}
_VERSIONS = {"1.3": "TLSv1.3", "1.2": "TLSv1.2", "1.1": "TLSv1.1", "1.0": "TLSv1"}


def _read(line: str) -> SslPolicy:
    name, oldest, newest, *families = line.split()
    protocols = tuple(word for number, word in _VERSIONS.items() if oldest <= number <= newest)
    ciphers = " ".join(_FAMILIES[family] for family in families).split()
    return SslPolicy(f"ELBSecurityPolicy-{name}", protocols, tuple(ciphers), "-PQ-" in name)


SSL_POLICIES = {policy.name: policy for policy in map(_read, _TABLE.strip().splitlines())}
DEFAULT_POLICY = "ELBSecurityPolicy-2016-08"
"""What a listener has that was created by the API without one."""
