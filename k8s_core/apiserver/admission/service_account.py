"""ServiceAccount: every Pod runs as one, with its token, the cluster's CA and the namespace mounted."""

from typing import Any, ClassVar

from k8s_core.api import Object
from k8s_core.apiserver.admission.plugin import MIRROR, Plugin, forbidden
from k8s_core.apiserver.request import Request

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME = "kube-api-access-"
TOKEN_EXPIRATION = 3607  # WarnOnlyBoundTokenExpirationSeconds


class ServiceAccount(Plugin):
    name: ClassVar[str] = "ServiceAccount"
    resources: ClassVar[frozenset[str]] = frozenset({"pods"})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        spec = obj["spec"]
        if old is not None:
            if request.subresource == "ephemeralcontainers":
                self._mount(spec, ("ephemeralContainers",))
            return
        if MIRROR in (obj["metadata"].get("annotations") or {}):
            self._check_mirror(request, obj)
            return
        name = spec.get("serviceAccountName") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        where = request.namespace
        account = self.find("serviceaccounts", name, where)
        if account is None:
            why = f'error looking up service account {where}/{name}: serviceaccount "{name}" not found'
            raise forbidden(request, obj, why)
        if _automounts(spec, account):
            self._mount(spec, ("initContainers", "containers"))
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [{"name": each["name"]} for each in account["imagePullSecrets"]]

    def _check_mirror(self, request: Request, obj: Object) -> None:
        spec = obj["spec"]
        if spec.get("serviceAccountName"):
            raise forbidden(request, obj, "a mirror pod may not reference service accounts")
        for volume in spec.get("volumes") or ():
            sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
            if any("secret" in source for source in sources):
                raise forbidden(request, obj, "a mirror pod may not reference secrets")
            if any("serviceAccountToken" in source for source in sources):
                raise forbidden(request, obj, "a mirror pod may not use ServiceAccountToken volume projections")

    def _mount(self, spec: Object, lists: tuple[str, ...]) -> None:
        volumes = spec.get("volumes") or []
        present = next((volume["name"] for volume in volumes if volume["name"].startswith(VOLUME)), None)
        bare = [
            container
            for name in lists
            for container in spec.get(name) or ()
            if all(mount.get("mountPath") != MOUNT_PATH for mount in container.get("volumeMounts") or ())
        ]
        if not bare or (present is None and lists == ("ephemeralContainers",)):
            return
        volume = present or VOLUME + self.loop.suffix()
        for container in bare:
            mount = {"name": volume, "readOnly": True, "mountPath": MOUNT_PATH}
            container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]
        if present is None:
            spec["volumes"] = [*volumes, {"name": volume, "projected": _token_source()}]


def _automounts(spec: Object, account: Object) -> bool:
    for holder in (spec, account):
        if (said := holder.get("automountServiceAccountToken")) is not None:
            return bool(said)
    return True


def _token_source() -> dict[str, Any]:
    namespace = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_EXPIRATION, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": namespace}]}},
        ],
        "defaultMode": 0o644,
    }
