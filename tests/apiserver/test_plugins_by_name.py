"""Admission plugins by kube-apiserver's names: the optional ones, those for certificates, classes and claims."""

import argparse
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from k8s_core.api import Object, errors
from k8s_core.apiserver.options import Options, add_flags, from_flags
from k8s_core.apiserver.request import Request
from k8s_core.client import Client
from k8s_core.cluster import Cluster

Start = Callable[..., Cluster]


def start(make_cluster: Start, *enable: str, **more: Any) -> Cluster:
    options = Options(enable_admission_plugins=enable, **more)
    return make_cluster(profile="bare", scheduler=False, kubelets=False, options=options)


def pod(name: str = "web", **spec: Any) -> Object:
    containers = [{"name": "c", "image": "nginx", "imagePullPolicy": "IfNotPresent", **spec.pop("container", {})}]
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers, **spec}}


def refusal(client: Client, resource: str, obj: Object) -> str:
    with pytest.raises(errors.StatusError) as caught:
        client.create(resource, obj)
    return caught.value.message


def test_what_is_off_does_nothing_and_what_is_on_does(make_cluster: Start) -> None:
    """Pods are pulled always, tolerate what they ask for, and go where their namespace says, if that is switched on."""
    wanted = pod(container={"resources": {"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "1"}}})
    plain = start(make_cluster).client().create("pods", wanted)["spec"]
    assert plain["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    cluster = start(make_cluster, "AlwaysPullImages", "ExtendedResourceToleration", "PodNodeSelector")
    client = cluster.client()
    note = {"metadata": {"annotations": {"scheduler.alpha.kubernetes.io/node-selector": "disk=ssd"}}}
    client.patch("namespaces", "default", "", note)
    spec = client.create("pods", wanted)["spec"]
    assert spec["containers"][0]["imagePullPolicy"] == "Always"
    assert {"key": "example.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec["tolerations"]
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert "conflicts with its namespace" in refusal(client, "pods", pod("other", nodeSelector={"disk": "hdd"}))


def test_what_is_denied(make_cluster: Start) -> None:
    """External IPs and wide anti-affinity are refused in the plugins' words; AlwaysDeny refuses everything."""
    client = start(make_cluster, "DenyServiceExternalIPs", "LimitPodHardAntiAffinityTopology").client()
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"ports": [{"port": 80}], "externalIPs": ["192.0.2.1"]},
    }  # fmt: skip
    assert "Use of external IPs is denied by admission control." in refusal(client, "services", service)
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}}
    anti = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    assert "TopologyKey zone but only key kubernetes.io/hostname" in refusal(client, "pods", pod(affinity=anti))
    denied = start(make_cluster, "AlwaysDeny").client()
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
    assert "admission control is denying all modifications" in refusal(denied, "configmaps", settings)


def test_what_a_namespace_is_made_by_and_lets_its_pods_tolerate(make_cluster: Start) -> None:
    """A namespace comes with what is created in it; its annotations give tolerations, and forbid all others."""
    client = start(make_cluster, "NamespaceAutoProvision", "PodTolerationRestriction").client()
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "new"}}
    client.create("configmaps", settings)
    assert client.get("namespaces", "new")["status"] == {"phase": "Active"}
    given = '[{"key": "disk", "operator": "Exists", "effect": "NoSchedule"}]'
    note = {"scheduler.alpha.kubernetes.io/defaultTolerations": given}
    client.patch("namespaces", "default", "", {"metadata": {"annotations": note}})
    memory = {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"}
    asked = [{"key": "disk", "operator": "Equal", "value": "ssd", "effect": "NoSchedule"}]
    wanted = pod(container={"resources": {"requests": {"cpu": "1"}}}, tolerations=asked)
    found = client.create("pods", wanted)["spec"]["tolerations"]
    assert found[0] == {"key": "disk", "operator": "Exists", "effect": "NoSchedule"} and memory in found
    assert asked[0] not in found
    note = {"scheduler.alpha.kubernetes.io/tolerationsWhitelist": given}
    client.patch("namespaces", "default", "", {"metadata": {"annotations": note}})
    assert refusal(client, "pods", pod("other", tolerations=[{"key": "gpu", "operator": "Exists"}])) == (
        "pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist"
    )


def test_what_a_configuration_file_says(make_cluster: Start, tmp_path: Path) -> None:
    """--admission-control-config-file limits Events, and gives levels to namespaces without labels."""
    (tmp_path / "events.yaml").write_text("{limits: [{type: Namespace, qps: 1, burst: 2}]}")
    (tmp_path / "admission.yaml").write_text(f"""
kind: AdmissionConfiguration
plugins:
- {{name: EventRateLimit, path: {tmp_path}/events.yaml}}
- name: PodSecurity
  configuration: {{defaults: {{enforce: baseline, warn: restricted}}, exemptions: {{namespaces: [kube-system]}}}}
""")
    parser = argparse.ArgumentParser()
    add_flags(parser)
    flags = [f"--admission-control-config-file={tmp_path}/admission.yaml", "--enable-admission-plugins=EventRateLimit"]
    options = from_flags(parser.parse_args(flags))
    bare = {"profile": "bare", "scheduler": False, "kubelets": False, "controllers": ["serviceaccount"]}
    cluster = make_cluster(**bare, options=options)
    client = cluster.client()
    privileged = pod(container={"securityContext": {"privileged": True}})
    assert 'violates PodSecurity "baseline:latest": privileged' in refusal(client, "pods", privileged)
    client.create("pods", {**privileged, "metadata": {"name": "web", "namespace": "kube-system"}})
    about = {"kind": "Pod", "name": "web", "namespace": "default"}

    def event(name: str) -> Object:
        meta = {"name": name, "namespace": "default"}
        return {"apiVersion": "v1", "kind": "Event", "metadata": meta, "involvedObject": about}

    for name in ("a", "b"):
        client.create("events", event(name))
    assert refusal(client, "events", event("c")) == "limit reached on type Namespace for key default"
    cluster.advance(1)
    client.create("events", event("c"))


def test_names_that_can_only_be_switched_off(make_cluster: Start) -> None:
    """A plugin that is not built here may be named in --disable-admission-plugins, where it means nothing."""
    start(make_cluster, disable_admission_plugins=("PersistentVolumeLabel",))
    with pytest.raises(ValueError, match='admission plugin "ImagePolicyWebhook" is unknown'):
        start(make_cluster, "ImagePolicyWebhook")


def test_default_ingress_class(make_cluster: Start) -> None:
    """An Ingress without a class gets the one that is marked, unless the old annotation names one."""
    client = start(make_cluster).client()
    marked = {"ingressclass.kubernetes.io/is-default-class": "true"}
    head = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass"}
    client.create("ingressclasses.networking.k8s.io", {**head, "metadata": {"name": "edge", "annotations": marked},
                                                       "spec": {"controller": "example.com/edge"}})  # fmt: skip
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    for name, annotations, expected in (("a", {}, "edge"), ("b", {"kubernetes.io/ingress.class": "old"}, None)):
        metadata = {"name": name, "namespace": "default", "annotations": annotations}
        obj = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata}
        made = client.create("ingresses.networking.k8s.io", {**obj, "spec": {"defaultBackend": backend}})
        assert made["spec"].get("ingressClassName") == expected


