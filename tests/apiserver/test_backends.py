"""Servers that kube-apiserver itself calls: webhooks behind a Service, and APIs that it passes on."""

import base64
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.apiserver.aggregation import SERVICES
from k8s_core.apiserver.request import Request, Response, User
from k8s_core.cluster import Cluster
from k8s_core.pki import private_pem

ADMIN = User("ann", ("system:masters",))
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.57"
WEBHOOKS = "validatingwebhookconfigurations.admissionregistration.k8s.io"


def certificate(cluster: Cluster, *names: str) -> tuple[bytes, bytes]:
    """A server's certificate of the cluster's CA, and its key."""
    key = cluster.pki.pair("apiserver").key
    request = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    )
    request = request.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    pem = request.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return cluster.pki.sign(pem, ["server auth"], cluster.loop.now, cluster.loop.now + 1e6), private_pem(key)


def test_a_webhook_in_a_pod(make_cluster: Callable[..., Cluster]) -> None:
    """It is asked over the Pods' network, with its own certificate; without endpoints failurePolicy decides."""
    cluster = make_cluster(nodes=("cp", "worker1"))
    client = cluster.client()
    cert, key = certificate(cluster, "hook.default.svc")
    data = {"tls.crt": base64.b64encode(cert).decode(), "tls.key": base64.b64encode(key).decode()}
    client.create("secrets", named("Secret", "certs", data=data, type="kubernetes.io/tls"))
    container = {
        "name": "hook", "image": AGNHOST, "volumeMounts": [{"name": "certs", "mountPath": "/certs"}],
        "args": ["webhook", "--tls-cert-file=/certs/tls.crt", "--tls-private-key-file=/certs/tls.key", "--port=8443"],
    }  # fmt: skip
    spec = {"containers": [container], "volumes": [{"name": "certs", "secret": {"secretName": "certs"}}]}
    pod = named("Pod", "hook", spec=spec)
    pod["metadata"]["labels"] = {"app": "hook"}
    bundle = base64.b64encode(cluster.pki.ca.cert_pem).decode()
    where = {"name": "hook", "namespace": "default", "path": "/configmaps"}
    hook = {
        "name": "hook.example.com", "clientConfig": {"service": where, "caBundle": bundle}, "sideEffects": "None",
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}],
        "admissionReviewVersions": ["v1"],
    }  # fmt: skip
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    client.create(WEBHOOKS, {**kind, "metadata": {"name": "hook"}, "webhooks": [hook]})

    def refusal(name: str = "bad") -> str:
        with pytest.raises(StatusError) as caught:
            client.create("configmaps", named("ConfigMap", name, data={"webhook-e2e-test": "webhook-disallow"}))
        return caught.value.message

    failed = (
        'Internal error occurred: failed calling webhook "hook.example.com": failed to call webhook: '
        'Post "https://hook.default.svc:443/configmaps?timeout=10s": '
    )
    assert refusal() == f'{failed}service "hook" not found'
    service = {"selector": {"app": "hook"}, "ports": [{"port": 443, "targetPort": 8443}]}
    client.create("services", named("Service", "hook", spec=service))
    assert refusal() == f'{failed}no endpoints available for service "hook"'
    client.create("pods", pod)
    cluster.settle()
    denied = 'admission webhook "hook.example.com" denied the request: '
    assert refusal() == f"{denied}the configmap contains unwanted key and value"
    client.create("configmaps", named("ConfigMap", "good"))
    strange = [{**hook, "clientConfig": {"service": {**where, "port": 80}, "caBundle": bundle}}]
    client.patch(WEBHOOKS, "hook", "", {"webhooks": strange})
    assert refusal().endswith('no service port 80 found for service "hook"')
    foreign = base64.b64encode(cluster.pki.pair("etcd/ca").cert_pem).decode()
    client.patch(
        WEBHOOKS, "hook", "", {"webhooks": [{**hook, "clientConfig": {"service": where, "caBundle": foreign}}]}
    )
    assert refusal().endswith("tls: failed to verify certificate: x509: certificate signed by unknown authority")


# --- aggregated APIs ---------------------------------------------------------------------------------------------
class Server(BaseHTTPRequestHandler):
    """An API of one kind, flowers, that says who asked."""

    def do_GET(self) -> None:
        head = {"apiVersion": "garden.example.com/v1", "metadata": {}}
        rows = [{"name": "flowers", "singularName": "flower", "namespaced": True, "kind": "Flower", "verbs": ["get"]},
                {"name": "flowers/status", "namespaced": True, "kind": "Flower", "verbs": ["get"]}]  # fmt: skip
        answers: dict[str, Any] = {
            "/apis/garden.example.com/v1": {"kind": "APIResourceList", "resources": rows},
            "/apis/garden.example.com/v1/namespaces/default/flowers/rose?pretty=true": {
                **head, "kind": "Flower", "user": self.headers["X-Remote-User"],
                "groups": self.headers["X-Remote-Group"], "token": self.headers["Authorization"],
            },
        }  # fmt: skip
        found = answers.get(self.path)
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(orjson.dumps(found or {"kind": "Status", "code": 404}))

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def server(control_plane: Cluster, tmp_path: Path) -> Iterator[int]:
    """The API's server on the loopback; gives its port."""
    cert, key = certificate(control_plane, "garden.default.svc")
    (tmp_path / "crt").write_bytes(cert + control_plane.pki.ca.cert_pem)
    (tmp_path / "key").write_bytes(key)
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    made = HTTPServer(("127.0.0.1", 0), Server)
    made.socket = context.wrap_socket(made.socket, server_side=True)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made.server_port
    made.shutdown()
    made.server_close()


