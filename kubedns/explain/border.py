"""How much the sentences in answers tell, which any client of the cluster may read."""

from enum import StrEnum


class Border(StrEnum):
    """
    `--explain`.

    full: names of all namespaces. same-namespace: nothing outside the namespace of the question.
    off: no sentences.
    """

    FULL = "full"
    SAME_NAMESPACE = "same-namespace"
    OFF = "off"
