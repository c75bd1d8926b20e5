"""Which addresses Services may have and which are free: the ServiceCIDRs, and IPAddress objects for what is taken.

Promises: the first range of each family is `--service-cluster-ip-range`'s; further ServiceCIDRs count once they are
Ready, and no longer when they are being deleted; addresses are chosen at random out of a range's upper part, so that
the lower part stays for those who ask. Stands for pkg/registry/core/service/ipallocator.
"""

import ipaddress
import random
from collections.abc import Iterator

from k8s_core.api import errors
from k8s_core.api.errors import StatusError
from k8s_core.apiserver.reader import Reader

IP_ADDRESSES, SERVICE_CIDRS = "ipaddresses.networking.k8s.io", "servicecidrs.networking.k8s.io"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def family_of(ip: str) -> str:
    """IPv4 or IPv6."""
    return "IPv6" if ":" in ip else "IPv4"


class ServiceAddresses:
    """`cidrs` is `--service-cluster-ip-range`: one range, or two of different families with a comma between."""

    def __init__(self, reader: Reader, chooser: random.Random, cidrs: str) -> None:
        self.reader, self.random = reader, chooser
        self.own: list[Network] = [ipaddress.ip_network(cidr) for cidr in cidrs.split(",")]
        self.families = [f"IPv{network.version}" for network in self.own]
        """The families that this cluster has, the default one first."""

    def ranges(self, family: str) -> Iterator[Network]:
        """The ranges that addresses may come out of, the cluster's own first."""
        yield from (network for network in self.own if f"IPv{network.version}" == family)
        if self._known(SERVICE_CIDRS):
            for obj in self.reader.list(SERVICE_CIDRS):
                conditions = (obj.get("status") or {}).get("conditions") or ()
                ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
                if ready and "deletionTimestamp" not in obj["metadata"]:
                    found = (ipaddress.ip_network(cidr) for cidr in obj["spec"].get("cidrs") or ())
                    yield from (n for n in found if f"IPv{n.version}" == family and n not in self.own)

    def unavailable(self, ip: str) -> str:
        """Why the address cannot be given; "" if it can."""
        address = ipaddress.ip_address(ip)
        network = next((n for n in self.ranges(family_of(ip)) if address in n), None)
        if network is None:
            return "the provided network does not match the current range"
        ends = [network.network_address, *([network.broadcast_address] if network.version == 4 else [])]
        if address in ends:
            return f"the provided IP ({ip}) is not in the valid range. The range of valid IPs is {network}"
        return "provided IP is already allocated" if self._taken(ip) else ""

    def next(self, family: str) -> str:
        """A free address; "" if there is none."""
        for network in self.ranges(family):
            first = int(network.network_address) + 1
            size = network.num_addresses - (2 if network.version == 4 else 1)
            reserved = min(max(16, size // 16), 256) if size > 16 else 0
            for low, count in ((first + reserved, size - reserved), (first, reserved)):
                start = self.random.randrange(count) if count else 0
                for step in range(count):
                    number = low + (start + step) % count
                    address = (ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address)(number)
                    if not self._taken(str(address)):
                        return str(address)
        return ""

    def _known(self, resource: str) -> bool:
        """Whether this version has the kind: before 1.33 it had not."""
        name, _, group = resource.partition(".")
        kind = "ServiceCIDR" if name == "servicecidrs" else "IPAddress"
        return self.reader.resource_of(group, "v1", kind) is not None

    def _taken(self, ip: str) -> bool:
        if not self._known(IP_ADDRESSES):
            return any(ip in (s["spec"].get("clusterIPs") or ()) for s in self.reader.list("services"))
        try:
            self.reader.get(IP_ADDRESSES, ip)
        except StatusError as error:
            if errors.is_not_found(error):
                return False
            raise
        return True
