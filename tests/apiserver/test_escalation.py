"""k8s_core.apiserver.escalation: writing roles and bindings never gives more than the writer has."""

import pytest
from auth_fixtures import Store, named

from k8s_core.api import Object, errors, resources
from k8s_core.apiserver.authorization import RBAC_GROUP, Authorizer
from k8s_core.apiserver.escalation import EscalationCheck
from k8s_core.apiserver.request import Request, User

ALICE = User("alice", ("system:authenticated",))
ROLES, BINDINGS = f"roles.{RBAC_GROUP}", f"rolebindings.{RBAC_GROUP}"


def write(store: Store, resource: str, obj: Object, user: User = ALICE, old: Object | None = None) -> None:
    found = resources.load("1.36").find(resource)
    namespace = obj["metadata"].get("namespace", "")
    check = EscalationCheck(Authorizer(store))
    check(Request(verb="create", resource=found, namespace=namespace, user=user), obj, old)


def role(*rules: Object) -> Object:
    return named("r", "default", rules=list(rules))


def rule(verbs: str, **more: list[str]) -> Object:
    return {"apiGroups": [""], "resources": ["pods"], "verbs": verbs.split(","), **more}


def binding(to: str, kind: str = "Role") -> Object:
    ref = {"apiGroup": RBAC_GROUP, "kind": kind, "name": to}
    return named("b", "default", roleRef=ref, subjects=[{"kind": "User", "name": "bob"}])


@pytest.fixture
def store() -> Store:
    """alice holds get and list on pods in default."""
    store = Store()
    store.put(ROLES, named("own", "default", rules=[rule("get,list")]))
    ref = {"apiGroup": RBAC_GROUP, "kind": "Role", "name": "own"}
    subjects = [{"kind": "User", "name": "alice"}]
    store.put(BINDINGS, named("own", "default", roleRef=ref, subjects=subjects))
    return store


def test_what_one_holds_may_be_granted(store: Store) -> None:
    """Rules within one's own pass, also limited to names; and any rule for a superuser."""
    write(store, ROLES, role(rule("get")))
    write(store, ROLES, role(rule("list", resourceNames=["web"])))
    write(store, BINDINGS, binding("own"))
    write(store, ROLES, role(rule("*")), User("root", ("system:masters",)))


def test_escalation_is_refused_with_what_is_missing(store: Store) -> None:
    """The message lists the permissions that the writer does not hold, as upstream prints them."""
    with pytest.raises(errors.StatusError) as caught:
        write(store, ROLES, role(rule("get,create,delete"), rule("get", resources=["secrets"])))
    assert caught.value.message == (
        'roles.rbac.authorization.k8s.io "r" is forbidden: user "alice" (groups=["system:authenticated"]) is '
        "attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["pods"], Verbs:["create" "delete"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'
    )


def test_binding_a_stronger_role(store: Store) -> None:
    """cluster-admin cannot be bound by who is not one, unless the verb bind allows it."""
    with pytest.raises(errors.StatusError, match=r'Verbs:\["\*"\]'):
        write(store, BINDINGS, binding("cluster-admin", "ClusterRole"))
    bind = {
        "apiGroups": [RBAC_GROUP],
        "resources": ["clusterroles"],
        "verbs": ["bind"],
        "resourceNames": ["cluster-admin"],
    }
    store.put(ROLES, named("own", "default", rules=[bind]))
    write(store, BINDINGS, binding("cluster-admin", "ClusterRole"))


def test_housekeeping_is_no_grant(store: Store) -> None:
    """Changing finalizers alone, as the garbage collector does, is not a grant."""
    old = role(rule("*"))
    new = {**old, "metadata": {**old["metadata"], "finalizers": ["x"]}}
    write(store, ROLES, new, old=old)


def test_missing_role(store: Store) -> None:
    """Binding a role that does not exist, without the verb bind, is NotFound."""
    with pytest.raises(errors.StatusError) as caught:
        write(store, BINDINGS, binding("gone"))
    assert caught.value.code == 404
