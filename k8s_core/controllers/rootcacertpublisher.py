"""The root CA publisher: every namespace has the ConfigMap kube-root-ca.crt, with which Pods know the API server.

Stands for pkg/controller/certificates/rootcacertpublisher.
"""

from k8s_core.api import Object
from k8s_core.client.client import Client
from k8s_core.controllers.controller import is_deleting
from k8s_core.controllers.serviceaccount import ServiceAccountController

NAME = "kube-root-ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as "
    "the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of "
    "Kubernetes clusters."
)


class RootCACertPublisher(ServiceAccountController):
    """`certificate` is the CA in PEM."""

    name = "root-ca-certificate-publisher-controller"
    aliases = ("root-ca-cert-publisher",)
    account = "root-ca-cert-publisher"
    resource = "configmaps"
    object_name = NAME

    def __init__(self, client: Client, informers: Client | None = None, *, certificate: str = "") -> None:
        super().__init__(client, informers)
        self.certificate = certificate

    def sync(self, key: str) -> None:
        namespace = self.namespaces.get(key)
        if namespace is None or is_deleting(namespace):
            return
        data = {"ca.crt": self.certificate}
        found: Object | None = self.objects.get(NAME, key)
        if found is None:
            metadata = {
                "name": NAME,
                "namespace": key,
                "annotations": {"kubernetes.io/description": DESCRIPTION},
            }
            self.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        elif found.get("data") != data:
            self.client.update("configmaps", {**found, "data": data})
