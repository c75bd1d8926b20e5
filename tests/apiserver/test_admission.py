"""k8s_core.apiserver.admission: what the plugins complete and what they refuse, in upstream's words."""

from typing import Any

import pytest
from auth_fixtures import Store, named

from k8s_core.api import Object, errors, resources
from k8s_core.apiserver.admission import Admission
from k8s_core.apiserver.request import Request, User
from k8s_core.clock import Loop

NODE = User("system:node:worker1", ("system:nodes",))
KINDS = {
    "pods": "Pod",
    "nodes": "Node",
    "namespaces": "Namespace",
    "priorityclasses.scheduling.k8s.io": "PriorityClass",
}


@pytest.fixture
def store() -> Store:
    store = Store()
    store.put("serviceaccounts", named("default", "default"))
    return store


def admit(store: Store, resource: str, obj: Object | None, old: Object | None = None, **more: Any) -> Object:
    """Send an object through all plugins and return it."""
    plugins = more.pop("plugins", {})
    found = resources.load("1.36").find(resource)
    meta = (obj or old or {})["metadata"]
    verb = "delete" if obj is None else "create" if old is None else "update"
    request = Request(verb=verb, resource=found, namespace=meta.get("namespace", ""), name=meta.get("name", ""), **more)
    admission = Admission(store, Loop(0.0), **plugins)
    if obj is not None:
        obj.setdefault("kind", KINDS[resource])
        admission.mutate(request, obj, old)
    admission.validate(request, obj, old)
    return obj or {}


def refused(
    store: Store, resource: str, obj: Object | None, old: Object | None = None, **more: Any
) -> errors.StatusError:
    with pytest.raises(errors.StatusError) as caught:
        admit(store, resource, obj, old, **more)
    return caught.value


def pod(namespace: str = "default", **spec: Any) -> Object:
    return named("web", namespace, spec={"containers": [{"name": "c", "image": "nginx"}], **spec})


def test_pod_is_completed_as_on_a_real_cluster(store: Store) -> None:
    """A bare Pod gets its account, the token volume and mount, priority and two tolerations."""
    spec = admit(store, "pods", pod())["spec"]
    volume = spec["volumes"][0]
    assert volume["name"].startswith("kube-api-access-")
    assert volume["projected"] == {
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
            {
                "downwardAPI": {
                    "items": [
                        {
                            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                            "path": "namespace",
                        }
                    ]
                }
            },
        ],
    }
    mount = {
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        "name": volume["name"],
        "readOnly": True,
    }
    assert spec["containers"][0]["volumeMounts"] == [mount]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert spec["tolerations"] == [
        {"effect": "NoExecute", "key": f"node.kubernetes.io/{key}", "operator": "Exists", "tolerationSeconds": 300}
        for key in ("not-ready", "unreachable")
    ]


def test_no_token_if_not_wanted(store: Store) -> None:
    """automountServiceAccountToken false keeps the token out, in the account or the Pod, which has the last word."""
    assert "volumes" not in admit(store, "pods", pod(automountServiceAccountToken=False))["spec"]
    account = named("default", "default", automountServiceAccountToken=False, imagePullSecrets=[{"name": "reg"}])
    store.put("serviceaccounts", account)
    spec = admit(store, "pods", pod())["spec"]
    assert "volumes" not in spec
    assert spec["imagePullSecrets"] == [{"name": "reg"}]
    assert "volumes" in admit(store, "pods", pod(automountServiceAccountToken=True))["spec"]


def test_missing_service_account(store: Store) -> None:
    """A Pod of an account that does not exist is forbidden; a generated name is shown by its prefix."""
    made = pod(serviceAccountName="robot")
    made["metadata"]["generateName"] = "web-"
    assert refused(store, "pods", made).message == (
        'pods "web-" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found'
    )


def test_namespace_missing_terminating_immortal(store: Store) -> None:
    """Nothing is created in a missing or terminating namespace; four-letter favourites cannot be deleted."""
    error = refused(store, "pods", pod("nothere"))
    assert (error.code, error.message) == (404, 'namespaces "nothere" not found')
    store.put("namespaces", named("dev", status={"phase": "Terminating"}))
    error = refused(store, "pods", pod("dev"))
    assert error.message == (
        'pods "web" is forbidden: unable to create new content in namespace dev because it is being terminated'
    )
    assert error.status["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace dev is being terminated",
            "field": "metadata.namespace",
        }
    ]
    error = refused(store, "namespaces", None, named("default"))
    assert error.message == 'namespaces "default" is forbidden: this namespace may not be deleted'
    admit(store, "namespaces", None, named("kube-node-lease"))


