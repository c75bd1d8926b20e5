"""Volumes: what a Pod's volumes hold, as file trees that its containers share.

Stands for pkg/volume/{emptydir,configmap,secret,downwardapi,projected,hostpath} and the volume manager's errors.
A ServiceAccount token is asked for when somebody reads it. Left out: file ownership (fsGroup), block volumes, and
storage that is not hostPath: other PersistentVolumes are folders in memory that live as long as the kubelet.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from k8s_core.api import Object
from k8s_core.kubelet.environment import ConfigError, contents, field_value, resource_value
from k8s_core.shell.fs import Directory, File, FileError, FileSystem, Link, Node, normalize

Get = Callable[[str, str], Object | None]
FROM_OBJECTS = {"configMap", "secret", "projected", "downwardAPI"}
DATA = "..data"


class MountError(Exception):
    """`MountVolume.SetUp failed for volume "x" : ...`"""

    def __init__(self, volume: str, message: str) -> None:
        super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {message}')


class Token(File):
    """A ServiceAccount's token, which is asked for when somebody reads it."""

    __slots__ = ()


class Written(Directory):
    """A folder whose files are exchanged all at once: ..data is a link to the newest of them (util.AtomicWriter)."""

    __slots__ = ("files",)

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, Node] | None = None

    def write(self, files: dict[str, Node], now: float) -> None:
        """Let these be its files, if they differ from those that are there; tokens stay."""
        before = self.files or {}
        files = {path: before.get(path, node) if isinstance(node, Token) else node for path, node in files.items()}
        same = files.keys() == before.keys() and all(_alike(node, before[path]) for path, node in files.items())
        if same and self.files is not None:
            return
        self.files = files
        folder, second = _nest(files), int(now)
        name = datetime.fromtimestamp(second, UTC).strftime("..%Y_%m_%d_%H_%M_%S.") + f"{int((now - second) * 1e9):09}"
        links = {each: Link(f"{DATA}/{each}") for each in folder.entries}
        self.entries = {name: folder, DATA: Link(name), **links}
        for node in (self, *self.entries.values(), *files.values()):
            node.mtime = now


def _alike(one: Node, other: Node) -> bool:
    return one is other or (type(one) is type(other) is File and one.mode == other.mode and one.read() == other.read())


