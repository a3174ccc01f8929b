"""TLS as Envoy has it: the transport socket of an HTTPS listener, and the chains a connection chooses among. Pure.

Certificates come from files of their own (SDS): a renewed one is served to the next connection, and no connection is
closed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from turnout.loadbalancer.envoy.clusters import file_source
from turnout.loadbalancer.envoy.matches import Json, literal
from turnout.loadbalancer.picture import Secret, Site, Tls
from turnout.loadbalancer.ssl_policies import SSL_POLICIES

_TYPES = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
_INPUTS = "type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3"

VERSIONS = {"TLSv1": "TLSv1_0", "TLSv1.1": "TLSv1_1", "TLSv1.2": "TLSv1_2", "TLSv1.3": "TLSv1_3"}
UNKNOWN = {"ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES256-SHA384", "AES128-SHA256", "AES256-SHA256"}
"""Ciphers of ELB's that BoringSSL does not have: all are CBC, and each has a better one beside it in every policy."""
HYBRID_CURVES = ("X25519MLKEM768", "X25519", "P-256", "P-384")

INSPECTOR: Json = {
    "name": "envoy.filters.listener.tls_inspector",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"},
}


@dataclass(frozen=True)
class Chain:
    """Connections with one of these server names, or all others; `tls` is None for those without TLS."""

    tls: Tls | None
    names: tuple[str, ...] = ()


def chains_of(sites: Sequence[Site]) -> tuple[Chain, ...]:
    """The chains of a port, the default one last; none if nobody speaks TLS there.

    A server name is the site's that claims it as a host; what nobody claims is the oldest one's."""
    secure = [site for site in sites if site.tls is not None]
    if not secure:
        return ()
    chains, taken = [], set[str]()
    for site in secure:
        names = tuple(name for name in site.domains if name != "*" and name not in taken)
        taken.update(names)
        if site.tls != secure[0].tls and names:
            chains.append(Chain(site.tls, names))
    if len(secure) < len(sites):
        chains.append(Chain(None))
    return (*chains, Chain(secure[0].tls))


def transport_socket(tls: Tls, secret_file: Callable[[str], Path]) -> Json:
    """Envoy's DownstreamTlsContext. It chooses among the certificates by the server name; the first is the default."""
    policy = SSL_POLICIES[tls.policy]
    parameters: Json = {
        "tls_minimum_protocol_version": VERSIONS[policy.protocols[-1]],
        "tls_maximum_protocol_version": VERSIONS[policy.protocols[0]],
    }
    # Those of TLS 1.3 cannot be chosen: all three of them are always there, as in every policy of ELB's.
    if ciphers := [one for one in policy.ciphers if not one.startswith("TLS_") and one not in UNKNOWN]:
        parameters["cipher_suites"] = ciphers
    if policy.is_hybrid:
        parameters["ecdh_curves"] = list(HYBRID_CURVES)
    context: Json = {
        "tls_params": parameters,
        "tls_certificate_sds_secret_configs": [
            {"name": name, "sds_config": file_source(secret_file(name))} for name in tls.certificates
        ],
        "alpn_protocols": ["h2", "http/1.1"] if tls.is_http2 else ["http/1.1"],
    }
    return {
        "name": "tls",
        "typed_config": {"@type": f"{_TYPES}.DownstreamTlsContext", "common_tls_context": context},
    }


def render_secret(name: str, secret: Secret) -> Json:
    """Envoy's Secret."""
    certificate = {
        "certificate_chain": {"inline_string": secret.chain},
        "private_key": {"inline_string": secret.key},
    }
    return {"@type": f"{_TYPES}.Secret", "name": name, "tls_certificate": certificate}


def chain_match(chain: Chain) -> Json:
    """Envoy's FilterChainMatch."""
    match: Json = {"transport_protocol": "raw_buffer" if chain.tls is None else "tls"}
    if chain.names:
        match["server_names"] = list(chain.names)
    return match


def chain_matcher(chains: Sequence[Chain], then: Callable[[int], Json]) -> Json:
    """The same as a matcher of filter chains: `then` says what is done with a connection of each."""
    if not chains:
        return then(0)
    matchers = [
        {
            "predicate": {"single_predicate": {"input": input_, "value_match": {"safe_regex": {"regex": regex}}}},
            "on_match": {"matcher": then(number)},
        }
        for number, chain in enumerate(chains[:-1])
        for input_, regex in [_input(chain)]
    ]
    last: Json = {"on_no_match": {"matcher": then(len(chains) - 1)}}
    return {"matcher_list": {"matchers": matchers}, **last} if matchers else then(0)


def _input(chain: Chain) -> tuple[Json, str]:
    if chain.tls is None:
        typed = {"@type": f"{_INPUTS}.TransportProtocolInput"}
        return {"name": "transport protocol", "typed_config": typed}, "raw_buffer"
    names = "|".join(rf".+\.{literal(n[2:])}" if n.startswith("*.") else literal(n) for n in chain.names)
    return {"name": "server name", "typed_config": {"@type": f"{_INPUTS}.ServerNameInput"}}, names
