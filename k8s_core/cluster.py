"""A whole Kubernetes cluster in one object. Read this first: it is the table of contents.

`Cluster()` boots what `kubeadm init` and two `kubeadm join` would, in the same order: certificates, etcd, the
apiserver and the objects it starts with, the controller manager, the scheduler, then on every node a kubelet, and
the add-ons. All of it runs on one loop in virtual time (clock.py); `serve` opens the HTTPS door for kubectl.
"""

import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml
from cryptography import x509

from k8s_core import control_plane
from k8s_core.api import Object, resources, schema
from k8s_core.apiserver import bootstrap, kubeadm, version
from k8s_core.apiserver.admission import Admission
from k8s_core.apiserver.aggregation import Aggregator
from k8s_core.apiserver.authentication import Authenticator
from k8s_core.apiserver.authorization import Authorizer
from k8s_core.apiserver.availability import NO_ETCD
from k8s_core.apiserver.backends import Backends
from k8s_core.apiserver.crds import CustomResources
from k8s_core.apiserver.discovery import Discovery
from k8s_core.apiserver.escalation import EscalationCheck
from k8s_core.apiserver.follow import wall_clock
from k8s_core.apiserver.keeper import Keeper
from k8s_core.apiserver.metrics import ResourceMetrics
from k8s_core.apiserver.node_authorizer import NodeAuthorizer
from k8s_core.apiserver.openapi import OpenAPI
from k8s_core.apiserver.options import Options
from k8s_core.apiserver.registry import Registry
from k8s_core.apiserver.request import User
from k8s_core.apiserver.reviews import Reviews
from k8s_core.apiserver.server import Server
from k8s_core.apiserver.services import ServiceAllocator
from k8s_core.apiserver.storage import Storage
from k8s_core.apiserver.subresources import KubeletServer, Subresources
from k8s_core.apiserver.tokens import Tokens
from k8s_core.client import Client
from k8s_core.clock import EPOCH, Loop
from k8s_core.controllers.cloudnode import CloudNodeController
from k8s_core.controllers.manager import ControllerManager
from k8s_core.controllers.provisioner import Provisioner
from k8s_core.etcd import pod
from k8s_core.etcd.store import Store
from k8s_core.faults import Faults
from k8s_core.history import History
from k8s_core.kubelet import node_files
from k8s_core.kubelet.host import Host
from k8s_core.kubelet.kubelet import Kubelet
from k8s_core.limits import POD_CIDR
from k8s_core.network.bridge import Conversation
from k8s_core.network.network import Network
from k8s_core.pki import PKI
from k8s_core.scheduler import Scheduler

if TYPE_CHECKING:
    from k8s_core.apiserver.http import Door

ClockMode = Literal["step", "wall", "elastic"]
Profile = Literal["kubeadm", "bare"]
NODES = ("cp", "worker1", "worker2")
FIRST_ADDRESS = 4  # nodes are 10.0.0.4, 10.0.0.5 ...; .4 is the control plane of the source notes