class Volumes:
    """Makes the volumes of Pods on one node."""

    def __init__(
        self,
        host: FileSystem,
        get: Callable[[str, str, str], Object | None],
        token: Callable[[Object, Object], str],
        node_ip: str,
    ) -> None:
        self.get, self.token, self.node_ip = get, token, node_ip
        self.host = host
        """The node's file system."""
        self._persistent: dict[str, Directory] = {}

    def mount(self, pod: Object, status: Object) -> dict[str, Node]:
        """Every volume of a Pod by name; raises MountError for the first that cannot be made."""
        return {volume["name"]: self._make(pod, status, volume) for volume in pod["spec"].get("volumes") or ()}

    def refresh(self, pod: Object, status: Object, mounted: dict[str, Node]) -> None:
        """Bring what comes from objects up to date, in place; what is gone keeps its last content."""
        for volume in pod["spec"].get("volumes") or ():
            old = mounted.get(volume["name"])
            try:
                if isinstance(old, Written):
                    old.write(self._files(pod, status, volume), self.host.clock())
            except ConfigError:
                continue

    def _files(self, pod: Object, status: Object, volume: Object) -> dict[str, Node]:
        """What an object's values are as files, by path."""

        def get(kind: str, wanted: str) -> Object | None:
            return self.get(kind, wanted, pod["metadata"]["namespace"])

        if "configMap" in volume:
            source = volume["configMap"]
            return _keys(source, "configmap", source.get("name", ""), get, _mode(source))
        if "secret" in volume:
            source = volume["secret"]
            return _keys(source, "secret", source.get("secretName", ""), get, _mode(source))
        if "downwardAPI" in volume:
            return self._downward(pod, status, volume["downwardAPI"], _mode(volume["downwardAPI"]))
        return self._projected(pod, status, volume["projected"], get)

    def _make(self, pod: Object, status: Object, volume: Object) -> Node:
        try:
            if FROM_OBJECTS & volume.keys():
                written = Written()
                written.tmpfs = "configMap" not in volume
                written.write(self._files(pod, status, volume), self.host.clock())
                return written
            if "hostPath" in volume:
                return self._host_path(volume["hostPath"])
            if "persistentVolumeClaim" in volume:
                namespace = pod["metadata"]["namespace"]
                claim = volume["persistentVolumeClaim"]["claimName"]
                return self._claim(claim, lambda kind, wanted: self.get(kind, wanted, namespace))
        except (ConfigError, FileError) as error:
            raise MountError(volume["name"], str(error)) from None
        made = Directory(mode=0o777)  # emptyDir, ephemeral, and what needs machines this cluster has not
        made.tmpfs = (volume.get("emptyDir") or {}).get("medium") == "Memory"
        return made

    def _projected(self, pod: Object, status: Object, source: Object, get: Get) -> dict[str, Node]:
        entries, mode, errors = dict[str, Node](), _mode(source), list[str]()
        for part in source.get("sources") or ():
            for kind in part.keys() & {"configMap", "secret"}:
                try:
                    entries |= _keys(part[kind], kind.lower(), part[kind].get("name", ""), get, mode)
                except ConfigError as error:
                    errors.append(str(error))
            if "downwardAPI" in part:
                entries |= self._downward(pod, status, part["downwardAPI"], mode)
            elif "serviceAccountToken" in part:
                entries[part["serviceAccountToken"]["path"]] = self._token(pod, part["serviceAccountToken"])
        if errors:
            raise ConfigError(errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
        return entries

    def _token(self, pod: Object, source: Object) -> File:
        held: list[bytes] = []

        def read() -> bytes:
            if not held:
                held.append(self.token(pod, source).encode())
            return held[0]

        return Token(read=read)

    def _downward(self, pod: Object, status: Object, source: Object, mode: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for item in source.get("items") or ():
            if "fieldRef" in item:
                value = field_value(pod, status, item["fieldRef"]["fieldPath"], self.node_ip)
            else:
                named = item["resourceFieldRef"].get("containerName")
                containers = pod["spec"]["containers"]
                container = next((c for c in containers if c["name"] == named), containers[0])
                value = resource_value(pod, container, item["resourceFieldRef"])
            entries[item["path"]] = File(value.encode(), mode=int(item.get("mode") or mode))
        return entries

    def _host_path(self, source: Object) -> Node:
        path, kind = normalize(source["path"]), source.get("type") or ""
        node = self.host.lookup(path)
        if node is None and kind in ("DirectoryOrCreate", ""):
            return self.host.make_directories(path) if path != "/" else self.host.root
        if node is None and kind == "FileOrCreate":
            self.host.make_directories(path.rsplit("/", 1)[0])
            return self.host.open_write(path)
        if node is None:
            raise ConfigError(f"hostPath type check failed: {path} is not a {_KINDS.get(kind, 'directory')}")
        if kind.startswith("Directory") and not isinstance(node, Directory):
            raise ConfigError(f"hostPath type check failed: {path} is not a directory")
        if kind.startswith("File") and not isinstance(node, File):
            raise ConfigError(f"hostPath type check failed: {path} is not a file")
        return node

    def _claim(self, name: str, get: Get) -> Node:
        claim = get("persistentvolumeclaims", name)
        volume_name = (claim or {}).get("spec", {}).get("volumeName", "")
        if not volume_name:
            raise ConfigError(
                f'persistentvolumeclaim "{name}" not found' if claim is None else f'PVC "{name}" is not bound'
            )
        volume = self.get("persistentvolumes", volume_name, "")
        if volume and "hostPath" in volume["spec"]:
            return self._host_path(volume["spec"]["hostPath"])
        if volume and "local" in volume["spec"]:
            return self._host_path(volume["spec"]["local"])
        return self._persistent.setdefault(volume_name, Directory())


_KINDS = {"File": "file", "Socket": "socket", "CharDevice": "character device", "BlockDevice": "block device"}


def _mode(source: Object) -> int:
    """defaultMode."""
    given = source.get("defaultMode")
    return 0o644 if given is None else int(given)


def _keys(source: Object, word: str, name: str, get: Get, mode: int) -> dict[str, Node]:
    """The files of a ConfigMap or Secret: all its keys, or the items that are named."""
    obj = get(f"{word}s", name)
    if obj is None:
        if source.get("optional"):
            return {}
        raise ConfigError(f'{word} "{name}" not found')
    data = contents(obj)
    items = source.get("items")
    if not items:
        return {key: File(value, mode=mode) for key, value in data.items()}
    entries: dict[str, Node] = {}
    for item in items:
        if item["key"] in data:
            entries[item["path"]] = File(data[item["key"]], mode=int(item.get("mode") or mode))
        elif not source.get("optional"):
            raise ConfigError(
                f"references non-existent {'config' if word == 'configmap' else 'secret'} key: {item['key']}"
            )
    return entries


def _nest(entries: dict[str, Node]) -> Directory:
    """Put paths with slashes into folders."""
    if not any("/" in path for path in entries):
        return Directory(entries)
    top = Directory()
    tree = FileSystem(top, lambda: 0.0)
    for path, node in entries.items():
        folder = tree.make_directories(path.rpartition("/")[0] or "/")
        folder.set(path.rsplit("/", 1)[-1], node)
    return top


def below(node: Node, path: str) -> Node:
    """The part of a volume that a subPath names; a folder that is not there is made."""
    if not isinstance(node, Directory):
        return node
    tree = FileSystem(node, lambda: 0.0)
    found = tree.lookup(path)
    return found if found is not None else tree.make_directories(path)
