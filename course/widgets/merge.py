"""kubectl apply drawn side by side, and who owns each field.

`rows` compares a file, what was last applied and the live object field by field and says what apply will do with each
and why; `owners` reads managedFields. `MergeView` goes through the fields, `OwnersView` through the managers. The
result in the picture is what the rules of the three-way merge say; lists without a merge key are one value, as they
are for apply. Left out: fields that only the live object has and that no other client wrote (defaults).
"""

import json
from typing import Any

from course.widgets.pictures import WIDTH, _count, _cut, _rect, _svg, _text
from course.widgets.player import Pages
from k8s_core.api import Object
from k8s_core.api.schema import Type

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
Row = dict[str, str]
Path = tuple[str, ...]

_NOT_MINE = {"kubectl-client-side-apply", "kubectl-create", "kube-controller-manager", "kubelet", "kube-scheduler"}
_ROW, _HEAD = 22, 34


def flat(value: Any, kind: Type | None, path: Path = ()) -> dict[Path, str]:
    """{path: value as text} of every field that apply looks at by itself."""
    if isinstance(value, dict) and value:
        found: dict[Path, str] = {}
        for key, item in value.items():
            inner = kind and (kind.fields.get(key) if kind.kind == "object" else kind.items)
            found |= flat(item, inner or None, (*path, key))
        return found
    if isinstance(value, list) and kind and kind.merge_key and "merge" in kind.patch_strategy:
        found = {}
        for item in value:
            found |= flat(item, kind.items, (*path, f"[{kind.merge_key}={item.get(kind.merge_key)}]"))
        return found
    return {path: value if isinstance(value, str) else json.dumps(value)}


def told(path: Path) -> str:
    """A path as one reads it: spec.containers[name=web].image."""
    text = ""
    for step in path:
        name = step.rsplit("/", 1)[-1]  # an annotation's or label's domain is long, and says little here
        text += step if step.startswith("[") else f'["…/{name}"]' if "/" in step else f".{step}"
    return text.removeprefix(".")


def rows(file: Object, last: Object, live: Object, kind: Type | None) -> list[Row]:
    """{field, file, last, live, patch, result, why} of each field that apply decides about, in the file's order."""
    theirs = {path: " and ".join(who) for path, _, who in owners(live) if set(who) - _NOT_MINE}
    f, old, now = (flat(_bare(each), kind) for each in (file, last, live))
    # A list or map that is one value in one object may have parts in another.
    paths = list(dict.fromkeys([*f, *old, *(path for path in now if told(path) in theirs)]))
    found = []
    for path in paths:
        wish, before, is_now = f.get(path), old.get(path), now.get(path)
        if wish is not None:
            patch, result = "" if wish == is_now else wish, wish
            why = "the file says so, and so it is" if wish == is_now else "the file says so"
            if before == wish != is_now:
                why = "somebody changed it: set back to what the file says"
        elif before is not None:
            patch, result = "null", ""
            why = "was in the last file, is not in this one: taken away"
        else:
            patch, result, why = "", is_now or "", f"never in a file: kept (written by {theirs[told(path)]})"
        found.append(
            {
                "field": told(path),
                "file": _cell(wish),
                "last": _cell(before),
                "live": _cell(is_now),
                "patch": patch or "·",
                "result": result or "·",
                "why": why,
            }
        )
    return found


COLUMNS = (("field", 0, 300), ("file", 300, 110), ("last", 410, 110), ("live", 520, 110), ("patch", 630, 110))
TITLES = {
    "field": "field",
    "file": "file",
    "last": "last applied",
    "live": "live",
    "patch": "patch",
    "result": "result",
}


