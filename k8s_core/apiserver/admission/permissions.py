"""`authorizer` in CEL: what an expression may ask about who sent the request (apiserver pkg/cel/library/authz.go).

A check is built up, `authorizer.group('apps').resource('deployments').namespace('a').check('get').allowed()`: each
step is a map with one thing more in it, until `check` asks.
"""

from typing import Any

from k8s_core.api.cel import Bound, Functions
from k8s_core.apiserver.authorization import Authorizer
from k8s_core.apiserver.request import Request, User

Check = dict[str, Any]


def asked_of(authorizer: Authorizer | None, request: Request) -> Bound | None:
    """The variable for one request; None where nobody authorizes."""
    if authorizer is None:
        return None
    resource = request.resource
    assert resource is not None
    asked = {"group": resource.group, "resource": resource.name, "subresource": request.subresource,
             "namespace": request.namespace, "name": request.name}  # fmt: skip

    def check(what: Check, verb: str) -> Check:
        user = request.user
        if account := what.get("account"):
            space, name = account
            groups = ("system:serviceaccounts", f"system:serviceaccounts:{space}", "system:authenticated")
            user = User(f"system:serviceaccount:{space}:{name}", groups)
        where = [what.get(part, "") for part in ("group", "resource", "subresource", "namespace", "name", "path")]
        allowed, reason = authorizer.authorize(user, verb, *where)
        return {"allowed": allowed, "reason": reason}

    def part(name: str) -> Any:
        return lambda what, value: {**what, name: value}

    steps = {name: part(name) for name in ("path", "group", "resource", "subresource", "namespace", "name")}
    functions: Functions = {
        **steps,
        "fieldSelector": lambda what, _: what,
        "labelSelector": lambda what, _: what,
        "serviceAccount": lambda what, space, name: {**what, "account": [space, name]},
        "check": check,
        "allowed": lambda decision: decision["allowed"],
        "reason": lambda decision: decision["reason"],
        "errored": lambda _: False,
        "error": lambda _: "",
    }
    return Bound({"requestResource": asked}, functions)
