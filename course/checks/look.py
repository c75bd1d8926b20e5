"""What a check may see of a cluster: objects, logs, and what a command in a container prints.

Two ways to look, with the same answers: in process, at a lab's own cluster (self-study, fast), or with kubectl
through any kubeconfig, which works on a real cluster too. Nothing here changes a cluster.
"""

import json
import re
import subprocess
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from random import Random
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from course.past import Moment, Past  # checks know nothing of the engine

Object = dict[str, Any]

KUBECTL_SECONDS = 30
"""How long one look with kubectl may take."""

_WHOLE = ("-o", "json", "--show-managed-fields")
_LETTER = re.compile(r'(?<=")[a-z](?=\\?")')
_STEP = re.compile(r"([^.\[\]]+)|\[([^\]]*)\]")


def pick(value: Any, path: str) -> Any:
    """The value at a path such as `spec.containers[name=web].image`; None where there is nothing.

    A step in brackets is an index, `*` (every item: the answer is then a list), `key=value` (the first item that
    has it) or a key that has dots in it.
    """
    steps = [(name, bracket) for name, bracket in _STEP.findall(path)]
    for number, (name, bracket) in enumerate(steps):
        if bracket == "*":
            rest = "".join(f"[{b}]" if b else f".{n}" for n, b in steps[number + 1 :]).lstrip(".")
            items = value if isinstance(value, list) else []
            return [pick(item, rest) for item in items] if rest else items
        if name or not isinstance(value, list):
            value = value.get(name or bracket) if isinstance(value, Mapping) else None
        elif "=" in bracket:
            key, wanted = bracket.split("=", 1)
            value = next((item for item in value if isinstance(item, Mapping) and str(item.get(key)) == wanted), None)
        else:
            index = int(bracket) if bracket.lstrip("-").isdigit() else len(value)
            value = value[index] if -len(value) <= index < len(value) else None
    return value


class Seen:
    """One object as it was seen, or its absence: `pod["status.phase"]` is None if there is no such Pod."""

    def __init__(self, object: Object | None):
        self.object = object or {}

    def __bool__(self) -> bool:
        return bool(self.object)

    def __getitem__(self, path: str) -> Any:
        return pick(self.object, path)


class Source(Protocol):
    """Where objects come from. `resource` is a plural, with its group if it has one: "pods", "deployments.apps"."""

    def get(self, resource: str, name: str, namespace: str) -> Object | None: ...
    def list(self, resource: str, namespace: str, labels: str) -> list[Object]: ...
    def run(self, *arguments: str) -> str: ...

    @property
    def past(self) -> "Past | None":
        """What is kept of the cluster's past; None for a real one."""


