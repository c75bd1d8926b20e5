"""A node's folder is never left, whatever is typed and whoever puts links in it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8s_core.cluster import Cluster
from k8s_core.kubelet.host import Host
from k8s_core.shell.fs import Directory, File, FileError, FileSystem, Link
from k8s_core.shell.host_fs import HostDirectory


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real file outside every node."""
    path = tmp_path_factory.mktemp("outside") / "victim"
    path.write_text("real\n")
    return path


@pytest.fixture(scope="module")
def node() -> Iterator[Host]:
    with Cluster(nodes=("cp",)) as cluster:
        cluster.loop.strict = True
        yield cluster.node("cp")


@pytest.mark.parametrize(
    "script",
    [
        "cat {victim}",
        "cat /../../../../../../../..{victim}",
        "cd / && cat ../../../..{victim}",
        "ln -s {victim} /root/l1; cat /root/l1",
        "ln -s {folder} /root/l2; cat /root/l2/victim; ls /root/l2",
        "cp -r {folder} /root/c1; cat /root/c1/victim",
        "ln -s / /root/l3; cat /root/l3{victim}",
        "ln -s /proc/self/root /root/l4; cat /root/l4{victim}",
        "cat /proc/self/root{victim}; cat /proc/1/root{victim}",
        "sed -n p {victim}; grep -r real {folder}; find {folder} -type f; tar cf - {folder} | cat",
        "echo kind: Pod > /root/m; ln -s {victim} /etc/kubernetes/manifests/x.yaml; journalctl -u kubelet | tail -3",
        "nerdctl run --rm busybox cat {victim}",
    ],
)
def test_nothing_real_can_be_read(node: Host, victim: Path, script: str) -> None:
    """No path and no link leads to a real file."""
    outcome = node.run(script.format(victim=victim, folder=victim.parent))
    assert "real\n" not in outcome.output


@pytest.mark.parametrize(
    "script",
    [
        "echo x > {victim}",
        "ln -s {victim} /root/w1; echo x > /root/w1",
        "ln -s {victim} /root/w1; echo x >> /root/w1; sed -i s/real/x/ /root/w1; chmod 777 /root/w1; touch /root/w1",
        "ln -s {folder} /root/w2; echo x > /root/w2/victim; rm -rf /root/w2/victim; rm -rf /root/w2/*",
        "(sleep 2; echo x; echo x) > /root/w3 & rm /root/w3; ln -s {victim} /root/w3; sleep 5",
        "mkdir /d; (sleep 2; echo x) > /d/victim & sleep 1; mv /d /e; ln -s {folder} /d; sleep 5",
        "cd /root; mkdir -p f/g; cd f/g; rm -rf /root/f; ln -s {folder} /root/f; echo x > victim; echo x > ../victim",
        "mv /etc/hostname {victim}; cp /etc/hostname {victim}; tee {victim} < /etc/hostname",
        "ln -sf {victim} /etc/hostname; echo x > /etc/hostname; kubectl get ns > {victim}",
    ],
)
def test_nothing_real_can_be_written(node: Host, victim: Path, script: str) -> None:
    """Neither through links nor by putting one where an open file was."""
    node.run(script.format(victim=victim, folder=victim.parent))
    assert victim.read_text() == "real\n" and oct(victim.stat().st_mode & 0o777) in ("0o644", "0o600")
    assert [path.name for path in victim.parent.iterdir()] == ["victim"]


def test_links_that_are_really_there_are_not_followed(node: Host, victim: Path) -> None:
    """A link that somebody makes in the folder from outside shows as a link and leads nowhere."""
    (node.root / "root" / "planted").symlink_to(victim)
    (node.root / "etc" / "planted").symlink_to(victim.parent)
    outcome = node.run("ls -l /root/planted; cat /root/planted /etc/planted/victim; echo x > /etc/planted/victim")
    assert f"planted -> {victim}" in outcome.stdout and "real" not in outcome.stdout
    assert victim.read_text() == "real\n"


def test_the_folder_is_the_nodes_root(node: Host) -> None:
    """What is typed on the node is in the folder, and what is put into the folder is seen on the node."""
    node.run("mkdir -p /srv/a && echo one > /srv/a/f && mv /srv/a /srv/b && chmod 600 /srv/b/f")
    assert (node.root / "srv/b/f").read_text() == "one\n" and not (node.root / "srv/a").exists()
    assert node.run("ls -l /srv/b/f").output.startswith("-rw-------")
    (node.root / "srv/b/f").write_text("two\n")
    assert node.run("cat /srv/b/f").output == "two\n"


def test_the_real_disk_cannot_be_filled(tmp_path: Path) -> None:
    """A tree holds so many bytes and entries; what is removed counts no more."""
    fs = FileSystem(HostDirectory(tmp_path), lambda: 0.0)
    with pytest.raises(FileError, match="No space left"):
        for number in range(100):
            fs.write(f"/f{number}", bytes(4 << 20))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 64 << 20
    fs.remove("/f0")
    fs.write("/g", bytes(4 << 20))


def test_a_folder_that_becomes_a_link_meanwhile_leads_nowhere(tmp_path: Path) -> None:
    """What was found before is neither read nor written through a link that somebody has put in its way since."""
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside / "d" / "e", outside / "e"):
        folder.mkdir(parents=True)
        (folder / "f").write_text("real\n")
    fs = FileSystem(HostDirectory(inside), lambda: 0.0)
    file, folder = fs.resolve("/d/e/f")[0], fs.resolve("/d/e")[0]
    assert isinstance(file, File) and isinstance(folder, Directory)
    (inside / "d").rename(tmp_path / "away")
    (inside / "d").symlink_to(outside)
    for act in (file.read, lambda: file.write(b"x"), lambda: folder.set("g", File(b"x")), lambda: folder.remove("f"),
                lambda: folder.set("l", Link("x")), lambda: folder.set("h", Directory())):  # fmt: skip
        with pytest.raises(FileError):
            act()
    assert folder.names() == [] and [p.name for p in (outside / "e").iterdir()] == ["f"]
    assert (outside / "e" / "f").read_text() == "real\n"


def test_hard_links_and_special_files_are_not_opened(tmp_path: Path) -> None:
    """A file that has a second name may lie outside; a pipe would never end; a socket is no file."""
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "victim").write_text("real\n")
    os.link(tmp_path / "victim", inside / "hard")
    os.mkfifo(inside / "pipe")
    fs = FileSystem(HostDirectory(inside), lambda: 0.0)
    for act in (
        lambda: fs.read("/hard"),
        lambda: fs.write("/hard", b"x"),
        lambda: fs.write("/hard", b"x", append=True),
    ):
        with pytest.raises(FileError, match="Operation not permitted"):
            act()
    assert fs.lookup("/pipe") is None and fs.lookup("/hard/../../victim") is None
    with pytest.raises(FileError):
        fs.write("/pipe", b"x")
    assert (tmp_path / "victim").read_text() == "real\n"
