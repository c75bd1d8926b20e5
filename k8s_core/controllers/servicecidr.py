"""The ServiceCIDR controller: a range for Services' addresses is Ready while it may be used, and goes once it is empty.

Promises: a finalizer on every ServiceCIDR; one that is being deleted stays, not Ready, while an address out of it is in
use that no other range has; ten seconds of grace, in which apiservers may still give addresses out of it.
Stands for pkg/controller/servicecidrs. Does nothing in versions that have no ServiceCIDRs.
"""

import ipaddress

from k8s_core.api import Object
from k8s_core.api.errors import ignoring, is_not_found
from k8s_core.api.times import parse, timestamp
from k8s_core.controllers.controller import Controller, is_deleting, with_metadata
from k8s_core.limits import SERVICE_CIDR_DELETION_GRACE

CIDRS, ADDRESSES = "servicecidrs.networking.k8s.io", "ipaddresses.networking.k8s.io"
FINALIZER = "networking.k8s.io/service-cidr-finalizer"
READY = {"status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready"}
ENDING = {
    "status": "False",
    "reason": "Terminating",
    "message": "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new "
    "ServiceCIDR",
}


class ServiceCIDRController(Controller):
    name = "service-cidr-controller"
    account = "service-cidrs-controller"

    def setup(self) -> None:
        if self.client.resources.find(CIDRS) is None:
            return
        self.cidrs = self.informer(CIDRS, changed=self.changed)
        self.addresses = self.informer(ADDRESSES, deleted=self.address_gone)

    def changed(self, cidr: Object) -> None:
        """A range came, changed or went: those that overlap it may be affected."""
        for each in self.cidrs.list():
            self.enqueue(each)

    def address_gone(self, address: Object) -> None:
        for cidr in self.cidrs.list():
            if is_deleting(cidr) and contains(cidr, address["metadata"]["name"]):
                self.enqueue(cidr)

    def sync(self, key: str) -> None:
        cidr = self.cidrs.get_key(key)
        if cidr is None:
            return
        finalizers = cidr["metadata"].get("finalizers") or []
        if not is_deleting(cidr):
            if FINALIZER not in finalizers:
                self.client.update(CIDRS, with_metadata(cidr, finalizers=[*finalizers, FINALIZER]))
            self.tell(key, cidr, READY)
        elif FINALIZER in finalizers:
            if self.is_needed(cidr):
                self.tell(key, cidr, ENDING)
                return
            since = parse(cidr["metadata"]["deletionTimestamp"])
            left = SERVICE_CIDR_DELETION_GRACE - (self.loop.now - since)
            if left > 0:
                self.queue.add_after(key, left)
                return
            with ignoring(is_not_found):
                self.client.update(CIDRS, with_metadata(cidr, finalizers=[f for f in finalizers if f != FINALIZER]))

    def is_needed(self, cidr: Object) -> bool:
        """Whether an address in use is in this range and in no other that stays."""
        staying = [each for each in self.cidrs.list() if not is_deleting(each)]
        used = (address["metadata"]["name"] for address in self.addresses.list())
        return any(contains(cidr, ip) and not any(contains(each, ip) for each in staying) for ip in used)

    def tell(self, key: str, cidr: Object, wanted: dict[str, str]) -> None:
        conditions = (cidr.get("status") or {}).get("conditions") or []
        before: Object = next((c for c in conditions if c["type"] == "Ready"), {})
        if all(before.get(name, "") == value for name, value in wanted.items()):
            return
        condition = {"type": "Ready", **wanted, "lastTransitionTime": timestamp(self.loop.now)}
        self.client.patch(CIDRS, key, "", {"status": {"conditions": [condition]}}, subresource="status")


def contains(cidr: Object, ip: str) -> bool:
    """Whether an address is in one of a ServiceCIDR's ranges."""
    address = ipaddress.ip_address(ip)
    ranges = (ipaddress.ip_network(each) for each in cidr["spec"].get("cidrs") or ())
    return any(address in network for network in ranges if network.version == address.version)
