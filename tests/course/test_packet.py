"""A packet's way as a widget: rules read aloud, steps that matter, a histogram."""

import pytest

from course.widgets.packet import PacketView, aloud, histogram, steps, text

FLOW = {
    "name": "default/web",
    "destination": "10.96.0.12",
    "port": 5432,
    "protocol": "tcp",
    "result": "connected",
    "reason": "",
    "answered_by": "10.32.0.15",
    "answered_port": 5432,
    "seen_from": "10.32.0.14",
    "steps": [
        {"node": "cp", "hook": "PREROUTING", "chain": "nat/KUBE-SERVICES", "outcome": "KUBE-SVC-A", "packet": "a -> b",
         "rule": '-d 10.96.0.12/32 -p tcp -m comment --comment "x -> y" -m tcp --dport 5432 -j KUBE-SVC-A'},
        {"node": "cp", "hook": "PREROUTING", "chain": "nat/KUBE-SVC-A", "outcome": "passed over", "packet": "a -> b",
         "rule": "-m statistic --mode random --probability 0.33333333349 -j KUBE-SEP-A"},
        {"node": "cp", "hook": "FORWARD", "chain": "filter/FORWARD", "outcome": "KUBE-FORWARD", "packet": "a -> c",
         "rule": "-j KUBE-FORWARD"},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("-d 10.96.0.12/32 -p tcp -m tcp --dport 5432 -j KUBE-SVC-A", "to 10.96.0.12, port 5432: go on in KUBE-SVC-A"),
        ("-p tcp -m tcp -j DNAT --to-destination 10.32.0.15:5432", "always: change its destination to 10.32.0.15:5432"),
        ("! -s 10.32.0.0/12 -j KUBE-MARK-MASQ", "not from 10.32.0.0/12: mark it: its source address will be replaced"),
        ("-m statistic --mode random --probability 0.50000000000 -j X", "one time in 2, by chance: go on in X"),
        ('-m comment --comment "a -s 1.2.3.4 trap" -j DROP', "always: drop it, without a word"),
        ("-j MARK --set-xmark 0x4000/0x0", "always: take the mark away"),
    ],
)
def test_rules_read_aloud(rule: str, words: str) -> None:
    """Conditions first, then what happens; comments are not conditions."""
    assert aloud(rule) == words


def test_what_leads_nowhere_is_left_out() -> None:
    """Rules of the filter table that decide nothing appear only when everything is asked for."""
    assert [s["where"] for s in steps(FLOW)] == ["KUBE-SERVICES", "KUBE-SVC-A", ""]
    assert len(steps(FLOW, everything=True)) == 4
    assert "10.32.0.15:5432 answers; it sees 10.32.0.14" in text(FLOW, steps(FLOW))


def test_the_view_walks_step_by_step() -> None:
    """Its caption says where one is; the picture grows with each step."""
    view = PacketView(FLOW)
    full = view.svg
    view.position = 0
    assert view.caption.startswith("step 1 of 3: to 10.96.0.12")
    assert len(view.svg) < len(full)


def test_a_histogram_counts_ends() -> None:
    """Who answered how often, failures by their kind."""
    lines = histogram([FLOW, FLOW, {**FLOW, "result": "timeout"}]).splitlines()
    assert [line.split()[:2] for line in lines] == [["10.32.0.15:5432", "2"], ["timeout", "1"]]
