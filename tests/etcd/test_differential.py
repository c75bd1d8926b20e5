"""Ours answers as the real etcd 3.5 does: v3 by a random walk over every kind of request."""

import sys
from pathlib import Path

import differential
import differential_admin
import differential_v2
import pytest
from servers import real_etcd

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the real etcd comes as a Linux package")


def test_v3_answers_as_the_real_etcd(tmp_path: Path) -> None:
    """2,000 operations: no field of any answer or event differs, but for ids and times."""
    with real_etcd(tmp_path) as address:
        assert differential.run(address, examples=50, steps=50, derandomize=True) >= 2_000


def test_v2_answers_as_the_real_etcd(tmp_path: Path) -> None:
    """2,000 operations on the tree: status, body and index of every answer are the same, but for times."""
    with real_etcd(tmp_path, "--enable-v2") as address:
        assert differential_v2.run(address, 2_000, seed=1) == 2_000


def test_users_members_and_maintenance_answer_as_the_real_etcd(tmp_path: Path) -> None:
    """1,000 requests of several users with their tokens: who may do what, and what is said to those who may not."""
    with real_etcd(tmp_path, "--bcrypt-cost", "4") as address:
        assert differential_admin.run(address, 1_000, seed=1) == 1_000


def test_rights_reach_as_far_as_in_the_real_etcd(tmp_path: Path) -> None:
    """2,000 requests for ranges of every form under rights of every form, empty and inverted ones among them."""
    with real_etcd(tmp_path, "--bcrypt-cost", "4") as address:
        assert differential_admin.ranges(address, 10, seed=1) >= 2_000
