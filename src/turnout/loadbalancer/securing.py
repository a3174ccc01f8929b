"""HTTPS listeners: their certificates and security policies. The certificates themselves are ACM's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.aws import Answer, Call
from turnout.errors import AwsError
from turnout.loadbalancer.forwarding import Forwarding
from turnout.loadbalancer.records import Document, balancer_of, page, served_by
from turnout.loadbalancer.ssl_policies import DEFAULT_POLICY, SSL_POLICIES, SslPolicy
from turnout.store import Transaction

PROTOCOLS = ("HTTP", "HTTPS")
"""Of application load balancers."""
MOST_CERTIFICATES = 25
"""Beside the default one. https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html"""


class Securing(Forwarding):
    """Shared by the operations of listeners, and the operations on what makes them secure."""

    def add_listener_certificates(self, call: Call) -> Answer:
        """Beside the default one: which is served depends on the name that a client asks for (SNI)."""
        listener = self._https_listener(call)
        arns = [certificate["CertificateArn"] for certificate in call["Certificates"]]
        for arn in arns:
            self._check_certificate(call.region, arn)
        default = listener["Certificates"][0]["CertificateArn"]
        more = list(dict.fromkeys([*self._more(call.region, listener["ListenerArn"]), *arns]))
        if len([arn for arn in more if arn != default]) > MOST_CERTIFICATES:
            raise AwsError("TooManyCertificates", f"A listener has {MOST_CERTIFICATES} certificates beside its default")
        self._put_more(call.region, listener["ListenerArn"], more)
        return {"Certificates": [{"CertificateArn": arn, "IsDefault": arn == default} for arn in arns]}

    def remove_listener_certificates(self, call: Call) -> Answer:
        listener = self._https_listener(call)
        gone = {certificate["CertificateArn"] for certificate in call["Certificates"]}
        if listener["Certificates"][0]["CertificateArn"] in gone:
            raise AwsError("OperationNotPermitted", "The default certificate of a listener cannot be removed from it")
        arn = listener["ListenerArn"]
        self._put_more(call.region, arn, [one for one in self._more(call.region, arn) if one not in gone])
        return {}

    def describe_listener_certificates(self, call: Call) -> Answer:
        """The default one first."""
        listener = self.records.listener(call.region, call["ListenerArn"])
        found = served_by(listener, self._more(call.region, listener["ListenerArn"]))
        described = [{"CertificateArn": arn, "IsDefault": number == 0} for number, arn in enumerate(found)]
        return page(call, "Certificates", described)

    def describe_ssl_policies(self, call: Call) -> Answer:
        """Those of application load balancers, but for the ones that need a FIPS module."""
        names = call.get("Names") or list(SSL_POLICIES)
        return page(call, "SslPolicies", [_described(policy_named(name)) for name in names])

    def users_of(self, certificate_arn: str) -> list[str]:
        """The ARNs of the load balancers that serve a certificate."""
        return list(dict.fromkeys(balancer_of(arn) for arn in self._listeners_with(certificate_arn)))

    def names_changed(self) -> None:
        """Other names may lead to load balancers now."""
        self.mirror.stale_listeners = {doc["ListenerArn"] for _, doc in self.records.listeners.everywhere()}
        self.mirror.tell()

    def certificate_changed(self, tx: Transaction, certificate_arn: str) -> None:
        """It is another one now: it is served to the next connections."""
        if listeners := tuple(self._listeners_with(certificate_arn)):
            self.tell(tx, listeners=listeners)

    def security(self, call: Call, was: Mapping[str, Any]) -> Document:
        """Protocol, Certificates, SslPolicy of a listener as a call wants them. `was`: the listener before, if any."""
        protocol = call.get("Protocol") or was.get("Protocol")
        if protocol is None:
            raise AwsError("ValidationError", "A listener protocol must be specified")
        if protocol not in PROTOCOLS:
            raise AwsError("ValidationError", f"Listener protocol '{protocol}' must be one of '{', '.join(PROTOCOLS)}'")
        given, policy = call.get("Certificates"), call.get("SslPolicy")
        if call.get("AlpnPolicy"):
            raise AwsError(
                "InvalidConfigurationRequest", "An ALPN policy is for TLS listeners of network load balancers"
            )
        if (call.get("MutualAuthentication") or {}).get("Mode", "off") != "off":
            raise AwsError("InvalidConfigurationRequest", "turnout does not implement mutual authentication yet")
        if protocol == "HTTP":
            if given or policy:
                raise AwsError(
                    "ValidationError", "Certificates and a security policy are for HTTPS listeners, not for HTTP"
                )
            return {"Protocol": protocol}
        certificates = [
            {"CertificateArn": one.get("CertificateArn", "")} for one in given or was.get("Certificates", ())
        ]
        if not certificates:
            raise AwsError("ValidationError", "A certificate must be specified for HTTPS listeners")
        if len(certificates) > 1:
            raise AwsError(
                "ValidationError",
                f"Up to '1' certificate ARNs can be specified, but '{len(certificates)}' were specified:"
                " AddListenerCertificates adds others",
            )
        if given:
            self._check_certificate(call.region, certificates[0]["CertificateArn"])
        name = policy_named(policy or was.get("SslPolicy") or DEFAULT_POLICY).name
        off = {"Mode": "off"}
        return {"Protocol": protocol, "Certificates": certificates, "SslPolicy": name, "MutualAuthentication": off}

    def _https_listener(self, call: Call) -> Document:
        listener = self.records.listener(call.region, call["ListenerArn"])
        if listener["Protocol"] != "HTTPS":
            raise AwsError("ValidationError", f"Listener '{listener['ListenerArn']}' is not one of HTTPS")
        return listener

    def _check_certificate(self, region: str, arn: str) -> None:
        found = self.certificates.find(arn)
        if found is None or arn.split(":")[3] != region:
            of_iam = "; turnout serves those of ACM, not IAM's" if arn.startswith("arn:aws:iam:") else ""
            raise AwsError("CertificateNotFound", f"Certificate '{arn}' not found{of_iam}")
        if not found.get("key"):
            raise AwsError(
                "UnsupportedCertificate",
                f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, and a"
                f" supported key size. (It has not been issued: it is {found['Status']}.)",
            )

    def _more(self, region: str, listener_arn: str) -> list[str]:
        return list((self.records.certificates.find(region, listener_arn) or {}).get("arns", ()))

    def _put_more(self, region: str, listener_arn: str, arns: Sequence[str]) -> None:
        with self.store.transaction() as tx:
            self.records.certificates.put(tx, region, listener_arn, {"arns": list(arns)})
            self.tell(tx, listeners=(listener_arn,))

    def _listeners_with(self, certificate_arn: str) -> list[str]:
        region = certificate_arn.split(":")[3]
        return [
            listener["ListenerArn"]
            for listener in self.records.listeners.list(region)
            if certificate_arn in served_by(listener, self._more(region, listener["ListenerArn"]))
        ]


def policy_named(name: str) -> SslPolicy:
    found = SSL_POLICIES.get(name)
    if found is None:
        why = ": it needs a FIPS module, which turnout does not have" if "FIPS" in name else ""
        raise AwsError("SSLPolicyNotFound", f"SSL policy '{name}' not found{why}")
    return found


def _described(policy: SslPolicy) -> Document:
    return {
        "Name": policy.name,
        "SslProtocols": list(policy.protocols),
        "Ciphers": [{"Name": name, "Priority": number} for number, name in enumerate(policy.ciphers, 1)],
        "SupportedLoadBalancerTypes": ["application", "network"],
    }
