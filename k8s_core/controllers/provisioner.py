"""A simulated dynamic provisioner: makes a folder of the node into a PersistentVolume for each claim that asks it.

Stands for Rancher's local-path provisioner, which kind and k3s bring along, built on sig-storage's provision
controller. It is no part of kube-controller-manager, and serves claims of StorageClasses whose provisioner is `NAME`.
"""

from k8s_core.api import Object, volumes
from k8s_core.api.errors import ignoring, is_already_exists, is_not_found
from k8s_core.controllers.controller import Controller
from k8s_core.controllers.persistentvolumebinder import PROVISIONERS, SELECTED_NODE
from k8s_core.limits import PROVISIONING_SECONDS

NAME = "rancher.io/local-path"
FOLDER = "/opt/local-path-provisioner"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


class Provisioner(Controller):
    name = "local-path-provisioner"
    account = "local-path-provisioner-service-account"
    component = "rancher.io/local-path_local-path-provisioner"

    def setup(self) -> None:
        self.claims = self.informer("persistentvolumeclaims", changed=self.asked)
        self.volumes = self.informer("persistentvolumes", changed=self.released)
        self.classes = self.informer("storageclasses.storage.k8s.io")

    def asked(self, claim: Object) -> None:
        annotations = claim["metadata"].get("annotations") or {}
        if annotations.get(PROVISIONERS[0]) == NAME and not claim["spec"].get("volumeName"):
            self.queue.add_after(f"{claim['metadata']['namespace']}/{claim['metadata']['name']}", PROVISIONING_SECONDS)

    def sync(self, key: str) -> None:
        claim = self.claims.get_key(key)
        if claim is None or claim["spec"].get("volumeName") or "deletionTimestamp" in claim["metadata"]:
            return
        meta = claim["metadata"]
        found = self.classes.get(claim["spec"].get("storageClassName") or "")
        name = f"pvc-{meta['uid']}"
        if found is None or self.volumes.get(name):
            return
        text = f'External provisioner is provisioning volume for claim "{key}"'
        self.recorder.event(claim, "Normal", "Provisioning", text)
        path = f"{FOLDER}/{name}_{meta['namespace']}_{meta['name']}"
        spec: Object = {
            "capacity": {"storage": volumes.size(claim)},
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": found.get("reclaimPolicy", "Delete"),
            "storageClassName": found["metadata"]["name"],
            "volumeMode": claim["spec"].get("volumeMode", "Filesystem"),
            "hostPath": {"path": path, "type": "DirectoryOrCreate"},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
            },
        }
        node = (meta.get("annotations") or {}).get(SELECTED_NODE)
        if node:
            term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
            spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}
        metadata = {"name": name, "annotations": {PROVISIONED_BY: NAME}}
        made = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}
        with ignoring(is_already_exists):
            self.client.create("persistentvolumes", made)
        self.recorder.event(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name}")

    def released(self, volume: Object) -> None:
        """The claim is gone: what was made for it goes, too, unless its class keeps it."""
        mine = (volume["metadata"].get("annotations") or {}).get(PROVISIONED_BY) == NAME
        gone = volume.get("status", {}).get("phase") == "Released" and "deletionTimestamp" not in volume["metadata"]
        if mine and gone and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            self.loop.call_soon(self.remove, volume["metadata"]["name"])

    def remove(self, name: str) -> None:
        with ignoring(is_not_found):
            self.client.delete("persistentvolumes", name)