def merge_picture(found: list[Row], position: int | None = None) -> str:
    """The table up to a position; later fields show only what is known before apply decides."""
    now = len(found) - 1 if position is None else position
    parts = []
    columns = [*COLUMNS, ("result", 740, WIDTH - 740)]
    for key, left, _ in columns:
        parts.append(_text(left + 8, 22, TITLES[key], "head"))
    for number, row in enumerate(found):
        top = _HEAD + number * _ROW
        decided = number <= now
        kind, stroke = _mark(row) if decided else ("box", "#b0b4b9")
        if decided:
            parts.append(_rect(634, top + 1, WIDTH - 638, _ROW - 3, f"card {kind}", "#fff", stroke, 4))
        for key, left, width in columns:
            if key in ("patch", "result") and not decided:
                continue
            words = _tail(row[key], width - 34) if key == "field" else _cut(row[key], width - 12)
            parts.append(_text(left + 8, top + 15, words, "head" if key == "field" and number == now else ""))
    bottom = _HEAD + len(found) * _ROW
    parts.append(_text(8, bottom + 18, _LEGEND, "dim"))
    if found:
        parts.append(_text(8, bottom + 36, f"{found[now]['field']}: {found[now]['why']}", "head"))
    changed = sum(row["patch"] != "·" for row in found)
    return _svg(bottom + 46, parts, f"three-way merge: {_count(len(found), 'field')}, {changed} in the patch")


_LEGEND = "dashed = the patch changes it, dotted = the patch takes it away (null), solid = stays as it is; · = nothing"


def merge_text(found: list[Row], position: int | None = None) -> str:
    """The same as text, a line a field."""
    shown = found if position is None else found[: position + 1]
    keys = ("field", "file", "last", "live", "patch", "result")
    wide = {key: min(40, max([len(TITLES[key]), *(len(row[key]) for row in shown)])) for key in keys}
    lines = ["  ".join(TITLES[key].ljust(wide[key]) for key in keys) + "  why"]
    lines += ["  ".join(row[key].ljust(wide[key]) for key in keys) + f"  {row['why']}" for row in shown]
    return "\n".join(lines)


class MergeView(Pages):
    """The merge of one object, a field a page."""

    def __init__(self, name: str, found: list[Row]):
        self.found = found
        super().__init__(f"three-way merge of {name}", len(found))

    def page(self, position: int) -> tuple[str, str, str]:
        row = self.found[position]
        return (
            merge_picture(self.found, position),
            merge_text(self.found, position),
            f"{row['field']}: {row['why']}",
        )


def owners(obj: Object) -> list[tuple[str, str, list[str]]]:
    """(field, its value, who owns it) of every field in managedFields, in the object's order; status in one line."""
    found: dict[Path, list[str]] = {}
    for entry in obj["metadata"].get("managedFields") or []:
        part = f" ({entry['subresource']})" if entry.get("subresource") else ""
        for path in _leaves(entry["fieldsV1"]):
            found.setdefault(path, []).append(entry["manager"] + part)
    order = list(flat_order(obj))
    place = {path: number for number, path in enumerate(order)}
    paths = sorted(found, key=lambda path: place.get(path, len(order)))
    rest = [path for path in paths if path[0] == "status"]
    shown = [(told(path), _at(obj, path), found[path]) for path in paths if path[0] != "status"]
    writers = sorted({who for path in rest for who in found[path]})
    return [*shown, ("status", _count(len(rest), "field"), writers)] if rest else shown


def flat_order(value: Any, path: Path = ()) -> list[Path]:
    """Every path of an object, with list items named as managedFields name them if they have a name."""
    found = [path]
    if isinstance(value, dict):
        for key, item in value.items():
            found += flat_order(item, (*path, key))
    elif isinstance(value, list):
        for item in value:
            key = next((k for k in ("name", "type") if isinstance(item, dict) and k in item), "")
            found += flat_order(item, (*path, f"[{key}={item[key]}]")) if key else []
    return found


