"""Webhooks: admission asked of somebody else over HTTPS, before an object is stored.

Stands for apiserver's MutatingAdmissionWebhook and ValidatingAdmissionWebhook. A webhook with `clientConfig.url` is
asked over this machine's network, one behind a Service over the simulated one. Leaves out: calling several at once.
"""

import base64
import http.client
from typing import Any, ClassVar
from urllib.parse import urlsplit

import orjson

from k8s_core.api import Object, cel, errors, patch
from k8s_core.api.gojson import load, plain
from k8s_core.apiserver.admission.matching import ABOUT_ITSELF, about, conditions_hold, matches
from k8s_core.apiserver.admission.permissions import asked_of
from k8s_core.apiserver.admission.plugin import CREATE, DELETE, UPDATE, Plugin, take
from k8s_core.apiserver.admission.reinvocation import Reinvocation
from k8s_core.apiserver.backends import Backends, Unreachable, https
from k8s_core.apiserver.request import Request
from k8s_core.shell.sockets import Request as WebRequest

DEFAULT_TIMEOUT = 10  # timeoutSeconds


class CallFailed(Exception):
    """A webhook could not be asked, or did not answer as it must."""


class _Webhooks(Plugin):
    operations: ClassVar[frozenset[str]] = frozenset({CREATE, UPDATE, DELETE})
    plural: ClassVar[str]

    def ask_all(self, request: Request, obj: Object | None, old: Object | None, *, mutating: bool) -> None:
        assert request.resource is not None
        if request.resource.group_resource in ABOUT_ITSELF:
            return
        configurations = self.reader.list(f"{self.plural}.admissionregistration.k8s.io")
        if not configurations:
            return
        again = (request.reinvocation if mutating else None) or Reinvocation()
        again.begin(self.name, obj)
        for configuration in configurations:
            for hook in configuration.get("webhooks") or ():
                key = f"{configuration['metadata']['name']}/{hook['name']}"
                if not again.skips(self.name, key) and matches(hook, request, obj, old, self.reader):
                    changed = self._ask(request, hook, obj, old, mutating=mutating)
                    again.asked(self.name, key, hook.get("reinvocationPolicy"), changed=changed)
        again.end(self.name, obj)

    def _ask(self, request: Request, hook: Object, obj: Object | None, old: Object | None, *, mutating: bool) -> bool:
        """Ask one webhook; whether it has changed the object."""
        told = about(request, obj, old)
        try:
            values: Object = {"object": obj, "oldObject": old, "request": told}
            values["authorizer"] = asked_of(self.authorizer, request)
            if not conditions_hold(hook.get("matchConditions") or (), values):
                return False
            uid = self.loop.uid()
            review = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}
            body = {**review, "request": {"uid": uid, **told, "object": obj, "oldObject": old, "options": None}}
            answer = call(hook, body, self.backends)
            response = answer.get("response")
            if answer.get("kind") != "AdmissionReview" or not isinstance(response, dict):
                raise CallFailed("received invalid webhook response: expected an AdmissionReview with a response")
            if response.get("uid") != uid:
                got = response.get("uid", "")
                raise CallFailed(f'received invalid webhook response: expected response.uid="{uid}", got "{got}"')
        except (CallFailed, cel.CelError) as error:
            if hook.get("failurePolicy", "Fail") == "Ignore":
                return False
            raise errors.internal(f'failed calling webhook "{hook["name"]}": {error}') from None
        request.warnings.extend(response.get("warnings") or ())
        if not response.get("allowed"):
            raise denied(hook["name"], response.get("status") or {})
        if not mutating or not response.get("patch") or obj is None:
            return False
        changed = patch.apply("json", obj, plain(load(base64.b64decode(response["patch"]))), None)
        return take(obj, changed)


class MutatingAdmissionWebhook(_Webhooks):
    name: ClassVar[str] = "MutatingAdmissionWebhook"
    plural: ClassVar[str] = "mutatingwebhookconfigurations"

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        self.ask_all(request, obj, old, mutating=True)


class ValidatingAdmissionWebhook(_Webhooks):
    name: ClassVar[str] = "ValidatingAdmissionWebhook"
    plural: ClassVar[str] = "validatingwebhookconfigurations"

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        self.ask_all(request, obj, old, mutating=False)


def denied(name: str, status: Object) -> errors.StatusError:
    """The refusal in upstream's words."""
    words = f'admission webhook "{name}" denied the request'
    why = status.get("message") or status.get("reason")
    text = f"{words}: {why}" if why else f"{words} without explanation"
    code = max(int(status.get("code") or 0), 400)
    return errors.StatusError(code, status.get("reason") or "", text, status.get("details") or {})


def call(hook: Object, body: Any, backends: Backends | None) -> Any:
    """POST the review to the webhook; CallFailed says what went wrong."""
    config, seconds = hook.get("clientConfig") or {}, hook.get("timeoutSeconds") or DEFAULT_TIMEOUT
    service = config.get("service") or {}
    inside = "https://{name}.{namespace}.svc:{port}{path}"
    where = urlsplit(config.get("url") or inside.format_map({"port": 443, "path": "", **service}))
    path = f"{where.path or '/'}?timeout={seconds}s"
    request = WebRequest("POST", path, {"Content-Type": "application/json"}, orjson.dumps(body))
    bundle = base64.b64decode(config["caBundle"]) if config.get("caBundle") else None
    try:
        if config.get("url") or backends is None:
            answer = https(where.hostname or "", where.port or 443, request, bundle=bundle, timeout=seconds)
        else:
            answer = backends.ask(service, request, bundle=bundle, timeout=seconds)
    except Unreachable as error:
        raise CallFailed(f'failed to call webhook: Post "https://{where.netloc}{path}": {error}') from None
    if answer.status != http.client.OK:
        raise CallFailed(f"failed to call webhook: the server responded with {answer.status}")
    try:
        found = orjson.loads(answer.body)
    except ValueError as error:
        raise CallFailed(f"failed to call webhook: couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(found, dict):
        raise CallFailed("received invalid webhook response: not an object")
    return found