def test_claims_grow_only_where_their_class_lets_them(make_cluster: Start) -> None:
    """A bound claim of a class without allowVolumeExpansion stays as it is."""
    client = start(make_cluster).client()
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
                 "storageClassName": "slow"},
    }  # fmt: skip
    made = client.create("persistentvolumeclaims", claim)
    bound = {"phase": "Bound", "capacity": {"storage": "1Gi"}}
    client.update_status("persistentvolumeclaims", {**made, "status": bound})
    more = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    with pytest.raises(errors.StatusError, match="only dynamically provisioned pvc can be resized"):
        client.patch("persistentvolumeclaims", "data", "default", more)
    head = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "slow"}}
    client.create("storageclasses.storage.k8s.io", {**head, "provisioner": "x.y/z", "allowVolumeExpansion": True})
    grown = client.patch("persistentvolumeclaims", "data", "default", more)
    assert grown["spec"]["resources"]["requests"]["storage"] == "2Gi"


def test_who_may_approve_a_certificate(make_cluster: Start) -> None:
    """Write access to approvals is not enough: the signer itself must be in the user's rules."""
    cluster = start(make_cluster)
    admin = cluster.client()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "jane")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    request = base64.b64encode(csr.public_bytes(serialization.Encoding.PEM)).decode()
    made = admin.create("certificatesigningrequests.certificates.k8s.io", {
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "jane"},
        "spec": {"request": request, "signerName": "example.com/vpn", "usages": ["client auth"]},
    })  # fmt: skip
    rules = [{"apiGroups": ["certificates.k8s.io"], "resources": ["*"], "verbs": ["get", "update"]}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "approver"}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "approver"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "approver"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"}],
    }  # fmt: skip
    admin.create("clusterroles.rbac.authorization.k8s.io", {**role, "rules": rules})
    admin.create("clusterrolebindings.rbac.authorization.k8s.io", binding)
    condition = {"type": "Approved", "status": "True", "reason": "Test", "message": "", "lastUpdateTime": None}
    approved = {**made, "status": {"conditions": [condition]}}
    ann = cluster.client("ann", groups=())
    with pytest.raises(errors.StatusError, match=r'to approve requests with signerName "example.com/vpn"'):
        ann.update("certificatesigningrequests.certificates.k8s.io", approved, "approval")


def test_nobody_is_anonymous_where_everybody_may_do_everything(make_cluster: Start) -> None:
    """With AlwaysAllow among the authorizers, a request without credentials is 401, as kube-apiserver has it."""
    for modes, code in ((("Node", "RBAC"), 403), (("RBAC", "AlwaysAllow"), 401)):
        cluster = start(make_cluster, authorization_mode=modes)
        assert cluster.apiserver.handle(Request(path="/api/v1/pods")).code == code
