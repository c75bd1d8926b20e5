"""Images: which exist, what is in them, and pulling them.

data/images.json is a small registry of well-known images. The rule for what exists: an image of the catalogue
exists with any tag that looks like one of its tags; another name exists too and runs the generic program, unless
Docker Hub's library has no such name, its registry is a made-up host (no usual suffix), or its name or tag says
that it does not exist ("nosuch", "missing", "typo"). A private registry (the catalogue's "private") has every image
and shows it to its user alone. Stands for pkg/kubelet/images, containerd's image store and
the registries.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from k8s_core import limits

if TYPE_CHECKING:
    from k8s_core.clock import Loop

REFERENCE = re.compile(
    r"(?P<name>(?:(?:localhost|[\w.-]+\.[\w.-]+|[\w-]+)(?::\d+)?/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
MAX_REFERENCE = 255 + 1 + 128 + 72  # name, tag and digest
MISSING_TAG = re.compile(r"(no-?such|does-?not-?exist|non-?exist|missing|invalid|wrong|bad|broken|typo|nope)", re.I)
KNOWN_HOSTS = (".io", ".com", ".org", ".net", ".dev", ".local", ".cloud", ".run", ".us", ".de", ".eu", ".internal")


KUBERNETES = "k8s.io"
"""The namespace of containerd in which the kubelet's images and containers are."""


class InvalidImageName(Exception):
    """The image's name is not a reference."""


class PullError(Exception):
    """A failed pull; the text is containerd's."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One image: what it is called and what runs in it."""

    reference: str  # as the Pod names it, with its tag: "nginx:latest"
    repository: str  # in full: "docker.io/library/nginx"
    tag: str
    digest: str
    known: bool = True
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the container status shows it: docker.io/library/nginx:latest."""
        return f"{self.repository}:{self.tag}" if self.tag else f"{self.repository}@{self.digest}"

    @property
    def id(self) -> str:
        return f"{self.repository}@{self.digest}"

    @property
    def image_id(self) -> str:
        """The digest of the image's configuration: what containerd calls the image's id."""
        return "sha256:" + hashlib.sha256(f"config {self.digest}".encode()).hexdigest()

    @property
    def size(self) -> int:
        return int(self.data.get("size", 31457280 + int(self.digest[7:13], 16)))

    @property
    def version(self) -> str:
        """The version of the program in it: the tag's if that is one."""
        match = re.match(r"v?(\d+(?:\.\d+)+)", self.tag)
        return match[1] if match else str(self.data.get("version", "1.0"))


@cache
def catalogue() -> dict[str, Any]:
    """data/images.json: {"tags": regular expression, "images": {repository: what is in it}}."""
    found: dict[str, Any] = orjson.loads((Path(__file__).parent / "data" / "images.json").read_bytes())
    return found


@cache
def parse(reference: str) -> Image:
    """The image that a Pod names; raises InvalidImageName."""
    match = REFERENCE.fullmatch(reference) if len(reference) <= MAX_REFERENCE else None
    if not match:
        raise InvalidImageName(reference)
    name, tag, digest = match["name"], match["tag"] or "", match["digest"] or ""
    first, slash, rest = name.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    if not is_host and first != first.lower():
        raise InvalidImageName(reference)
    host, path = (first, rest) if is_host else ("docker.io", name)
    if host in ("index.docker.io", "registry-1.docker.io"):
        host = "docker.io"
    if host == "docker.io" and "/" not in path:
        path = "library/" + path
    repository = f"{host}/{path}"
    if not tag and not digest:
        tag, reference = "latest", f"{reference}:latest"
    data = catalogue()["images"].get(repository)
    if not digest:
        digest = "sha256:" + hashlib.sha256(f"{repository}:{tag}".encode()).hexdigest()
    return Image(reference, repository, tag, digest, data is not None, data or {})


