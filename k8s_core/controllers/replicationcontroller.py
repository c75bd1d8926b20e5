"""The ReplicationController controller: the ReplicaSet controller over the older kind.

Stands for pkg/controller/replication, which wraps pkg/controller/replicaset in the same way.
"""

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.api.selectors import Selector, from_label_selector
from k8s_core.controllers.replicaset import ReplicaSetController


class ReplicationController(ReplicaSetController):
    name = "replicationcontroller-controller"
    aliases = ("replicationcontroller",)
    account = "replication-controller"
    resource = "replicationcontrollers"
    kind = "ReplicationController"

    def selector(self, owner: Object) -> Selector:
        return from_label_selector({"matchLabels": owner["spec"].get("selector") or {}})

    def status(self, owner: Object, active: list[Object], terminating: int, failure: StatusError | None) -> Object:
        status = super().status(owner, active, terminating, failure)
        del status["terminatingReplicas"]  # a field this kind never got
        return status
