"""The resource quota controller: writes into every ResourceQuota how much of it is used.

Promises: `status.used` has an amount for just what `spec.hard` limits, recounted when objects that it counts come, go
or change what they use. What would go beyond is refused by admission; this controller only tells.
Stands for pkg/controller/resourcequota; what an object uses is in api/quota.py.
"""

from functools import partial

from k8s_core.api import Object, quota
from k8s_core.api.quantity import Quantity
from k8s_core.client.informer import Informer, key_of
from k8s_core.controllers.controller import Controller, with_status

QUOTAS = "resourcequotas"


class ResourceQuotaController(Controller):
    name = "resourcequota-controller"
    aliases = ("resourcequota",)
    account = "resourcequota-controller"

    def setup(self) -> None:
        self.counted: dict[str, Informer] = {}
        self.quotas = self.informer(QUOTAS, self.quota_seen, lambda _, new: self.quota_seen(new))

    def quota_seen(self, found: Object) -> None:
        """Watch what the quota counts; nothing is watched that no quota is about."""
        for name in quota.hard(found):
            resource = quota.resource_of(name)
            if resource not in self.counted and self.client.resources.find(resource):
                self.counted[resource] = self.informer(
                    resource,
                    partial(self.object_changed, resource),
                    partial(self.object_updated, resource),
                    partial(self.object_changed, resource),
                )
        self.enqueue(found)

    def object_changed(self, resource: str, obj: Object) -> None:
        namespace = obj["metadata"].get("namespace", "")
        for found in self.quotas.list(namespace):
            if quota.matches(found, resource, obj):
                # The size is unknown without counting, which is what is to be put off.
                self.enqueue_batched(key_of(found), len(self.counted[resource].items))

    def object_updated(self, resource: str, old: Object, new: Object) -> None:
        if quota.usage(resource, old) != quota.usage(resource, new):
            self.object_changed(resource, new)

    def sync(self, key: str) -> None:
        found = self.quotas.get_key(key)
        if found is None:
            return
        limits, namespace = quota.hard(found), found["metadata"]["namespace"]
        total = quota.add(
            quota.usage(resource, obj)
            for resource in sorted({quota.resource_of(name) for name in limits})
            for obj in (self.counted[resource].list(namespace) if resource in self.counted else ())
            if quota.matches(found, resource, obj)
        )
        used = {name: str(total.get(name, Quantity(0))) for name in limits}
        status = {"hard": found["spec"].get("hard") or {}, "used": used}
        if status != (found.get("status") or {}):
            self.client.update_status(QUOTAS, with_status(found, status))
