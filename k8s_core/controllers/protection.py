"""The protection controllers: a claim that no Pod uses, and a volume that no claim is bound to, may go.

Stands for pkg/controller/volume/pvcprotection and pvprotection. The finalizers are put on by admission
(StorageObjectInUseProtection) or here, on what was there before.
"""

from k8s_core.api import Object
from k8s_core.api.errors import ignoring, is_not_found
from k8s_core.controllers.controller import Controller, is_deleting


class ClaimProtectionController(Controller):
    name = "persistentvolumeclaim-protection-controller"
    aliases = ("pvc-protection",)
    account = "pvc-protection-controller"
    resource, finalizer = "persistentvolumeclaims", "kubernetes.io/pvc-protection"

    def setup(self) -> None:
        self.objects = self.informer(self.resource, changed=self.enqueue)
        self.pods = self.informer("pods", None, lambda _, pod: self.ended(pod), self.released)

    def ended(self, pod: Object) -> None:
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            self.released(pod)

    def released(self, pod: Object) -> None:
        """A Pod ended or went: its claims may be free now."""
        for name in claims(pod):
            self.queue.add(f"{pod['metadata']['namespace']}/{name}")

    def in_use(self, obj: Object) -> bool:
        meta = obj["metadata"]
        return any(
            meta["name"] in claims(pod)
            for pod in self.pods.list(meta["namespace"])
            if pod["spec"].get("nodeName") and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        )

    def sync(self, key: str) -> None:
        namespace, _, name = key.rpartition("/")
        obj = self.objects.get(name, namespace)
        if obj is None:
            return
        finalizers = obj["metadata"].get("finalizers") or []
        if is_deleting(obj):
            if self.finalizer in finalizers and not self.in_use(obj):
                self.write(obj, [each for each in finalizers if each != self.finalizer])
        elif self.finalizer not in finalizers:
            self.write(obj, [*finalizers, self.finalizer])

    def write(self, obj: Object, finalizers: list[str]) -> None:
        with ignoring(is_not_found):
            self.client.update(self.resource, {**obj, "metadata": {**obj["metadata"], "finalizers": finalizers}})


class VolumeProtectionController(ClaimProtectionController):
    name = "persistentvolume-protection-controller"
    aliases = ("pv-protection",)
    account = "pv-protection-controller"
    resource, finalizer = "persistentvolumes", "kubernetes.io/pv-protection"

    def setup(self) -> None:
        self.objects = self.informer(self.resource, changed=self.enqueue)

    def in_use(self, obj: Object) -> bool:
        return bool(obj.get("status", {}).get("phase") == "Bound")


def claims(pod: Object) -> set[str]:
    """The names of the claims that a Pod mounts, those made for it included."""
    found = set()
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            found.add(volume["persistentVolumeClaim"]["claimName"])
        elif "ephemeral" in volume:
            found.add(f"{pod['metadata']['name']}-{volume['name']}")
    return found
