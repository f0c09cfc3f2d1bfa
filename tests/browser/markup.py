"""A page as text and elements, for tests without a browser."""

from html.parser import HTMLParser

_VOID = {"meta", "link", "br", "path", "input", "wbr"}


class Markup(HTMLParser):
    """Reads a page: its text, its elements and attributes, and whether they are nested well."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._inside_word = False
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside_word = tag == "wbr"
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if {"style", "script"} & set(self.open):
            return
        if self._inside_word:
            self.words[-1] += data
        else:
            self.words.append(data)
        self._inside_word = False

    @property
    def text(self) -> str:
        """What a reader sees, with blanks put together and one around each element."""
        return " ".join(" ".join(self.words).split())

    def ids(self, tag: str) -> list[str | None]:
        """Return the ids of all elements of a kind, None for one without."""
        return [named.get("id") for kind, named in self.elements if kind == tag]

    def all(self, tag: str, attribute: str) -> list[str]:
        """Return an attribute of all elements of a kind that have it."""
        found = [named.get(attribute) for kind, named in self.elements if kind == tag]
        return [each for each in found if each is not None]
