"""The table in the test output: who asked what, how many queries it took, in how many ms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.clients.capture import Heard
from tests.clients.resolvers import RESOLVERS, Said

_ASKED, _CELL, _ANSWER = 43, 13, 44


@dataclass(frozen=True, slots=True)
class Row:
    """One lookup of one resolver. note: why its answer or its way differs."""

    title: str
    asked: str
    said: Said
    heard: Heard
    note: str = ""

    @property
    def cell(self) -> str:
        """Number of queries, how many of these by TCP, milliseconds."""
        queries = self.heard.queries
        tcp = sum(each.tcp for each in queries)
        return f"{len(queries)}{f'({tcp}t)' if tcp else ''} {self.said.ms:.1f}"

    @property
    def answer(self) -> str:
        """What was found, or NOTHING or FAILURE."""
        if isinstance(self.said.outcome, str):
            return self.said.outcome
        found = sorted(self.said.outcome)
        text = " ".join(found)
        return text if len(text) <= _ANSWER else f"{text[:_ANSWER]}... ({len(found)})"


@dataclass
class Table:
    """All lookups so far."""

    rows: list[Row] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Give the table as text: a row for each name, a column for each resolver."""
        titles = [r.title for r in RESOLVERS if any(row.title == r.title for row in self.rows)]
        yield "Queries at the pod (of these by TCP: t) and milliseconds, for each resolver."
        yield self._line("asked", titles, "answer")
        for asked in dict.fromkeys(row.asked for row in self.rows):
            cells = {row.title: row for row in self.rows if row.asked == asked}
            texts = [cells[title].cell if title in cells else "-" for title in titles]
            answers: dict[str, list[str]] = {}
            for title, row in cells.items():
                answers.setdefault(row.answer, []).append(title)
            (first, _), *others = sorted(answers.items(), key=lambda each: -len(each[1]))
            rest = "".join(f"; {', '.join(who)}: {answer}" for answer, who in others)
            yield self._line(asked, texts, first + rest)
        yield self._line("queries in all", [str(self._queries(title)) for title in titles], "")
        yield from (f"{r.title}: {r.what}" for r in RESOLVERS if r.title in titles)
        yield from self._words(titles)
        yield from self._walks("web.shop", "www.example.com")
        yield from self._notes()

    def _queries(self, title: str) -> int:
        return sum(len(row.heard.queries) for row in self.rows if row.title == title)

    def _words(self, titles: Sequence[str]) -> Iterator[str]:
        """Tell the words in which each resolver says that there is nothing, or that it failed."""
        for title in titles:
            words = {
                f"{row.said.outcome} is {row.said.error!r}"
                for row in self.rows
                if row.title == title and row.said.error
            }
            if words:
                yield f"{title}: {', '.join(sorted(words))}"

    def _walks(self, *names: str) -> Iterator[str]:
        """Tell which names each resolver asked for, and what it heard."""
        for name in names:
            walks: dict[str, list[str]] = {}
            for row in self.rows:
                if row.asked == name:
                    said = {each.name.lower(): each.rcode for each in row.heard.replies}
                    steps = ", ".join(f"{each} {rcode}" for each, rcode in said.items())
                    walks.setdefault(steps, []).append(row.title)
            yield from (f"{name}: {', '.join(who)} asked {walk}" for walk, who in walks.items())

    def _notes(self) -> Iterator[str]:
        """Give each reason for a difference, and for whom and what it holds."""
        for note in dict.fromkeys(row.note for row in self.rows if row.note):
            rows = [row for row in self.rows if row.note == note]
            who = ", ".join(dict.fromkeys(row.title for row in rows))
            what = list(dict.fromkeys(row.asked for row in rows))
            more = f" and {len(what) - 3} more" if len(what) > 3 else ""
            yield f"{who}: {note} ({', '.join(what[:3])}{more})"

    @staticmethod
    def _line(asked: str, cells: Sequence[str], answer: str) -> str:
        columns = "".join(f"{cell:<{_CELL}}" for cell in cells)
        return f"{asked:<{_ASKED}} {columns}{answer}".rstrip()
