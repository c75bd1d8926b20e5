"""A packet's way through the rules of the nodes: which rule it met, what that said, and what became of the packet.

`steps` reads a flow that the network recorded (cluster.network.log) as plain data, `aloud` says a rule in words,
`picture` and `text` show it, `PacketView` walks through it. Rules that lead nowhere are left out unless asked for.
"""

import re
from collections import Counter
from typing import Any

from course.widgets.pictures import WIDTH, _count, _cut, _rect, _svg, _text
from course.widgets.player import Pages

ROW = 40
DECIDES = ("ACCEPT", "DROP", "REJECT")
_TESTS = (
    (r"! -s (\S+)", "not from {}"),
    (r"(?<!! )-s (\S+)", "from {}"),
    (r"-d (\S+)", "to {}"),
    (r"--dport (\d+)", "port {}"),
    (r"--rcheck --seconds (\d+)", "a client that came here in the last {} s"),
    (r"--src-type LOCAL()", "from this node"),
    (r"--dst-type LOCAL()", "to this node itself"),
    (r"! --mark (\S+?)/", "not marked {}"),
    (r"(?<!! )--mark (\S+?)/", "marked {}"),
    (r"--ctstate (\S+)", "a connection that is {}"),
)
_JUMPS = {
    "KUBE-MARK-MASQ": "mark it: its source address will be replaced",
    "MARK": "set the mark",
    "MASQUERADE": "replace its source address",
    "RETURN": "go back",
    "ACCEPT": "let it pass",
    "DROP": "drop it, without a word",
    "REJECT": "refuse it",
    "": "only count it",
}


def aloud(rule: str) -> str:
    """A rule in words: "to 10.96.0.12, port 5432: go on in KUBE-SVC-…"."""
    plain = re.sub(r'--comment "[^"]*"', "", rule)
    when = [words.format(found[1].removesuffix("/32")) for test, words in _TESTS if (found := re.search(test, plain))]
    odds = re.search(r"--probability (\S+)", plain)
    if odds:
        when.append(f"one time in {round(1 / float(odds[1]))}, by chance")
    jump = re.search(r"-j (\S+)(?: --to-destination (\S+))?", plain)
    name, target = (jump[1], jump[2]) if jump else ("", None)
    if "--set-xmark 0x4000/0x0" in plain:
        return "always: take the mark away"
    then = f"change its destination to {target}" if target else _JUMPS.get(name, f"go on in {name}")
    return f"{', '.join(when) or 'always'}: {then}"


def steps(flow: dict[str, Any], *, everything: bool = False) -> list[dict[str, str]]:
    """The steps of a flow: {"node", "where", "words", "outcome", "packet", "rule", "odds"}.

    `odds` stands where chance decides: how many of all packets come this far and further this way.
    """
    found = []
    share = 1.0
    for step in flow["steps"]:
        table, _, chain = step["chain"].partition("/")
        idle = table == "filter" and step["outcome"] not in DECIDES
        idle = idle or (step["hook"] == "POSTROUTING" and step["outcome"] in ("RETURN", "KUBE-POSTROUTING"))
        idle = idle or (chain == step["hook"] and step["outcome"].startswith("KUBE-"))
        if idle and not everything:
            continue
        words = aloud(step["rule"]) if chain and step["rule"].find("-") >= 0 else step["rule"]
        if step["outcome"] == "passed over":
            words = f"{words.partition(':')[0]}: not this time"
        elif not words or step["hook"] == "wire" or not chain:
            words = {"wire": step["outcome"]}.get(step["hook"], f"{step['rule']}: {step['outcome']}".lstrip(": "))
        odds = ""
        if chance := re.search(r"--probability (\S+)", step["rule"]):
            taken = float(chance[1])
            share *= 1 - taken if step["outcome"] == "passed over" else taken
            odds = f"{100 * share:.1f} % {'go on' if step['outcome'] == 'passed over' else 'go this way'}"
        found.append({**step, "where": chain or step["hook"], "words": words, "odds": odds})
    if flow["result"] == "connected":
        end = f"{flow['answered_by']}:{flow['answered_port']} answers; it sees {flow['seen_from']}"
    else:
        rule = re.search(r'^rule in .*--comment "([^"]*)"', flow["reason"])
        end = f"{flow['result']}: {rule[1] if rule else flow['reason']}"
    last = found[-1]["packet"] if found else ""
    found.append(
        {"node": "", "where": "", "words": end, "packet": last, "outcome": flow["result"], "rule": "", "odds": ""}
    )
    return found


def request_steps(queries: list[dict[str, Any]], flows: list[dict[str, Any]], end: str) -> list[dict[str, str]]:
    """The steps of a whole request: the look-ups, then each connection that it took, then the answer."""
    blank = {"node": "", "where": "", "words": "", "outcome": "", "packet": "", "rule": "", "odds": ""}
    found = []
    for query in queries:
        said = ", ".join(query["answers"]) or ("no such record" if query["code"] == "NOERROR" else query["code"])
        found.append(
            {
                **blank,
                "node": "dns",
                "where": query["server"].rpartition("/")[2],
                "words": f"{query['type']} {query['name']}: {said}",
            }
        )
    for flow in flows:
        found += steps(flow)
    return [*found, {**blank, "words": end, "outcome": flows[-1]["result"] if flows else "resolve"}]


