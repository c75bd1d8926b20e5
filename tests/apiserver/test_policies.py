"""Admission policies in CEL and webhooks: what an administrator adds to admission."""

import base64
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives import serialization

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.apiserver.request import Request, User
from k8s_core.cluster import Cluster

API = "admissionregistration.k8s.io"
RULES = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}]


def add(cluster: Cluster, kind: str, resource: str, **more: Any) -> Object:
    name = {"metadata": {"name": "p"}}
    return cluster.client().create(f"{resource}.{API}", {"apiVersion": f"{API}/v1", "kind": kind, **name, **more})


def policy(cluster: Cluster, *validations: Object, actions: tuple[str, ...] = ("Deny",), **more: Any) -> None:
    spec = {"matchConstraints": {"resourceRules": RULES}, "validations": list(validations), **more}
    params = {"paramRef": {"name": "params", "parameterNotFoundAction": "Deny"}} if "paramKind" in more else {}
    add(cluster, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", spec=spec)
    binding = {"policyName": "p", "validationActions": list(actions), **params}
    add(cluster, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", spec=binding)


def config_map(cluster: Cluster, data: Object | None = None, name: str = "one") -> tuple[Object, list[str]]:
    """Create a ConfigMap; returns it and the warnings."""
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}
    request = Request(
        verb="create", resource=cluster.apiserver.resources.find("configmaps"), namespace="default",
        object={**obj, **({"data": data} if data is not None else {})}, in_process=True,
        user=User("alice", ("system:masters",)),
    )  # fmt: skip
    return cluster.apiserver.call(request), request.warnings


def test_a_policy_denies(control_plane: Cluster) -> None:
    """The message names policy and binding; what is fine passes."""
    policy(control_plane, {"expression": "int(object.data.n) <= variables.max", "messageExpression": "'n > ' + '5'"},
           variables=[{"name": "max", "expression": "5"}])  # fmt: skip
    config_map(control_plane, {"n": "5"})
    with pytest.raises(StatusError) as caught:
        config_map(control_plane, {"n": "6"}, "two")
    text = "ValidatingAdmissionPolicy 'p' with binding 'p' denied request: n > 5"
    assert caught.value.message == f'configmaps "two" is forbidden: {text}'
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ({"expression": "object.data.n == 'x'"}, "failed expression: object.data.n == 'x'"),
        ({"expression": "has(object.data.m)", "message": " no m "}, "no m"),
        ({"expression": "object.data.m == '1'"}, "expression 'object.data.m == '1'' resulted in error: no such key: m"),
        ({"expression": "request.userInfo.username == 'bob' && oldObject == null"}, "failed expression: request"),
        ({"expression": "object.?data.?m.orValue('1') == '2'"}, "failed expression: object.?data"),
    ],
)
def test_what_a_policy_says(control_plane: Cluster, validation: Object, message: str) -> None:
    """The message, or the expression, or the error in evaluating it."""
    policy(control_plane, validation)
    with pytest.raises(StatusError) as caught:
        config_map(control_plane, {"n": "1"})
    assert f"denied request: {message}" in caught.value.message


def test_a_policy_may_warn_only(control_plane: Cluster) -> None:
    """validationActions decide what happens."""
    policy(control_plane, {"expression": "false", "message": "hm"}, actions=("Warn",))
    assert config_map(control_plane)[1] == ["Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p': hm"]


def test_a_policy_takes_parameters(control_plane: Cluster) -> None:
    """Of the kind it names; without them the binding says what happens."""
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    skip = {"name": "not-params", "expression": "object.metadata.name != 'params'"}
    policy(control_plane, {"expression": "object.data.n == params.data.n"}, paramKind=kind, matchConditions=[skip])
    with pytest.raises(StatusError, match="no params found"):
        config_map(control_plane, {"n": "1"})
    policies = f"validatingadmissionpolicybindings.{API}"
    reference = {"paramRef": {"parameterNotFoundAction": "Allow"}}
    control_plane.client().patch(policies, "p", "", {"spec": reference})
    config_map(control_plane, {"n": "7"}, "params")
    with pytest.raises(StatusError, match=r"object.data.n == params.data.n"):
        config_map(control_plane, {"n": "1"})
    config_map(control_plane, {"n": "7"}, "two")


def test_an_expression_that_cannot_be_read_is_refused(control_plane: Cluster) -> None:
    """When the policy is created, with the place of the mistake."""
    with pytest.raises(StatusError, match=r"compilation failed: ERROR: <input>:1:1: undeclared reference to 'foo'"):
        policy(control_plane, {"expression": "foo == 1"})


