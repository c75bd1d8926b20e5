"""Every error an API client can see, as Kubernetes words it (apimachinery api/errors).

A `StatusError` carries the Status object that goes on the wire; its code is the HTTP code.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from k8s_core.api import Object

if TYPE_CHECKING:
    from k8s_core.api.field import FieldError


class Qualified(Protocol):
    """What names a kind of resource: `Resource` does."""

    @property
    def group(self) -> str: ...
    @property
    def name(self) -> str: ...


class StatusError(Exception):
    """An API error. `status` is the Status object, `code` its HTTP code, `reason` Kubernetes' reason."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None):
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            **({"reason": reason} if reason else {}),
            **({"details": details} if details is not None else {}),
            "code": code,
        }
        self.headers: dict[str, str] = {}


def _group_and_name(resource: Qualified | str) -> tuple[str, str]:
    if isinstance(resource, str):
        name, _, group = resource.partition(".")
        return group, name
    return resource.group, resource.name


def _qualified(resource: Qualified | str) -> str:
    group, name = _group_and_name(resource)
    return f"{name}.{group}" if group else name


def _details(resource: Qualified | str, name: str = "", **more: Any) -> Object:
    group, kind = _group_and_name(resource)
    found = {"name": name, "group": group, "kind": kind, **more}
    return {key: value for key, value in found.items() if value not in ("", None)}


def not_found(resource: Qualified | str, name: str) -> StatusError:
    return StatusError(404, "NotFound", f'{_qualified(resource)} "{name}" not found', _details(resource, name))


def already_exists(resource: Qualified | str, name: str) -> StatusError:
    return StatusError(
        409, "AlreadyExists", f'{_qualified(resource)} "{name}" already exists', _details(resource, name)
    )


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: Qualified | str, name: str, why: str = MODIFIED) -> StatusError:
    message = f'Operation cannot be fulfilled on {_qualified(resource)} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(resource, name))


def apply_conflict(causes: Sequence[Object], message: str) -> StatusError:
    """The conflict of a server-side apply: causes name the field and its manager."""
    return StatusError(409, "Conflict", message, {"causes": list(causes)})


def invalid(group_kind: str, name: str, errors: "Iterable[FieldError]") -> StatusError:
    """422 with every field error as a cause. `group_kind` is "Deployment.apps" or "Pod"."""
    kind, _, group = group_kind.partition(".")
    found = list(errors)
    # A Go aggregate error shows a message once, however many fields produced it.
    messages = list(dict.fromkeys(error.message() for error in found))
    text = messages[0] if len(messages) == 1 else "[" + ", ".join(messages) + "]"
    details = {"name": name, "group": group, "kind": kind, "causes": [error.cause() for error in found]}
    details = {key: value for key, value in details.items() if value not in ("", [])}
    return StatusError(422, "Invalid", f'{group_kind} "{name}" is invalid: {text}', details)


def forbidden(resource: Qualified | str, name: str, why: str, causes: Sequence[Object] = ()) -> StatusError:
    which = _qualified(resource) + (f' "{name}"' if name else "")
    details = _details(resource, name, causes=list(causes) or None)
    return StatusError(403, "Forbidden", f"{which} is forbidden: {why}", details)


def forbidden_path(message: str) -> StatusError:
    """403 for a request that names no resource."""
    return StatusError(403, "Forbidden", message, {})


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> StatusError:
    return StatusError(401, "Unauthorized", message)


def expired(message: str) -> StatusError:
    """410: the resource version or continue token is older than what etcd still has."""
    return StatusError(410, "Expired", message)


def gone(message: str) -> StatusError:
    return StatusError(410, "Gone", message)


def no_such_path() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def not_acceptable(message: str) -> StatusError:
    return StatusError(406, "NotAcceptable", message)


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return StatusError(415, "UnsupportedMediaType", message)


def request_too_large(message: str) -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", message)


def too_many_requests(message: str, retry_after: int = 0, causes: Sequence[Object] = ()) -> StatusError:
    details: Object = {"causes": list(causes)} if causes else {}
    if retry_after:
        details["retryAfterSeconds"] = retry_after
    error = StatusError(429, "TooManyRequests", message, details)
    if retry_after:
        error.headers["Retry-After"] = str(retry_after)
    return error


def timeout(message: str, retry_after: int = 0) -> StatusError:
    return StatusError(504, "Timeout", message, {"retryAfterSeconds": retry_after} if retry_after else {})


def internal(message: str) -> StatusError:
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})


def unavailable(message: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", message)


def is_not_found(error: BaseException) -> bool:
    return isinstance(error, StatusError) and error.reason == "NotFound"


def is_already_exists(error: BaseException) -> bool:
    return isinstance(error, StatusError) and error.reason == "AlreadyExists"


def is_conflict(error: BaseException) -> bool:
    return isinstance(error, StatusError) and error.reason == "Conflict"


@contextmanager
def ignoring(*what: Callable[[StatusError], bool]) -> Iterator[None]:
    """Let an answer pass that means nothing is left to be done: `with ignoring(is_not_found): client.delete(...)`."""
    try:
        yield
    except StatusError as error:
        if not any(each(error) for each in what):
            raise
