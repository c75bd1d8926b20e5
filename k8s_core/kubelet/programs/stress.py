"""Programs that use a machine: stress and vish/stress of the documentation's examples, and php-apache of its HPA's."""

import re

from k8s_core.kubelet.programs.simple import idle, respond, stamps
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Process
from k8s_core.shell.sockets import Request, Response

UNITS = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
REQUEST_SECONDS = 0.1
"""Processor seconds that one request to php-apache costs."""
BUSY_WINDOW = 5.0


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([BKMG]?)i?", text)
    return int(match[1]) * UNITS[match[2]] if match else 0


def stress(process: Process) -> Steps:
    """stress --cpu N --vm N --vm-bytes SIZE [--timeout T]: worker processes that keep a processor, or memory."""
    words = [w for word in process.argv[1:] for w in word.split("=", 1)]
    given = {words[i].lstrip("-"): words[i + 1] for i in range(len(words) - 1) if words[i].startswith("-")}
    processors, hogs = int(given.get("cpu", given.get("c", 0))), int(given.get("vm", given.get("m", 0)))
    size = _size(given.get("vm-bytes", "256M"))
    process.out(f"stress: info: [{process.pid}] dispatching hogs: {processors} cpu, 0 io, {hogs} vm, 0 hdd\n")
    machine = process.machine
    for number in range(processors + hogs):
        child = machine.start(["stress"], env=process.env, program=idle, parent=process)
        if number < processors:
            child.work(1.0)
        else:
            yield 0.5  # it takes a moment to touch all of it
            child.use_memory(size)
    return (yield from idle(process))


def vish(process: Process) -> Steps:
    """vish/stress -cpus N -mem-total SIZE: the same in one process."""
    words = process.argv[1:]
    given = {words[i].lstrip("-"): words[i + 1] for i in range(len(words) - 1)}
    now = stamps(process)
    total = given.get("mem-total", "0")
    process.err(
        f'I{now["date"][5:].replace("-", "")} {now["time"]}.000000       1 main.go:26] Allocating "{total}" memory\n'
    )
    process.work(float(given.get("cpus", "0")))
    if total != "0":
        yield 1.0
        process.use_memory(_size(total))
    return (yield from idle(process))


def php_apache(process: Process) -> Steps:
    """hpa-example: every request costs a tenth of a processor second."""
    began = [process.machine.loop.now, 0.0]

    def calm() -> None:
        if process.code is None and process.machine.loop.now - began[0] >= BUSY_WINDOW:
            process.work(0.0)

    def answer(request: Request) -> Response:
        loop = process.machine.loop
        if loop.now - began[0] > BUSY_WINDOW:
            began[:] = [loop.now, 0.0]
        began[1] += REQUEST_SECONDS
        process.work(began[1] / BUSY_WINDOW)
        loop.call_later(BUSY_WINDOW + 0.01, calm, background=True)
        return respond(process, 200, "OK!", "text/html; charset=UTF-8")

    process.machine.network.listen(80, process, answer, http=True)
    return (yield from idle(process))
