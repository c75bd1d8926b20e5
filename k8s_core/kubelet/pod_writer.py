"""What the kubelet writes about Pods at the apiserver: their status, and that they have ended.

Stands for the writing half of pkg/kubelet/status/status_manager.go. A static Pod's status goes to its mirror; a
conflict is tried once more on the newest object, anything else by the next sync.
"""

from typing import TYPE_CHECKING

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, is_conflict, is_not_found
from k8s_core.kubelet.journal import quoted

if TYPE_CHECKING:
    from k8s_core.kubelet.kubelet import Kubelet


class PodWriter:
    """Writes for one kubelet."""

    def __init__(self, kubelet: "Kubelet") -> None:
        self.kubelet = kubelet

    def known_status(self, pod: Object) -> Object:
        """The status that the apiserver has: the Pod's, or of a static Pod its mirror's."""
        shown = self.kubelet.static.mirror(pod) if pod["metadata"]["uid"] in self.kubelet.static.pods else pod
        return (shown or {}).get("status") or {}

    def write_status(self, pod: Object, status: Object) -> Object | None:
        """Write a Pod's status; gives the Pod as it then is, None if that failed (it will be tried again)."""
        if not self.kubelet.running:
            return None
        meta = pod["metadata"]
        is_static = meta["uid"] in self.kubelet.static.pods
        target = self.kubelet.static.mirror(pod) if is_static else pod
        if target is None:
            return {**pod, "status": status}
        try:
            written = self.kubelet.client.update_status("pods", {**target, "status": status})
        except StatusError as error:
            if is_conflict(error):
                again = self._write_again(target, status)
                if again is None:
                    return None
                written = again
            else:
                if not is_not_found(error):
                    self._status_failed(meta, error)
                return None
        return {**pod, "status": written["status"]} if is_static else written

    def _status_failed(self, meta: Object, error: StatusError) -> None:
        what = f'"Failed to update status for pod" pod="{meta["namespace"]}/{meta["name"]}" err={quoted(error)}'
        self.kubelet.log("E", "status_manager.go:895", what)

    def _write_again(self, pod: Object, status: Object) -> Object | None:
        meta = pod["metadata"]
        try:
            fresh = self.kubelet.client.get("pods", meta["name"], meta["namespace"])
            if fresh["metadata"]["uid"] != meta["uid"]:
                return None
            return self.kubelet.client.update_status("pods", {**fresh, "status": status})
        except StatusError as error:
            self._status_failed(meta, error)
            return None

    def delete_object(self, pod: Object) -> None:
        """The Pod has ended: let the apiserver forget it."""
        meta = pod["metadata"]
        try:
            self.kubelet.client.delete("pods", meta["name"], meta["namespace"], uid=meta["uid"], grace_seconds=0)
        except StatusError as error:
            if not is_not_found(error) and not is_conflict(error):
                what = f'"Failed to delete pod" err={quoted(error)} pod="{meta["namespace"]}/{meta["name"]}"'
                self.kubelet.log("E", "status_manager.go:1050", what)
