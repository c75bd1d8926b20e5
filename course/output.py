"""What a lab hands back to be shown: text as it is, or text with its picture."""

from typing import Any


class Output(str):
    """Text that a notebook shows as it is."""

    __slots__ = ()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.rstrip("\n"))


class Drawn(Output):
    """Text with a picture of the same, for where pictures can be shown."""

    svg: str

    def __new__(cls, text: str, svg: str) -> "Drawn":
        made = super().__new__(cls, text)
        made.svg = svg
        return made

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.rstrip("\n")}
