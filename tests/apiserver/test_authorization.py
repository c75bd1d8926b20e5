"""k8s_core.apiserver.authorization: RBAC with the bootstrap roles, and the node authorizer."""

import pytest
from auth_fixtures import Store, named

from k8s_core.api import Object, errors
from k8s_core.apiserver import bootstrap
from k8s_core.apiserver.authorization import RBAC_GROUP, Authorizer
from k8s_core.apiserver.node_authorizer import NodeAuthorizer
from k8s_core.apiserver.request import ANONYMOUS, User

ALICE = User("alice", ("devs", "system:authenticated"))
NODE = User("system:node:worker1", ("system:nodes", "system:authenticated"))


def role(name: str, *rules: Object, namespace: str = "default") -> tuple[str, Object]:
    return f"roles.{RBAC_GROUP}", named(name, namespace, rules=list(rules))


def binding(name: str, role_name: str, *subjects: Object, kind: str = "Role") -> tuple[str, Object]:
    ref = {"apiGroup": RBAC_GROUP, "kind": kind, "name": role_name}
    return f"rolebindings.{RBAC_GROUP}", named(name, "default", roleRef=ref, subjects=list(subjects))


def rule(verbs: str, resources: str, **more: object) -> Object:
    return {"verbs": verbs.split(","), "apiGroups": [""], "resources": resources.split(","), **more}


DEVS = {"kind": "Group", "apiGroup": RBAC_GROUP, "name": "devs"}


def authorizer(*objects: tuple[str, Object]) -> tuple[Authorizer, Store]:
    store = Store(objects)
    return Authorizer(store, NodeAuthorizer(store, bootstrap.node_rules())), store


def refusal(authorizer: Authorizer, user: User, *what: str, **more: str) -> str:
    with pytest.raises(errors.StatusError) as caught:
        authorizer.check(user, *what, **more)
    assert caught.value.code == 403
    return caught.value.message


def test_forbidden_messages() -> None:
    """A refusal is worded as the apiserver words it, in a namespace, in the cluster and for a path."""
    auth, _ = authorizer()
    assert refusal(auth, ALICE, "list", "", "pods", "", "default") == (
        'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default"'
    )
    assert refusal(auth, ALICE, "get", "", "pods", "log", "default", "web") == (
        'pods "web" is forbidden: User "alice" cannot get resource "pods/log" in API group "" '
        'in the namespace "default"'
    )
    assert refusal(auth, ALICE, "delete", "apps", "deployments", "", "x", "web").startswith('deployments.apps "web" is')
    assert refusal(auth, ALICE, "list", "", "nodes") == (
        'nodes is forbidden: User "alice" cannot list resource "nodes" in API group "" at the cluster scope'
    )
    assert refusal(auth, ANONYMOUS, "get", path="/") == ('forbidden: User "system:anonymous" cannot get path "/"')


def test_superusers_and_defaults() -> None:
    """system:masters may do all; everybody may see /version; known users may discover; others may not."""
    auth, _ = authorizer()
    assert auth.authorize(User("root", ("system:masters",)), "delete", "", "nodes", "", "", "cp") == (True, "")
    assert auth.authorize(ANONYMOUS, "get", path="/version")[0]
    assert not auth.authorize(ANONYMOUS, "get", path="/api")[0]
    assert auth.authorize(ALICE, "get", path="/apis/apps/v1")[0]
    assert auth.authorize(ALICE, "create", "authorization.k8s.io", "selfsubjectaccessreviews")[0]


def test_role_and_resource_names() -> None:
    """A Role holds in its namespace; resourceNames limit it to these names, and the reason names the binding."""
    auth, _ = authorizer(
        role("reader", rule("get,list", "pods"), rule("get", "secrets", resourceNames=["mine"])),
        binding("readers", "reader", DEVS),
    )
    allowed, reason = auth.authorize(ALICE, "list", "", "pods", "", "default")
    assert (allowed, reason) == (
        True,
        'RBAC: allowed by RoleBinding "readers/default" of Role "reader" to Group "devs"',
    )
    assert not auth.authorize(ALICE, "list", "", "pods", "", "other")[0]
    assert auth.authorize(ALICE, "get", "", "secrets", "", "default", "mine")[0]
    assert not auth.authorize(ALICE, "get", "", "secrets", "", "default", "yours")[0]
    assert not auth.authorize(ALICE, "get", "", "pods", "log", "default", "web")[0]


