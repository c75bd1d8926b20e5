"""Chapter 04: kube-apiserver. Facts by GET, a watch read, a conflict resolved, a program that is refused, and a
certificate of one's own."""

import base64
import hashlib
import json
import random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from course.checks import Look, Points, point
from course.checks.rules import show
from course.tasks import Exercise, Values, objects

_ANOTHER = "another text (ask the server)"
_KINDS = (("services", "svc"), ("configmaps", "cm"), ("namespaces", "ns"), ("nodes", "no"), ("endpoints", "ep"))


def values(draw: random.Random) -> Values:
    """Names that differ from learner to learner."""
    kind, _ = draw.choice(_KINDS)
    wrong, right = draw.choice((("clock", "watcher"), ("reader", "reporter"), ("keeper", "auditor")))
    return Values(
        kind=kind,
        thing=draw.choice(("stone", "shell", "feather", "acorn")),
        colour=draw.choice(("grey", "brown", "white", "black")),
        program=right,
        other=wrong,
        rights=f"{right}-rights",
        user=draw.choice(("hedy", "katherine", "mary", "radia")),
        group=draw.choice(("builders", "menders", "testers")),
    )


def facts(see: Look, v: Values) -> Points:
    answer = see.get("configmaps", "facts")
    thing = see.get("configmaps", v.thing)
    pages = (
        ("version", "/version", _version(see), "It stands in gitVersion. Everybody may read this page."),
        ("short", "/api/v1", dict(_KINDS)[v.kind], "The list of resources has shortNames for each."),
        (
            "uid",
            f"/api/v1/namespaces/default/configmaps/{v.thing}",
            thing["metadata.uid"],
            "Two objects may have had one name, one after the other. Never the same uid.",
        ),
    )
    for key, path, right, why in pages:
        get = f"kubectl get --raw {path}"
        yield objects.answer(f"{key}, from {path}", answer[f"data.{key}"], right, get, why=why, untold=_ANOTHER)


def _version(see: Look) -> str:
    found = see.source.run("get", "--raw", "/version")
    try:
        return str(json.loads(found)["gitVersion"])
    except (ValueError, KeyError, TypeError):
        return ""


def _event(kind: str, name: str, **labels: str) -> str:
    meta = {"name": name, "labels": labels, "resourceVersion": "7"}
    return json.dumps({"type": kind, "object": {"kind": "Pod", "apiVersion": "v1", "metadata": meta}})


