"""What crictl, ctr, nerdctl and docker do with containers alike: follow a log, run a command, stop, pull an image."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from k8s_core.shell.commands.containers import runtime
from k8s_core.shell.pipes import Pipe, Steps, Wait, Waiters
from k8s_core.shell.process import Process

if TYPE_CHECKING:
    from k8s_core.kubelet.container import Container
    from k8s_core.kubelet.images import PullError


def follow_log(process: Process, container: "Container", tail: str, follow: bool) -> Steps:
    """A container's log; with `follow` what comes until it ends."""
    lines = list(container.log.lines)
    if tail.isdigit():
        lines = lines[len(lines) - int(tail) :] if int(tail) else []
    for _, stream, line in lines:
        (process.out if stream == "stdout" else process.err)(line)
    if follow:
        came: list[Any] = []
        waiters = Waiters()

        def reader(line: Any) -> None:
            came.append(line)
            waiters.notify()

        process.at_exit.append(container.log.follow(reader))
        while None not in came:
            yield waiters
            while came and came[0] is not None:
                _, stream, line = came.pop(0)
                (process.out if stream == "stdout" else process.err)(line)
    return 0


def exec_in(process: Process, container: "Container", argv: list[str], *, tty: bool, stdin: bool) -> Steps:
    """Run a further process in a container and wait for it."""
    from k8s_core.kubelet.container import RuntimeFailure  # noqa: PLC0415  it is above the shell

    if container.state != "CONTAINER_RUNNING" or not argv:
        state = container.state.removeprefix("CONTAINER_").lower()
        process.err(f"FATA[0000] execing command in container: container is in CONTAINER_{state.upper()} state\n")
        return 1
    done: list[int] = []
    waiters = Waiters()

    def ended(code: int) -> None:
        done.append(code)
        waiters.notify()

    try:
        child = runtime(process).exec(
            container, argv, stdin=process.stdin if stdin else Pipe(closed=True), stdout=process.stdout,
            stderr=process.stderr, tty=tty, on_exit=ended, attended=True,
        )  # fmt: skip
    except RuntimeFailure as error:
        process.err(f"FATA[0000] execing command in container: failed to exec in container: {error}\n")
        return 1
    process.at_exit.append(lambda: child.signal(9))
    while not done:
        yield waiters
    return done[0]


def stop_container(process: Process, container: "Container", grace: float) -> Generator[Wait, None, None]:
    """Stop it and wait until it has ended."""
    waiters = Waiters()
    container.on_exit.append(waiters.notify)
    runtime(process).stop(container, grace)
    while container.state == "CONTAINER_RUNNING":
        yield waiters


def pull_image(process: Process, word: str, namespace: str = "k8s.io") -> Generator[Wait, None, str]:
    """Pull an image; "" or what went wrong."""
    from k8s_core.kubelet import images as store  # noqa: PLC0415  it is above the shell

    try:
        image = store.parse(word)
    except store.InvalidImageName:
        problem = f'failed to parse image reference "{word}": invalid reference format'
        return f"rpc error: code = InvalidArgument desc = {problem}"
    waiters, failed, done = Waiters(), list[str](), list[bool]()

    def finished(error: "PullError | None", seconds: float, waited: float) -> None:
        failed.extend([str(error)] if error else [])
        done.append(True)
        waiters.notify()

    runtime(process).images.pull(image, finished, namespace)
    while not done:
        yield waiters
    return "".join(failed)
