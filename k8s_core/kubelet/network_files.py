"""The files that tell a container its network: /etc/hosts, /etc/hostname, /etc/resolv.conf.

Stands for kubelet_pods.go (ensureHostsFile) and pkg/kubelet/network/dns. /etc/resolv.conf stays as it was when the
Pod began.
"""

from k8s_core.api import Object
from k8s_core.kubelet.container import Mount, Sandbox
from k8s_core.kubelet.pod_network import domain, short_name
from k8s_core.limits import CLUSTER_DOMAIN
from k8s_core.shell.fs import File, FileSystem

LOCAL = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
fe00::\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
NODE_NAMESERVER = "168.63.129.16"
"""What a node's own resolv.conf says (the source notes' machines are in Azure)."""


def mounts(pod: Object, sandbox: Sandbox, node_address: str, resolv_conf: str) -> list[Mount]:
    """The three files, as mounts; a volume that the Pod mounts there itself comes first."""
    aliases = pod["spec"].get("hostAliases") or ()
    for alias in aliases:
        sandbox.network.hosts |= dict.fromkeys(alias.get("hostnames") or (), alias["ip"])
    return [
        Mount("/etc/hosts", File(read=lambda: hosts(pod, sandbox, node_address).encode())),
        Mount("/etc/hostname", File(sandbox.hostname.encode() + b"\n")),
        Mount("/etc/resolv.conf", File(resolv_conf.encode())),
    ]


def hosts(pod: Object, sandbox: Sandbox, node_address: str) -> str:
    spec = pod["spec"]
    if spec.get("hostNetwork"):
        text = f"# Kubernetes-managed hosts file (host network).\n{LOCAL}{node_address}\t{sandbox.hostname}\n"
    else:
        names, rest = short_name(spec, pod["metadata"]["name"]), domain(pod)
        if rest:
            names = f"{names}.{rest}\t{names}"
        text = f"# Kubernetes-managed hosts file.\n{LOCAL}{sandbox.network.address}\t{names}\n"
    aliases = spec.get("hostAliases") or ()
    if aliases:
        text += "\n# Entries added by HostAliases.\n" + "".join(
            f"{a['ip']}\t" + "\t".join(a.get("hostnames") or ()) + "\n" for a in aliases
        )
    return text


def node_resolv_conf(fs: FileSystem) -> str:
    """A node's own, which the kubelet reads (--resolv-conf)."""
    file = fs.lookup("/etc/resolv.conf")
    return file.read().decode(errors="replace") if isinstance(file, File) else f"nameserver {NODE_NAMESERVER}\n"


def resolv_conf(pod: Object, cluster_dns: str, node: str) -> str:
    """A Pod's, out of its dnsPolicy, its dnsConfig and the text of its `node`'s."""
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    policy, config = spec.get("dnsPolicy", "ClusterFirst"), spec.get("dnsConfig") or {}
    given = [line.split() for line in node.splitlines() if line.split()]
    servers = [words[1] for words in given if words[0] == "nameserver" and len(words) > 1]
    search = next((words[1:] for words in reversed(given) if words[0] == "search"), [])
    options = next((words[1:] for words in reversed(given) if words[0] == "options"), [])
    if policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not spec.get("hostNetwork")):
        servers, options = [cluster_dns], ["ndots:5"]
        search = [f"{namespace}.svc.{CLUSTER_DOMAIN}", f"svc.{CLUSTER_DOMAIN}", CLUSTER_DOMAIN, *search]
    elif policy == "None":
        servers, search, options = [], [], []
    servers = list(dict.fromkeys([*servers, *(config.get("nameservers") or ())]))
    search = list(dict.fromkeys([*search, *(config.get("searches") or ())]))
    extra = {
        o["name"]: f"{o['name']}:{o['value']}" if o.get("value") else o["name"] for o in config.get("options") or ()
    }
    options = [o for o in options if o.partition(":")[0] not in extra] + list(extra.values())
    lines = [f"search {' '.join(search)}"] if search else []
    lines += [f"nameserver {server}" for server in servers]
    return "\n".join([*lines, *([f"options {' '.join(options)}"] if options else [])]) + "\n"