class Cluster:
    """A control plane and its nodes.

    `clock`: "step" moves time only when told to; "wall" and "elastic" follow the wall clock while serving. `profile`:
    "kubeadm" looks like a kubeadm cluster, "bare" is a naked control plane. `root` holds the nodes' folders (a
    temporary folder by default). `scheduler` and `kubelets` leave those components out when False; `controllers` is
    kube-controller-manager's `--controllers`, `secure_port` what the kubernetes Service says it forwards to. With
    `etcd_members` above 1 etcd is a Raft group (etcd/group.py); `etcd_servers` is a real etcd's address instead.
    `cluster_cidr` is where Pods have their addresses; where Services have theirs stands in `options`.
    """

    def __init__(
        self,
        nodes: Iterable[str] = NODES,
        *,
        seed: int = 0,
        clock: ClockMode = "step",
        kubernetes_version: str = version.DEFAULT,
        profile: Profile = "kubeadm",
        root: Path | None = None,
        scheduler: bool = True,
        kubelets: bool = True,
        controllers: Sequence[str] = ("*",),
        token_users: Mapping[str, User] | None = None,
        secure_port: int = 6443,
        options: Options | None = None,
        etcd_members: int = 1,
        etcd_servers: str = "",
        cluster_cidr: str = POD_CIDR,
    ):
        self.seed, self.clock, self.profile, self.minor = seed, clock, profile, kubernetes_version
        self.cluster_cidr = cluster_cidr
        self.lock = threading.RLock()
        """Held by whoever touches the cluster; the server's thread takes it for every request."""
        self.loop = Loop(EPOCH if clock == "step" else wall_clock(), seed)
        self._temporary = None if root else tempfile.TemporaryDirectory(prefix="k8s-core-")
        self.root = root or Path(self._temporary.name)  # type: ignore[union-attr]
        self.addresses = {name: f"10.0.0.{FIRST_ADDRESS + i}" for i, name in enumerate(nodes)}
        self.secure_port = secure_port
        self.door: Door | None = None
        self._closing: list[Callable[[], None]] = []
        self.options = options or Options()
        """kube-apiserver's flags."""
        self.pki = PKI(seed, service_address=self.options.service_address)
        self.etcd = self._etcd(etcd_members, etcd_servers)
        first, address = next(iter(self.addresses.items()), ("cp", "10.0.0.4"))
        self.etcd_member = pod.Member(self.etcd, self.loop, address, first)
        """etcd's API, which etcdctl reaches through etcd's Pod."""
        self.apiserver = self._apiserver(token_users or {})
        self.network = Network(
            self.loop,
            seed,
            lambda user: self.client(user or "kubernetes-admin"),
            pod_cidr=cluster_cidr,
            service_cidr=self.options.service_cluster_ip_range.split(",")[0],
        )
        self.history = History(self.etcd, self.loop, self.apiserver.resources)
        given = list(bootstrap.objects(self.loop.now, self.pki.ca.cert_pem, self.options, secure_port=secure_port))
        self._install(given)
        if profile == "kubeadm":
            added = list(kubeadm.objects(self))
            self._install(added)
            given += added
        self.keeper = Keeper(self.apiserver.registry, self.loop, given)
        if not kubelets:  # --allocate-node-cidrs is off unless somebody sets up a Pod network
            controllers = (*controllers, "-node-ipam-controller")
        self.apiserver.availability.changed.append(self._apiserver_changed)
        if not etcd_servers and etcd_members == 1:
            self.etcd_member.on_change = self._etcd_changed
        self.controller_manager = ControllerManager(
            self._controller_client,
            controllers,
            root_ca=self.pki.ca.cert_pem.decode(),
            sign=self.pki.sign,
            cluster_cidr=cluster_cidr,
        )
        self.controller_manager.start()
        self.provisioner = Provisioner(self.client(agent="local-path-provisioner"))
        """Makes volumes for claims whose StorageClass names it."""
        self.provisioner.start()
        self.cloud_nodes = self._cloud_nodes()
        self.apiserver.health = self._health
        self.scheduler = Scheduler(
            self.client("system:kube-scheduler", agent="kube-scheduler"),
            version=kubernetes_version,
            random_ties=profile != "bare",
        )
        if scheduler:
            self.scheduler.start()
        self._programs = {
            **pod.programs(self.etcd_member),
            **control_plane.programs(
                self.apiserver, self._configure, self.controller_manager, self.scheduler if scheduler else None
            ),
        }
        self.kubelets: dict[str, Kubelet] = {}
        self.hosts: dict[str, Host] = {}
        """The nodes as machines: their folders, services and shells (see `node`)."""
        self.faults = Faults(self)
        order = list(self.addresses) if kubelets else []
        if profile == "bare":  # nobody joins them one by one, and the control plane's own is not the first
            order[:2] = reversed(order[:2])
        for name in order:
            self.kubelets[name] = self._kubelet(name)
            if profile == "kubeadm":
                self.hosts[name] = Host(self.kubelets[name], self.lock, self._url, self.client())
                self.hosts[name].start()
            else:
                self.kubelets[name].start()
            if profile == "bare":  # kube-proxy is a process there, not a Pod
                self.network.proxies[name].start()
        self.loop.run_ready()
        if profile == "kubeadm" and self.kubelets:
            kubeadm.mark_control_plane(self.client(), next(iter(self.kubelets)))
            self.loop.run_ready()

    # --- boot -----------------------------------------------------------------------------------------------
    def _etcd(self, members: int, servers: str) -> Store:
        """One member, or a view of several that agree by Raft (its `group` can be broken), or of a real etcd."""
        if servers:
            from k8s_core.etcd.remote import RemoteStore  # noqa: PLC0415  gRPC comes with it

            given = self.options
            files = (given.etcd_cafile, given.etcd_certfile, given.etcd_keyfile)
            return RemoteStore(self.loop, servers, files, given.etcd_compaction_interval)
        if members == 1:
            return Store(self.loop)
        from k8s_core.etcd.group import Group, GroupStore  # noqa: PLC0415  gRPC's modules come with it

        return GroupStore(Group(self.loop, members, seed=self.seed, latency=None))

    def _apiserver(self, token_users: Mapping[str, User]) -> Server:
        """The apiserver's parts, put together."""
        loop, kinds, served, options = self.loop, schema.load(self.minor), resources.load(self.minor), self.options
        storage = Storage(self.etcd, loop, options.storage_media_type)
        registry = Registry(storage, loop, kinds, served)
        registry.allocator = ServiceAllocator(registry.reader, loop.random, options.service_cluster_ip_range)
        nodes = NodeAuthorizer(registry.reader, bootstrap.node_rules())
        authorizer = Authorizer(registry.reader, nodes, options.authorization_mode)
        self.etcd.replaced.append(authorizer.invalidate)
        self.backends = Backends(registry, self._dial)
        registry.admission = self._admission(registry, authorizer, options)
        tokens = Tokens(loop, self.pki.service_account_key, registry.reader, options.service_account_issuer)
        client_cas = [self.pki.ca.certificate]
        if options.client_ca_file:
            client_cas += x509.load_pem_x509_certificates(options.client_ca_file.read_bytes())
        authenticator = Authenticator(
            lambda: loop.now, client_cas, tokens, authorizer, registry.reader,
            static=token_users, anonymous=options.allows_anonymous,
        )  # fmt: skip
        customs = CustomResources(registry)
        return Server(
            loop=loop,
            schema=kinds,
            resources=served,
            registry=registry,
            authenticator=authenticator,
            authorizer=authorizer,
            reviews=Reviews(authenticator, authorizer),
            tokens=tokens,
            subresources=Subresources(registry, tokens, self.backends),
            discovery=Discovery(served, f"10.0.0.4:{self.secure_port}"),
            openapi=OpenAPI(kinds, served, customs.definitions),
            metrics=ResourceMetrics(registry, self._dial),
            aggregator=Aggregator(registry, self.backends),
            minor=self.minor,
        )

    def _admission(self, registry: Registry, authorizer: Authorizer, options: Options) -> Admission:
        guards = [EscalationCheck(authorizer)] if "RBAC" in options.authorization_mode else []
        enabled, disabled = options.enable_admission_plugins, options.disable_admission_plugins
        return Admission(
            registry.reader, self.loop, enabled, disabled, guards=guards, authorizer=authorizer,
            backends=self.backends, configuration=options.admission_control_config_file,
        )  # fmt: skip

    def _configure(self, options: Options) -> None:
        """kube-apiserver was started anew, maybe with other flags in its manifest."""
        server = self.apiserver
        server.authorizer.configure(options.authorization_mode)
        server.authenticator.anonymous = options.allows_anonymous
        server.registry.admission = self._admission(server.registry, server.authorizer, options)

    def _apiserver_changed(self) -> None:
        """kube-apiserver has ended, or is back: so are its watches, its own loops and its door."""
        running = self.apiserver.availability.running
        self.keeper.stop()
        if running:
            self.keeper.start()
        else:
            self.apiserver.registry.storage.end_watches()
        if self.door:
            self.door.open(running)

    def _etcd_changed(self, running: bool) -> None:
        self.apiserver.availability.set(outage="" if running else NO_ETCD)

    def _cloud_nodes(self) -> CloudNodeController:
        return CloudNodeController(self.client(agent="cloud-controller-manager"), self._machines)

    def _machines(self) -> dict[str, bool]:
        """What a provider would say of its machines: which there are, and whether they are on."""
        return {name: name not in self.hosts or self.hosts[name].on for name in self.addresses}

    def _health(self) -> dict[str, str]:
        """What the apiserver hears when it asks the other components how they are."""
        refused = 'Get "https://127.0.0.1:{0}/healthz": dial tcp 127.0.0.1:{0}: connect: connection refused'
        ports = {"controller-manager": 10257, "scheduler": 10259}
        running = {"controller-manager": self.controller_manager.running, "scheduler": self.scheduler.running}
        return {name: "" if running[name] else refused.format(port) for name, port in ports.items()} | {"etcd-0": ""}

    def _install(self, objects: Iterable[Object]) -> None:
        for obj in objects:
            self.apiserver.registry.install(obj)
        self.apiserver.authorizer.invalidate()

    def _controller_client(self, name: str) -> Client:
        user = f"system:serviceaccount:kube-system:{name}" if name else "system:kube-controller-manager"
        return self.client(user, agent="kube-controller-manager")

    def _kubelet(self, name: str) -> Kubelet:
        client = self.client(f"system:node:{name}", groups=("system:nodes",), agent="kubelet")
        folder = self.root / "nodes" / name
        folder.mkdir(parents=True, exist_ok=True)
        if self.profile == "kubeadm":
            kubeadm.write_node(self, name, folder)
            node_files.write(folder, name, self.addresses, self.loop.now)
        return Kubelet(
            client,
            name,
            self.addresses[name],
            folder,
            kubeadm=self.profile == "kubeadm",
            version=version.git_version(self.minor),
            fabric=self.network,
            programs=self._programs,
            cluster_dns=self.options.dns_address,
        )

    def _dial(self, node: str) -> KubeletServer | None:
        kubelet = self.kubelets.get(node or next(iter(self.kubelets), ""))  # "": the control plane's own
        return kubelet.server if kubelet and kubelet.running else None

    # --- use ------------------------------------------------------------------------------------------------
    def client(
        self, user: str = "kubernetes-admin", *, groups: Iterable[str] | None = None, agent: str = "k8s-core"
    ) -> Client:
        """A client in the name of `user`; the default one may do everything."""
        if groups is None:
            groups = ("system:masters",) if user == "kubernetes-admin" else ()
            if user.startswith("system:serviceaccount:"):
                groups = ("system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}")
        return Client(self.apiserver, self.loop, User(user, (*groups, "system:authenticated")), agent)

    def node(self, name: str) -> Host:
        """A node as a machine: `cluster.node("cp").run("crictl ps")`. KeyError if there is none of that name."""
        return self.hosts[name]

    def _url(self) -> str:
        """The door's URL; it is opened for whoever needs it first."""
        return (self.door or self.serve()).url

    def advance(self, duration: str | float) -> None:
        """Send time ahead: seconds, or a Go duration such as "5m" or "1h30m"."""
        from k8s_core.api.times import parse_duration  # noqa: PLC0415

        with self.lock:
            self.loop.advance(parse_duration(duration) if isinstance(duration, str) else duration)

    def settle(self, limit: float = 600.0) -> float:
        """Send time ahead until nothing is under way; returns the virtual seconds that took."""
        with self.lock:
            began = self.loop.now
            for host in self.hosts.values():  # somebody may have worked on the node's files
                host.kubelet.static.look()
                for unit in host.systemd.units.values():
                    if unit.timer:  # it failed, and systemd will soon try it again
                        self.loop.advance_to(unit.timer.when)
            self.loop.settle(limit)
            return self.loop.now - began

    def serve(self, port: int = 0) -> "Door":
        """Open the HTTPS door on the loopback; port 0 takes a free one. Closed by `stop`."""
        from k8s_core.apiserver.http import Door  # noqa: PLC0415  a third of a second that only servers need

        self.door = Door(self, port)
        return self.door

    def serve_etcd(self, port: int = 0) -> str:
        """Open etcd's own door on the loopback, TLS with kubeadm's certificates; its URL. Closed by `stop`."""
        from k8s_core.etcd.front import Listen  # noqa: PLC0415  gRPC comes with it
        from k8s_core.etcd.wire import Wire, tls_context  # noqa: PLC0415  gRPC comes with it

        pki = self.root / "nodes" / next(iter(self.addresses)) / "etc/kubernetes/pki/etcd"
        tls = tls_context(pki / "server.crt", pki / "server.key", pki / "ca.crt", client_cert_auth=True)
        wire = Wire(self.etcd_member.service, Listen(port=port, tls=tls), lock=self.lock)
        self._closing.append(wire.close)
        return wire.url

    @property
    def storage_media_type(self) -> str:
        """How objects are written to etcd: "application/json", or "application/vnd.kubernetes.protobuf" as upstream."""
        return self.apiserver.registry.storage.media_type

    @storage_media_type.setter
    def storage_media_type(self, media_type: str) -> None:
        with self.lock:
            self.apiserver.registry.storage.media_type = media_type

    @property
    def load_balancer(self) -> bool:
        """Whether there is a provider (and its cloud-controller-manager); off in a new cluster.

        It gives Services of type LoadBalancer an address, and tells of its machines (controllers/cloudnode.py).
        """
        return self.network.provider.running

    @load_balancer.setter
    def load_balancer(self, on: bool) -> None:
        with self.lock:
            (self.network.provider.start if on else self.network.provider.stop)()
            self.cloud_nodes.stop()
            if on:
                self.cloud_nodes = self._cloud_nodes()
                self.cloud_nodes.start()

    def install(self, manifest: Path) -> None:
        """Create what stands in a manifest, as kubectl create would: an add-on such as ingress.MANIFEST."""
        with self.lock:
            for obj in yaml.safe_load_all(manifest.read_text()):
                kinds = {
                    (r.api_version, r.kind): r.group_resource for r in self.apiserver.resources if "/" not in r.name
                }
                self.client().create(kinds[obj["apiVersion"], obj["kind"]], obj)

    def expose(self, node_port: int, *, node: str = "", port: int = 0) -> str:
        """Bind a simulated node port (or any port of a node) to a real port of the loopback, for browsers; the URL.

        Needs `serve`. Connections come from outside the cluster and take the whole way through the node's rules.
        """
        assert self.door, "serve() first"
        address, outside = self.addresses[node or next(iter(self.addresses))], self.network.outside
        real = self.door.bind(lambda send, end: Conversation(self.loop, outside, address, node_port, send, end), port)
        return f"http://127.0.0.1:{real}"

    def stop(self) -> None:
        """End everything; the cluster cannot be used again."""
        if self.door:
            self.door.close()
            self.door = None
        for close in self._closing:
            close()
        self.etcd_member.durable = False
        with self.lock:
            for kubelet in self.kubelets.values():
                kubelet.stop()
            self.scheduler.stop()
            self.controller_manager.stop()
            self.provisioner.stop()
            self.cloud_nodes.stop()
            self.keeper.stop()
            self.apiserver.registry.storage.close()
        self.etcd.close()
        if self._temporary:
            self._temporary.cleanup()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
