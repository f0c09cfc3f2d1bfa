"""What the tests measured, as tables for people; no test passes or fails by it."""

from __future__ import annotations

from collections import defaultdict


class Report:
    """Rows under a title each; columns as the first row has them."""

    def __init__(self) -> None:
        self._rows: dict[str, list[dict[str, object]]] = defaultdict(list)

    def row(self, title: str, **columns: object) -> None:
        """Add a row."""
        self._rows[title].append(columns)

    def text(self) -> str:
        """Return all tables."""
        return "\n".join(_table(title, rows) for title, rows in self._rows.items())


def _table(title: str, rows: list[dict[str, object]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join(["", title, "-" * len(title), *lines])
