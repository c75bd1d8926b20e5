"""A controller's loop, turn by turn: what a ReplicaSet's controller observed, how it compared, and how it acted.

`story` reads the turns out of the cluster's history: each time that the wish or the Pods changed, what was there, what
was wanted, and what the controller did about it before the next news. `picture` and `text` show one turn, `LoopView`
goes from turn to turn. Left out: turns in which a Pod only became ready, since the loop counts Pods, not ready ones.
"""

from collections.abc import Iterable
from typing import Any

from course.widgets.pictures import WIDTH, _count, _cut, _rect, _svg, _text
from course.widgets.player import Pages
from course.widgets.state import elapsed
from k8s_core.history import History

Story = dict[str, Any]
Turn = dict[str, Any]

_OURS = "replicaset-controller"
_BOX, _TALL = (WIDTH - 80) / 3, 150


def story(history: History, audit: Iterable[dict[str, Any]], name: str, namespace: str, start: float) -> Story:
    """The turns of the loop of one ReplicaSet, or of the newest one of a Deployment of that name.

    A turn is {time, news, wanted, pods, make, delete}; times are seconds since `start`.
    """
    sets = [change.new for change in history.changes(resource="replicasets.apps", namespace=namespace) if change.new]
    mine = [each for each in sets if name in (each["metadata"]["name"], _owner(each))]
    if not mine:
        return {"name": name, "turns": []}
    uid, own = mine[-1]["metadata"]["uid"], mine[-1]["metadata"]["name"]
    removed = {
        event["objectRef"]["name"]
        for event in audit
        if event["verb"] == "delete" and event["objectRef"]["resource"] == "pods" and _OURS in event["user"]["username"]
    }
    wanted, pods, turns = 0, list[str](), list[Turn]()

    def turn(time: float, news: str) -> None:
        turns.append({"time": time - start, "news": news, "wanted": wanted, "pods": [*pods], "make": [], "delete": []})

    for change in history.changes(namespace=namespace):
        obj = change.new or change.old or {}
        meta = obj["metadata"]
        if change.resource == "replicasets.apps" and meta["uid"] == uid:
            replicas = change.new["spec"]["replicas"] if change.new else 0
            if not change.old or replicas != wanted:
                wanted = replicas
                turn(change.time, f"the wish: {_count(wanted, 'Pod')}")
        elif change.resource == "pods" and any(each["uid"] == uid for each in meta.get("ownerReferences") or ()):
            pod = meta["name"]
            leaving = change.new is None or "deletionTimestamp" in meta or _ended(obj)
            if not leaving and pod not in pods:
                adopted = change.old is not None
                if turns and not adopted:
                    turns[-1]["make"].append(pod)
                pods.append(pod)
                if adopted:
                    turn(change.time, f"{pod} is now one of its Pods")
            elif leaving and pod in pods:
                pods.remove(pod)
                if pod in removed and turns and len(turns[-1]["pods"]) - len(turns[-1]["delete"]) > wanted:
                    turns[-1]["delete"].append(pod)
                else:
                    turn(change.time, f"{pod} is to go" if not _ended(obj) else f"{pod} has ended")
        elif change.resource == "pods" and change.new and meta["name"] in pods:
            pods.remove(meta["name"])
            turn(change.time, f"{meta['name']} is no more one of its Pods")
    if turns:
        turn(history.loop.now, "nothing new, it looks once more")
    return {"name": own, "turns": turns}


def compare(turn: Turn) -> str:
    """What the loop finds."""
    missing = turn["wanted"] - len(turn["pods"])
    if not missing:
        return "just right"
    return f"{missing} too few" if missing > 0 else f"{-missing} too many"


def act(turn: Turn) -> str:
    """What it does."""
    words = [f"makes {', '.join(turn['make'])}"] if turn["make"] else []
    words += [f"deletes {', '.join(turn['delete'])}"] if turn["delete"] else []
    if words:
        return "; ".join(words)
    return "does nothing" if compare(turn) == "just right" else "has done nothing yet"


