"""A DNS look-up unrolled: what the resolver decides, every query and its answer, as a sequence and as text."""

from typing import Any

from course.widgets.player import SequenceView
from k8s_core.network.resolver import Config

CORE = "CoreDNS"


def lines(queries: list[dict[str, Any]], end: str) -> str:
    """One line for each query, and how it ended."""
    found = [
        f"{number:>2}. {q['type']:<5} {q['name']:<52} {q['code']:<9} {', '.join(q['answers'])}".rstrip()
        for number, q in enumerate(queries, 1)
    ]
    return "".join(f"{line}\n" for line in [*found, f"{end} ({len(queries)} queries)"])


def decision(name: str, config: Config) -> str:
    """What the resolver makes of a name before it asks anybody."""
    if name.endswith("."):
        return f"{name} ends with a dot: no search"
    dots, many = name.count("."), f"{len(config.search)} domains"
    count = "1 dot" if dots == 1 else f"{dots} dots"
    first = f"the search list's {many} first" if dots < config.ndots else f"as it is first, then {many}"
    return f"{name} has {count}, ndots is {config.ndots}: {first}"


def sequence(
    source: str, name: str, config: Config, queries: list[dict[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """(actors, steps) for a picture: who asks, and each Pod that answers."""
    asker = f"{source.rpartition('/')[2]} asks"
    servers = list(dict.fromkeys(q["server"].rpartition("/")[2] for q in queries)) or ["nobody"]
    actors = {server: f"{CORE} {server.rpartition('-')[2]}" for server in servers}
    steps: list[dict[str, Any]] = [{"from": asker, "to": asker, "text": decision(name, config), "time": ""}]
    for query in queries:
        server = actors[query["server"].rpartition("/")[2]]
        answer = ", ".join(query["answers"]) or ("no such record" if query["code"] == "NOERROR" else query["code"])
        steps.append({"from": asker, "to": server, "text": f"{query['type']} {query['name']}?", "time": ""})
        steps.append({"from": server, "to": asker, "text": answer, "time": "", "watch": True})
    return [asker, *actors.values()], steps


class LookupView(SequenceView):
    """One look-up, query by query. As a string it is its lines."""

    def __init__(self, source: str, name: str, config: Config, queries: list[dict[str, Any]], end: str):
        self._lines = lines(queries, end)
        super().__init__(end, *sequence(source, name, config, queries))

    def page(self, position: int) -> tuple[str, str, str]:
        svg, *_ = super().page(position)
        return svg, self._lines, f"step {position + 1} of {self.last + 1}: {self.steps[position]['text']}"

    def __str__(self) -> str:
        return self._lines
