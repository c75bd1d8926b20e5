"""Static Pods: what lies in the node's /etc/kubernetes/manifests runs, whether there is an apiserver or not.

Each has a mirror Pod at the apiserver, so that it can be seen; to change or delete the mirror changes nothing.
Stands for pkg/kubelet/config/file.go and pkg/kubelet/pod/mirror_client.go. The folder is looked at every 20 s.
"""

import copy
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from k8s_core.api import Object, defaults
from k8s_core.api.errors import StatusError

if TYPE_CHECKING:
    from k8s_core.kubelet.kubelet import Kubelet

MIRROR = "kubernetes.io/config.mirror"
HASH, SEEN, SOURCE = "kubernetes.io/config.hash", "kubernetes.io/config.seen", "kubernetes.io/config.source"
MAX_MANIFEST = 10 << 20


def is_mirror(pod: Object) -> bool:
    return MIRROR in (pod["metadata"].get("annotations") or {})


class StaticPods:
    """The static Pods of one node."""

    def __init__(self, kubelet: "Kubelet", folder: Path) -> None:
        self.kubelet, self.folder = kubelet, folder
        self.pods: dict[str, Object] = {}
        """uid (the manifest's hash) -> the Pod."""
        self._files: dict[str, tuple[tuple[int, int], Object | None]] = {}

    def check(self) -> None:
        """Read the folder; start what is new, end what is gone or changed."""
        found: dict[str, Object] = {}
        files: dict[str, tuple[tuple[int, int], Object | None]] = {}
        for path in sorted(self.folder.glob("*")) if self.folder.is_dir() else ():
            if path.name.startswith(".") or not path.is_file():
                continue
            stat = path.stat()
            key = (stat.st_mtime_ns, stat.st_size)
            known = self._files.get(path.name)
            pod = known[1] if known and known[0] == key else self._read(path)
            files[path.name] = (key, pod)
            if pod is not None:
                found[pod["metadata"]["uid"]] = pod
        self._files = files
        before, self.pods = self.pods, found
        for uid in before:
            if uid not in found:
                self.kubelet.remove_static(uid)
                self._forget_mirror(before[uid], found)
        for uid, pod in found.items():
            if uid not in before:
                self.kubelet.add_static(pod)
            self.ensure_mirror(pod)

    def _read(self, path: Path) -> Object | None:
        loop = self.kubelet.client.loop
        try:
            if path.stat().st_size > MAX_MANIFEST:
                raise ValueError("file is too large")
            pod: Any = yaml.safe_load(path.read_text())
            if not isinstance(pod, dict) or pod.get("kind") != "Pod" or not pod.get("spec", {}).get("containers"):
                raise ValueError("couldn't parse as pod(no kind or containers), please check config file")
            return self._complete(copy.deepcopy(pod), path)
        except (OSError, ValueError, yaml.YAMLError, AttributeError, TypeError, KeyError, RecursionError) as error:
            where = f"/etc/kubernetes/manifests/{path.name}"
            loop.log("kubelet", f'Could not process manifest file" err="{where}: {error}" path="{where}"')
            return None

    def _complete(self, pod: Object, path: Path) -> Object:
        node = self.kubelet.name
        meta = pod.setdefault("metadata", {})
        text = path.read_bytes() + node.encode() + str(path.name).encode()
        digest = hashlib.md5(text, usedforsecurity=False).hexdigest()
        meta["uid"] = digest
        meta["name"] = f"{meta['name']}-{node.lower()}"
        meta.setdefault("namespace", "default")
        seen = self.kubelet.client.loop.micro_timestamp().replace("Z", "000Z")
        meta["annotations"] = {**(meta.get("annotations") or {}), HASH: digest, SEEN: seen, SOURCE: "file"}
        pod["apiVersion"] = "v1"
        pod["status"] = {"phase": "Pending"}
        spec = pod["spec"]
        spec["nodeName"] = node
        spec["tolerations"] = [*(spec.get("tolerations") or ()), {"effect": "NoExecute", "operator": "Exists"}]
        defaults.apply(pod)
        return pod

    # --- mirrors --------------------------------------------------------------------------------------------
    def find(self, mirror: Object) -> Object | None:
        """The static Pod that a mirror shows."""
        meta = mirror["metadata"]
        for pod in self.pods.values():
            if pod["metadata"]["name"] == meta["name"] and pod["metadata"]["namespace"] == meta["namespace"]:
                return pod
        return None

    def mirror(self, pod: Object) -> Object | None:
        meta = pod["metadata"]
        return self.kubelet.pods.get(meta["name"], meta["namespace"]) if self.kubelet.pods else None

    def ensure_mirror(self, pod: Object) -> None:
        """Make the mirror; one that shows something else, or is being deleted, goes first."""
        mirror = self.mirror(pod)
        meta = pod["metadata"]
        client = self.kubelet.client
        try:
            if mirror is not None:
                annotations = mirror["metadata"].get("annotations") or {}
                if annotations.get(MIRROR) == meta["uid"] and not mirror["metadata"].get("deletionTimestamp"):
                    return
                self._delete(mirror)
            owner = {
                "apiVersion": "v1",
                "kind": "Node",
                "name": self.kubelet.name,
                "uid": self.kubelet.node_uid(),
                "controller": True,
            }
            annotations = {**meta["annotations"], MIRROR: meta["uid"]}
            kept = {k: v for k, v in meta.items() if k in ("name", "namespace", "labels")}
            obj = {**pod, "metadata": {**kept, "annotations": annotations, "ownerReferences": [owner]}}
            obj.pop("status")
            client.create("pods", obj, meta["namespace"])
        except StatusError as error:
            client.loop.log(
                "kubelet", f'Failed creating a mirror pod" pod="{meta["namespace"]}/{meta["name"]}" {error}'
            )

    def mirror_changed(self, mirror: Object) -> None:
        """A mirror was touched: put it back, or delete one that shows nothing."""
        pod = self.find(mirror)
        if pod is not None:
            self.ensure_mirror(pod)
        elif not self.kubelet.ending(mirror):
            self._delete(mirror)

    def _forget_mirror(self, pod: Object, found: dict[str, Object]) -> None:
        mirror = self.mirror(pod)
        if mirror is not None and not any(p["metadata"]["name"] == pod["metadata"]["name"] for p in found.values()):
            self._delete(mirror)

    def _delete(self, mirror: Object) -> None:
        meta = mirror["metadata"]
        try:
            self.kubelet.client.delete("pods", meta["name"], meta["namespace"], uid=meta["uid"], grace_seconds=0)
        except StatusError as error:
            self.kubelet.client.loop.log("kubelet", f"Failed deleting a mirror pod {meta['name']}: {error}")
