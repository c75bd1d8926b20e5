"""How kube-apiserver reaches other servers: a Service's endpoints, a Pod, a URL of this machine.

`kubectl proxy`, admission webhooks and aggregated APIs all go through here. A Service stands for one of its ready
endpoints, past its cluster IP, as with --enable-aggregator-routing; an ExternalName is a name of this machine's own
network, so that a program outside the simulation can be called. Stands for apiserver's util/proxy and util/webhook.
"""

import http.client
import socket
import ssl
from typing import TYPE_CHECKING, Final

from k8s_core.api import Object, errors
from k8s_core.apiserver import request as api
from k8s_core.shell.sockets import Request, Response

if TYPE_CHECKING:
    from k8s_core.apiserver.registry import Registry
    from k8s_core.apiserver.subresources import Dial

MAX_RESPONSE: Final = 3 * 1024 * 1024
SLICES: Final = "endpointslices.discovery.k8s.io"
UNREACHABLE: Final = "error trying to reach service: "
HOP_BY_HOP: Final = ("authorization", "connection", "content-length", "host", "transfer-encoding", "accept-encoding")
"""Headers that are not passed on, lower case."""


class Unreachable(Exception):
    """A server did not answer, in the words of Go's http client."""


class Backends:
    """Asks servers behind Services and Pods; `dial("")` is the kubelet of the control plane's own node."""

    def __init__(self, registry: "Registry", dial: "Dial") -> None:
        self.registry, self.dial = registry, dial

    def slices(self, namespace: str, name: str) -> list[Object]:
        """The EndpointSlices of a Service."""
        found = self.registry.reader.list(SLICES, namespace)
        return [s for s in found if (s["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name]

    def ready(self, namespace: str, name: str, port_name: str) -> list[tuple[str, int]]:
        """The addresses and ports of a Service's ready endpoints."""
        return [
            (endpoint["addresses"][0], port["port"])
            for piece in self.slices(namespace, name)
            for port in piece.get("ports") or ()
            if (port.get("name") or "") == port_name
            for endpoint in piece.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready") is not False
        ]

    def send(
        self, targets: list[tuple[str, int]], request: Request, *, secure: bool = False, timeout: float = 30.0
    ) -> Response:
        """Ask one of them over the simulated network; StatusError 503 if that does not answer."""
        address, port = targets[self.registry.loop.random.randrange(len(targets))]
        server = self.dial("")
        if server is None:
            raise errors.unavailable(f"{UNREACHABLE}dial tcp {address}:{port}: connect: network is unreachable")
        return server.get(address, port, request, secure=secure, timeout=timeout)

    def ask(
        self, where: Object, request: Request, *, bundle: bytes | None, verify: bool = True, timeout: float = 30.0
    ) -> Response:
        """Ask the Service that `where` names (namespace, name, port) over TLS; raises Unreachable."""
        namespace, name, number = where["namespace"], where["name"], where.get("port") or 443
        try:
            spec = self.registry.reader.get("services", name, namespace)["spec"]
        except errors.StatusError:
            raise Unreachable(f'service "{name}" not found') from None
        host = f"{name}.{namespace}.svc"
        if spec.get("type") == "ExternalName":
            return https(host, number, request, bundle=bundle, verify=verify, timeout=timeout, at=spec["externalName"])
        port = next((each for each in spec.get("ports") or () if each["port"] == number), None)
        if port is None:
            raise Unreachable(f'no service port {number} found for service "{name}"')
        targets = self.ready(namespace, name, port.get("name") or "")
        if not targets:
            raise Unreachable(f'no endpoints available for service "{name}"')
        request.headers["Host"], request.trusted = host, (bundle or b"") if verify else None
        try:
            return self.send(targets, request, secure=True, timeout=timeout)
        except errors.StatusError as error:
            raise Unreachable(error.message.removeprefix(UNREACHABLE)) from None


def https(
    host: str, port: int, request: Request, *, bundle: bytes | None, verify: bool = True, timeout: float = 30.0,
    at: str = "",
) -> Response:  # fmt: skip
    """Ask a server of this machine's network, dialled by the name `at` if that is not its own; raises Unreachable."""
    where = at or host
    try:
        context = ssl.create_default_context(cadata=bundle.decode() if bundle else None)
        context.check_hostname, context.verify_mode = verify, ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
        connection._create_connection = lambda _, *more: socket.create_connection((where, port), *more)  # type: ignore[attr-defined]
        connection.request(request.method, request.path, request.body, request.headers)
        answer = connection.getresponse()
        data = answer.read(MAX_RESPONSE)
        connection.close()
    except ConnectionRefusedError:
        raise Unreachable(f"dial tcp {where}:{port}: connect: connection refused") from None
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(f"tls: failed to verify certificate: x509: {error.verify_message}") from None
    except ssl.SSLError as error:
        plain = error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
        raise Unreachable("http: server gave HTTP response to HTTPS client" if plain else str(error)) from None
    except TimeoutError:
        raise Unreachable("context deadline exceeded") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Unreachable(str(error)) from None
    return Response(answer.status, data, dict(answer.getheaders()))


def passed_on(answer: Response) -> api.Response:
    """Another server's answer as this one's."""
    headers = {name.title(): value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
    kind = headers.pop("Content-Type", "text/plain")
    return api.Response(answer.status, body=answer.body, content_type=kind, headers=headers)
