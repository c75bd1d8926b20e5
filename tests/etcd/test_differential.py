"""Ours answers as the real etcd 3.5 does: v3 by a random walk over every kind of request."""

import sys
from pathlib import Path

import differential
import pytest
from servers import real_etcd

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the real etcd comes as a Linux package")


def test_v3_answers_as_the_real_etcd(tmp_path: Path) -> None:
    """2,000 operations: no field of any answer or event differs, but for ids and times."""
    with real_etcd(tmp_path) as address:
        assert differential.run(address, examples=50, steps=50, derandomize=True) >= 2_000
