"""The EndpointSlice mirroring controller: Endpoints that somebody wrote by hand are shown as EndpointSlices too.

So that a Service without a selector works for whoever reads slices only, kube-proxy first of all.
Stands for pkg/controller/endpointslicemirroring.
Leaves out: more than 1000 addresses in a subset.
"""

import orjson

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, is_not_found
from k8s_core.client.informer import split_key
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import Controller, controller_reference, is_deleting, with_metadata
from k8s_core.controllers.endpointslice import MANAGED_BY, SERVICE_NAME, SLICES, service_key
from k8s_core.controllers.service_pods import TRIGGER_TIME

SKIP = "endpointslice.kubernetes.io/skip-mirror"
NOT_MIRRORED = {TRIGGER_TIME, "kubectl.kubernetes.io/last-applied-configuration"}
LEADER = "control-plane.alpha.kubernetes.io/leader"


class EndpointSliceMirroringController(Controller):
    name = "endpointslice-mirroring-controller"
    aliases = ("endpointslicemirroring",)
    account = "endpointslicemirroring-controller"
    managed_by = "endpointslicemirroring-controller.k8s.io"

    def setup(self) -> None:
        self.endpoints = self.informer("endpoints", changed=self.enqueue)
        self.services = self.informer("services", changed=self.enqueue)
        self.slices = self.informer(SLICES, deleted=self.slice_deleted)
        self.slices.index("service", service_key)

    def is_ours(self, piece: Object) -> bool:
        return bool((piece["metadata"].get("labels") or {}).get(MANAGED_BY) == self.managed_by)

    def slice_deleted(self, piece: Object) -> None:
        if self.is_ours(piece):
            for key in service_key(piece):
                self.queue.add(key)

    def sync(self, key: str) -> None:
        namespace, name = split_key(key)
        existing = [each for each in self.slices.by_index("service", key) if self.is_ours(each)]
        endpoints, service = self.endpoints.get(name, namespace), self.services.get(name, namespace)
        mirrored = endpoints is not None and service is not None and should_mirror(endpoints, service)
        wanted = self.wanted(endpoints) if endpoints and mirrored else []
        for piece in wanted:
            same = next((each for each in existing if port_key(each) == port_key(piece)), None)
            if same is None:
                self.create(piece)
                continue
            existing.remove(same)
            labels, annotations = (piece["metadata"][part] for part in ("labels", "annotations"))
            new = {**with_metadata(same, labels=labels, annotations=annotations), "endpoints": piece["endpoints"]}
            if (new["endpoints"], labels) != (same.get("endpoints"), same["metadata"].get("labels")):
                self.client.update(SLICES, new)
        for piece in existing:
            self.delete(piece)

    def wanted(self, endpoints: Object) -> list[Object]:
        """One slice for each address family of each subset."""
        metadata = endpoints["metadata"]
        given = metadata.get("annotations") or {}
        base: Object = {
            "generateName": metadata["name"] + "-",
            "namespace": metadata["namespace"],
            "labels": {
                **(metadata.get("labels") or {}),
                SERVICE_NAME: metadata["name"],
                MANAGED_BY: self.managed_by,
            },
            "annotations": {key: value for key, value in given.items() if key not in NOT_MIRRORED},
            "ownerReferences": [controller_reference(endpoints)],
        }
        found = []
        for subset in endpoints.get("subsets") or ():
            ports = [{"name": "", "protocol": "TCP", **port} for port in subset.get("ports") or ()]
            entries = [endpoint(each, ready=True) for each in subset.get("addresses") or ()]
            entries += [endpoint(each, ready=False) for each in subset.get("notReadyAddresses") or ()]
            for family in ("IPv4", "IPv6"):
                chosen = [each for each in entries if (":" in each["addresses"][0]) == (family == "IPv6")]
                if chosen:
                    found.append(
                        {
                            "apiVersion": "discovery.k8s.io/v1",
                            "kind": "EndpointSlice",
                            "metadata": base,
                            "addressType": family,
                            "endpoints": chosen,
                            "ports": ports,
                        }
                    )
        return found

    def create(self, piece: Object) -> None:
        try:
            self.client.create(SLICES, piece)
        except StatusError as error:
            if not podutil.namespace_terminating(error):
                raise

    def delete(self, piece: Object) -> None:
        try:
            self.client.delete(SLICES, piece["metadata"]["name"], piece["metadata"]["namespace"])
        except StatusError as error:
            if not is_not_found(error):
                raise


def should_mirror(endpoints: Object, service: Object) -> bool:
    """Those of Services with a selector are slices already; some ask not to be; locks are no endpoints."""
    metadata = endpoints["metadata"]
    skipped = (metadata.get("labels") or {}).get(SKIP) == "true" or LEADER in (metadata.get("annotations") or {})
    return not (skipped or is_deleting(endpoints) or service["spec"].get("selector"))


def port_key(piece: Object) -> tuple[str, bytes]:
    return piece["addressType"], orjson.dumps(piece.get("ports") or [], option=orjson.OPT_SORT_KEYS)


def endpoint(address: Object, *, ready: bool) -> Object:
    found: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    return found | {key: address[key] for key in ("hostname", "nodeName", "targetRef") if address.get(key)}
