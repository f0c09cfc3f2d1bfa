"""
What /etc/resolv.conf of a client says, and what resolvers and Kubernetes cut of it.

Sources: resolv.conf(5); glibc's resolv/res_init.c, before 2.26 with fixed arrays; musl's
src/network/resolvconf.c; Kubernetes' validation.go and kubelet/network/dns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NDOTS = 5
"""What the kubelet writes for a pod with dnsPolicy ClusterFirst."""
MAX_NDOTS = 15  # both libraries
_SERVERS = 3
_OLD_DOMAINS, _OLD_CHARACTERS = 6, 255
_KUBERNETES_DOMAINS, _KUBERNETES_CHARACTERS = 32, 2048
_MUSL_LINE = 254


@dataclass(frozen=True, slots=True)
class Resolv:
    """
    A resolv.conf. search: domains with their final dots, as the file says; ndots: the same.

    servers: how many lines `nameserver` there are; 0: not known.
    """

    search: tuple[str, ...] = ()
    ndots: int = NDOTS
    servers: int = 0

    @property
    def dots(self) -> int:
        """Return how many dots make a name be tried as it is first."""
        return min(self.ndots, MAX_NDOTS)

    @property
    def musl_search(self) -> tuple[str, ...]:
        """Return the domains that musl goes through: all, or none if the line is too long."""
        return () if len(_line(self.search)) > _MUSL_LINE else self.search


def of_namespace(namespace: str, zone: str, node: Sequence[str] = ()) -> tuple[str, ...]:
    """
    Return the search list that the kubelet writes for a pod of a namespace.

    zone: with its final dot. node: search domains of the node's own resolv.conf, which it appends.
    """
    return (f"{namespace}.svc.{zone}", f"svc.{zone}", zone, *node)


def _line(search: Sequence[str]) -> str:
    return f"search {_text(search)}"


def _text(search: Sequence[str]) -> str:
    return " ".join(each.rstrip(".") or "." for each in search)


def limits(resolv: Resolv) -> Iterator[str]:
    """Yield one sentence for each thing that somebody cuts or ignores."""
    count, length = len(resolv.search), len(_text(resolv.search))
    if resolv.servers > _SERVERS:
        yield (
            f"nameserver {_from(_SERVERS, resolv.servers)}: glibc, musl and Kubernetes take the "
            "first 3"
        )
    if count > _OLD_DOMAINS:
        yield (
            f"search domain {_from(_OLD_DOMAINS, count)} by glibc before 2.26 and by Kubernetes "
            "before 1.28: they take the first 6"
        )
    if length > _OLD_CHARACTERS:
        yield (
            f"the search list has {length} characters: glibc before 2.26 and Kubernetes before "
            "1.28 cut it at 256"
        )
    if len(_line(resolv.search)) > _MUSL_LINE:
        yield (
            f"musl ignores the whole search list: the line has {len(_line(resolv.search))} "
            f"characters, and it reads no line of more than {_MUSL_LINE}"
        )
    if count > _KUBERNETES_DOMAINS or length > _KUBERNETES_CHARACTERS:
        yield (
            f"{count} search domains with {length} characters: Kubernetes takes at most "
            f"{_KUBERNETES_DOMAINS} with {_KUBERNETES_CHARACTERS}"
        )
    if resolv.ndots > MAX_NDOTS:
        yield f"ndots:{resolv.ndots} counts as {MAX_NDOTS} for glibc and for musl"


def _from(taken: int, count: int) -> str:
    """Say which of a row are cut, with the verb."""
    if count == taken + 1:
        return f"{count} of {count} is cut"
    return f"{taken + 1} of {count} and later are cut"


def node_search(text: str, zone: str) -> tuple[str, ...]:
    """
    Return the node's search domains from our own resolv.conf.

    The pod of the DNS has dnsPolicy Default: the kubelet writes it what stands on the node. What is
    of the cluster's zone comes from the kubelet, and is none of the node's.
    """
    found: list[str] = []
    for line in text.splitlines():
        match line.split():
            case ["search" | "domain", *domains]:  # the last line counts
                found = [f"{each.rstrip('.').lower()}." for each in domains]
    ours = f".{zone.lower()}"
    return tuple(each for each in dict.fromkeys(found) if not f".{each}".endswith(ours))
