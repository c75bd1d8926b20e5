"""ResourceQuota: what would take a namespace over one of its quotas is refused.

Upstream charges the quota's status and lets a controller correct it; here the namespace is counted as it is, so
that nothing can slip by, and the controller alone writes the status. The words are upstream's.
"""

from typing import Any, ClassVar

from k8s_core.api import Object, quota
from k8s_core.api.quantity import Quantity
from k8s_core.apiserver.admission.plugin import Plugin, forbidden
from k8s_core.apiserver.request import Request

RESIZABLE = (quota.SERVICES, quota.CLAIMS)  # their updates can use more

MAX_COUNTED = 20_000


class ResourceQuota(Plugin):
    name: ClassVar[str] = "ResourceQuota"

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._counted: dict[str, tuple[Object, quota.Amounts]] = {}

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        resource, namespace = request.resource, request.namespace
        assert resource is not None and obj is not None
        plural = resource.group_resource
        if (
            not resource.namespaced
            or request.subresource
            or resource.kind == "Event"
            or (old is not None and plural not in RESIZABLE)
        ):
            return
        quotas = self.reader.list("resourcequotas", namespace)
        if not quotas:
            return
        asked = quota.usage(plural, obj)
        had = quota.usage(plural, old) if old else {}
        more = {
            name: Quantity(amount.nanos - had.get(name, Quantity(0)).nanos, amount.format)
            for name, amount in asked.items()
        }
        for each in quotas:
            if quota.matches(each, plural, obj):
                self._check(request, obj, each, plural, {k: v for k, v in more.items() if v.nanos > 0})

    def _check(self, request: Request, obj: Object, found: Object, plural: str, more: quota.Amounts) -> None:
        name, limits = found["metadata"]["name"], quota.hard(found)
        if missing := quota.unspecified(found, plural, obj):
            raise forbidden(request, None, f"failed quota: {name}: must specify {missing}")
        requested = {key: amount for key, amount in more.items() if key in limits}
        if not requested:
            return
        others = self.reader.list(plural, request.namespace)
        used = quota.add(self._usage(plural, each) for each in others if quota.matches(found, plural, each))
        zero = Quantity(0)
        exceeded = [
            key for key, amount in requested.items() if used.get(key, zero).nanos + amount.nanos > limits[key].nanos
        ]
        if exceeded:
            lists = (requested, {**dict.fromkeys(exceeded, zero), **used}, limits)
            asked, taken, limited = (quota.pretty({key: each[key] for key in exceeded}) for each in lists)
            why = f"exceeded quota: {name}, requested: {asked}, used: {taken}, limited: {limited}"
            raise forbidden(request, None, why)

    def _usage(self, plural: str, obj: Object) -> quota.Amounts:
        uid = obj["metadata"]["uid"]
        known = self._counted.get(uid)
        if known is None or known[0] is not obj:
            if len(self._counted) >= MAX_COUNTED:
                self._counted.clear()
            known = self._counted[uid] = (obj, quota.usage(plural, obj))
        return known[1]
