"""Every session of kubectl commands in sessions/ answers as it says; play.py explains the format."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from play import HERE, cluster_for, differences, load, play

SESSIONS = sorted((HERE / "sessions").glob("*.yaml"))


@pytest.fixture(scope="module", params=SESSIONS, ids=lambda path: path.stem)
def played(request: pytest.FixtureRequest) -> Iterator[list[tuple[dict[str, Any], dict[str, Any]]]]:
    """A session's steps beside their answers, played once on a cluster of its own."""
    session = load(Path(request.param))
    with cluster_for(session) as kubeconfig:
        yield list(zip(session["steps"], play(session, kubeconfig), strict=True))


def test_session(played: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """kubectl prints what the session says, on the right stream, with the right exit code."""
    wrong = [["", f"$ {step['run']}", *lines] for step, answer in played if (lines := differences(step, answer))]
    assert not wrong, "\n".join(line for lines in wrong for line in lines)
