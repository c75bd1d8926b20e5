"""kube-controller-manager's manifest: what stands behind --controllers is what runs."""

from collections.abc import Iterator

import pytest

from course.manifests import FILE_CHECK, ControllersFlag
from k8s_core.cluster import Cluster


@pytest.fixture
def flag() -> Iterator[ControllersFlag]:
    """A cluster whose manifest is looked at."""
    with Cluster() as cluster:
        cluster.settle()
        yield ControllersFlag(cluster)


def write(flag: ControllersFlag, value: str) -> None:
    text = flag.path.read_text()
    flag.path.write_text(text.replace(f"--controllers={flag.read()}", f"--controllers={value}"))


def test_a_minus_switches_one_loop_off_and_its_absence_on_again(flag: ControllersFlag) -> None:
    """A change is seen within 20 seconds; all other loops go on."""
    manager = flag.cluster.controller_manager
    before = set(manager.controllers)
    write(flag, "*,-job-controller,bootstrapsigner,tokencleaner")
    flag.cluster.advance(FILE_CHECK)
    assert set(manager.controllers) == before - {"job-controller"}
    write(flag, "*,bootstrapsigner,tokencleaner")
    flag.wait()
    assert set(manager.controllers) == before


def test_a_name_that_does_not_exist_ends_the_component(flag: ControllersFlag) -> None:
    """The real one exits with an error, so nothing runs until the manifest is mended."""
    write(flag, "*,nonsense")
    flag.wait()
    assert not flag.cluster.controller_manager.running
    write(flag, "*")
    flag.wait()
    assert flag.cluster.controller_manager.running


def test_without_a_manifest_there_is_no_component(flag: ControllersFlag) -> None:
    """A static Pod is gone with its file, and back with it."""
    text = flag.path.read_text()
    flag.path.unlink()
    flag.wait()
    assert not flag.cluster.controller_manager.running
    flag.path.write_text(text)
    flag.wait()
    assert flag.cluster.controller_manager.running


def test_what_was_stopped_by_hand_stays_stopped(flag: ControllersFlag) -> None:
    """Without a change of the file nothing is started."""
    flag.cluster.controller_manager.stop()
    flag.cluster.advance("2m")
    assert not flag.cluster.controller_manager.running
