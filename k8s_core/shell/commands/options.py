"""What all commands share: the table they stand in, getopt, and complaints in the real programs' words.

    COMMANDS = Table()

    @COMMANDS("head", "qvn:c: lines=n bytes=c NUMBER=n")
    def head(process, options, operands): ...

A program that waits is a generator, one that does not is a plain function. Who ends without an exit code ends with
that of its last complaint (Process.fail), or 0.
"""

import re
from collections.abc import Callable, Generator
from typing import TypeVar

from k8s_core.shell.fs import FileError
from k8s_core.shell.pipes import Steps, Wait
from k8s_core.shell.process import Command, Process

Options = dict[str, str]
Result = Generator[Wait, None, int | None] | int | None
Plain = TypeVar("Plain", bound=Callable[[Process], Result])
Parsed = TypeVar("Parsed", bound=Callable[[Process, Options, list[str]], Result])
SEVERE = ("ls", "grep", "egrep", "fgrep", "sort", "diff", "cmp", "tar")
"""GNU programs that end with 2 when they are called wrongly."""


class UsageError(Exception):
    """The program was called wrongly; the text is what it says."""

    def __init__(self, text: str, code: int = 1, option: str = "") -> None:
        super().__init__(text)
        self.code, self.option = code, option


def misused(process: Process, option: str, busybox: str, gnu: str) -> UsageError:
    """What is wrong with an option, as busybox says it and as the GNU programs do."""
    if process.ash:
        return UsageError(f"{process.name}: {busybox}", option=option)
    advice = f"Try '{process.name} --help' for more information."
    return UsageError(f"{process.name}: {gnu}\n{advice}", 2 if process.name in SEVERE else 1, option)


class Spec:
    """getopt's description: `x` is a flag, `x:` has a value, `x;` keeps all its values, `x?` has one if it is attached.

    `word=x` lets --word mean -x, and `NUMBER=x` lets -12 mean -x12.
    """

    def __init__(self, text: str) -> None:
        letters, *words = f"{text} ".split(" ")
        self.marks = dict(re.findall(r"(\w)([:;?]?)", letters))
        self.valued = {letter for letter, mark in self.marks.items() if mark and mark in ":;"}
        self.long = dict(word.split("=") for word in words if word)

    def parse(self, process: Process) -> tuple[Options, list[str]]:
        """(options by letter, operands): values of `many` a line each, flags as often as given."""
        found: Options = {}
        operands: list[str] = []
        words = process.argv[1:]

        def keep(letter: str, value: str) -> None:
            found[letter] = f"{found[letter]}\n{value}" if self.marks.get(letter) == ";" and letter in found else value

        while words:
            word = words.pop(0)
            if word == "--":
                return found, operands + words
            if word.startswith("--"):
                name, equals, value = word[2:].partition("=")
                letter = self.long.get(name)
                if letter is None:
                    raise misused(process, word, *[f"unrecognized option '{word}'"] * 2)
                keep(letter, words.pop(0) if letter in self.valued and not equals and words else value)
            elif word[1:].isdigit() and word[0] == "-" and "NUMBER" in self.long:
                keep(self.long["NUMBER"], word[1:])
            elif len(word) > 1 and word[0] == "-":
                self._letters(process, word[1:], words, keep)
            else:
                operands.append(word)
        return found, operands

    def _letters(self, process: Process, letters: str, words: list[str], keep: Callable[[str, str], None]) -> None:
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter not in self.marks:
                raise misused(process, letter, f"unrecognized option: {letter}", f"invalid option -- '{letter}'")
            if not self.marks[letter]:
                keep(letter, letter)
                continue
            if self.marks[letter] == "?":
                return keep(letter, letters)
            if not letters and not words:
                wants = "option requires an argument"
                raise misused(process, letter, f"{wants}: {letter}", f"{wants} -- '{letter}'")
            return keep(letter, letters or words.pop(0))


def outcome(process: Process, result: Result) -> Steps:
    """The exit code of a program that may wait, and may end without one."""
    code = (yield from result) if isinstance(result, Generator) else result
    return process.status if code is None else code


def checked(program: Callable[[Process], Result]) -> Command:
    """The program as a command: a generator, its complaints told as the real programs tell them."""

    def run(process: Process) -> Steps:
        process.status = 0
        try:
            return (yield from outcome(process, program(process)))
        except UsageError as error:
            process.err(f"{error}\n")
            return error.code
        except FileError as error:
            return process.fail(str(error))
        except (ValueError, OverflowError, OSError):
            return process.fail("invalid argument")

    return run


class Table(dict[str, Command]):
    """Commands by name; a call with names and a Spec takes the program that follows it in."""

    def __call__(self, names: str, spec: str = "") -> Callable[[Parsed], Parsed]:
        described = Spec(spec)

        def enter(program: Parsed) -> Parsed:
            command = checked(lambda process: program(process, *described.parse(process)))
            self.update(dict.fromkeys(names.split(), command))
            return program

        return enter

    def plain(self, names: str) -> Callable[[Plain], Plain]:
        """The same for a program that reads its words itself."""

        def enter(program: Plain) -> Plain:
            self.update(dict.fromkeys(names.split(), checked(program)))
            return program

        return enter