def check(image: Image, shown: Mapping[str, tuple[str, str]]) -> None:
    """Raise PullError if no registry has it, or will not give it to who shows these credentials (by host)."""
    full = image.name
    resolve = f'failed to pull and unpack image "{full}": failed to resolve reference "{full}": '
    host, _, path = image.repository.partition("/")
    if host in catalogue()["private"]:
        if host not in shown:
            raise PullError(
                f"rpc error: code = Unknown desc = {resolve}pull access denied, repository does not exist or may "
                "require authorization: authorization failed: no basic auth credentials"
            )
        if ":".join(shown[host]) != catalogue()["private"][host]:
            raise PullError(
                f"rpc error: code = Unknown desc = {resolve}unexpected status from HEAD request to "
                f"https://{host}/v2/{path}/manifests/{image.tag}: 401 Unauthorized"
            )
        return
    if image.known:
        if image.tag and not _plausible(image):
            raise PullError(f"rpc error: code = NotFound desc = {resolve}{full}: not found")
        return
    if MISSING_TAG.search(image.tag) or (MISSING_TAG.search(path) and host != "docker.io"):
        raise PullError(f"rpc error: code = NotFound desc = {resolve}{full}: not found")
    if host == "docker.io":
        if MISSING_TAG.search(path) or (
            path.startswith("library/") and path.removeprefix("library/") not in catalogue()["official"]
        ):
            raise PullError(
                f"rpc error: code = Unknown desc = {resolve}pull access denied, repository does not exist or may "
                "require authorization: server message: insufficient_scope: authorization failed"
            )
        return
    name = host.partition(":")[0]
    if name != "localhost" and not name.endswith(KNOWN_HOSTS) and not name.replace(".", "").isdigit():
        raise PullError(
            f'rpc error: code = Unknown desc = {resolve}failed to do request: Head "https://{host}/v2/{path}/manifests/'
            f'{image.tag}": dial tcp: lookup {name}: no such host'
        )


def _plausible(image: Image) -> bool:
    """Whether a tag looks like one that the image has: a usual word, or a version not far beyond the newest known."""
    if MISSING_TAG.search(image.tag) or not re.fullmatch(str(catalogue()["tags"]), image.tag):
        return image.tag == image.data.get("version")
    asked, known = _VERSION.match(image.tag), _VERSION.match(str(image.data.get("version", "")))
    if not asked or not known:
        return True
    major, minor, newest = int(asked[1]), int(asked[2] or 0), int(known[1])
    return major < newest or (major == newest and minor <= int(known[2] or 0) + 10) or (major == newest + 1)


_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?")


class ImageStore:
    """A node's images: pulls one at a time (serializeImagePulls), remembers what is there.

    `on_pull` callbacks get (error or None, seconds for the pull, seconds including the wait for others).
    """

    def __init__(self, loop: "Loop") -> None:
        self.loop = loop
        self.images: dict[str, Image] = {}
        self.others: dict[str, dict[str, Image]] = {}
        """What was pulled in other namespaces of containerd than the kubelet's (moby, default)."""
        self._free_at = 0.0
        self.slowness = 1.0
        """How many times longer than usual everything takes that goes to the disk."""

    def present(self, image: Image) -> bool:
        return image.name in self.images

    def pull(
        self,
        image: Image,
        done: Callable[[PullError | None, float, float], None],
        namespace: str = KUBERNETES,
        credentials: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        store = self.images if namespace == KUBERNETES else self.others.setdefault(namespace, {})
        error: PullError | None = None
        random = self.loop.random
        seconds = random.uniform(*limits.IMAGE_CHECK_SECONDS)
        try:
            check(image, credentials or {})
            if image.name not in store:
                seconds += image.size / limits.IMAGE_PULL_BYTES_PER_SECOND
        except PullError as failed:
            error = failed
        seconds *= self.slowness
        start = max(self.loop.now, self._free_at)
        self._free_at = start + seconds
        waited = self._free_at - self.loop.now

        def finish() -> None:
            if error is None:
                store[image.name] = image
            done(error, seconds, waited)

        self.loop.call_later(waited, finish)

    def node_status(self) -> list[dict[str, Any]]:
        """The images as the Node's status lists them: biggest first, at most 50."""
        by_digest: dict[str, list[Image]] = {}
        for image in self.images.values():
            by_digest.setdefault(image.id, []).append(image)
        rows = [
            {"names": [digest, *sorted(i.name for i in same)], "sizeBytes": same[0].size}
            for digest, same in by_digest.items()
        ]
        return sorted(rows, key=lambda row: -int(str(row["sizeBytes"])))[:50]
