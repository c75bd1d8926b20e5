"""The file tree that an image brings: enough of /etc, /bin, /proc and the program's own files to look around in."""

from typing import TYPE_CHECKING

from k8s_core.shell.fs import Device, Directory, File, Listing, tree

if TYPE_CHECKING:
    from k8s_core.kubelet.container import ContainerMachine

OS_RELEASE = {
    "ash": 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.22.2\nPRETTY_NAME="Alpine Linux v3.22"\n',
    "dash": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nNAME="Debian GNU/Linux"\nVERSION_ID="13"\nID=debian\n',
}
NGINX_PAGE = """<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto;
font-family: Tahoma, Verdana, Arial, sans-serif; }
</style>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>If you see this page, the nginx web server is successfully installed and
working. Further configuration is required.</p>

<p>For online documentation and support please refer to
<a href="http://nginx.org/">nginx.org</a>.<br/>
Commercial support is available at
<a href="http://nginx.com/">nginx.com</a>.</p>

<p><em>Thank you for using nginx.</em></p>
</body>
</html>
"""
NGINX_CONF = """
user  nginx;
worker_processes  auto;

events {
    worker_connections  1024;
}

http {
    include       /etc/nginx/mime.types;
    default_type  application/octet-stream;
    include /etc/nginx/conf.d/*.conf;
}
"""
NGINX_DEFAULT = """server {
    listen       80;
    server_name  localhost;

    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }
}
"""
OWN_FILES: dict[str, dict[str, str | bytes]] = {
    "nginx": {
        "/usr/share/nginx/html/index.html": NGINX_PAGE,
        "/etc/nginx/nginx.conf": NGINX_CONF,
        "/etc/nginx/conf.d/default.conf": NGINX_DEFAULT,
        "/var/log/nginx/": "",
        "/docker-entrypoint.d/": "",
    },
    "httpd": {"/usr/local/apache2/htdocs/index.html": "<html><body><h1>It works!</h1></body></html>\n"},
    "redis-server": {"/data/": ""},
}
FOLDERS = (
    "/tmp/",
    "/root/",
    "/home/",
    "/var/run/",
    "/var/log/",
    "/usr/local/bin/",
    "/opt/",
    "/mnt/",
    "/srv/",
    "/run/",
    "/etc/",
    "/proc/",
    "/sys/",
    "/dev/",
    "/usr/bin/",
    "/usr/sbin/",
    "/lib/",
    "/media/",
)


def root(machine: "ContainerMachine") -> Directory:
    """The image's file tree, made anew for one container."""
    container = machine.container
    bare = container.config.image.data.get("tools") == ["none"]
    files: dict[str, str | bytes] = dict.fromkeys(FOLDERS[:1] if bare else FOLDERS, "")
    files["/etc/passwd"] = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
    files["/etc/group"] = "root:x:0:\nnogroup:x:65534:\n"
    if not bare:
        files["/etc/os-release"] = OS_RELEASE.get(machine.shell, OS_RELEASE["dash"])
        files["/etc/nsswitch.conf"] = "hosts: files dns\n"
    if machine.shell == "ash" and not bare:
        files["/etc/alpine-release"] = "3.22.2\n"
    for program, own in OWN_FILES.items():
        if program in machine.commands:
            files |= own
    top = tree(files)
    _mkdir(top, "bin").entries.update(
        {name: File(b"\x7fELF", mode=0o755) for name in machine.commands if not name.endswith(".sh")}
    )
    for name in machine.commands:
        if name.endswith(".sh"):
            top.entries[name] = File(b"\x7fELF", mode=0o755)
    if not bare and machine.uid == 0 and container.config.working_dir:
        _mkdir(top, container.config.working_dir.strip("/"))
    devices = {
        "null": "null",
        "zero": "zero",
        "stdin": "stdin",
        "stdout": "stdout",
        "stderr": "stderr",
        "tty": "tty",
        "urandom": "zero",
        "random": "zero",
    }
    dev = _mkdir(top, "dev")
    dev.entries.update({name: Device(kind) for name, kind in devices.items()})
    _mkdir(top, "tmp").mode = 0o1777
    _proc(machine, _mkdir(top, "proc"))
    _mkdir(top, "sys/fs").entries["cgroup"] = Listing(machine.cgroup)
    return top


