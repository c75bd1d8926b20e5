"""What a learner's cells print and show, as it goes into the graded notebook: text and pictures, and not too much.

Instructors open it in a browser in which they are logged in, so nothing that a browser would run is kept. All of a
submission's output is counted against one limit; what goes beyond is read and thrown away.
"""

import base64
import binascii
import os
from typing import Any

PICTURES = ("image/png", "image/jpeg")
LINE, OUTPUT = 12, 100
"""Bytes that a line, and an output, take in a notebook besides their letters."""
MAX_TEXT = 20_000
"""Letters of one error, or of one thing observed, that are kept."""
CUT = "[The output is cut here: a submission may print {} kB.]\n"


class Outputs:
    """The outputs of one cell after another. `pipes` are {open file: stdout or stderr}, which do not block."""

    def __init__(self, pipes: dict[int, str], limit: int):
        self.pipes, self.limit, self.room = pipes, limit, limit
        self.made: list[dict[str, Any]] = []
        self.ours: set[str] = set()
        """Markdown that the judge has sent: what asks a task. It may be shown as such, and nobody else's."""

    def begin(self) -> None:
        """A new cell."""
        self.made = []

    def text(self) -> str:
        """What was printed."""
        return "".join(str(each.get("text", "")) for each in self.made).strip()

    def read(self, pipe: int) -> bool:
        """Take a piece from a pipe; False if there was none."""
        try:
            data = os.read(pipe, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            del self.pipes[pipe]
            return False
        self._stream(self.pipes[pipe], data.decode(errors="replace"))
        return True

    def drain(self) -> None:
        """Read what has been printed so far; no more than a process that never stops printing has in its pipe."""
        for pipe in list(self.pipes):
            for _ in range(32):
                if not self.read(pipe):
                    break

    def tell(self, kind: str, what: Any) -> None:
        """What a kernel says that it shows: display, result, error, or clear."""
        if kind == "clear":
            self.made = []
        if self.room <= 0 or not isinstance(what, dict):
            return
        self.room -= OUTPUT
        if kind in ("display", "result"):
            data = {mime: what[mime] for mime in PICTURES if is_picture(what.get(mime))}
            size = sum(map(len, data.values()))
            if size >= self.room:
                data, size = {}, 0
            self.room -= size
            text = what.get("text/markdown", what.get("text/plain"))
            data["text/plain"] = self._within(text) if isinstance(text, str) else ""
            if data["text/plain"] in self.ours:
                data["text/markdown"] = data["text/plain"]
            made: dict[str, Any] = {"output_type": "display_data", "data": data, "metadata": {}}
            if kind == "result":
                made.update(output_type="execute_result", execution_count=None)
            self.made.append(made)
        elif kind == "error":
            lines = what.get("traceback")
            lines = [self._within(clip(str(line))) for line in lines[:50]] if isinstance(lines, list) else []
            name, value = clip(str(what.get("ename")))[:200], self._within(clip(str(what.get("evalue"))))
            self.made.append({"output_type": "error", "ename": name, "evalue": value, "traceback": lines})

    def _stream(self, name: str, text: str) -> None:
        text = self._within(text)
        if not text:
            return
        last = self.made[-1] if self.made else {}
        if last.get("name") == name:
            last["text"] += text
        else:
            self.room -= OUTPUT
            self.made.append({"output_type": "stream", "name": name, "text": text})

    def _within(self, text: str) -> str:
        """As much of a text as may still be kept. A line costs more than its letters: so it does in a notebook."""
        if self.room <= 0:
            return ""
        cost = len(text) + LINE * text.count("\n")
        if cost < self.room:
            self.room -= cost
            return text
        kept = text[: len(text) * self.room // cost]
        self.room = 0
        return f"{kept}\n{CUT.format(self.limit >> 10)}"


def clip(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} ..."


def is_picture(data: Any) -> bool:
    try:
        return isinstance(data, str) and bool(base64.b64decode(data.replace("\n", ""), validate=True))
    except (binascii.Error, ValueError):
        return False
