"""What a Pod refers to and its containers are given: ConfigMaps, Secrets, tokens, the addresses of Services.

Stands for kubelet_pods.go (makeEnvironmentVariables) and pkg/kubelet/token. Everything is asked of the apiserver when
it is needed; Services are watched from the first Pod on.
"""

from typing import TYPE_CHECKING

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, is_not_found
from k8s_core.kubelet import environment as variables
from k8s_core.kubelet.container import Sandbox
from k8s_core.kubelet.environment import ConfigError
from k8s_core.kubelet.images import Image
from k8s_core.kubelet.journal import quoted

if TYPE_CHECKING:
    from k8s_core.client.informer import Informer
    from k8s_core.kubelet.kubelet import Kubelet


class Lookups:
    """One kubelet's. `services` is forgotten when the kubelet stops."""

    def __init__(self, kubelet: "Kubelet") -> None:
        self.kubelet = kubelet
        self.services: Informer | None = None

    def get(self, kind: str, name: str, namespace: str) -> Object | None:
        """An object, None if there is none; ConfigError if the apiserver cannot tell."""
        try:
            return self.kubelet.client.get(kind, name, namespace)
        except StatusError as error:
            if is_not_found(error):
                return None
            raise ConfigError(str(error)) from None

    def token(self, pod: Object, source: Object) -> str:
        """A token of the Pod's ServiceAccount, as a projected volume asks for it; "" if there is none to be had."""
        meta = pod["metadata"]
        reference = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
        spec: Object = {"expirationSeconds": source.get("expirationSeconds", 3600), "boundObjectRef": reference}
        if source.get("audience"):
            spec["audiences"] = [source["audience"]]
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        account = pod["spec"].get("serviceAccountName") or "default"
        try:
            made = self.kubelet.client.create_sub("serviceaccounts", account, meta["namespace"], "token", body)
        except StatusError as error:
            self.kubelet.log("E", "token_manager.go:122", f'"Couldn\'t update token" err={quoted(error)}')
            return ""
        return str(made["status"]["token"])

    def environment(
        self, pod: Object, container: Object, status: Object, image: Image, sandbox: Sandbox | None
    ) -> dict[str, str]:
        """The variables of a container's first process; raises ConfigError."""
        namespace = pod["metadata"]["namespace"]
        if self.services is None:
            self.services = self.kubelet.client.informer("services")
        links = pod["spec"].get("enableServiceLinks", True)
        services = [
            s
            for s in self.services.list(namespace)
            if links or (namespace == "default" and s["metadata"]["name"] == "kubernetes")
        ]
        master = self.services.get("kubernetes", "default")
        if master and namespace != "default":
            services.append(master)
        return variables.build(
            pod,
            container,
            status,
            get=lambda kind, name: self.get(kind, name, namespace),
            services=variables.service_variables(sorted(services, key=lambda s: s["metadata"]["name"])),
            node_ip=self.kubelet.address,
            image_env=image.data.get("env", {}),
            hostname=sandbox.hostname if sandbox else str(pod["metadata"]["name"]),
        )
