"""What YAML of the plain kind holds: mappings, lists and text, each value with its place."""

from dataclasses import dataclass

from dnsmasq_py.errors import ForwarderError


class PlainYamlError(ForwarderError):
    """A text that is no such YAML; str() says why and where."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value begins, both from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar; None: null."""

    text: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class List:
    """A sequence."""

    items: tuple["Node", ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Map:
    """A mapping; each key with its own place."""

    items: dict[str, tuple[Place, "Node"]]
    place: Place


Node = Text | List | Map
