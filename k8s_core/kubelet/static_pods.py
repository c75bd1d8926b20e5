"""Static Pods: what lies in the node's /etc/kubernetes/manifests runs, whether there is an apiserver or not.

Each has a mirror Pod at the apiserver, so that it can be seen; to change or delete the mirror changes nothing.
Stands for pkg/kubelet/config/file.go and pkg/kubelet/pod/mirror_client.go. The folder is looked at every 20 s.
"""

import copy
import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import yaml

from k8s_core.api import Object, defaults, goyaml
from k8s_core.api.errors import StatusError
from k8s_core.kubelet.journal import quoted
from k8s_core.shell.fs import MAX_FILE, Directory, File, FileError

if TYPE_CHECKING:
    from k8s_core.kubelet.kubelet import Kubelet

MIRROR = "kubernetes.io/config.mirror"
HASH, SEEN, SOURCE = "kubernetes.io/config.hash", "kubernetes.io/config.seen", "kubernetes.io/config.source"


def is_mirror(pod: Object) -> bool:
    return MIRROR in (pod["metadata"].get("annotations") or {})


class StaticPods:
    """The static Pods of one node."""

    def __init__(self, kubelet: "Kubelet") -> None:
        self.kubelet = kubelet
        self.pods: dict[str, Object] = {}
        """uid (the manifest's hash) -> the Pod."""
        self._files: dict[str, tuple[bytes, Object | None]] = {}

    @property
    def folder(self) -> str:
        return self.kubelet.config.static_pod_path

    def _contents(self) -> dict[str, bytes]:
        """The manifests. They are read in the node's own tree: a link never leads out of it."""
        fs, found = self.kubelet.fs, dict[str, bytes]()
        folder = fs.lookup(self.folder) if self.folder else None
        for name in folder.names() if isinstance(folder, Directory) else ():
            node = fs.lookup(f"{self.folder}/{name}")
            if not name.startswith(".") and isinstance(node, File):
                with suppress(FileError):
                    found[name] = node.read()
        return found

    def look(self) -> None:
        """Somebody has worked on the node: the kernel tells the kubelet of changes in the folder (inotify)."""
        if self.kubelet.running and self.kubelet.pods is not None and not self.kubelet.runtime.fake:
            found = self._contents()
            if found != {name: text for name, (text, _) in self._files.items()}:
                self.check()

    def check(self) -> None:
        """Read the folder; start what is new, end what is gone or changed."""
        found: dict[str, Object] = {}
        files: dict[str, tuple[bytes, Object | None]] = {}
        for name, text in self._contents().items():
            known = self._files.get(name)
            pod = known[1] if known and known[0] == text and known[1] else self._read(name, text)
            files[name] = (text, pod)
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

    def _read(self, name: str, text: bytes) -> Object | None:
        where = f"{self.folder}/{name}"
        try:
            if len(text) >= MAX_FILE:
                raise ValueError("file is too large")
            pod: Any = yaml.safe_load(text.decode())
            goyaml.check_aliases(pod)
            if not isinstance(pod, dict) or pod.get("kind") != "Pod" or not pod.get("spec", {}).get("containers"):
                raise ValueError("couldn't parse as pod(no kind or containers), please check config file")
            return self._complete(copy.deepcopy(pod), name, text)
        except (ValueError, yaml.YAMLError, AttributeError, TypeError, KeyError, RecursionError) as error:
            why = f"{where}: {_yaml_problem(error)}"
            self.kubelet.log("E", "file.go:187", f'"Could not process manifest file" err={quoted(why)} path="{where}"')
            return None

    def _complete(self, pod: Object, name: str, content: bytes) -> Object:
        node = self.kubelet.name
        meta = pod.setdefault("metadata", {})
        text = content + node.encode() + name.encode()
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
            what = f'"Failed creating a mirror pod" err={quoted(error)} pod="{meta["namespace"]}/{meta["name"]}"'
            self.kubelet.log("E", "kubelet.go:3196", what)

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
            what = f'"Failed deleting a mirror pod" err={quoted(error)} pod="{meta["namespace"]}/{meta["name"]}"'
            self.kubelet.log("E", "mirror_client.go:138", what)


def _yaml_problem(error: Exception) -> str:
    """A YAML error in one line, without the text around it."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"yaml: line {error.problem_mark.line + 1}: {error.problem}"
    return str(error)