def test_wildcards() -> None:
    """ "*" matches everything, subresources too; "*/scale" matches that subresource of everything."""
    scale = {"verbs": ["get"], "apiGroups": ["*"], "resources": ["*/scale"]}
    auth, _ = authorizer(
        role("all", {**scale, "resources": ["*"], "verbs": ["watch"]}, scale), binding("b", "all", DEVS)
    )
    assert auth.authorize(ALICE, "watch", "batch", "jobs", "status", "default")[0]
    assert auth.authorize(ALICE, "get", "apps", "deployments", "scale", "default", "web")[0]
    assert not auth.authorize(ALICE, "get", "apps", "deployments", "", "default", "web")[0]


def test_service_account_subject() -> None:
    """A ServiceAccount in a RoleBinding without namespace is one of the binding's own namespace."""
    auth, _ = authorizer(role("r", rule("get", "pods")), binding("b", "r", {"kind": "ServiceAccount", "name": "bot"}))
    bot = User("system:serviceaccount:default:bot", ("system:serviceaccounts",))
    assert auth.authorize(bot, "get", "", "pods", "", "default")[1].endswith('to ServiceAccount "bot/default"')


def test_missing_role_is_the_reason() -> None:
    """A binding to a role that does not exist grants nothing, and the refusal says so."""
    auth, _ = authorizer(binding("b", "gone", DEVS), binding("c", "gone-too", DEVS, kind="ClusterRole"))
    assert refusal(auth, ALICE, "get", "", "pods", "", "default", "x").endswith(
        'in the namespace "default": RBAC: [role.rbac.authorization.k8s.io "gone" not found, '
        'clusterrole.rbac.authorization.k8s.io "gone-too" not found]'
    )


def test_invalidate_forgets_decisions() -> None:
    """A decision holds until the RBAC objects change."""
    auth, store = authorizer(role("r", rule("get", "pods")), binding("b", "r", DEVS))
    assert auth.authorize(ALICE, "get", "", "pods", "", "default")[0]
    store.remove(f"rolebindings.{RBAC_GROUP}", "b", "default")
    auth.invalidate()
    assert not auth.authorize(ALICE, "get", "", "pods", "", "default")[0]


def test_node_reads_what_its_pods_use() -> None:
    """A kubelet reads a Secret only if a Pod bound to its node refers to it."""
    pod = named(
        "web",
        "default",
        spec={
            "nodeName": "worker1",
            "serviceAccountName": "default",
            "containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "used"}}]}],
        },
    )
    auth, store = authorizer(("pods", pod))
    assert auth.authorize(NODE, "get", "", "secrets", "", "default", "used")[0]
    assert auth.authorize(NODE, "create", "", "serviceaccounts", "token", "default", "default")[0]
    assert refusal(auth, NODE, "get", "", "secrets", "", "default", "other").endswith(
        ": no relationship found between node 'worker1' and this object"
    )
    store.remove("pods", "web", "default")
    assert not auth.authorize(NODE, "get", "", "secrets", "", "default", "used")[0]


def test_node_keeps_to_itself() -> None:
    """A kubelet has its own Node, Lease and Pods list, not those of others; fixed rules give it the rest."""
    auth, _ = authorizer()
    lease = ("coordination.k8s.io", "leases", "", "kube-node-lease")
    assert auth.authorize(NODE, "update", *lease, "worker1")[0]
    assert not auth.authorize(NODE, "update", *lease, "worker2")[0]
    assert auth.authorize(NODE, "get", "", "nodes", "", "", "worker1")[0]
    assert refusal(auth, NODE, "get", "", "nodes", "", "", "cp").endswith(
        "node 'worker1' cannot read 'cp', only its own Node object"
    )
    assert auth.authorize(NODE, "list", "", "pods", field_selector="spec.nodeName=worker1")[0]
    assert not auth.authorize(NODE, "list", "", "pods", field_selector="")[0]
    assert auth.authorize(NODE, "patch", "", "pods", "status", "default", "web")[0]
    assert auth.authorize(NODE, "list", "", "services")[0]
    assert not auth.authorize(NODE, "delete", "", "services", "", "default", "web")[0]