def test_priority(store: Store) -> None:
    """A priority class gives its value; a wrong name and a priority of one's own are refused; one default only."""
    assert admit(store, "pods", pod(priorityClassName="system-node-critical"))["spec"]["priority"] == 2000001000
    assert refused(store, "pods", pod(priorityClassName="x")).message.endswith("no PriorityClass with name x was found")
    assert "the integer value of priority (5) must not be provided" in refused(store, "pods", pod(priority=5)).message
    classes = "priorityclasses.scheduling.k8s.io"
    store.put(classes, named("gold", value=7, globalDefault=True))
    spec = admit(store, "pods", pod())["spec"]
    assert (spec["priorityClassName"], spec["priority"]) == ("gold", 7)
    error = refused(store, classes, named("silver", value=3, globalDefault=True))
    assert error.message == (
        'priorityclasses.scheduling.k8s.io "silver" is forbidden: PriorityClass gold is already marked as default. '
        "Only one default can exist"
    )


def test_tolerations_are_not_doubled(store: Store) -> None:
    """A Pod that tolerates a taint already, or everything, gets no default toleration for it."""
    own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    tolerations = admit(store, "pods", pod(tolerations=[own]))["spec"]["tolerations"]
    assert [each["key"] for each in tolerations] == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
    everything = {"operator": "Exists"}
    assert admit(store, "pods", pod(tolerations=[everything]))["spec"]["tolerations"] == [everything]


def test_new_node_is_tainted(store: Store) -> None:
    """A new Node is not ready until it says otherwise."""
    spec = admit(store, "nodes", named("n"))["spec"]
    assert spec["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


def test_node_restriction(store: Store) -> None:
    """A kubelet creates mirror Pods only, changes its own Node only, and sets no labels that are not its own."""
    assert refused(store, "pods", pod(), user=NODE).message.endswith(
        'pod does not have "kubernetes.io/config.mirror" annotation, node "worker1" can only create mirror pods'
    )
    mirror = pod(nodeName="worker1")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    assert "serviceAccountName" not in admit(store, "pods", mirror, user=NODE)["spec"]
    assert refused(store, "nodes", named("cp"), user=NODE).message == (
        'nodes "cp" is forbidden: node "worker1" is not allowed to modify node "cp"'
    )
    labelled = named("worker1")
    labelled["metadata"]["labels"] = {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/os": "linux"}
    assert refused(store, "nodes", labelled, user=NODE).message.endswith(
        "is not allowed to set the following labels: node-role.kubernetes.io/control-plane"
    )
    elsewhere = {**pod(nodeName="cp"), "kind": "Pod"}
    assert refused(store, "pods", None, elsewhere, user=NODE).message.endswith(
        'node "worker1" can only delete pods with spec.nodeName set to itself'
    )


def test_runtime_class(store: Store) -> None:
    """A Pod gets its runtime class' overhead and node selector; a class that does not exist is refused."""
    assert refused(store, "pods", pod(runtimeClassName="kata")).message.endswith(
        'pod rejected: RuntimeClass "kata" not found'
    )
    scheduling = {"nodeSelector": {"kata": "yes"}}
    kata = named("kata", overhead={"podFixed": {"cpu": "1"}}, scheduling=scheduling)
    store.put("runtimeclasses.node.k8s.io", kata)
    spec = admit(store, "pods", pod(runtimeClassName="kata"))["spec"]
    assert (spec["overhead"], spec["nodeSelector"]) == ({"cpu": "1"}, {"kata": "yes"})


def test_plugins_can_be_switched_off(store: Store) -> None:
    """--disable-admission-plugins takes a plugin out; a name that does not exist is an error."""
    spec = admit(store, "pods", pod(), plugins={"disable": ["ServiceAccount"]})["spec"]
    assert "serviceAccountName" not in spec
    with pytest.raises(ValueError, match='admission plugin "Nonsense" is unknown'):
        Admission(store, Loop(0.0), enable=["Nonsense"])