def picture(flow: dict[str, Any], found: list[dict[str, str]], position: int) -> str:
    """The steps up to `position`, one below the other, and the packet as it is then."""
    parts = [
        _text(20, 28, _title(flow), "head"),
        _text(WIDTH - 20, 28, found[position]["packet"], "head", "end"),
    ]
    for number, step in enumerate(found[: position + 1]):
        top = 44 + number * ROW
        last = number == len(found) - 1
        kind = ("good", "#2e7d32") if last and flow["result"] == "connected" else ("bad", "#c62828")
        look = f"card {kind[0]}" if last else "box"
        now = " now" if number == position else ""
        parts.append(_rect(20, top, WIDTH - 40, ROW - 6, look + now, "#fff", kind[1] if last else "#b0b4b9", 6))
        parts.append(_text(32, top + 21, _cut(step["node"] or "end", 70), "dim"))
        parts.append(_text(110, top + 21, _cut(step["where"], 190), "head small"))
        parts.append(_text(332, top + 21, _cut(step["words"], WIDTH - (496 if step["odds"] else 366))))
        if step["odds"]:
            parts.append(_text(WIDTH - 32, top + 21, step["odds"], "dim", "end"))
    return _svg(52 + len(found) * ROW, parts, f"a packet's way in {_count(len(found), 'step')}")


def text(flow: dict[str, Any], found: list[dict[str, str]]) -> str:
    """The same as text, a line a step."""
    lines = [_title(flow)]
    for number, step in enumerate(found, 1):
        odds = f" ({step['odds']})" if step["odds"] else ""
        line = f"{number:>3}. {step['node']:<8} {step['where']:<26} {step['words']}{odds}"
        lines.append(line.replace("  " * 18, "  "))
    return "\n".join(lines)


def histogram(flows: list[dict[str, Any]]) -> str:
    """Who answered how often, as text with bars."""
    ends = Counter(
        f"{f['answered_by']}:{f['answered_port']}" if f["result"] == "connected" else f["result"] for f in flows
    )
    most = max(ends.values(), default=1)
    return "".join(
        f"{name:<22} {count:>5} {100 * count / len(flows):5.1f} %  {'█' * round(30 * count / most)}\n"
        for name, count in sorted(ends.items())
    )


def bars(flows: list[dict[str, Any]]) -> str:
    """The same as a picture: a bar for each end, and a line where all would be if every one got the same."""
    ends = Counter(
        f"{f['answered_by']}:{f['answered_port']}" if f["result"] == "connected" else f["result"] for f in flows
    )
    most, width = max(ends.values(), default=1), WIDTH - 420
    parts = [
        _text(20, 28, f"{_count(len(flows), 'connection')} to {flows[0]['destination']}:{flows[0]['port']}", "head")
    ]
    for row, (name, count) in enumerate(sorted(ends.items())):
        top = 44 + row * 34
        good = name[0].isdigit()
        parts.append(_text(20, top + 17, _cut(name, 190)))
        parts.append(_rect(220, top, max(width * count / most, 3), 24, "full good" if good else "card bad",
                           "#2e7d32" if good else "#fff", "#2e7d32" if good else "#c62828", 4))  # fmt: skip
        parts.append(_text(WIDTH - 20, top + 17, f"{count}  {100 * count / len(flows):.1f} %", "", "end"))
    even = 220 + width * len(flows) / max(len(ends), 1) / most
    bottom = 44 + len(ends) * 34
    if len(ends) > 1:
        dashes = 'stroke-dasharray="4 3"'
        parts.append(
            f'<path class="wire" stroke="#5f6368" fill="none" {dashes} d="M{even:.0f},38 L{even:.0f},{bottom}"/>'
        )
        parts.append(_text(even, bottom + 14, "the same for all", "dim", "middle"))
    return _svg(bottom + 24, parts, f"who answered {_count(len(flows), 'connection')}")


class PacketView(Pages):
    """One packet, a step a page; or, with `told`, the steps of all that a request took."""

    def __init__(self, flow: dict[str, Any], *, everything: bool = False, told: list[dict[str, str]] | None = None):
        self.flow, self.steps = flow, told or steps(flow, everything=everything)
        super().__init__(f"the way of a packet: {_title(flow)}", len(self.steps))

    def page(self, position: int) -> tuple[str, str, str]:
        caption = f"step {position + 1} of {self.last + 1}: {self.steps[position]['words']}"
        return picture(self.flow, self.steps, position), text(self.flow, self.steps), caption


def _title(flow: dict[str, Any]) -> str:
    return f"{flow['name']} to {flow['destination']}:{flow['port']} ({flow['protocol']})"
