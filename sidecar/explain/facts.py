"""
What a verdict goes by: of all the questions of an explanation the one that was meant.

A search list asks four names for one; the person at the keyboard had one of them in mind. Which one
shows in what kubedns knows: a service that is there, one of that name elsewhere, a name like it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sidecar.explain.resolv import Resolv
from sidecar.explain.shapes import Explanation, Question, Step, Walk
from sidecar.explain.walk import ANSWER, FAILURE, TIMEOUT
from sidecar.view.told import Told, plain

FAILING = ("SERVFAIL", "REFUSED", "NOTIMP", "FORMERR", TIMEOUT)
ADDRESSES = "addresses"
DNS_AWAY = "the DNS of this pod does not answer"
"""How the note begins that tells it."""
_SURE = 4.0  # what _likeness gives a name that is surely meant to be of the cluster
_OF_THE_TREE = ("service", "endpoint", "port", "pod", "external-name", "namespace", "reverse")


@dataclass(frozen=True, slots=True)
class Subject:
    """A question, what kubedns (ours) and the forwarder (theirs) say of it, and the reply to it."""

    question: Question
    ours: Told
    theirs: Told
    step: Step

    @property
    def name(self) -> str:
        return plain(self.question.name)

    @property
    def kind(self) -> str:
        """What kubedns takes the name for."""
        return self.ours.text("kind", 40)

    @property
    def rule(self) -> str:
        """The kind of rule that took the question in the forwarder."""
        return self.theirs.inner("rule").text("kind", 40)

    @property
    def domain(self) -> str:
        """The domain of that rule."""
        return self.theirs.inner("rule").text("domain")

    @property
    def ede(self) -> str:
        """What a client with EDNS is told."""
        if self.step.ede or not self.ours.flag("ours"):
            return plain(self.step.ede)
        return self.ours.inner("ede").text("text")

    @property
    def service(self) -> str:
        """The service that the name belongs to, `web in namespace prod`; empty: none."""
        found = self.ours.inner("service")
        if not found:
            return ""
        return f"{found.text('name', 80)} in namespace {found.text('namespace', 80)}"


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. subject: None: nothing was asked."""

    found: Explanation
    subjects: tuple[Subject, ...]
    subject: Subject | None

    @property
    def glibc(self) -> Walk:
        return self.found.walks[0]

    @property
    def musl(self) -> Walk:
        return self.found.walks[1]

    @property
    def resolv(self) -> Resolv:
        return Resolv(self.found.client.search, self.found.client.ndots)

    @property
    def name(self) -> str:
        """The name as it was asked for."""
        return plain(self.found.name)

    @property
    def types(self) -> str:
        """What was asked for, as a word in a sentence."""
        return "address" if self.found.type == ADDRESSES else f"{self.found.type} record"

    @property
    def answered(self) -> Step | None:
        """The step that has the answer, of the walk that found one."""
        for walk in (self.glibc, self.musl):
            if walk.ends == ANSWER:
                return next((each for each in walk.steps if each.final and each.answers), None)
        return None

    def failing(self) -> Iterator[Subject]:
        """Yield what failed, in the order in which it was asked."""
        return (each for each in self.subjects if each.step.rcode in FAILING)

    @property
    def dns_away(self) -> str:
        """Say why nobody who asks this pod gets an answer; empty: they do."""
        return next((each for each in self.found.notes if each.startswith(DNS_AWAY)), "")

    def subject_failing(self) -> Subject | None:
        """Return the subject if it is what failed."""
        subject = self.subject
        return subject if subject is not None and subject.step.rcode in FAILING else None

    def namespace_missing(self) -> str:
        """Return the namespace of the subject if it does not exist."""
        if self.subject is None or self.subject.kind == "search-product":
            return ""
        namespace = self.subject.ours.inner("namespace")
        return namespace.text("name", 80) if namespace.flag("exists") is False else ""

    def labels(self) -> tuple[str, str]:
        """Return service and namespace of the subject, by its labels; empty where there is none."""
        if self.subject is None:
            return "", ""
        before = self.subject.name.split(".svc.")[0].split(".")
        return (before[-2], before[-1]) if len(before) > 1 else ("", before[-1])


def of(found: Explanation) -> Facts:
    """Look at an explanation whose verdict is still to be found."""
    steps = {(each.name, each.type): each for walk in found.walks for each in walk.steps}
    subjects = tuple(
        Subject(each, Told(each.authority), Told(each.forwarder), steps[each.name, each.type])
        for each in found.questions
        if (each.name, each.type) in steps
    )
    return Facts(found, subjects, _meant(found, subjects))


def _meant(found: Explanation, subjects: Sequence[Subject]) -> Subject | None:
    if not subjects:
        return None
    ends = [walk.ends for walk in found.walks]
    if ANSWER in ends:
        walk = found.walks[ends.index(ANSWER)]
        finals = {(each.name, each.type) for each in walk.steps if each.final and each.answers}
        for each in subjects:
            if (each.question.name, each.question.type) in finals:
                return each
    likely = max(subjects, key=lambda each: _likeness(found, each))  # of equal ones the first
    failing = next((each for each in subjects if each.step.rcode in FAILING), None)
    if FAILURE not in ends or failing is None:
        return likely
    # That somebody outside fails as well is no reason for a service that is not there.
    missing = failing.rule != "cluster" and _likeness(found, likely) >= _SURE
    return likely if missing else failing


def _likeness(found: Explanation, subject: Subject) -> float:
    """Weigh how likely somebody meant just this name."""
    ours = subject.ours
    expected = 1.0 if subject.question.name == _expected(found) else 0.0
    if subject.kind == "endpoint" and ours.inner("service").texts("cluster_ips"):
        return 4.5  # such a service has no names of endpoints: hardly what was meant
    if ours.inner("service") or (ours.flag("ours") and ours.has("outside")):
        return 6.0 + expected
    if ours.texts("elsewhere"):
        return 5.0 + expected
    if subject.kind != "search-product" and ours.texts("did_you_mean"):
        return 4.0 + expected
    if subject.kind in _OF_THE_TREE:
        return 2.0 + expected * 2
    bare = found.name if found.name.endswith(".") else f"{found.name}."
    return 2.5 if subject.question.name == bare else 1.0


def _expected(found: Explanation) -> str:
    """Return what a name of so many labels stands for in a pod: service, service.namespace, …"""
    labels = [each for each in found.name.rstrip(".").split(".") if not each.startswith("_")]
    if found.name.endswith(".") or not found.client.search:
        return ""
    svc = next((at for at, each in enumerate(labels) if each == "svc"), None)
    place = 2 if svc is not None else min(len(labels), 2) - 1
    if not 0 <= place < len(found.client.search):
        return ""
    return f"{found.name}.{found.client.search[place]}"
