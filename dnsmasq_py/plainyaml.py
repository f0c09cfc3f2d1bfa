"""
YAML that is nothing but mappings, lists and text: what an operator writes into a ConfigMap.

Anchors, aliases and tags are refused, so no text can grow or become an object; so is the same
key twice. Scalars stay text: `10` is "10"; an empty one and `null` are None. Every value knows
its place.

The library behind it takes more than a megabyte: import this module where there is a text to read.
"""

from collections.abc import Iterator
from typing import Any

import yaml

from dnsmasq_py.yamlnodes import List, Map, Node, Place, PlainYamlError, Text

DEPTH_MAX = 8
TEXT_MAX = 1 << 20  # characters, the bound of a ConfigMap

_NULLS = ("", "~", "null", "Null", "NULL")
# The one in C is ten times as fast; some builds of the library lack it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(text: str) -> Node:
    """
    Return what a text of at most TEXT_MAX characters says; nothing is null.

    Raises:
        PlainYamlError: it is no YAML, or more than the plain part of it.
    """
    if len(text) > TEXT_MAX:
        raise PlainYamlError(f"{len(text)} characters, the most is {TEXT_MAX}")
    try:
        return _document(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" ({_place(mark)})" if mark else ""
        raise PlainYamlError(f"not valid YAML: {error.problem or error.context}{where}") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise PlainYamlError(f"not valid YAML: {reason}") from None


def _document(events: Iterator[Any]) -> Node:
    """Return the one document of a stream."""
    node: Node = Text(None, Place(1, 1))
    documents = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _refusal("must be one document", event)
            node = _node(next(events), events, 0)
    return node


def _node(event: Any, events: Iterator[Any], depth: int) -> Node:
    """Return the value that begins with `event`, and take its other events."""
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise _refusal("anchors and aliases are not allowed", event)
    if event.tag is not None:
        raise _refusal("tags are not allowed", event)
    if depth > DEPTH_MAX:
        raise _refusal("nested too deeply", event)
    place = _place(event.start_mark)
    if isinstance(event, yaml.ScalarEvent):
        is_null = event.implicit[0] and event.value in _NULLS
        return Text(None if is_null else event.value, place)
    if isinstance(event, yaml.SequenceStartEvent):
        return List(tuple(_items(events, depth + 1)), place)
    return Map(_pairs(events, depth + 1), place)


def _items(events: Iterator[Any], depth: int) -> Iterator[Node]:
    for event in events:
        if isinstance(event, yaml.SequenceEndEvent):
            return
        yield _node(event, events, depth)


def _pairs(events: Iterator[Any], depth: int) -> dict[str, tuple[Place, Node]]:
    pairs: dict[str, tuple[Place, Node]] = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        key = _node(event, events, depth)
        if not isinstance(key, Text):
            raise _refusal("a key must be text", event)
        name = key.text or ""
        if name in pairs:
            raise _refusal("the same key a second time", event)
        pairs[name] = key.place, _node(next(events), events, depth)
    return pairs


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _refusal(reason: str, event: Any) -> PlainYamlError:
    return PlainYamlError(f"{reason} ({_place(event.start_mark)})")
