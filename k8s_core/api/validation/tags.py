"""The language of the YAML files beside this module: what must hold for which field, in the words of `+k8s:` tags.

A file holds types. A type lists its fields in the order in which upstream looks at them, each with a rule:

    IngressServiceBackend:
    - name: required k8s-short-name
    - port.number: {when: {name: ""}, optional: , format: port}

A field is a name or a path (`port.number`); `a, b` stands for two fields with one rule and `.` for the object itself.
`a?` is left alone when it is missing (a pointer in Go), `a[]` are the items of a list, `a{}` the values of a map.
Without a mark a missing field has Go's zero value. A type is a mapping of fields, or a list of mappings where a field
comes twice.

A rule is a mapping of tags; or just words: tags without a value, formats, names of types and functions; or a list of
rules. Tags are tried in their order until one of the first four ends the rule:

    required, present   an error with this message if the value is missing or empty; if it is missing
    optional            nothing more is asked if the value is missing or empty
    when                nor if other fields of the object do not have these values: `x: a`, `x: [a, b]`, `x: "*"` (any),
                        `x:` (missing), `x: ""` (missing or empty), `x!: a` (another)
    union               one of these fields is there, and its rule holds; the message says what they are

    enum, format, minimum, maximum, exclusiveMinimum, maxBytes, maxItems, eachKey        as in +k8s:
    positiveQuantity    a quantity above zero
    unique, uniqueBy    no item before has the same value, or the same in this field, which is blamed; the item is
    immutable, frozen   an update may not change it: it is invalid; it is forbidden, with this message
    missing, forbidden, invalid, warn    it is an error or a warning at any rate, with this message
    type, fields        the rules of a type; of a mapping that needs no name
    check               what no tag can say: a function of the module named like the file, or `module.function`. It
                        takes the value, its path, what it is in and the context of the call, or the first few of them

    message, shown, at  what checks say instead of their own message; the value that they show; the field they blame

At the head of a file, `networking.k8s.io/v1 Ingress:` says for a kind what holds for `create`, `update`, `status` and
other subresources: a type, fields, or a function of the new object and the old one. `name` is the format of its name,
`nameless` objects have no metadata, and of those that are looked at `always` not even an unchanged spec is passed over.
"""

import functools
import importlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from k8s_core.api import Object
from k8s_core.api.field import FieldError, duplicate, forbidden, invalid, not_supported, required, too_long, too_many
from k8s_core.api.validation.formats import FORMATS, NOT_POSITIVE, nanos, shown

Check = Callable[[Any, str, Any, Any, list[Any]], bool | None]
"""Looks at a value, given its path, what it is in, the call's context and where errors go; true ends its rule."""
Tag = Callable[[Any, Any, str], Check]
"""Makes a check of a tag's value, the rule that it stands in and the name of the file."""

FOLDER: Final = Path(__file__).parent
_silent: Final[set[Check]] = set()
"""Checks that say nothing of a value that is missing, as most are: then they need not be asked."""


def validate(name: str, node: Object | None, path: str, context: Any = None) -> list[FieldError]:
    """What is wrong with an object of a type."""
    errors: list[FieldError] = []
    type_named(name)(node or {}, path, None, context, errors)
    return errors