def owners_picture(found: list[tuple[str, str, list[str]]], position: int | None = None) -> str:
    """Fields, values and owners; at a position the fields of that owner stand out."""
    managers = list(dict.fromkeys(who for *_, each in found for who in each))
    chosen = None if position is None or position >= len(managers) else managers[position]
    parts = [_text(8, 22, "field", "head"), _text(420, 22, "value", "head"), _text(620, 22, "owned by", "head")]
    for number, (field, value, who) in enumerate(found):
        top = _HEAD + number * _ROW
        if chosen in who:
            parts.append(_rect(4, top + 1, WIDTH - 8, _ROW - 3, "card good", "#fff", "#2e7d32", 4))
        bold = "head" if chosen in who else ""
        parts.append(_text(8, top + 15, _tail(field, 385), bold))
        parts.append(_text(420, top + 15, _cut(value, 190), bold))
        parts.append(_text(620, top + 15, _cut(" and ".join(who), WIDTH - 628), bold))
    return _svg(_HEAD + len(found) * _ROW + 8, parts, f"{_count(len(found), 'field')} and who owns them")


def owners_text(found: list[tuple[str, str, list[str]]]) -> str:
    """The same as text."""
    wide = max([len(field) for field, *_ in found], default=0)
    return "\n".join(f"{field.ljust(wide)}  {value[:30]:30}  {' and '.join(who)}" for field, value, who in found)


class OwnersView(Pages):
    """An object's fields, an owner a page, all of them on the last one."""

    def __init__(self, name: str, found: list[tuple[str, str, list[str]]]):
        self.found = found
        self.managers = list(dict.fromkeys(who for *_, each in found for who in each))
        super().__init__(f"the owners of the fields of {name}", len(self.managers) + 1)

    def page(self, position: int) -> tuple[str, str, str]:
        every = position == self.last
        who = "all owners together" if every else self.managers[position]
        count = len(self.found) if every else sum(who in each for *_, each in self.found)
        verb = "own" if every else "owns"
        return owners_picture(self.found, position), owners_text(self.found), f"{who} {verb} {_count(count, 'field')}"


def last_applied(obj: Object) -> Object:
    """What the annotation says was applied last; {} if there is none."""
    text = (obj["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    found: Object = json.loads(text) if text else {}
    return found


def _bare(obj: Object) -> Object:
    """What apply compares: neither status nor what the server fills in, nor the annotation itself."""
    kept = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "status", "metadata")}
    meta = obj.get("metadata") or {}
    for key in ("labels", "annotations"):
        part = {k: v for k, v in (meta.get(key) or {}).items() if k != LAST_APPLIED}
        if part:
            kept = {"metadata": {**kept.get("metadata", {}), key: part}, **kept}
    return kept


def _leaves(fields: Any, path: Path = ()) -> list[Path]:
    found: list[Path] = []
    for key, inner in fields.items():
        kind, _, name = key.partition(":")
        if kind == "k":
            name = "[" + ",".join(f"{k}={v}" for k, v in json.loads(name).items()) + "]"
        if kind == ".":
            continue
        step = (*path, name if kind in ("f", "k") else f"[{name}]")
        found += _leaves(inner, step) if set(inner) - {"."} else [step]
    return found


def _at(value: Any, path: Path) -> str:
    """The value at a path, as text; "" where there is none."""
    for step in path:
        if step.startswith("[") and isinstance(value, list):
            wanted = dict(pair.split("=", 1) for pair in step[1:-1].split(",") if "=" in pair)
            value = next((i for i in value if all(str(i.get(k)) == v for k, v in wanted.items())), None)
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _cell(value: str | None) -> str:
    return "·" if value is None else value or '""'


def _mark(row: Row) -> tuple[str, str]:
    if row["patch"] == "null":
        return "bad", "#c62828"
    return ("wait", "#b26a00") if row["patch"] != "·" else ("good", "#2e7d32")


def _tail(text: str, width: float) -> str:
    """The end of a path tells more than its beginning."""
    room = int(width / 7)
    return text if len(text) <= room else "…" + text[1 - room :]