_GONE = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}
_WATCHES: tuple[tuple[str, str, list[str], dict[str, Any]], ...] = (
    (
        "what is added is there",
        "ADDED brings an object that was not there, or that was there when the watch began.",
        [_event("ADDED", "a", x="1"), _event("ADDED", "b", x="2")],
        {"a": {"x": "1"}, "b": {"x": "2"}},
    ),
    (
        "what is modified has its new labels",
        "MODIFIED brings the whole object as it is now. What it has no more is gone.",
        [_event("ADDED", "a", x="1", y="1"), _event("MODIFIED", "a", x="2")],
        {"a": {"x": "2"}},
    ),
    (
        "what is deleted is not there",
        "DELETED brings the object as it was last. Its name has to go.",
        [_event("ADDED", "a", x="1"), _event("ADDED", "b"), _event("DELETED", "a", x="1")],
        {"b": {}},
    ),
    (
        "a BOOKMARK and an ERROR change nothing",
        "A BOOKMARK only tells a resourceVersion, an ERROR has a Status for its object.",
        [
            _event("ADDED", "a", x="1"),
            json.dumps({"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "99"}}}),
            json.dumps({"type": "ERROR", "object": _GONE}),
        ],
        {"a": {"x": "1"}},
    ),
)


def watch(see: Look, v: Values) -> Points:
    for what, why, *case in _WATCHES:
        lines, right = see.other_names(case)
        got = see.call(lines)
        said = json.dumps(got) if isinstance(got, dict) else show(got)
        yield point(what, said, said if got == right else json.dumps(right), f"print(follow({lines}))", why=why)


class _Store:
    """An object that others change, too, and a server that says 409 to an old resourceVersion."""

    def __init__(self, count: int, others: int, refuse: int = 0):
        self.others, self.refuse, self.tries, self.version = others, refuse, 0, 1
        self.data = {"count": str(count), "theirs": "0"}

    def __deepcopy__(self, memo: Any) -> "_Store":
        return self

    def read(self) -> dict[str, Any]:
        return {"metadata": {"name": "tally", "resourceVersion": str(self.version)}, "data": dict(self.data)}

    def write(self, obj: dict[str, Any]) -> int:
        self.tries += 1
        if self.tries > 20:
            raise RecursionError("20 writes, and no end")
        if self.others:  # somebody is quicker
            self.others -= 1
            self.version += 1
            self.data = {**self.data, "count": str(int(self.data["count"]) + 10), "theirs": str(self.version)}
        if self.refuse:
            return self.refuse
        if obj.get("metadata", {}).get("resourceVersion") not in (None, str(self.version)):
            return 409
        self.version += 1
        self.data = dict(obj["data"])
        return 200


def conflict(see: Look, v: Values) -> Points:
    cases = (
        ("alone, it counts one up", 0, "0", "Read, add one, write the object back."),
        ("when others were quicker, nobody's work is lost", 2, "3", "409 means: read again, change again."),
        ("what others wrote beside it is kept", 1, "2", "Leave resourceVersion in: it makes the server look."),
    )
    for what, others, theirs, why in cases:
        count = see.other_number(5)
        store = _Store(count, others)
        error = see.call(store.read, store.write)
        seen = f"count {store.data['count']}, theirs {store.data['theirs']}" if see.handed else None
        yield point(
            what,
            error if isinstance(error, str) and "Error" in error else seen,
            f"count {count + 10 * others + 1}, theirs {theirs}",
            "kubectl get configmap tally -o yaml",
            why=why,
        )
    store = _Store(5, 0, refuse=403)
    got = see.call(store.read, store.write)
    told = f"{store.tries} tries" if see.handed and not (isinstance(got, str) and "Error" in got) else got
    yield point(
        "another refusal than 409 is not tried again",
        told,
        "1 tries",
        "kubectl auth can-i update configmaps",
        why="Forbidden stays forbidden. Only a conflict goes away by trying again.",
    )


def refused(see: Look, v: Values) -> Points:
    who = f"system:serviceaccount:default:{v.program}"
    can = f"kubectl auth can-i {{}} --as={who}"
    reads = [see.may(who, verb, "configmaps") for verb in ("get", "list", "watch")]
    yield point(
        f"{v.program} may get, list and watch ConfigMaps",
        ", ".join(reads),
        "yes, yes, yes",
        can.format("list configmaps"),
        worth=2,
        why="A RoleBinding gives a Role to subjects. Look at both: who is it for, and what does it allow?",
    )
    more = [see.may(who, *what) for what in (("delete", "configmaps"), ("list", "secrets"))]
    yield point(
        "it may do no more than that",
        ", ".join(more) if "no" not in reads else "it may not even read",
        "no, no",
        can.format("--list"),
        why="cluster-admin opens every door. Give what is needed.",
    )
    yield point(
        f"{v.other}, who is nobody here, may not",
        see.may(f"system:serviceaccount:default:{v.other}", "list", "configmaps") if "no" not in reads else "not yet",
        "no",
        f"kubectl get rolebinding {v.rights} -o yaml",
        why="The wrong subject should not be left in the binding.",
    )


def _refused_begin(v: Values) -> str:
    group = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "watch"]}]
    binding = objects.of(
        f"{group}/v1",
        "RoleBinding",
        v.rights,
        roleRef={"apiGroup": group, "kind": "Role", "name": v.rights},
        subjects=[{"kind": "ServiceAccount", "name": v.other, "namespace": "default"}],
    )
    role = objects.of(f"{group}/v1", "Role", v.rights, rules=rules)
    return objects.many(objects.of("v1", "ServiceAccount", v.program), role, binding)