@functools.cache
def file(stem: str) -> dict[str, Any]:
    """What stands in one of the YAML files."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, Any] = yaml.load((FOLDER / f"{stem}.yaml").read_bytes(), loader)
    return found


@functools.cache
def _files() -> dict[str, tuple[Any, str]]:
    """Every type and kind with the name of its file."""
    stems = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return {name: (body, stem) for stem in stems for name, body in file(stem).items()}


FACTS: Final = ("name", "nameless", "always")
WORDING: Final = ("message", "shown", "at")


def kinds() -> dict[str, dict[str, Any]]:
    """The kinds, "apps/v1 Deployment", and for each operation its check."""
    return {
        name: {what: value if what in FACTS else _operation(value, module) for what, value in body.items()}
        for name, (body, module) in _files().items()
        if " " in name
    }


def _operation(rule: Any, module: str) -> Check:
    """A mapping of fields, the name of a type, or a function of the object (and of what it was)."""
    if not isinstance(rule, str):
        return _fields(rule, module)
    if rule[0].isupper():
        return _type(rule, None, module)
    found = _function(rule, module)

    def run(new: Any, path: str, within: Any, old: Any, errors: list[Any]) -> None:
        errors.extend(found()(new) if old is None else found()(new, old))

    return run


@functools.cache
def type_named(name: str) -> Check:
    """The check of a type; types may contain themselves, so it is made when it is first used."""
    body, module = _files()[name]
    return _fields(body, module)


def _fields(body: Any, module: str) -> Check:
    parts = body if isinstance(body, list) else [body]
    return _walk(
        [
            _step(path.strip(), _rule(rule, module))
            for part in parts
            for paths, rule in part.items()
            for path in paths.split(",")
        ]
    )


def _step(field: str, check: Check) -> tuple[str, str, bool, Check]:
    """(the name of a field, its marks, whether it may be missing, what looks at it); no name for the object itself."""
    if field == ".":
        return "", "", check in _silent, check
    first, _, rest = field.partition(".")
    name = first.rstrip("?[]{}")
    marks = first[len(name) :]
    below = _walk([_step(rest, check)]) if rest else check
    return name, marks, bool(marks) or below in _silent, below


def _walk(steps: list[tuple[str, str, bool, Check]]) -> Check:
    """A check of an object, field by field."""

    def run(node: Any, path: str, within: Any, context: Any, errors: list[Any]) -> None:
        node = node or {}
        for name, marks, passed_over, check in steps:
            if not name:
                check(node, path, node, context, errors)
                continue
            value = node.get(name)
            if value is None and passed_over:
                continue
            place = f"{path}.{name}" if path else name
            if marks in ("", "?"):
                check(value, place, node, context, errors)
            else:
                for key, item in enumerate(value) if marks == "[]" else value.items():
                    check(item, f"{place}[{key}]", value, context, errors)

    return _silently(run, all(passed_over for _, _, passed_over, _ in steps))


def _silently(check: Check, silent: bool = True) -> Check:
    if silent:
        _silent.add(check)
    return check


def _rule(rule: Any, module: str) -> Check:
    if isinstance(rule, list):
        checks = [_rule(part, module) for part in rule]
        return _silently(lambda *call: _all(checks, call), _silent.issuperset(checks))
    words = [_word(word) for word in rule.split()] if isinstance(rule, str) else [*(rule or {}).items()]
    wording = dict(words)
    named = [(tag, value) for tag, value in words if tag not in WORDING]
    checks = [TAGS[tag](value, wording, module) for tag, value in named]
    if len(checks) == 1 and "at" not in wording:
        return checks[0]

    def run(value: Any, path: str, within: Any, context: Any, errors: list[Any]) -> None:
        if "at" in wording:
            path = _blamed(wording["at"], path)
        for check in checks:
            if check(value, path, within, context, errors):
                return

    pairs = zip(named, checks, strict=True)
    last = next((tag for (tag, _), check in pairs if tag == "optional" or check not in _silent), "optional")
    return _silently(run, last == "optional")


def _all(checks: list[Check], call: Any) -> None:
    for check in checks:
        check(*call)


def _word(word: str) -> tuple[str, Any]:
    if word in TAGS:
        return word, None
    if word in FORMATS:
        return "format", word
    return ("type" if word[0].isupper() else "check"), word


def _blamed(where: str, path: str) -> str:
    """`/a` is from the top, `^` the object that the field is in, `a` the field beside it."""
    if where.startswith("/"):
        return where[1:]
    parent = path.rpartition(".")[0]
    return parent if where == "^" else f"{parent}.{where}".lstrip(".")


# --- the tags ---------------------------------------------------------------------------------------------------


def _required(message: Any, rule: Any, module: str, *, present: bool = False) -> Check:
    def run(value: Any, path: str, within: Any, context: Any, errors: list[Any]) -> bool:
        gone = value is None if present else not value
        if gone:
            errors.append(required(path, message or ""))
        return gone

    return run


def _when(conditions: Any, rule: Any, module: str) -> Check:
    wanted = [(name.rstrip("!").split("."), want, name.endswith("!")) for name, want in conditions.items()]

    def run(value: Any, path: str, within: Any, context: Any, errors: list[Any]) -> bool:
        for names, want, other in wanted:
            found: Any = value if isinstance(within, list) else within
            for name in names:
                found = (found or {}).get(name)
            if _fits(found, want) is other:
                return True
        return False

    return _silently(run)


def _fits(found: Any, want: Any) -> bool:
    if want is None or want == "*":
        return (found is not None) is (want == "*")
    if isinstance(want, bool):
        return found is want
    return (found or "") in want if isinstance(want, list) else bool((found or "") == (want or ""))


def _flat(error: Callable[[str, str], Any]) -> Tag:
    def make(message: Any, rule: Any, module: str) -> Check:
        return lambda value, path, within, context, errors: errors.append(error(path, message or ""))

    return make


def _simple(zero: Any, complaints: Callable[[Any, Any], Iterable[str]]) -> Tag:
    """A tag that finds a value invalid; `complaints` gets the value and the tag's value."""

    def make(argument: Any, rule: Any, module: str) -> Check:
        message = rule.get("message")

        def run(value: Any, path: str, within: Any, context: Any, errors: list[Any]) -> None:
            value = zero if value is None else value
            found = complaints(value, argument)
            value = rule.get("shown", value)
            errors += [invalid(path, value, message or each) for each in found]

        return _silently(run, not [*complaints(zero, argument)])

    return make


def _format(name: Any, rule: Any, module: str) -> Check:
    zero, complaints = FORMATS[name]
    return _simple(zero, lambda value, _: complaints(value))(name, rule, module)


