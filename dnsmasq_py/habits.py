"""How a server reads queries, as found out: whether EDNS reaches it, and whether it keeps case."""

from math import inf

MEMORY_S = 900.0  # what was found out is tried again after so long (RFC 6891 6.2.2)
_DOUBTS = 3  # questions that only plain DNS got through with, before silence counts as dislike
_PROOF = 4  # spellings that came back unchanged, before others are refused
_ODD = 3  # changed spellings in a row, after which a server that kept them no longer does


class Habits:
    """
    What one server makes of EDNS (RFC 6891) and of mixed letter case (0x20).

    plain_until: until then it is asked without EDNS. folds_until: until then it is asked in the
    spelling of the client. Times are monotonic seconds. knows_edns: it has answered a query with
    EDNS. case_is_open: `case_kept` wants to hear of spellings that came back as they went out.
    """

    __slots__ = ("_doubts", "_kept", "_odd", "case_is_open", "folds_until", "knows_edns",
                 "plain_until")  # fmt: skip

    def __init__(self) -> None:
        self.plain_until = -inf
        self.folds_until = -inf
        self.knows_edns = False
        self.case_is_open = True
        self._doubts = 0
        self._kept = 0
        self._odd = 0

    def edns_works(self) -> None:
        """Take in that a query with EDNS was answered: its silence was loss."""
        self.knows_edns = True
        self._doubts = 0

    def edns_refused(self, now: float) -> None:
        """Take in an answer to plain DNS after FORMERR or the like to EDNS."""
        self.knows_edns = False
        self.plain_until = now + MEMORY_S

    def edns_unheard(self, now: float) -> None:
        """Take in an answer to plain DNS after silence to EDNS, which may also have been loss."""
        self._doubts += 1
        if self._doubts >= _DOUBTS:
            self._doubts = 0
            self.edns_refused(now)

    def case_kept(self) -> None:
        """Take in that a mixed spelling came back as it went out."""
        self._odd = 0
        self._kept += 1
        self.case_is_open = self._kept < _PROOF

    def case_changed(self, now: float) -> bool:
        """
        Take in a reply whose question is spelled in another way; tell whether it may count.

        Not from a server that keeps case: somebody else has guessed port and ID, until it happens
        so often in a row that it must be the server that changed.
        """
        self._odd += 1
        self.case_is_open = True
        if self._kept >= _PROOF and self._odd < _ODD:
            return False
        self._kept = self._odd = 0
        self.folds_until = now + MEMORY_S
        return True
