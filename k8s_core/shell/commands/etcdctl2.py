"""etcdctl with ETCDCTL_API=2 (ctlv2/command): the commands on keys and directories, cluster-health, member list."""

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import orjson

from k8s_core.shell.pipes import Steps, Wait

if TYPE_CHECKING:
    from k8s_core.shell.commands.etcdctl import Client

VERSION = "etcdctl version: 3.5.12\nAPI version: 2\n"
METHODS = {
    "set": ("PUT", {}),
    "mk": ("PUT", {"prevExist": "false"}),
    "mkdir": ("PUT", {"dir": "true", "prevExist": "false"}),
    "setdir": ("PUT", {"dir": "true"}),
    "update": ("PUT", {"prevExist": "true"}),
    "updatedir": ("PUT", {"dir": "true", "prevExist": "true"}),
    "get": ("GET", {}),
    "ls": ("GET", {}),
    "rm": ("DELETE", {}),
    "rmdir": ("DELETE", {"dir": "true"}),
}
WITH_VALUE = ("set", "mk", "update")
EXIT = {100: 4, 101: 4}


def run(client: "Client") -> Steps:
    words = client.words
    name = words[0] if words else ""
    if name in ("version", "--version"):
        client.out(VERSION)
        return 0
    if name == "cluster-health":
        return (yield from _health(client))
    if name == "member":
        return (yield from _members(client))
    if name not in METHODS:
        client.out(f"No help topic for '{name}'\n")
        return 3
    path = words[1] if len(words) > 1 else "/"
    method, form = METHODS[name]
    form = dict(form)
    if name in WITH_VALUE:
        form["value"] = words[2] if len(words) > 2 else ""
    for flag, field in (("ttl", "ttl"), ("swap-with-value", "prevValue"), ("swap-with-index", "prevIndex")):
        if flag in client.options:
            form[field] = client.options[flag]
    recursive = client.flag("recursive") or client.flag("r")
    if recursive:
        form["recursive"] = "true"
    if name == "rm" and client.flag("dir"):
        form["dir"] = "true"
    status, body = yield from _ask(client, method, path, form)
    if status >= 400:
        cause = f" ({body['cause']})" if body.get("cause") else " ()"
        client.process.err(f"Error:  {body['errorCode']}: {body['message']}{cause} [{body['index']}]\n")
        return EXIT.get(body["errorCode"], 4)
    _print(client, name, body, recursive=recursive)
    return 0


def _ask(client: "Client", method: str, path: str, form: dict[str, str]) -> Generator[Wait, None, tuple[int, Any]]:
    answer = yield from client.call("v2", (method, path, form))
    return answer.status, orjson.loads(answer.body)


def _print(client: "Client", name: str, body: Any, *, recursive: bool) -> None:
    node = body.get("node") or {}
    if name == "ls":
        if not node.get("dir"):
            client.out(f"{node['key']}\n")
        client.out("".join(f"{key}\n" for key in _keys(node, client.flag("p"), recursive)))
    elif name == "get" and node.get("dir"):
        client.process.err(f"{node.get('key', '/')}: is a directory\n")
    elif name in ("rm", "rmdir"):
        if (body.get("prevNode") or {}).get("value") is not None:
            client.out(f"PrevNode.Value: {body['prevNode']['value']}\n")
    elif "value" in node:
        client.out(f"{node['value']}\n")


def _keys(node: Any, slash: bool, recursive: bool) -> Iterator[str]:
    for child in sorted(node.get("nodes", ()), key=lambda each: str(each["key"])):
        yield child["key"] + ("/" if slash and child.get("dir") else "")
        if recursive:
            yield from _keys(child, slash, recursive)


def _member_list(client: "Client") -> Generator[Wait, None, Any]:
    from k8s_core.shell.commands import etcdctl_print  # noqa: PLC0415  it needs the messages' classes

    return (yield from client.call("member_list", etcdctl_print.rpc.MemberListRequest()))


def _health(client: "Client") -> Steps:
    answer = yield from _member_list(client)
    for member in answer.members:
        client.out(f"member {member.ID:x} is healthy: got healthy result from {member.clientURLs[0]}\n")
    client.out("cluster is healthy\n")
    return 0


def _members(client: "Client") -> Steps:
    answer = yield from _member_list(client)
    for member in answer.members:
        urls = f"peerURLs={','.join(member.peerURLs)} clientURLs={','.join(member.clientURLs)}"
        client.out(f"{member.ID:x}: name={member.name} {urls} isLeader=true\n")
    return 0
