"""A session on a node: what one types there, and what a kubeadm node with Ubuntu prints (on_a_node.txt)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8s_core.cluster import Cluster

TEXT = Path(__file__).with_suffix("").with_name("on_a_node.txt").read_text()
SESSION = [
    (typed.replace("\n> ", "\n"), expected)
    for typed, expected in re.findall(r"^\$ (.*(?:\n> .*)*)\n((?:(?![$#] ).*\n)*)", TEXT, re.M)
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.serve()
        made.settle()
        yield made


@pytest.mark.parametrize(("typed", "expected"), SESSION, ids=[typed[:40] for typed, _ in SESSION])
def test_a_node_answers_as_ubuntu_does(cluster: Cluster, typed: str, expected: str) -> None:
    """Each entry of the session prints what stands below it."""
    assert cluster.node("cp").run(typed).output == expected