def _mkdir(top: Directory, path: str) -> Directory:
    here = top
    for name in path.split("/"):
        found = here.entries.get(name)
        if not isinstance(found, Directory):
            found = here.entries[name] = Directory()
        here = found
    return here


SYSCTLS = {
    "kernel.shm_rmid_forced": "0", "kernel.msgmax": "8192", "kernel.shmmax": "18446744073692774399",
    "net.ipv4.ip_forward": "1", "net.ipv4.ip_local_port_range": "32768\t60999", "net.ipv4.tcp_syncookies": "1",
    "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0\t2147483647",
    "net.ipv4.tcp_fin_timeout": "60", "net.ipv4.tcp_keepalive_time": "7200", "net.core.somaxconn": "4096",
}  # fmt: skip
CAPABILITIES = {False: "00000000a80425fb", True: "000001ffffffffff"}
"""What containerd leaves a container, and what a privileged one has."""


def sysctls(machine: "ContainerMachine") -> dict[str, str]:
    """The kernel's settings as the container's namespaces have them."""
    return {**SYSCTLS, "kernel.hostname": machine.hostname, **machine.container.config.sysctls}


def _status(machine: "ContainerMachine") -> str:
    config, uid, gid = machine.container.config, machine.uid, machine.gid
    held = CAPABILITIES[config.privileged]
    lines = {
        "Uid": "\t".join([str(uid)] * 4), "Gid": "\t".join([str(gid)] * 4),
        "Groups": " ".join(map(str, machine.groups)),
        "CapInh": "0" * 16, "CapPrm": held if uid == 0 else "0" * 16, "CapEff": held if uid == 0 else "0" * 16,
        "CapBnd": held, "CapAmb": "0" * 16, "NoNewPrivs": int(config.no_new_privileges), "Seccomp": 2 * config.seccomp,
        "Seccomp_filters": int(config.seccomp),
    }  # fmt: skip
    return "".join(f"{name}:\t{value}\n" for name, value in lines.items())


def _proc(machine: "ContainerMachine", proc: Directory) -> None:
    def uptime() -> bytes:
        seconds = machine.loop.now - machine.started
        return f"{seconds:.2f} {seconds:.2f}\n".encode()

    def command_line() -> bytes:
        init = machine.processes.get(1)
        return b"\0".join(a.encode() for a in init.argv) + b"\0" if init else b""

    fd = Directory({"0": Device("stdin"), "1": Device("init-out"), "2": Device("init-out")})
    proc.entries.update(
        {
            "uptime": File(read=uptime, mode=0o444),
            "version": File(b"Linux version 6.8.0-60-generic\n", mode=0o444),
            "meminfo": File(
                b"MemTotal:        3932160 kB\nMemFree:         1945120 kB\nMemAvailable:    2893312 kB\n", mode=0o444
            ),
            "cpuinfo": File(b"processor\t: 0\nmodel name\t: simulated\n", mode=0o444),
            "loadavg": File(b"0.08 0.03 0.01 1/5 1\n", mode=0o444),
            "mounts": File(b"overlay / overlay rw,relatime 0 0\n", mode=0o444),
            "1": Directory({"cmdline": File(read=command_line, mode=0o444), "fd": fd}),
            "sys": tree({f"/{k.replace('.', '/')}": f"{v}\n" for k, v in sysctls(machine).items()}),
            "self": Directory(
                {
                    "status": File(_status(machine).encode(), mode=0o444),
                    "fd": Directory({"0": Device("stdin"), "1": Device("stdout"), "2": Device("stderr")}),
                }
            ),
        }
    )