def test_a_policy_may_ask_the_authorizer(control_plane: Cluster) -> None:
    """`authorizer` knows who sent the request, and what a ServiceAccount might."""
    mine = "authorizer.group('').resource('secrets').namespace('default').check('delete').allowed()"
    theirs = "!authorizer.serviceAccount('default', 'default').group('').resource('pods').check('get').allowed()"
    asked = "authorizer.requestResource.check('create').allowed() && !authorizer.path('/x').check('get').errored()"
    policy(control_plane, {"expression": mine}, {"expression": theirs}, {"expression": asked})
    config_map(control_plane)


def test_a_policy_changes_objects(control_plane: Cluster) -> None:
    """ApplyConfiguration merges, JSONPatch patches."""
    configuration = {"expression": 'Object{metadata: Object.metadata{labels: {"added": "yes"}}}'}
    operation = {"expression": "[JSONPatch{op: 'add', path: '/data', value: {'k': object.metadata.name}}]"}
    mutations = [
        {"patchType": "ApplyConfiguration", "applyConfiguration": configuration},
        {"patchType": "JSONPatch", "jsonPatch": operation},
    ]
    spec = {"matchConstraints": {"resourceRules": RULES}, "mutations": mutations, "reinvocationPolicy": "Never"}
    add(control_plane, "MutatingAdmissionPolicy", "mutatingadmissionpolicies", spec=spec)
    add(control_plane, "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", spec={"policyName": "p"})
    made, _ = config_map(control_plane)
    assert made["metadata"]["labels"] == {"added": "yes"} and made["data"] == {"k": "one"}


def mutating(cluster: Cluster, name: str, expression: str, again: str = "Never", **rule: Any) -> None:
    """A policy that merges what its expression makes, and its binding."""
    rules = [{**RULES[0], **rule}]
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    spec = {"matchConstraints": {"resourceRules": rules}, "mutations": [mutation], "reinvocationPolicy": again}
    for kind, plural, what in (
        ("MutatingAdmissionPolicy", "mutatingadmissionpolicies", spec),
        ("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", {"policyName": name}),
    ):
        made = {"apiVersion": f"{API}/v1", "kind": kind, "metadata": {"name": name}, "spec": what}
        cluster.client().create(f"{plural}.{API}", made)


def pod(cluster: Cluster) -> Object:
    ports = [{"containerPort": 80, "name": "web"}]
    spec = {"containers": [{"name": "main", "image": "nginx", "ports": ports}]}
    client = cluster.client()
    return client.create(
        "pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}, "default"
    )


def test_a_policy_adds_a_container_that_gets_its_limits_and_token(control_plane: Cluster) -> None:
    """Lists merge by their keys; what was added goes through the other plugins, too."""
    limits = {"type": "Container", "default": {"cpu": "1"}}
    limit_range = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": [limits]}}
    control_plane.client().create("limitranges", limit_range, "default")
    control_plane.settle()
    side = 'Object.spec.containers{name: "side", image: "busybox"}'
    port = 'Object.spec.containers.ports{containerPort: 81, protocol: "TCP"}'
    more = f'Object.spec.containers{{name: "main", ports: [{port}]}}'
    expression = f"Object{{spec: Object.spec{{containers: [{side}, {more}]}}}}"
    mutating(control_plane, "sidecar", expression, resources=["pods"])
    found = {each["name"]: each for each in pod(control_plane)["spec"]["containers"]}
    assert [each["containerPort"] for each in found["main"]["ports"]] == [80, 81]
    assert found["side"]["resources"]["limits"] == {"cpu": "1"}
    assert found["side"]["volumeMounts"] == found["main"]["volumeMounts"]


def test_a_policy_may_not_replace_a_list_as_a_whole(control_plane: Cluster) -> None:
    """What it does not name would be lost."""
    mutating(control_plane, "p", 'Object{spec: Object.spec{tolerations: [{"key": "a"}]}}', resources=["pods"])
    control_plane.settle()
    with pytest.raises(StatusError) as caught:
        pod(control_plane)
    assert caught.value.message.endswith("may not mutate atomic arrays, maps or structs: .spec.tolerations")


@pytest.mark.parametrize(("again", "seen"), [("Never", "0"), ("IfNeeded", "1")])
def test_a_policy_is_asked_again(control_plane: Cluster, again: str, seen: str) -> None:
    """If it says so, and something changed after it."""
    count = "string(size(object.?data.orValue({})))"
    mutating(control_plane, "a", f'Object{{metadata: Object.metadata{{labels: {{"seen": {count}}}}}}}', again)
    mutating(control_plane, "b", 'Object{data: {"k": "v"}}')
    assert config_map(control_plane)[0]["metadata"]["labels"] == {"seen": seen}


