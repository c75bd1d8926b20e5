"""The API's questions about itself: `kubectl auth can-i`, `auth whoami`, and TokenReviews.

Each review is created, answered in its status and stored nowhere. Stands for pkg/registry/authorization and
pkg/registry/authentication.
"""

from collections.abc import Callable

from k8s_core.api import Object, errors, field
from k8s_core.apiserver.authentication import Authenticator
from k8s_core.apiserver.authorization import Authorizer, aggregate
from k8s_core.apiserver.node_authorizer import node_name
from k8s_core.apiserver.request import Request, User

AUTHORIZATION = "authorization.k8s.io"


class Reviews:
    """`answer[kind](request, obj)` returns the review with its status; raises StatusError if it is malformed."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer) -> None:
        self._authenticator, self._authorizer = authenticator, authorizer
        self.answer: dict[str, Callable[[Request, Object], Object]] = {
            "SelfSubjectAccessReview": self.self_subject_access,
            "SubjectAccessReview": self.subject_access,
            "LocalSubjectAccessReview": self.local_subject_access,
            "SelfSubjectRulesReview": self.self_subject_rules,
            "SelfSubjectReview": self.self_subject,
            "TokenReview": self.token,
        }

    def self_subject_access(self, request: Request, obj: Object) -> Object:
        spec = obj.get("spec") or {}
        _check_attributes("SelfSubjectAccessReview", obj, spec)
        return self._access(obj, spec, request.user)

    def subject_access(self, request: Request, obj: Object) -> Object:
        spec = obj.get("spec") or {}
        _check_attributes("SubjectAccessReview", obj, spec, subject=True)
        return self._access(obj, spec, _subject(spec))

    def local_subject_access(self, request: Request, obj: Object) -> Object:
        kind, spec = "LocalSubjectAccessReview", obj.get("spec") or {}
        _check_attributes(kind, obj, spec, subject=True)
        attributes = spec.get("resourceAttributes")
        if attributes is None:
            problem = field.invalid(
                "spec.nonResourceAttributes", spec.get("nonResourceAttributes"), "disallowed on this kind of request"
            )
            raise errors.invalid(f"{kind}.{AUTHORIZATION}", "", [problem])
        wanted = attributes.get("namespace", "")
        if wanted != request.namespace:
            problem = field.invalid(
                "spec.resourceAttributes.namespace", wanted, f"must match metadata.namespace: {request.namespace}"
            )
            raise errors.invalid(f"{kind}.{AUTHORIZATION}", "", [problem])
        return self._access(obj, spec, _subject(spec))

    def self_subject_rules(self, request: Request, obj: Object) -> Object:
        namespace = (obj.get("spec") or {}).get("namespace", "")
        if not namespace:
            raise errors.bad_request("no namespace on request")
        rules, problems = self._authorizer.rules(request.user, namespace)
        resource_rules: list[Object] = []
        path_rules: list[Object] = []
        for rule in rules:
            verbs = list(rule.get("verbs") or ())
            if rule.get("resources"):
                kept = {key: rule[key] for key in ("apiGroups", "resources", "resourceNames") if rule.get(key)}
                resource_rules.append({"verbs": verbs, **kept})
            if rule.get("nonResourceURLs"):
                path_rules.append({"verbs": verbs, "nonResourceURLs": rule["nonResourceURLs"]})
        status: Object = {"resourceRules": resource_rules, "nonResourceRules": path_rules, "incomplete": False}
        if node_name(request.user):
            problems = ["node authorizer does not support user rule resolution", *problems]
        if problems:
            status["incomplete"], status["evaluationError"] = True, aggregate(problems)
        return _answered(obj, status)

    def self_subject(self, request: Request, obj: Object) -> Object:
        return _answered(obj, {"userInfo": user_info(request.user)})

    def token(self, request: Request, obj: Object) -> Object:
        spec = obj.get("spec") or {}
        if not spec.get("token"):
            raise errors.bad_request("token is required for TokenReview in authentication")
        user, found = self._authenticator.check_token(spec["token"], spec.get("audiences") or ())
        if user is None:
            return _answered(obj, {"user": {}, "error": aggregate(found)})
        status: Object = {"authenticated": True, "user": user_info(user)}
        return _answered(obj, {**status, "audiences": found} if found else status)

    def _access(self, obj: Object, spec: Object, user: User) -> Object:
        if (attributes := spec.get("resourceAttributes")) is not None:
            names = ("verb", "group", "resource", "subresource", "namespace", "name")
            allowed, reason = self._authorizer.authorize(user, *(attributes.get(name, "") for name in names))
        else:
            attributes = spec["nonResourceAttributes"]
            path, verb = attributes.get("path", ""), attributes.get("verb", "")
            allowed, reason = self._authorizer.authorize(user, verb, path=path)
        return _answered(obj, {"allowed": allowed, **({"reason": reason} if reason else {})})


def user_info(user: User) -> Object:
    """authentication/v1 UserInfo."""
    info: Object = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": user.extra}
    return {key: value for key, value in info.items() if value}


def _subject(spec: Object) -> User:
    extra = {key.lower(): value for key, value in (spec.get("extra") or {}).items()}
    return User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra)


def _answered(obj: Object, status: Object) -> Object:
    return {**obj, "metadata": obj.get("metadata") or {}, "status": status}


def _check_attributes(kind: str, obj: Object, spec: Object, *, subject: bool = False) -> None:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    problems = []
    if resource is not None and path is not None:
        problems.append(
            field.invalid(
                "spec.nonResourceAttributes", path, "cannot be specified in combination with resourceAttributes"
            )
        )
    if resource is None and path is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        problems.append(field.invalid("spec.resourceAttributes", None, detail))
    if subject and not spec.get("user") and not spec.get("groups"):
        problems.append(field.invalid("spec.user", "", "at least one of user or group must be specified"))
    metadata = {k: v for k, v in (obj.get("metadata") or {}).items() if k not in ("managedFields", "creationTimestamp")}
    if kind != "LocalSubjectAccessReview" and metadata:
        problems.append(field.invalid("metadata", metadata, "must be empty"))
    if problems:
        raise errors.invalid(f"{kind}.{AUTHORIZATION}", "", problems)
