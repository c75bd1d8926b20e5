"""The Endpoints controller: the deprecated single list of a Service's addresses, still written for those who read it.

Promises: ready and not ready addresses by sets of ports, cut off at 1000 with the annotation that says so; the
Service's labels; nothing for Services without a selector.
Stands for pkg/controller/endpoint and pkg/api/v1/endpoints.
"""

from collections.abc import Iterable

import orjson

from k8s_core.api import Object
from k8s_core.api.errors import ignoring, is_not_found
from k8s_core.client.informer import split_key
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import is_deleting, with_metadata
from k8s_core.controllers.service_pods import (
    HEADLESS_LABEL,
    TRIGGER_TIME,
    ServiceController,
    addresses,
    belongs,
    has_cluster_ip,
    hostname,
    target_port,
)
from k8s_core.limits import MAX_ENDPOINTS_CAPACITY

OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"


class EndpointsController(ServiceController):
    name = "endpoints-controller"
    aliases = ("endpoint", "endpoints")
    account = "endpoint-controller"
    managed_by = "endpoint-controller"

    def setup(self) -> None:
        super().setup()
        self.endpoints = self.informer("endpoints", deleted=self.enqueue)

    def sync(self, key: str) -> None:
        namespace, name = split_key(key)
        service = self.services.get(name, namespace)
        if service is None:
            self.trigger_times.forget(key)
            self.delete(namespace, name)
            return
        if service["spec"].get("type") == "ExternalName" or not service["spec"].get("selector"):
            return
        pods = self.pods_of(service)
        trigger_time = self.trigger_times.changed(service, pods)
        subsets, cut = truncate(self.subsets(service, pods))
        labels = {**(service["metadata"].get("labels") or {}), MANAGED_BY: self.managed_by}
        if not has_cluster_ip(service):
            labels[HEADLESS_LABEL] = ""
        old = self.endpoints.get(name, namespace)
        annotations = dict(old["metadata"].get("annotations") or {}) if old else {}
        if old and (old.get("subsets") or []) == subsets and old["metadata"].get("labels") == labels:
            return
        annotations.pop(TRIGGER_TIME, None)
        annotations.pop(OVER_CAPACITY, None)
        annotations |= {TRIGGER_TIME: trigger_time} if trigger_time else {}
        annotations |= {OVER_CAPACITY: "truncated"} if cut else {}
        if old:
            new = {**with_metadata(old, labels=labels, annotations=annotations), "subsets": subsets}
            self.client.update("endpoints", new)
        elif not is_deleting(service):
            metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations}
            new = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}
            with ignoring(podutil.namespace_terminating):
                self.client.create("endpoints", new)

    def delete(self, namespace: str, name: str) -> None:
        """A Service took its Endpoints with it; those that somebody else wrote stay."""
        found = self.endpoints.get(name, namespace)
        if found is None or (found["metadata"].get("labels") or {}).get(MANAGED_BY) != self.managed_by:
            return
        with ignoring(is_not_found):
            self.client.delete("endpoints", name, namespace)

    def subsets(self, service: Object, pods: Iterable[Object]) -> list[Object]:
        """The addresses by the set of ports they have; an address is ready or not, never both."""
        all_ready = bool(service["spec"].get("publishNotReadyAddresses"))
        groups: dict[bytes, tuple[list[Object], list[Object]]] = {}
        for pod in pods:
            if not belongs(pod, terminating=all_ready):
                continue
            ports = []
            for port in service["spec"].get("ports") or ():
                if (number := target_port(pod, port)) is not None:
                    entry = {"port": number, "protocol": port.get("protocol", "TCP")}
                    entry |= {key: port[key] for key in ("name", "appProtocol") if port.get(key)}
                    ports.append(entry)
            if not ports and (service["spec"].get("ports") or has_cluster_ip(service)):
                continue
            group = groups.setdefault(orjson.dumps(ports), ([], []))
            group[0 if all_ready or podutil.is_ready(pod) else 1].append(address(pod, service))
        subsets = []
        for ports_key, (ready, unready) in groups.items():
            lists = {"addresses": ready, "notReadyAddresses": unready, "ports": orjson.loads(ports_key)}
            in_order = {key: sorted(value, key=order) for key, value in lists.items() if value}
            subsets.append(in_order)
        return subsets


def order(entry: Object) -> tuple[object, ...]:
    """By address, numerically; ports by name."""
    ip = entry.get("ip")
    return tuple(int(part) for part in ip.split(".")) if ip and ":" not in ip else (str(ip), entry.get("name", ""))


def address(pod: Object, service: Object) -> Object:
    metadata, spec = pod["metadata"], pod["spec"]
    found: Object = {"ip": addresses(pod)[0]}
    if name := hostname(pod, service):
        found["hostname"] = name
    if spec.get("nodeName"):
        found["nodeName"] = spec["nodeName"]
    reference = {key: metadata[key] for key in ("namespace", "name", "uid")}
    return {**found, "targetRef": {"kind": "Pod", **reference}}


def truncate(subsets: list[Object]) -> tuple[list[Object], bool]:
    """At most 1000 addresses, ready ones first; whether some had to go."""
    room = MAX_ENDPOINTS_CAPACITY
    total = sum(len(each.get("addresses", ())) + len(each.get("notReadyAddresses", ())) for each in subsets)
    if total <= room:
        return subsets, False
    cut = [dict(each) for each in subsets]
    for key in ("addresses", "notReadyAddresses"):
        for each in cut:
            if key in each:
                each[key] = each[key][:room]
                room -= len(each[key])
                if not each[key]:
                    del each[key]
    return [each for each in cut if each.keys() & {"addresses", "notReadyAddresses"}], True