# --- webhooks ----------------------------------------------------------------------------------------------------


class Hook(BaseHTTPRequestHandler):
    """Refuses what is called "bad", labels the rest."""

    def do_POST(self) -> None:
        asked = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        answer: Object = {"uid": asked["uid"], "allowed": asked["name"] != "bad", "warnings": ["seen"]}
        if not answer["allowed"]:
            answer["status"] = {"code": 403, "message": "not this one"}
        elif self.path.startswith("/count"):
            labels = {"seen": str(len(asked["object"].get("data") or {}))}
            change = [{"op": "add", "path": "/metadata/labels", "value": labels}]
            answer |= {"patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(change)).decode()}
        elif self.path.startswith("/add"):
            change = [{"op": "add", "path": "/data", "value": {"k": "v"}}]
            answer |= {"patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(change)).decode()}
        elif self.path.startswith("/mutate"):
            change = [{"op": "add", "path": "/metadata/labels", "value": {"by": asked["userInfo"]["username"]}}]
            answer |= {"patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(change)).decode()}
        body = orjson.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def hook(control_plane: Cluster, tmp_path: Path) -> Iterator[str]:
    """A webhook's server with a certificate of the cluster's CA; gives its URL."""
    pair = control_plane.pki.pair("apiserver")
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "key").write_bytes(pair.key.private_bytes(serialization.Encoding.PEM, *private))
    (tmp_path / "crt").write_bytes(pair.cert_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    server = HTTPServer(("127.0.0.1", 0), Hook)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def webhook(cluster: Cluster, kind: str, url: str, **more: Any) -> None:
    bundle = base64.b64encode(cluster.pki.ca.cert_pem).decode()
    entry = {
        "name": "hook.example.com", "clientConfig": {"url": url, "caBundle": bundle}, "rules": RULES,
        "sideEffects": "None", "admissionReviewVersions": ["v1"], **more,
    }  # fmt: skip
    add(cluster, f"{kind}WebhookConfiguration", f"{kind.lower()}webhookconfigurations", webhooks=[entry])


def test_a_webhook_is_asked_over_https(control_plane: Cluster, hook: str) -> None:
    """It may refuse, warn and change the object."""
    webhook(control_plane, "Mutating", f"{hook}/mutate")
    made, warnings = config_map(control_plane)
    assert made["metadata"]["labels"] == {"by": "alice"} and warnings == ["seen"]
    with pytest.raises(StatusError) as caught:
        config_map(control_plane, name="bad")
    assert caught.value.message == 'admission webhook "hook.example.com" denied the request: not this one'
    assert caught.value.code == 403


@pytest.mark.parametrize(("again", "seen"), [("Never", "0"), ("IfNeeded", "1")])
def test_a_webhook_is_asked_again(control_plane: Cluster, hook: str, again: str, seen: str) -> None:
    """If it says so, and another one changed the object after it."""
    webhook(control_plane, "Mutating", f"{hook}/count", reinvocationPolicy=again)
    found = control_plane.client().get(f"mutatingwebhookconfigurations.{API}", "p")
    (first,) = found["webhooks"]
    config = {**first["clientConfig"], "url": f"{hook}/add"}
    second = {**first, "name": "second.example.com", "clientConfig": config, "reinvocationPolicy": "Never"}
    control_plane.client().update(f"mutatingwebhookconfigurations.{API}", {**found, "webhooks": [first, second]})
    made, warnings = config_map(control_plane)
    assert made["metadata"]["labels"] == {"seen": seen} and made["data"] == {"k": "v"}
    assert len(warnings) == 2 + (again == "IfNeeded")


def test_a_webhook_that_is_not_there(control_plane: Cluster) -> None:
    """failurePolicy decides: Fail is an internal error that names it, Ignore goes on."""
    webhook(control_plane, "Validating", "https://127.0.0.1:1/x")
    with pytest.raises(StatusError) as caught:
        config_map(control_plane)
    said = 'failed calling webhook "hook.example.com": failed to call webhook: Post "https://127.0.0.1:1/x?timeout=10s"'
    assert caught.value.message.startswith(f"Internal error occurred: {said}: dial tcp 127.0.0.1:1: connect")
    found = control_plane.client().get(f"validatingwebhookconfigurations.{API}", "p")
    hooks = [{**found["webhooks"][0], "failurePolicy": "Ignore"}]
    control_plane.client().patch(f"validatingwebhookconfigurations.{API}", "p", "", {"webhooks": hooks})
    config_map(control_plane)
