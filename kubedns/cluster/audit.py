"""
Whether what is kept of one kind is what the API server has: one comparison, without asking it.

    pages of one list ──page by page──▶ doubts: objects that differ from what is kept
    no doubt ──▶ done
    doubts ──the watch has got to the list's version──▶ differences: what is still in doubt then

The shell (auditing.py) asks for the pages while the watch runs on, reports both here, and hands the
differences on as if they were events of the watch.

Invariants
- All pages are of one version L: a list is one moment of the cluster. Another version: void.
- A doubt is settled only once the watch has reported everything up to L. Then what is kept is the
  state at L, but for objects with an event after L. Those are left alone, whether the event changed
  or deleted them: so a race between list and watch is neither counted nor undoes anything.
- Which events came after L is known for all objects, since a list that is asked for now is not
  older than what the watch said before: events count from before the first page is asked for. A
  list that is older all the same comes from a store that was set back: nothing can be compared,
  and the watch waits for a future that will not come. It has to begin anew (`distrust`).
- Versions are numbers of one sequence for all objects of a kind. If they are not, only a list in
  place of the watch can compare: `distrust`, too.
- An object that is equal when its page arrives is not looked at again. Should the watch lose an
  event about it in the seconds until it has got to L, the next audit finds that.
"""

from collections.abc import Iterable, Mapping

import msgspec

from kubedns.cluster.listwatch import Event
from kubedns.cluster.objects import Decoded, Reader, Value
from kubedns.errors import KubednsError

_DIGITS = 20  # of an unsigned number of 64 bits


class AuditError(KubednsError):
    """Nothing can be said this time. distrust: the watch itself is wrong and must begin anew."""

    def __init__(self, reason: str, *, distrust: bool = False) -> None:
        super().__init__(reason)
        self.distrust = distrust


class Audit:
    """See the head of this module."""

    def __init__(self, reader: Reader, kept: Mapping[str, Value], watched: str) -> None:
        """
        Begin, before the first page is asked for.

        kept: what is held, by namespace/name, as it is at any time. watched: the watch's version.
        """
        self.following = ""
        self.version = ""  # of the list, once a page has come
        self._reader = reader
        self._kept = kept
        self._began = _number(watched)
        self._present: set[str] = set()
        self._doubts: dict[str, Value | None] = {}
        self._touched: dict[str, int | None] = {}

    def page(self, octets: bytes) -> bool:
        """
        Take in a page; return whether it was the last one.

        Raises:
            AuditError: it is no list, or not of the list that the pages before were of.
        """
        try:
            page = self._reader.page(octets)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise AuditError(f"a list that cannot be read: {error}") from error
        finally:
            # What is odd about an object was said when the watch brought it.
            self._reader.problems.clear()
            self._reader.remarks.clear()
        if not self.version:
            self.version = page.resource_version
            if _number(self.version) < self._began:
                raise AuditError(
                    f"the list is of version {self.version}, the watch was at {self._began} before",
                    distrust=True,
                )
        elif page.resource_version != self.version:
            raise AuditError(f"pages of versions {self.version} and {page.resource_version}")
        for each in page.objects:
            self._present.add(each.key)
            if self._kept.get(each.key) != each.value:
                self._doubts[each.key] = each.value
        self.following = page.following
        if not page.following:
            self._doubts.update(dict.fromkeys(self._kept.keys() - self._present))
        return not page.following

    def heard(self, events: Iterable[Event]) -> None:
        """Take note of what the watch says meanwhile."""
        for event in events:
            self._touched[event.object.key] = _parsed(event.object.resource_version)

    def differences(self, watched: str) -> list[Event] | None:
        """
        Return what makes the kept objects right, as events; None: the watch has not got so far.

        watched: the watch's version now, all of whose events have been applied.
        """
        listed = _number(self.version)
        found = [
            Event(Decoded(key, self.version, value), deleted=value is None)
            for key, value in self._doubts.items()
            if self._kept.get(key) != value and not self._is_newer(key, listed)
        ]
        return None if found and _number(watched) < listed else found

    def _is_newer(self, key: str, listed: int) -> bool:
        """Tell whether the watch brought an event about an object that the list cannot know."""
        if key not in self._touched:
            return False
        version = self._touched[key]
        return version is None or version > listed


def _parsed(version: str) -> int | None:
    return int(version) if version.isdecimal() and len(version) <= _DIGITS else None


def _number(version: str) -> int:
    number = _parsed(version)
    if number is None:
        raise AuditError(f"version {version[:40]!r} is no number", distrust=True)
    return number