class Look:
    """A check's eyes on one namespace of a cluster.

    `since` is the moment at which the task began (None: all of the past); `handed` are the functions that a learner
    handed in, and `draw` decides what they are asked with (None: always the same). After a check, `error` is where a
    handed function failed, `wanted` says that the check calls one, and `blind` that the past was asked for and is not
    kept.
    """

    def __init__(self, source: Source, namespace: str = "default"):
        self.source, self.namespace = source, namespace
        self.since: Moment | None = None
        self.handed: tuple[Any, ...] = ()
        self.draw: Random | None = None
        self.error, self.wanted, self.blind = "", False, False

    def get(self, resource: str, name: str) -> Seen:
        return Seen(self.source.get(resource, name, self.namespace))

    def list(self, resource: str, labels: str = "") -> list[Seen]:
        return [Seen(found) for found in self.source.list(resource, self.namespace, labels)]

    def versions(self, resource: str, name: str) -> tuple[Sequence[Seen], bool]:
        """(every version of the object since the task began, whether that is all of them).

        A real cluster does not show its past: there the list has only the object as it is now, and the second is False.
        """
        past = self._past()
        if past is None:
            now = self.get(resource, name)
            return [now] if now else [], False
        return [Seen(found) for found in past.versions(resource, name, self.namespace, self._since(past))], True

    def requests(self, resource: str, *, writes: bool = False) -> tuple[Sequence[Seen], bool]:
        """(requests about a resource in this namespace since the task began, whether that is known).

        As audit events: `verb`, `user.username`, `userAgent`, `objectRef.name`, `responseStatus.code`.
        """
        past = self._past()
        name, _, group = resource.partition(".")
        found = [Seen(each) for each in past.requests(self._since(past))] if past else []
        return [
            each
            for each in found
            if (each["objectRef.resource"], each["objectRef.apiGroup"]) == (name, group)
            and each["objectRef.namespace"] == self.namespace
            and (not writes or each["verb"] in ("create", "update", "patch", "delete", "deletecollection"))
        ], past is not None

    def flows(self, source: str = "") -> tuple[Sequence[Seen], bool]:
        """(connections since the task began, of a Pod ("namespace/name") or a node if named, whether that is known).

        Each has `name` (who), `destination`, `port`, `result` ("connected" ...), `answered_by`, `answered_port`.
        """
        past = self._past()
        found = past.flows(self._since(past)) if past else []
        return [Seen(each) for each in found if source in ("", each["name"])], past is not None

    def queries(self, name: str = "") -> tuple[Sequence[Seen], bool]:
        """(DNS queries since the task began, for a name if one is given, whether that is known).

        Each has `client` (an address), `name`, `type`, `code` ("NOERROR" ...), `answers`.
        """
        past = self._past()
        found = past.queries(self._since(past)) if past else []
        return [Seen(each) for each in found if name in ("", each["name"])], past is not None

    def seconds(self) -> float | None:
        """Virtual seconds since the task began; None where that is not known."""
        past = self._past()
        return past.now().time - self._since(past).time if past and self.since else None

    def _past(self) -> "Past | None":
        past = self.source.past
        self.blind = self.blind or past is None
        return past

    def _since(self, past: "Past") -> "Moment":
        return self.since or past.beginning

    def call(self, *arguments: Any) -> Any:
        """What the learner's function answers to copies of these, as JSON has it; the error's own words if it fails.

        The function may be in another process (grading), so here, too, an answer is what JSON can carry.
        """
        self.wanted = True
        if not self.handed or not callable(self.handed[0]):
            return None
        try:
            answer = self.handed[0](*deepcopy(arguments))
        except Exception as error:
            self.error = self.error or getattr(error, "told", "") or _theirs(error)
            return f"{type(error).__name__}: {error}"
        try:
            return json.loads(json.dumps(answer, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            return f"{type(error).__name__}: {error}"

    def other_names(self, case: Any) -> Any:
        """What a handed function is asked and should answer, with other names for those of one letter.

        Learners see the cases when they check themselves. Where marks are given, who knows them by heart knows nothing.
        """
        if self.draw is None:
            return case
        names = dict(zip(ascii_lowercase, self.draw.sample(range(100, 1000), 26), strict=True))
        return json.loads(_LETTER.sub(lambda found: f"{found[0]}{names[found[0]]}", json.dumps(case)))

    def other_number(self, number: int) -> int:
        """The same for a number: one that is larger."""
        return number + self.draw.randint(1, 999) if self.draw else number

    def logs(self, pod: str, container: str = "") -> str:
        """What the container printed; what kubectl said instead if there is nothing to read."""
        return self.source.run("logs", pod, "-n", self.namespace, *(["-c", container] if container else []))

    def may(self, who: str, verb: str, resource: str, group: str = "") -> str:
        """ "yes" or "no": what kubectl auth can-i says about somebody, such as system:serviceaccount:default:robot."""
        whose = [f"--as={who}", *([f"--as-group={group}"] if group else [])]
        said = self.source.run("auth", "can-i", verb, resource, *whose, "-n", self.namespace)
        return "yes" if said.startswith("yes") else "no"  # what stands behind it may be anybody's words

    def exec(self, pod: str, container: str, *command: str) -> str:
        """What the command printed in the container, errors included."""
        return self.source.run("exec", pod, "-n", self.namespace, "-c", container, "--", *command)


class Kubectl:
    """Looks with kubectl through a kubeconfig."""

    past: "Past | None" = None

    def __init__(self, environment: Mapping[str, str], context: str = ""):
        self.environment, self.context = dict(environment), context

    def get(self, resource: str, name: str, namespace: str) -> Object | None:
        text = self.run("get", resource, name, "-n", namespace, *_WHOLE, "--ignore-not-found")
        found = _json(text)
        return found if isinstance(found, dict) else None

    def list(self, resource: str, namespace: str, labels: str) -> list[Object]:
        text = self.run("get", resource, "-n", namespace, *_WHOLE, *(["-l", labels] if labels else []))
        found = _json(text)
        return list(found["items"]) if isinstance(found, dict) and "items" in found else []

    def run(self, *arguments: str) -> str:
        command = ["kubectl", *(["--context", self.context] if self.context else []), *arguments]
        try:
            done = subprocess.run(
                command, env=self.environment, capture_output=True, text=True, timeout=KUBECTL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"no answer within {KUBECTL_SECONDS} s"
        return done.stdout + done.stderr


class InProcess(Kubectl):
    """Looks at a cluster of this process: objects at once through a client, the rest with kubectl."""

    def __init__(
        self,
        client: Any,
        lock: AbstractContextManager[Any],
        not_found: Callable[[Exception], bool],
        environment: Mapping[str, str],
        past: "Past | None" = None,
    ):
        super().__init__(environment)
        self.client, self.lock, self.not_found, self.past = client, lock, not_found, past

    def get(self, resource: str, name: str, namespace: str) -> Object | None:
        with self.lock:
            try:
                found: Object = self.client.get(resource, name, namespace)
            except Exception as error:
                if self.not_found(error):
                    return None
                raise
        return found

    def list(self, resource: str, namespace: str, labels: str) -> list[Object]:
        with self.lock:
            return list(self.client.list(resource, namespace, labels=labels))


def _theirs(error: Exception) -> str:
    """The traceback of a learner's function, from the function on."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    lines = [f"  {frame.name}, line {frame.lineno}: {frame.line}" for frame in frames]
    return "\n".join([*lines, *traceback.format_exception_only(error)]).rstrip()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