def certificate(see: Look, v: Values) -> Points:
    asked = see.get("certificatesigningrequests.certificates.k8s.io", v.user)
    get = f"kubectl get csr {v.user} -o yaml"
    yield point(
        "the request is for the right user and group",
        _subject(asked["spec.request"]),
        f"CN={v.user}, O={v.group}",
        f"kubectl get csr {v.user} -o jsonpath='{{.spec.request}}' | base64 -d | openssl req -noout -subject",
        why="CN is the user, O a group. They stand in the request's subject, -subj /O=GROUP/CN=USER.",
    )
    issued = _decoded(asked["status.certificate"])
    yield point(
        "it was approved and signed",
        "a certificate" if issued else "approved, no certificate" if _approved(asked) else None,
        "a certificate",
        get,
        why="Somebody has to approve it. Then the signer looks: signerName and usages must be those of its clients.",
    )
    yield point(
        f"the group {v.group} may list Pods, and not Secrets",
        ", ".join(see.may(v.user, "list", what, v.group) for what in ("pods", "secrets")),
        "yes, no",
        f"kubectl auth can-i list pods --as={v.user} --as-group={v.group}",
        why="Bind the ClusterRole view to the group.",
    )
    yield point(
        "you have logged in with that certificate",
        _said(see, v.user, issued),
        f"{v.user}, with this certificate",
        f"kubectl --kubeconfig={v.user}.conf auth whoami",
        worth=2,
        why="The kubeconfig needs the new certificate and its key. The credential-id is the certificate's fingerprint.",
    )


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text or "")
    except (TypeError, ValueError):
        return b""


def _subject(request: Any) -> str | None:
    try:
        asked = x509.load_pem_x509_csr(_decoded(request)).subject
    except ValueError:
        return None
    parts = ((x509.NameOID.COMMON_NAME, "CN"), (x509.NameOID.ORGANIZATION_NAME, "O"))
    found = ((name, str(each.value)) for oid, name in parts for each in asked.get_attributes_for_oid(oid))
    return ", ".join(f"{name}={value}" for name, value in found)


def _approved(asked: Any) -> bool:
    return any(each.get("type") == "Approved" for each in asked["status.conditions"] or ())


def _said(see: Look, user: str, issued: bytes) -> str | None:
    """What the ConfigMap whoami says that whoami said."""
    kept = see.get("configmaps", "whoami")["data"] or {}
    try:
        info = json.loads(kept.get("who.json", ""))["status"]["userInfo"]
        name, used = str(info["username"]), info["extra"]["authentication.kubernetes.io/credential-id"][0]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None
    try:
        der = x509.load_pem_x509_certificate(issued).public_bytes(Encoding.DER)
    except ValueError:
        return f"{name}, but no certificate was issued"
    right = used == f"X509SHA256={hashlib.sha256(der).hexdigest()}"
    return f"{name}, with {'this' if right else 'another'} certificate"


def own_patch(see: Look, v: Values) -> Points:
    mine = see.get("configmaps", "mine")
    get = "kubectl get configmap mine -o yaml"
    yield point(
        "it is there", "yes" if mine else None, "yes", get, why="POST to /api/v1/namespaces/default/configmaps."
    )
    yield point("its data has colour", mine["data.colour"], "blue", get, why="A PATCH wants its own content type.")
    requests, known = see.requests("configmaps", writes=True)
    sent = [
        each["verb"]
        for each in requests
        if each["objectRef.name"] == "mine" and (each["responseStatus.code"] or 0) < 300
    ][-2:]
    yield point(
        "one POST and one PATCH did it",
        sent if known or not mine else ["create", "patch"],
        ["create", "patch"],
        'lab.reset("own-patch"), and once more',
        why="The last two writes count that the server took.",
    )


def _thing(v: Values) -> str:
    return objects.many(objects.config(v.thing, {"colour": v.colour}))


TASKS = {
    "own-patch": Exercise(own_patch),
    "facts": Exercise(facts, owns=("configmaps/facts", "configmaps/{thing}"), begin=_thing),
    "watch": Exercise(watch),
    "conflict": Exercise(conflict),
    "certificate": Exercise(
        certificate,
        owns=("certificatesigningrequests.certificates.k8s.io/{user}", "configmaps/whoami", "rolebindings/viewers"),
    ),
    "refused": Exercise(
        refused,
        owns=("rolebindings/{rights}", "roles/{rights}", "serviceaccounts/{program}"),
        begin=_refused_begin,
    ),
}
