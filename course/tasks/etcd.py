"""Chapter 03: etcd. Two stores in one server, the numbers of a key, and an object brought back from a past revision."""

import json
import random
from typing import Any

from course.checks import Look, Points, point
from course.tasks import Exercise, Values, objects

_PKI = "/etc/kubernetes/pki/etcd"
_V3 = f"--cacert {_PKI}/ca.crt --cert {_PKI}/server.crt --key {_PKI}/server.key"
_V2 = f"--ca-file {_PKI}/ca.crt --cert-file {_PKI}/server.crt --key-file {_PKI}/server.key"
LINES = 4  # in the diary of the task "follow"
_TYPED = 'kubectl exec etcd-cp -n kube-system -- sh -c "{}"'


def values(draw: random.Random) -> Values:
    """Names and words that differ from learner to learner."""
    words = ["heron", "otter", "badger", "lynx", "marten", "falcon"]
    draw.shuffle(words)
    values = Values(
        key=draw.choice(("planet", "river", "colour", "island")),
        new=words[0] + str(draw.randint(10, 99)),
        old=words[1] + str(draw.randint(10, 99)),
        config=draw.choice(("settings", "options", "limits")),
        vault=draw.choice(("vault", "ledger", "archive")),
        word=words[2] + str(draw.randint(100, 999)),
        owner=draw.choice(("ana", "bruno", "chen", "dora")),
        diary=draw.choice(("diary", "journal", "logbook")),
    )
    for number, word in enumerate(draw.sample(("rain", "sun", "fog", "hail", "snow"), LINES)):
        setattr(values, f"line{number}", word + str(draw.randint(10, 99)))
    return values


def _etcdctl(see: Look, command: str) -> str:
    """What etcdctl prints in etcd's Pod."""
    return Look(see.source, "kube-system").exec("etcd-cp", "etcd", "sh", "-c", command).strip()


def _kv(see: Look, key: str) -> dict[str, Any]:
    try:
        return dict(json.loads(_etcdctl(see, f"etcdctl get {key} -w json {_V3}"))["kvs"][0])
    except (ValueError, KeyError, IndexError, TypeError):
        return {}


def first_key(see: Look, v: Values) -> Points:
    command = f"etcdctl get greeting --print-value-only {_V3}"
    yield point(
        "etcd holds hello under greeting",
        _etcdctl(see, command),
        "hello",
        _TYPED.format(command),
        why="etcdctl put takes a key and a value. It needs the three certificate options, too.",
    )


def both(see: Look, v: Values) -> Points:
    three = f"etcdctl get {v.key} --print-value-only {_V3}"
    two = f"ETCDCTL_API=2 etcdctl {_V2} get /{v.key}"
    in_three, in_two = _etcdctl(see, three), _etcdctl(see, two)
    yield point(
        "API 3 has its value",
        in_three,
        v.new,
        _TYPED.format(three),
        why=f"In API 3 the key is {v.key}, without a slash, and the command is put.",
    )
    yield point(
        "API 2 has its own",
        in_two,
        v.old,
        _TYPED.format(two),
        why="In API 2 the command is set, and the options are called --ca-file, --cert-file and --key-file.",
    )


def numbers(see: Look, v: Values) -> Points:
    key = f"/registry/configmaps/default/{v.config}"
    kv, found = _kv(see, key), see.get("configmaps", "found")
    command = _TYPED.format(f"etcdctl get {key} -w fields {_V3}")
    for name, field, why in (
        ("created", "create_revision", "CreateRevision is the revision at which the key was first written."),
        (
            "modified",
            "mod_revision",
            "ModRevision is the revision of the last write. kubectl calls it resourceVersion.",
        ),
        ("version", "version", "Version counts the writes of this key since it was created."),
    ):
        yield point(
            f"found says {name} rightly", found[f"data.{name}"], str(kv.get(field, "no such key")), command, why=why
        )


def recover(see: Look, v: Values) -> Points:
    config = see.get("configmaps", v.vault)
    get = f"kubectl get configmap {v.vault} -o yaml"
    yield point(
        "the word is back",
        config["data.word"],
        v.word,
        get,
        why="An older revision of its key still has it: etcdctl get KEY --rev=NUMBER. CreateRevision is the first.",
    )
    yield point(
        "the owner is back",
        config["data.owner"],
        v.owner,
        get,
        why="The overwriting took away a whole field. The old value of the key has all of them.",
    )
    yield point(
        "and it is stored where it was",
        _stored(see, v) if config["data.word"] == v.word else "the word is not back",
        v.word,
        _TYPED.format(f"etcdctl get /registry/configmaps/default/{v.vault} --print-value-only {_V3}"),
        why="Change the object through the apiserver. Who writes below /registry by hand goes behind its back.",
    )


def follow(see: Look, v: Values) -> Points:
    written = [getattr(v, f"line{number}") for number in range(LINES)]
    told = str(see.get("configmaps", "story")["data.lines"] or "")
    lines = [line.strip() for line in told.split(",") if line.strip()]
    get = "kubectl get configmap story -o jsonpath='{.data.lines}'"
    yield point(
        "the first line is there",
        written[0] if written[0] in lines else told,
        written[0],
        get,
        why="It was written when the ConfigMap was made. A watch that begins with --rev=1 is told that, too.",
    )
    yield point(
        "no line is missing, and none is invented",
        sorted(set(lines)),
        sorted(written),
        get,
        why="Each write of the key is one event of the watch. The deletion has no value.",
    )
    yield point(
        "they are in the order in which they were written",
        lines,
        written,
        get,
        why="A watch tells events in the order of their revisions. Keep it.",
    )


def _stored(see: Look, v: Values) -> Any:
    try:
        text = _etcdctl(see, f"etcdctl get /registry/configmaps/default/{v.vault} --print-value-only {_V3}")
        return json.loads(text)["data"]["word"]
    except (ValueError, KeyError, TypeError):
        return None


TASKS = {
    "first-key": Exercise(first_key),
    "both": Exercise(
        both,
        owns=("configmaps/wishes",),
        begin=lambda v: objects.many(objects.config("wishes", {"key": v.key, "new": v.new, "old": v.old})),
        then=(
            f'exec etcd-cp -n kube-system -- sh -c "etcdctl del {{key}} {_V3}"',
            f'exec etcd-cp -n kube-system -- sh -c "ETCDCTL_API=2 etcdctl {_V2} rm /{{key}} || true"',
        ),
    ),
    "numbers": Exercise(
        numbers,
        owns=("configmaps/{config}", "configmaps/found"),
        begin=lambda v: objects.many(objects.config(v.config, {"size": "1"})),
        then=tuple(f'patch configmap {{config}} -p \'{{"data":{{"size":"{size}"}}}}\'' for size in (2, 3, 5)),
    ),
    "recover": Exercise(
        recover,
        owns=("configmaps/{vault}",),
        begin=lambda v: objects.many(objects.config(v.vault, {"word": v.word, "owner": v.owner})),
        then=('patch configmap {vault} --type=merge -p \'{"data":{"word":"oops","owner":null}}\'',),
    ),
    "follow": Exercise(
        follow,
        owns=("configmaps/story",),
        begin=lambda v: objects.many(objects.config(v.diary, {"line": v.line0})),
        then=(
            *(f'patch configmap {{diary}} -p \'{{"data":{{"line":"{{line{n}}}"}}}}\'' for n in range(1, LINES)),
            "delete configmap {diary}",
        ),
    ),
}
