"""A provider of load balancers: gives Services of type LoadBalancer an address out of a pool, and takes their traffic.

Stands for the service controller of a cloud-controller-manager (or MetalLB, which does the same without a cloud).
Clusters have none until it is switched on: such Services stay <pending>. The balancer keeps the packet's destination
(ipMode VIP), so the nodes' own rules answer for the address; nodes that fail the health check of a Service with
externalTrafficPolicy Local get none of its traffic.
"""

import ipaddress
from typing import TYPE_CHECKING

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, is_not_found
from k8s_core.client.informer import key_of, split_key
from k8s_core.client.workqueue import WorkQueue
from k8s_core.limits import LOAD_BALANCER_POOL, LOAD_BALANCER_SECONDS

if TYPE_CHECKING:
    from k8s_core.client import Client
    from k8s_core.network.network import Network

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"


class LoadBalancerProvider:
    """The controller and the balancers it makes."""

    def __init__(self, client: "Client", network: "Network", pool: str = LOAD_BALANCER_POOL) -> None:
        self.client, self.network = client, network
        self.pool = ipaddress.IPv4Network(pool)
        self._services = client.informer("services")
        self._nodes = client.informer("nodes")
        self._slices = client.informer("endpointslices.discovery.k8s.io")
        self._recorder = client.recorder("service-controller")
        self._queue: WorkQueue | None = None
        self._building: set[str] = set()
        self._services.on(self._changed, self._updated, self._changed)

    @property
    def running(self) -> bool:
        return self._queue is not None

    def start(self) -> None:
        """Look after all Services that wait for an address."""
        if self._queue is None:
            self._queue = WorkQueue(self.client.loop, self._sync, name="service")
            self.network.balance = self.node_for
            for service in self._services.list():
                self._changed(service)

    def stop(self) -> None:
        """Stop looking; balancers that exist go on."""
        self._queue = None

    def _changed(self, service: Object) -> None:
        if self._queue is not None:
            self._queue.add(key_of(service))

    def _updated(self, old: Object, new: Object) -> None:
        """Tell what changed of what a balancer depends on."""
        kinds = [each["spec"].get("type", "ClusterIP") for each in (old, new)]
        if self._queue is not None and (kinds[0] == "LoadBalancer") != (kinds[1] == "LoadBalancer"):
            self._recorder.event(new, "Normal", "Type", f"{kinds[0]} -> {kinds[1]}")
        self._changed(new)

    # --- the controller -------------------------------------------------------------------------------------
    def _sync(self, key: str) -> None:
        service = self._services.get_key(key)
        if service is None or self._queue is None:
            return
        spec, meta = service["spec"], service["metadata"]
        wanted = spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")
        if wanted and "deletionTimestamp" not in meta:
            if not addresses(service) and key not in self._building:
                self._building.add(key)
                self._recorder.event(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer")
                self._finalizers(service, [*(meta.get("finalizers") or ()), FINALIZER])
                self.client.loop.call_later(LOAD_BALANCER_SECONDS, self._built, key)
        elif FINALIZER in (meta.get("finalizers") or ()):
            self._recorder.event(service, "Normal", "DeletingLoadBalancer", "Deleting load balancer")
            if addresses(service):
                self.client.patch(
                    "services",
                    meta["name"],
                    meta["namespace"],
                    {"status": {"loadBalancer": None}},
                    subresource="status",
                )
            self._finalizers(service, [f for f in meta["finalizers"] if f != FINALIZER])
            self._recorder.event(service, "Normal", "DeletedLoadBalancer", "Deleted load balancer")

    def _finalizers(self, service: Object, names: list[str]) -> None:
        meta = service["metadata"]
        if names != list(meta.get("finalizers") or ()):
            patch = {"metadata": {"finalizers": list(dict.fromkeys(names)) or None}}
            self.client.patch("services", meta["name"], meta["namespace"], patch)

    def _built(self, key: str) -> None:
        """The balancer is there: write its address into the Service's status."""
        self._building.discard(key)
        service = self._services.get_key(key)
        if service is None or self._queue is None or service["spec"].get("type") != "LoadBalancer":
            return
        address = self._free(service)
        if not address:
            text = f"Error syncing load balancer: failed to ensure load balancer: no free address in {self.pool}"
            self._recorder.event(service, "Warning", "SyncLoadBalancerFailed", text)
            return
        namespace, name = split_key(key)
        status = {"status": {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}}}
        try:
            self.client.patch("services", name, namespace, status, subresource="status")
        except StatusError as error:
            if not is_not_found(error):
                raise
            return
        self._recorder.event(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")

    def _free(self, service: Object) -> str:
        taken = {a for other in self._services.list() for a in addresses(other)}
        asked = service["spec"].get("loadBalancerIP", "")
        if asked:
            return asked if asked not in taken and ipaddress.ip_address(asked) in self.pool else ""
        return next((str(a) for a in self.pool.hosts() if str(a) not in taken), "")

    # --- the balancers --------------------------------------------------------------------------------------
    def node_for(self, address: str, port: int, protocol: str) -> str | None:
        """A node that a connection to a balancer's address is handed to; None if there is no such balancer."""
        for service in self._services.list():
            if address not in addresses(service):
                continue
            known = {(p["port"], p.get("protocol", "TCP").lower()) for p in service["spec"].get("ports") or ()}
            nodes = [n["metadata"]["name"] for n in self._nodes.list() if _takes_traffic(n)]
            if service["spec"].get("externalTrafficPolicy") == "Local":
                nodes = [n for n in nodes if n in self._nodes_with_endpoints(service)]
            if (port, protocol) not in known or not nodes:
                return None
            return str(self.network.random.choice(sorted(nodes)))
        return None

    def _nodes_with_endpoints(self, service: Object) -> set[str]:
        meta = service["metadata"]
        return {
            e.get("nodeName", "")
            for piece in self._slices.list(meta["namespace"])
            if (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == meta["name"]
            for e in piece.get("endpoints") or ()
            if (e.get("conditions") or {}).get("ready") is not False
        }


def addresses(service: Object) -> list[str]:
    """The addresses that a provider gave the Service."""
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [i["ip"] for i in ingress if i.get("ip")]


def _takes_traffic(node: Object) -> bool:
    if EXCLUDED in (node["metadata"].get("labels") or {}) or "deletionTimestamp" in node["metadata"]:
        return False
    conditions = node.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
