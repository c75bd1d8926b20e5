"""The commands of etcdctl that are one request and one answer, as a table; and how any command fails.

Stands for the small files of ctlv3/command: compaction, leases, members, alarms.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from k8s_core.shell.commands.etcdctl import Client

Message = Any


class Failure(Exception):
    """Ends the command with `Error: text` and a code."""

    def __init__(self, text: str, code: int = 1, log: str = "") -> None:
        super().__init__(text)
        self.code, self.log = code, log


Form = Callable[[Message, "Client"], str | bytes]
"""How an answer looks that is not asked for as JSON."""


class Ask(NamedTuple):
    """A command that is one request, filled from words and flags, and one answer, told in a line or two."""

    method: str
    request: str
    fields: Callable[["Client", list[str]], dict[str, Any]]
    said: Callable[["Client", Message, list[str]], str | bytes]
    needs: str = ""
    """What is said when there is no word behind the command."""
    failed: str = "{}"


def hexadecimal(word: str, what: str) -> int:
    try:
        return int(word, 16)
    except ValueError:
        parsed = f'strconv.ParseUint: parsing "{word}": invalid syntax'
        raise Failure(f"bad {what} ID arg ({parsed}), expecting ID in Hex", 128) from None


def number(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise Failure(f'strconv.ParseInt: parsing "{word}": invalid syntax', 128) from None


def _lease(client: "Client", words: list[str]) -> dict[str, Any]:
    return {"ID": hexadecimal(words[0], "lease")}


def _member(client: "Client", words: list[str]) -> dict[str, Any]:
    return {"ID": hexadecimal(words[0], "member")}


def _urls(client: "Client") -> list[str]:
    return client.options.get("peer-urls", "").split(",")


def _changed(what: str) -> Callable[["Client", Message, list[str]], str]:
    return lambda c, a, w: f"Member {int(w[0], 16):16x} {what} cluster {a.header.cluster_id:16x}\n"


NO_MEMBER = "member ID is not provided"
ASKS = {
    "compaction": Ask(
        "compact", "Compaction", lambda c, w: {"revision": number(w[0]), "physical": c.flag("physical")},
        lambda c, a, w: f"compacted revision {w[0]}\n", "compaction command needs 1 argument",
    ),
    "lease_grant": Ask(
        "lease_grant", "LeaseGrant", lambda c, w: {"TTL": number(w[0])},
        lambda c, a, w: f"lease {a.ID:016x} granted with TTL({a.TTL}s)\n", "lease grant command needs TTL argument",
        "failed to grant lease ({})",
    ),
    "lease_revoke": Ask(
        "lease_revoke", "LeaseRevoke", _lease, lambda c, a, w: f"lease {int(w[0], 16):016x} revoked\n",
        "lease revoke command needs 1 argument", "failed to revoke lease ({})",
    ),
    "lease_timetolive": Ask(
        "lease_time_to_live", "LeaseTimeToLive", lambda c, w: {**_lease(c, w), "keys": c.flag("keys")},
        lambda c, a, w: c.show.time_to_live(a, c), "lease timetolive command needs lease ID as argument",
    ),
    "lease_list": Ask(
        "lease_leases", "LeaseLeases", lambda c, w: {},
        lambda c, a, w: f"found {len(a.leases)} leases\n" + "".join(f"{lease.ID:016x}\n" for lease in a.leases),
    ),
    "member_list": Ask("member_list", "MemberList", lambda c, w: {}, lambda c, a, w: c.shown(a, c.show.members)),
    "member_add": Ask(
        "member_add", "MemberAdd", lambda c, w: {"peerURLs": _urls(c), "isLearner": c.flag("learner")},
        lambda c, a, w: f"{'Learner member' if a.member.isLearner else 'Member'} {a.member.ID:16x} added to cluster "
        f"{a.header.cluster_id:16x}\n", "member name not provided",
    ),
    "member_remove": Ask("member_remove", "MemberRemove", _member, _changed("removed from"), NO_MEMBER),
    "member_update": Ask(
        "member_update", "MemberUpdate", lambda c, w: {**_member(c, w), "peerURLs": _urls(c)}, _changed("updated in"),
        NO_MEMBER,
    ),
    "member_promote": Ask("member_promote", "MemberPromote", _member, _changed("promoted in"), NO_MEMBER),
    "alarm_list": Ask("alarm", "Alarm", lambda c, w: {}, lambda c, a, w: c.show.alarms(a)),
}  # fmt: skip
