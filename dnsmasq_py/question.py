"""What is asked of a server: the question, and the bits that make it another question."""

import struct

from kubedns.wire import rr

_RD = 0x0100
_CD = 0x0010
_AD = 0x0020


class Question:
    """
    One question for a group of servers.

    octets: the question section as it is to be asked (name as spelled, type, class).
    folded: the name in lower case. do, cd, rd: the bits of the same name. ad: tell whether you have
    validated the answer (RFC 6840 5.7).
    """

    __slots__ = ("ad", "cd", "do", "folded", "octets", "qtype", "rd")

    def __init__(
        self, octets: bytes, folded: bytes, qtype: int, *, do: bool, cd: bool, rd: bool
    ) -> None:
        self.octets = octets
        self.folded = folded
        self.qtype = qtype
        self.do = do
        self.cd = cd
        self.rd = rd
        self.ad = False

    @property
    def key(self) -> bytes:
        """Return what tells it from every other question, for the cache."""
        return self.folded + self.octets[-4:] + bytes((self.do | self.cd << 1,))

    def query(self, octets: bytes, edns_size: int | None) -> bytes:
        """Return a query behind its ID, about a question section; edns_size None: without OPT."""
        flags = (_RD if self.rd else 0) | (_CD if self.cd else 0) | (_AD if self.ad else 0)
        if edns_size is None:
            return struct.pack(">HHHHH", flags, 1, 0, 0, 0) + octets
        opt = struct.pack(">BHHBBHH", 0, rr.OPT, edns_size, 0, 0, self.do << 15, 0)
        return struct.pack(">HHHHH", flags, 1, 0, 0, 1) + octets + opt


def of_key(key: bytes) -> Question:
    """Return the question that a key of the cache stands for, as a client would ask it."""
    folded, bits = key[:-5], key[-1]
    qtype = int.from_bytes(key[-5:-3])
    return Question(key[:-1], folded, qtype, do=bool(bits & 1), cd=bool(bits & 2), rd=True)


def name_of(key: bytes) -> bytes:
    """Return the folded name of a question by its key."""
    return key[:-5]
