"""The file tree: links, mounts, read-only volumes, real folders that cannot be left."""

from pathlib import Path

import pytest

from k8s_core.shell.fs import Directory, File, FileError, FileSystem, Link, normalize, tree
from k8s_core.shell.host_fs import HostDirectory


def made(**files: str) -> FileSystem:
    return FileSystem(tree({f"/{k.replace('_', '/')}": v for k, v in files.items()}), lambda: 1.0)


def test_paths() -> None:
    """. and .. and doubled slashes go away; .. stops at the root."""
    assert normalize("a/../b//./c", "/x") == "/x/b/c" and normalize("../../..", "/a") == "/"


def test_links_are_followed_and_loops_refused() -> None:
    """A link may be relative or absolute; a circle ends with the C library's words."""
    fs = made(a_b="x", a_l="-> b", m="-> /a/l", loop="-> loop")
    assert fs.read("/m") == b"x"
    with pytest.raises(FileError, match="Too many levels of symbolic links"):
        fs.read("/loop")
    assert isinstance(fs.lookup("/m", follow=False), Link)


def test_a_read_only_mount_refuses_writes() -> None:
    """The volume itself can still be written by who holds it otherwise."""
    fs, volume = made(x="1"), Directory({"f": File(b"old")})
    fs.mount("/v", volume, read_only=True)
    for change in (lambda: fs.write("/v/f", b"new"), lambda: fs.remove("/v/f"), lambda: fs.make_directory("/v/d")):
        with pytest.raises(FileError, match="Read-only file system"):
            change()
    volume.set("f", File(b"new"))
    assert fs.read("/v/f") == b"new"


def test_a_shared_volume_is_one() -> None:
    """Two trees that mount the same directory see each other's writes."""
    one, two, volume = made(), made(), Directory()
    one.mount("/a", volume)
    two.mount("/b/c", volume)
    one.write("/a/f", b"hello")
    assert two.read("/b/c/f") == b"hello"


def test_a_host_directory_cannot_be_left(tmp_path: Path) -> None:
    """Neither .. nor a real link leads out; new links are read inside the container's own tree."""
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("s")
    (inside / "link").symlink_to(outside)
    fs = made(etc_x="own")
    fs.mount("/h", HostDirectory(inside))
    for path in ("/h/link/secret", "/h/../../out/secret", "/h/..%2fout/secret"):
        assert fs.lookup(path) is None
    fs.write("/h/new", b"data")
    fs.make_directory("/h/d")
    assert (inside / "new").read_bytes() == b"data" and (inside / "d").is_dir()
    with pytest.raises(FileError):
        fs.write("/h/link/x", b"")
    assert not (outside / "x").exists()


def test_writing_through_a_link_stays_inside(tmp_path: Path) -> None:
    """A link made in the container to a path outside its tree cannot be used to write there."""
    inside = tmp_path / "in"
    inside.mkdir()
    target = tmp_path / "victim"
    (inside / "l").symlink_to(target)
    fs = made()
    fs.mount("/h", HostDirectory(inside))
    with pytest.raises(FileError):
        fs.write("/h/l", b"x")
    assert not target.exists()


def test_big_files_are_refused() -> None:
    """A runaway script meets a full disk."""
    fs = made(f="")
    with pytest.raises(FileError, match="No space left on device"):
        fs.write("/f", bytes(5 << 20))


def test_what_is_moved_keeps_its_content(tmp_path: Path) -> None:
    """A directory is renamed with all that is in it, also into a real folder and out of it."""
    fs = made(d_sub_f="x", d_run="y")
    fs.mount("/h", HostDirectory(tmp_path))
    fs.resolve("/d/run")[0].mode = 0o755
    for here, there in (("/d", "/e"), ("/e", "/h/e"), ("/h/e", "/f")):
        fs.move(here, there)
        assert fs.read(f"{there}/sub/f") == b"x" and fs.lookup(here) is None
        assert fs.resolve(f"{there}/run")[0].mode == 0o755
    with pytest.raises(FileError, match="Invalid argument"):
        fs.move("/f", "/f/sub/g")