def _enum(allowed: Any, rule: Any, module: str) -> Check:
    if "message" in rule:
        return _simple("", lambda value, _: [] if value in allowed else [""])(allowed, rule, module)

    def run(value: Any, path: str, within: Any, context: Any, errors: list[Any]) -> None:
        if (value or "") not in allowed:
            errors.append(not_supported(path, value or "", allowed))

    return _silently(run, "" in allowed)


def _limit(error: Callable[[str, int, int], FieldError]) -> Tag:
    def make(limit: Any, rule: Any, module: str) -> Check:
        def run(value: Any, path: str, within: Any, context: Any, errors: list[Any]) -> None:
            if len(value or ()) > limit:
                errors.append(error(path, len(value), limit))

        return _silently(run)

    return make


def _unique(by: Any, rule: Any, module: str, *, name_field: bool = True) -> Check:
    def key(item: Any) -> Any:
        return (item or {}).get(by) or "" if by else item

    def run(value: Any, path: str, siblings: Any, context: Any, errors: list[Any]) -> None:
        index = int(path[path.rindex("[") + 1 : -1])
        own = key(value)
        if index and any(key(item) == own for item in siblings[:index]):
            errors.append(duplicate(f"{path}.{by}" if by and name_field else path, own))

    return run


def _union(members: Any, rule: Any, module: str) -> Check:
    what = rule["message"]
    checks = [(name, _rule(member, module)) for name, member in members.items()]

    def run(node: Any, path: str, within: Any, context: Any, errors: list[Any]) -> None:
        found = [(name, check) for name, check in checks if node.get(name) is not None]
        for number, (name, check) in enumerate(found):
            if number:
                errors.append(forbidden(f"{path}.{name}", f"may not specify more than 1 {what}"))
            else:
                check(node[name], f"{path}.{name}", node, context, errors)
        if not found:
            errors.append(required(path, f"must specify a {what}"))

    return run


def _positive(_: Any, rule: Any, module: str) -> Check:
    def run(value: Any, path: str, within: Any, context: Any, errors: list[Any]) -> None:
        if nanos(value) <= 0:
            errors.append(invalid(path, shown(value), rule.get("message", NOT_POSITIVE)))

    return run


def _each_key(rule: Any, _: Any, module: str) -> Check:
    check = _rule(rule, module)

    def run(value: Any, path: str, within: Any, context: Any, errors: list[Any]) -> None:
        for key in value or ():
            check(key, f"{path}[{key}]", value, context, errors)

    return _silently(run)


def _unchanged(
    message: Any, rule: Any, module: str, *, error: Callable[[str, Any, str], FieldError] = invalid
) -> Check:
    def run(value: Any, path: str, within: Any, old: Any, errors: list[Any]) -> None:
        for name in path.split("."):
            old = (old or {}).get(name)
        if value != old and (value or old):
            errors.append(error(path, value, message or "field is immutable"))

    return run


def _frozen(message: Any, rule: Any, module: str) -> Check:
    return _unchanged(message, rule, module, error=lambda path, value, why: forbidden(path, why))


def _function(name: str, module: str) -> Callable[[], Callable[..., Iterator[FieldError]]]:
    """A function of a module here, looked up when it is first called: modules use types, and types modules."""
    file, _, function = name.rpartition(".")
    return functools.cache(lambda: getattr(importlib.import_module(f"{__package__}.{file or module}"), function))


def _check(name: Any, rule: Any, module: str) -> Check:
    found = _function(name, module)

    def run(*call: Any) -> None:
        call[-1].extend(found()(*call[: found().__code__.co_argcount]))

    return run


def _type(name: Any, rule: Any, module: str) -> Check:
    def run(value: Any, path: str, within: Any, context: Any, errors: list[Any]) -> None:
        type_named(name)(value, path, within, context, errors)

    return run


TAGS: Final[dict[str, Tag]] = {
    "required": _required,
    "present": functools.partial(_required, present=True),
    "optional": lambda argument, rule, module: _silently(lambda value, *_: not value),
    "when": _when,
    "warn": _flat(lambda path, message: f"{path}: {message}"),
    "missing": _flat(required),
    "forbidden": _flat(forbidden),
    "invalid": _simple("", lambda value, message: [message]),
    "enum": _enum,
    "format": _format,
    "minimum": _simple(0, lambda value, low: [f"must be greater than or equal to {low}"] if value < low else []),
    "maximum": _simple(0, lambda value, high: [f"must be less than or equal to {high}"] if value > high else []),
    "exclusiveMinimum": _simple(0, lambda value, low: [f"must be greater than {low}"] if value <= low else []),
    "maxBytes": _limit(lambda path, count, limit: too_long(path, limit)),
    "maxItems": _limit(too_many),
    "positiveQuantity": _positive,
    "union": _union,
    "unique": _unique,
    "uniqueBy": functools.partial(_unique, name_field=False),
    "eachKey": _each_key,
    "immutable": _unchanged,
    "frozen": _frozen,
    "check": _check,
    "type": _type,
    "fields": lambda body, rule, module: _fields(body, module),
}
