"""
Answers that are given in turns, and what reads a socket to give them: the native piece, if it is.

`Batch(socket, any_address=...).answer(table, misses, failures)` answers what comes by a blocking
UDP socket from a table of `Turning`s by the octets behind the ID, and what is not there from the
table's `Shelf`, if it is a `Table` that has one (plainshelf.py). It returns when something is left
for others to do, having put it into the two lists, empty until then: queries that the table has no
answer to, each with its client's address and, on a wildcard socket, the ancillary data that its
reply needs; and the errno of every reply that could not be sent. A fault of ours is raised, after
the other queries of the same batch were served.

With `ring`, a `Ring` of records (plainring.py), each reply is noted there, in Python one of many.

`take` does the same with what is there, on a plain socket, and waits for nothing. It returns how
many datagrams that were, at most `AT_ONCE`: if fewer, there are no more.

`send_each` sends what stands in a list of (descriptor, octets, address or None, owner), and returns
what could not be sent: place in the list, and errno.

All of a batch belongs to one thread at a time, but `stop`, which lets `answer` return after what it
has in hand; who waits for a datagram is woken by `shutdown`. The socket must stay open until then.

`_batch.c` is used where a compiler was when this was installed, unless KUBE_DNS_NATIVE=0 is in the
environment; plainbatch.py everywhere else.
"""

import os
from typing import TYPE_CHECKING

from kubedns import plainbatch
from kubedns.plainbatch import AT_ONCE as AT_ONCE
from kubedns.plainbatch import ROOM as ROOM
from kubedns.plainbatch import Missed as Missed
from kubedns.plainbatch import Source as Source
from kubedns.plainshelf import Table as Table

if TYPE_CHECKING:
    from kubedns.plainbatch import Batch as Batch
    from kubedns.plainbatch import Turning as Turning
    from kubedns.plainbatch import send_each as send_each
    from kubedns.plainring import Ring as Ring
    from kubedns.plainshelf import Kept as Kept
    from kubedns.plainshelf import Shelf as Shelf
else:
    try:
        if os.environ.get("KUBE_DNS_NATIVE") == "0":
            raise ImportError("not wanted")
        from kubedns._batch import Batch as Batch
        from kubedns._batch import Kept as Kept
        from kubedns._batch import Ring as Ring
        from kubedns._batch import Shelf as Shelf
        from kubedns._batch import Turning as Turning
        from kubedns._batch import send_each as send_each
    except ImportError:
        from kubedns.plainbatch import Batch as Batch
        from kubedns.plainbatch import Turning as Turning
        from kubedns.plainbatch import send_each as send_each
        from kubedns.plainring import Ring as Ring
        from kubedns.plainshelf import Kept as Kept
        from kubedns.plainshelf import Shelf as Shelf


def is_native() -> bool:
    """Tell whether the native piece is in use."""
    return Batch is not plainbatch.Batch
