"""Option parsing for commands: getopt with the error words of the real programs."""

from k8s_core.shell.fs import FileError
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Command, Process


class UsageError(Exception):
    """An unknown option; the text is what the program says."""


def parse(
    process: Process, flags: str = "", valued: str = "", long: dict[str, str] | None = None, many: str = ""
) -> tuple[dict[str, str], list[str]]:
    """(options by letter, operands). `flags` take nothing, `valued` take a value, `long` maps --names to letters.

    The values of options in `many` are kept all, a line each; of others the last counts.
    """
    found: dict[str, str] = {}
    operands: list[str] = []
    arguments = process.argv[1:]
    name = process.argv[0].rsplit("/", 1)[-1]
    while arguments:
        argument = arguments.pop(0)
        if argument == "--":
            operands += arguments
            break
        if argument.startswith("--"):
            key, equals, value = argument[2:].partition("=")
            letter = (long or {}).get(key)
            if letter is None:
                raise UsageError(f"{name}: unrecognized option '{argument}'")
            if letter in valued and not equals:
                value = arguments.pop(0) if arguments else ""
            found[letter] = f"{found[letter]}\n{value}" if letter in many and letter in found else value
        elif len(argument) > 1 and argument[0] == "-":
            letters = argument[1:]
            while letters:
                letter, letters = letters[0], letters[1:]
                if letter in valued:
                    if not letters and not arguments:
                        raise UsageError(f"{name}: option requires an argument: {letter}")
                    value = letters or arguments.pop(0)
                    found[letter] = f"{found[letter]}\n{value}" if letter in many and letter in found else value
                    break
                if letter not in flags:
                    raise UsageError(f"{name}: unrecognized option: {letter}")
                found[letter] = found.get(letter, "") + letter
        else:
            operands.append(argument)
    return found, operands


def usage(process: Process, error: UsageError) -> int:
    process.err(f"{error}\n")
    return 1


def checked(command: Command) -> Command:
    """The command, with usage errors, file errors and bad numbers told as the real programs tell them."""

    def run(process: Process) -> Steps:
        try:
            return (yield from command(process))
        except UsageError as error:
            return usage(process, error)
        except FileError as error:
            return process.fail(str(error))
        except (ValueError, OverflowError, OSError):
            return process.fail("invalid argument")

    return run


def table(**commands: Command) -> dict[str, Command]:
    """A set of commands by name."""
    return {name: checked(command) for name, command in commands.items()}