def picture(told: Story, position: int) -> str:
    """One turn: observe, compare, act, and back to the beginning."""
    turn = told["turns"][position]
    parts = [_text(14, 24, _cut(f"news: {turn['news']}", WIDTH - 28), "head")]
    for number, title in enumerate(("1. observe", "2. compare", "3. act")):
        left = 10 + number * (_BOX + 30)
        parts.append(_rect(left, 40, _BOX, _TALL, "box", "#f1f3f4", "#b0b4b9"))
        parts.append(_text(left + 12, 62, title, "head"))
        if number:
            parts.append(_text(left - 15, 40 + _TALL / 2, "→", "head", "middle"))
    parts.append(_text(22, 86, f"wanted: {turn['wanted']}"))
    parts.append(_text(22, 106, f"there: {len(turn['pods'])}"))
    for number, pod in enumerate(turn["pods"][:4]):
        words = pod if number < 3 or len(turn["pods"]) == 4 else f"and {len(turn['pods']) - 3} more"
        parts.append(_text(34, 126 + 16 * number, _cut(words, _BOX - 40), "dim"))
    left = 10 + _BOX + 30
    size = max(turn["wanted"], len(turn["pods"]), 1)
    side = min(26.0, (_BOX - 24) / size)
    for number in range(size):
        there, wished = number < len(turn["pods"]), number < turn["wanted"]
        kind, stroke = (
            ("good", "#2e7d32") if there and wished else ("wait", "#b26a00") if wished else ("bad", "#c62828")
        )
        parts.append(_rect(left + 12 + number * side, 80, side - 5, 24, f"card {kind}", "#fff", stroke, 4))
        parts.append(_text(left + 12 + (number + 0.5) * side - 2.5, 97, "●" if there else "", "small", "middle"))
    parts.append(_text(left + 12, 132, compare(turn), "head"))
    left = 10 + 2 * (_BOX + 30)
    for number, line in enumerate(_lines(turn)):
        parts.append(_text(left + 12, 86 + 18 * number, _cut(line, _BOX - 20), "" if number else "head"))
    parts.append(_text(14, 60 + _TALL, "↺ and again, with the next news", "dim"))
    return _svg(72 + _TALL, parts, f"the loop of {told['name']}, turn {position + 1}: {summary(turn)}")


def summary(turn: Turn) -> str:
    return f"wanted {turn['wanted']}, there {len(turn['pods'])}, {compare(turn)}: {act(turn)}"


def text(told: Story) -> str:
    """All turns as lines."""
    lines = [f"the loop of {told['name']}"]
    for number, turn in enumerate(told["turns"], 1):
        lines.append(f"{number:>3}. {elapsed(turn['time']):>6}  {turn['news']}")
        lines.append(f"             {summary(turn)}")
    return "\n".join(lines)


class LoopView(Pages):
    """The loop, a turn a page."""

    def __init__(self, told: Story):
        self.told = told
        super().__init__(f"the loop of {told['name']}", len(told["turns"]))

    def page(self, position: int) -> tuple[str, str, str]:
        turn = self.told["turns"][position]
        caption = f"{elapsed(turn['time'])}, turn {position + 1} of {self.last + 1}: {summary(turn)}"
        return picture(self.told, position), text(self.told), caption


def _lines(turn: Turn) -> list[str]:
    if not turn["make"] and not turn["delete"]:
        return [act(turn)]
    lines = []
    for verb, names in (("makes", turn["make"]), ("deletes", turn["delete"])):
        if names:
            lines += [f"{verb} {_count(len(names), 'Pod')}", *names[:4]]
    return lines


def _owner(obj: dict[str, Any]) -> str:
    return next((each["name"] for each in obj["metadata"].get("ownerReferences") or () if each.get("controller")), "")


def _ended(obj: dict[str, Any]) -> bool:
    return obj.get("status", {}).get("phase") in ("Succeeded", "Failed")
