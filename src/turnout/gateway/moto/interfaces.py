"""EC2's network interfaces that moto would leave behind when what they belong to goes.

A destroyed stack has to leave nothing: on AWS the primary interface of an instance goes with it unless the launch said
otherwise, and that of a NAT gateway always does.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html
"""

from __future__ import annotations

from typing import Any


def end_with_instances(instances: Any) -> None:
    """Tunes `moto.ec2.models.instances`."""
    prepare = instances.Instance.prep_nics
    terminate = instances.Instance.terminate

    def prepared(self: Any, nic_spec: list[dict[str, Any]], *args: Any, **more: Any) -> None:
        given = next((nic for nic in nic_spec if str(nic.get("DeviceIndex")) == "0"), {})
        prepare(self, nic_spec, *args, **more)
        if 0 in self.nics and not given.get("NetworkInterfaceId"):
            self.nics[0].delete_on_termination = given.get("DeleteOnTermination") is not False

    def terminated(self: Any) -> Any:
        # moto would look again for the interfaces of one that is terminated already, and fail.
        there = self.ec2_backend.enis
        kept = {index: nic for index, nic in self.nics.items() if nic.id in there}
        known, self.nics = self.nics, kept
        try:
            return terminate(self)
        finally:
            self.nics = known

    instances.Instance.prep_nics = prepared
    instances.Instance.terminate = terminated


def end_with_nat_gateways(gateways: Any) -> None:
    """Tunes `moto.ec2.models.nat_gateways`."""
    delete = gateways.NatGatewayBackend.delete_nat_gateway

    def deleted(self: Any, nat_gateway_id: str) -> Any:
        gateway = delete(self, nat_gateway_id)
        for address in self.addresses:
            if address.eni is gateway._eni:
                self.disassociate_address(association_id=address.association_id)
        if gateway._eni.id in self.enis:
            gateway._eni.delete()
        return gateway

    gateways.NatGatewayBackend.delete_nat_gateway = deleted
