"""The service account controller: every namespace has the ServiceAccount `default`.

Stands for pkg/controller/serviceaccount.
"""

from k8s_core.api import Object
from k8s_core.api.errors import ignoring, is_already_exists
from k8s_core.controllers import pods as podutil
from k8s_core.controllers.controller import Controller, is_deleting

DEFAULT = "default"


class ServiceAccountController(Controller):
    name = "serviceaccount-controller"
    aliases = ("serviceaccount",)
    account = "service-account-controller"
    resource = "serviceaccounts"
    object_name = DEFAULT

    def setup(self) -> None:
        self.namespaces = self.informer("namespaces", self.wake, lambda _, new: self.wake(new))
        self.objects = self.informer(
            self.resource, updated=lambda _, new: self.own_changed(new), deleted=self.own_changed
        )

    def wake(self, namespace: Object) -> None:
        self.queue.add(namespace["metadata"]["name"])

    def own_changed(self, obj: Object) -> None:
        if obj["metadata"]["name"] == self.object_name:
            self.queue.add(obj["metadata"]["namespace"])

    def sync(self, key: str) -> None:
        namespace = self.namespaces.get(key)
        if namespace is None or is_deleting(namespace) or self.objects.get(self.object_name, key):
            return
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": self.object_name, "namespace": key},
        }
        self.create(account)

    def create(self, obj: Object) -> None:
        with ignoring(is_already_exists, podutil.namespace_terminating):
            self.client.create(self.resource, obj)
