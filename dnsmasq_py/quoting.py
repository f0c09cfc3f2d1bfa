"""
Quoted characters of a dnsmasq configuration file, which have lost their special meaning.

In a file `txt-record=a,"x,y"` has one string: its comma separates nothing. A quoted character
travels as a stand-in from a plane of Unicode that no file can mean anything by, until the text
has been split.
"""

_PLANE = 0xF0000


def hide(char: str) -> str:
    """Return the stand-in of a character; those beyond the first plane stand for themselves."""
    return chr(_PLANE + ord(char)) if ord(char) < 0x10000 - 2 else char


def reveal(text: str) -> str:
    """Put the characters back."""
    if text.isascii():
        return text
    return "".join(chr(ord(c) - _PLANE) if 0 <= ord(c) - _PLANE < 0x10000 else c for c in text)


def items(text: str) -> list[str]:
    """Split at the commas that are not quoted; blanks around an item do not belong to it."""
    return [reveal(item.strip(" ")) for item in text.split(",")]
