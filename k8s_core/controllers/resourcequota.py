"""The resource quota controller: writes into every ResourceQuota's status what its namespace uses.

It listens to a resource only once some quota limits it. Stands for pkg/controller/resourcequota.
"""

from k8s_core.api import Object, quota
from k8s_core.api.errors import StatusError, is_conflict, is_not_found
from k8s_core.api.quantity import Quantity
from k8s_core.client.informer import Informer, split_key
from k8s_core.controllers.controller import Controller, is_deleting


class ResourceQuotaController(Controller):
    name = "resourcequota-controller"
    aliases = ("resourcequota",)
    account = "resourcequota-controller"

    def setup(self) -> None:
        self.counted: dict[str, Informer] = {}
        self.quotas = self.informer("resourcequotas", changed=self.enqueue)

    def used_resource(self, resource: str) -> Informer | None:
        """The informer of a resource that some quota limits; None if the API has no such resource."""
        if resource not in self.counted:
            try:
                self.counted[resource] = self.informer(resource, changed=self.recount)
            except StatusError as error:
                if not is_not_found(error):
                    raise
                return None
        return self.counted[resource]

    def recount(self, obj: Object) -> None:
        for each in self.quotas.list(obj["metadata"].get("namespace", "")):
            self.enqueue(each)

    def sync(self, key: str) -> None:
        found = self.quotas.get_key(key)
        if found is None or is_deleting(found):
            return
        namespace, _ = split_key(key)
        hard = quota.hard(found)
        used: quota.Amounts = {}
        for resource in sorted({quota.resource_of(name) for name in hard}):
            informer = self.used_resource(resource)
            objects = informer.list(namespace) if informer else []
            total = quota.add(quota.usage(resource, each) for each in objects if quota.matches(found, resource, each))
            for name in hard:
                if quota.resource_of(name) == resource:
                    used[name] = total.get(name, Quantity(0, hard[name].format))
        status = {
            "hard": dict(found["spec"].get("hard") or {}),
            "used": {name: str(amount) for name, amount in sorted(used.items())},
        }
        if found.get("status") == status:
            return
        try:
            self.client.update_status("resourcequotas", {**found, "status": status})
        except StatusError as error:
            if is_conflict(error):
                self.queue.add_rate_limited(key)
            elif not is_not_found(error):
                raise
