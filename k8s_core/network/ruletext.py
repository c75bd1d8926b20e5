"""A rule's text, taken apart and put together: the form in which iptables-save writes what somebody typed.

Stands for iptables' own parser and printer. `parse` reads words of a command line or of a saved rule, `Parsed.text`
gives iptables-save's order and spelling. What a rule means is rules.py's.
"""

import re
import shlex
from dataclasses import dataclass, field

from k8s_core.network.rules import BadRule, network

HEAD = ("-s", "-d", "-i", "-o", "-p")
LONG = {"--source": "-s", "--src": "-s", "--destination": "-d", "--dst": "-d", "--protocol": "-p", "--proto": "-p",
        "--in-interface": "-i", "--out-interface": "-o", "--jump": "-j", "--match": "-m", "--goto": "-g",
        "--destination-port": "--dport", "--source-port": "--sport"}  # fmt: skip
BARE = ("--rcheck", "--set", "--reap", "--rsource", "--random-fully")
"""Options without a value."""
PORTS = ("tcp", "udp", "sctp")


@dataclass(slots=True)
class Option:
    name: str
    value: str = ""
    negated: bool = False

    def text(self) -> str:
        value = (
            self.value if re.fullmatch(r"[\w./:,-]*", self.value) and self.name != "--comment" else _quoted(self.value)
        )
        if self.name == "--nfacct-name":
            value = f" {value}"  # the real one prints two spaces
        return f"{'! ' if self.negated else ''}{self.name}{f' {value}' if value else ''}"


@dataclass(slots=True)
class Parsed:
    """Where from and to (`head`), what else must hold (`matches`: module, options), and the `target`."""

    head: dict[str, Option] = field(default_factory=dict)
    matches: list[tuple[str, list[Option]]] = field(default_factory=list)
    target: str = ""
    options: list[Option] = field(default_factory=list)

    def text(self) -> str:
        """As iptables-save prints it after "-A CHAIN "."""
        words = [self.head[name].text() for name in HEAD if name in self.head]
        for module, options in self.matches:
            words += [f"-m {module}", *(option.text() for option in options)]
        if self.target:
            words += [f"-j {self.target}", *(option.text() for option in self.options)]
        return " ".join(words)


def parse(words: list[str] | str) -> Parsed:
    """Read a rule; raises BadRule."""
    left = shlex.split(words) if isinstance(words, str) else list(words)
    found = Parsed()
    negated = False
    while left:
        word = left.pop(0)
        if word == "!":
            negated = True
            continue
        word = LONG.get(word, word)
        if not word.startswith("-"):
            raise BadRule(f"Bad argument `{word}'")
        if word not in BARE and not left:
            raise BadRule(f'option "{word}" requires an argument')
        _take(found, Option(word, "" if word in BARE else left.pop(0), negated))
        negated = False
    if found.target == "REJECT" and not found.options:
        found.options.append(Option("--reject-with", "icmp-port-unreachable"))
    return found


def _take(found: Parsed, option: Option) -> None:
    if option.name in ("-s", "-d"):
        network(option.value)  # raises for what is none
        option.value = option.value if "/" in option.value else f"{option.value}/32"
        found.head[option.name] = option
    elif option.name in HEAD:
        found.head[option.name] = option
    elif option.name == "-m":
        found.matches.append((option.value, []))
    elif option.name in ("-j", "-g"):
        found.target = option.value
    elif found.target:
        found.options.append(option)
    elif option.name in ("--dport", "--sport"):
        protocol = found.head.get("-p", Option("-p")).value
        if protocol not in PORTS:
            raise BadRule(f'unknown option "{option.name}"')
        if not any(module == protocol for module, _ in found.matches):
            found.matches.append((protocol, []))
        next(options for module, options in found.matches if module == protocol).append(option)
    elif found.matches:
        found.matches[-1][1].append(option)
    else:
        raise BadRule(f'unknown option "{option.name}"')


def _quoted(text: str) -> str:
    """Between quotes, unless it is only letters, digits, _ and -."""
    if re.fullmatch(r"[\w-]+", text):
        return text
    escaped = re.sub(r'(["\\\'])', r"\\\1", text)
    return f'"{escaped}"'