def named(kind: str, name: str, **rest: Any) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, **rest}


def register(cluster: Cluster, port: int = 443) -> None:
    spec: Object = {"group": "garden.example.com", "version": "v1", "groupPriorityMinimum": 10, "versionPriority": 10}
    spec |= {"insecureSkipTLSVerify": True, "service": {"name": "garden", "namespace": "default", "port": port}}
    head = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.garden.example.com"},
    }
    cluster.client().create(SERVICES, {**head, "spec": spec})
    cluster.loop.run_ready()


def available(cluster: Cluster) -> tuple[str, str, str]:
    (condition,) = cluster.client().get(SERVICES, "v1.garden.example.com")["status"]["conditions"]
    return condition["status"], condition["reason"], condition["message"]


def get(cluster: Cluster, path: str, accept: str = "", token: str = "t") -> Response:
    path, _, query = path.partition("?")
    headers = {"authorization": f"Bearer {token}", "accept": accept}
    return cluster.apiserver.handle(Request("GET", path, {"pretty": ["true"]} if query else {}, headers))


AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
ROSE = "/apis/garden.example.com/v1/namespaces/default/flowers/rose?pretty=true"


def entry(cluster: Cluster) -> Object:
    """What aggregated discovery says of the group's version."""
    groups = orjson.loads(get(cluster, "/apis", AGGREGATED).body or b"")["items"]
    (found,) = [each for each in groups if each["metadata"].get("name") == "garden.example.com"]
    return found["versions"][0]  # type: ignore[no-any-return]


def test_why_an_aggregated_api_is_not_there(control_plane: Cluster) -> None:
    """The condition Available says it; the group is listed all the same, as stale, and requests are answered 503."""
    control_plane.apiserver.authenticator.static["t"] = ADMIN
    register(control_plane)
    assert available(control_plane) == ("False", "ServiceNotFound", 'service/garden in "default" is not present')
    client = control_plane.client()
    client.create("services", named("Service", "garden", spec={"ports": [{"name": "api", "port": 80}]}))
    control_plane.loop.run_ready()
    why = 'service/garden in "default" is not listening on port 443'
    assert available(control_plane) == ("False", "ServicePortError", why)
    client.patch("services", "garden", "default", {"spec": {"ports": [{"name": "api", "port": 443}]}})
    control_plane.loop.run_ready()
    why = 'cannot find endpointslices for service/garden in "default"'
    assert available(control_plane) == ("False", "EndpointsNotFound", why)
    client.patch("services", "garden", "default", {"spec": {"selector": {"app": "garden"}}})
    control_plane.settle()
    why = 'endpointslices for service/garden in "default" have no addresses with port name "api"'
    assert available(control_plane) == ("False", "MissingEndpoints", why)
    assert entry(control_plane) == {"version": "v1", "resources": [], "freshness": "Stale"}
    answer = get(control_plane, ROSE)
    assert (answer.code, answer.body) == (503, b"service unavailable\n")


def test_a_namespace_waits_for_an_aggregated_api(control_plane: Cluster) -> None:
    """What cannot be listed might have something in it: the namespace stays, and says why, until the API is away."""
    client = control_plane.client()
    register(control_plane)
    client.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "old"}})
    client.delete("namespaces", "old")
    control_plane.advance(20)
    condition = client.get("namespaces", "old")["status"]["conditions"][0]
    assert (condition["status"], condition["reason"]) == ("True", "DiscoveryFailed")
    assert condition["message"] == (
        "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: "
        "garden.example.com/v1: stale GroupVersion discovery: garden.example.com/v1"
    )
    client.delete(SERVICES, "v1.garden.example.com")
    control_plane.settle()
    with pytest.raises(StatusError, match='namespaces "old" not found'):
        client.get("namespaces", "old")


def test_requests_are_passed_on(control_plane: Cluster, server: int) -> None:
    """Discovery lists what the server serves, and the server learns who asks, but no credentials."""
    control_plane.apiserver.authenticator.static["t"] = ADMIN
    client = control_plane.client()
    client.create("services", named("Service", "garden", spec={"type": "ExternalName", "externalName": "localhost"}))
    register(control_plane, server)
    assert available(control_plane) == ("True", "Passed", "all checks passed")
    (flowers,) = entry(control_plane)["resources"]
    assert flowers["resource"] == "flowers" and flowers["scope"] == "Namespaced"
    assert [each["subresource"] for each in flowers["subresources"]] == ["status"]
    found = orjson.loads(get(control_plane, ROSE).body or b"")
    assert (found["user"], found["groups"], found["token"]) == ("ann", "system:masters, system:authenticated", None)
    assert get(control_plane, "/apis/garden.example.com/v1/nothing").code == 404
    assert get(control_plane, "/apis/garden.example.com").object is None
    control_plane.apiserver.authenticator.static["t"] = User("bob")
    refused = get(control_plane, ROSE).object
    assert refused and refused["message"].startswith('flowers.garden.example.com "rose" is forbidden: User "bob"')
    client.delete(SERVICES, "v1.garden.example.com")
    control_plane.loop.run_ready()
    control_plane.apiserver.authenticator.static["t"] = ADMIN
    assert get(control_plane, ROSE).code == 404
