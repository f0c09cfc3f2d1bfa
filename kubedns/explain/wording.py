"""Sentences of at most 120 octets, put together from parts that may be left out."""

from collections.abc import Iterable

from kubedns.wire import name as names

MAX_SENTENCE = 120
_MAX_WORD = 32


def word(label: bytes) -> str:
    """Write one label, the middle of a long one as two dots."""
    return _cut(_text(label), _MAX_WORD)


def dotted(name: bytes | Iterable[bytes], most: int = 60) -> str:
    """Write a name, or its labels, without the final dot; the middle of a long one as two dots."""
    labels = names.labels(name) if isinstance(name, bytes) else name
    return _cut(".".join(map(_text, labels)), most)


def listed(items: Iterable[str]) -> str:
    """Write a list: `a, b, c`."""
    return ", ".join(items)


def sentence(fact: str, *more: str) -> str:
    """Return a fact with as many of the further parts as there is room for."""
    text = fact[:MAX_SENTENCE]
    for part in more:
        if part and len(text) + 2 + len(part) <= MAX_SENTENCE:
            text = f"{text}; {part}"
    return text


def _text(label: bytes) -> str:
    """Write a label in presentation form; most need no escapes."""
    if label.translate(None, _PLAIN):
        return names.label_to_text(label)
    return label.decode("ascii")


_PLAIN = b"abcdefghijklmnopqrstuvwxyz0123456789-_"


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = (most - 2) // 2
    return f"{text[:half]}..{text[-half:]}"
