"""kube-controller-manager: starts the controllers that `--controllers` names, each with its own identity.

Promises: informers are shared between the controllers (as user system:kube-controller-manager), writes are each
controller's own; `stop` ends all of them, and a later `start` begins with nothing but what the API says.
Stands for cmd/kube-controller-manager/app.
Leaves out: leader election (there is one).
"""

from collections.abc import Callable, Sequence

from k8s_core.client.client import Client
from k8s_core.controllers import CONTROLLERS
from k8s_core.controllers.certificatesigning import CertificateSigningController, Sign
from k8s_core.controllers.controller import Controller
from k8s_core.controllers.nodeipam import NodeIPAMController
from k8s_core.controllers.rootcacertpublisher import RootCACertPublisher
from k8s_core.limits import POD_CIDR


def is_enabled(name: str, wanted: Sequence[str], disabled_by_default: frozenset[str] = frozenset()) -> bool:
    """Whether `--controllers` starts the controller: "*" means all that are on by default, "-name" not this one.

    The first entry that names it decides; "*" only if none does.
    """
    for each in wanted:
        if each == name:
            return True
        if each == f"-{name}":
            return False
    return "*" in wanted and name not in disabled_by_default


class ControllerManager:
    """`client_for(account)` gives the client of a ServiceAccount in kube-system, and of the manager itself for "".

    `controllers` is the value of `--controllers`, split at commas; `root_ca` is what `--root-ca-file` holds,
    `sign` signs with `--cluster-signing-cert-file`, `cluster_cidr` is where Pods get addresses.
    """

    def __init__(
        self,
        client_for: Callable[[str], Client],
        controllers: Sequence[str] = ("*",),
        root_ca: str = "",
        sign: Sign | None = None,
        cluster_cidr: str = POD_CIDR,
    ) -> None:
        self.client_for, self.wanted = client_for, resolve(controllers)
        self.root_ca, self.sign, self.cluster_cidr = root_ca, sign, cluster_cidr
        self.controllers: dict[str, Controller] = {}
        self._informers: Client | None = None

    @property
    def running(self) -> bool:
        return self._informers is not None

    def start(self) -> None:
        if self.running:
            return
        self._informers = self.client_for("")
        for name, kind in CONTROLLERS.items():
            if is_enabled(name, self.wanted):
                self.controllers[name] = self.make(kind, self._informers)
        for controller in self.controllers.values():
            controller.start()

    def make(self, kind: type[Controller], informers: Client) -> Controller:
        client = self.client_for(kind.account)
        if kind is RootCACertPublisher:
            return RootCACertPublisher(client, informers, certificate=self.root_ca)
        if kind is CertificateSigningController:
            return CertificateSigningController(client, informers, sign=self.sign)
        if kind is NodeIPAMController:
            return NodeIPAMController(client, informers, cluster_cidr=self.cluster_cidr)
        return kind(client, informers)

    def stop(self) -> None:
        for controller in self.controllers.values():
            controller.stop()
        self.controllers.clear()
        if self._informers:
            self._informers.stop()
        self._informers = None


def resolve(controllers: Sequence[str]) -> list[str]:
    """The entries with older names, such as "deployment", replaced by the present ones.

    Raises ValueError for a name that is not there, in kube-controller-manager's words.
    """
    known = {alias: name for name, kind in CONTROLLERS.items() for alias in (name, *kind.aliases)}
    resolved = []
    for each in controllers:
        sign, bare = ("-", each[1:]) if each.startswith("-") else ("", each)
        if bare != "*" and bare not in known:
            raise ValueError(f'"{bare}" is not in the list of known controllers')
        resolved.append(sign + known.get(bare, bare))
    return resolved
