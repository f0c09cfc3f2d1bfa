"""The table, fourth part: what clients are told across namespaces, by --explain."""

from __future__ import annotations

from tests.realapi.explained.situation import OTHER, Situation

_THERE = "there is no service stock in namespace prod; there is one in qa-prod and test"

SAME_NAMESPACE = (
    Situation(
        "a client hears nothing of other namespaces, the operator does",
        "stock.prod.svc.cluster.local A", "NXDOMAIN",
        (OTHER, "no service stock in namespace prod"), _THERE, ("namespace",), name="stock",
    ),
    Situation(
        "services of the same namespace are told",
        "crt.prod.svc.cluster.local A", "NXDOMAIN",
        (OTHER, "no service crt in namespace prod; did you mean cart...?"),
        "there is no service crt in namespace prod", ("did-you-mean",), name="crt",
    ),
    Situation(
        "which namespaces there are is not told",
        "cart.prodd.svc.cluster.local A", "NXDOMAIN", (OTHER, "namespace prodd does not exist"),
        "namespace prodd does not exist...", ("did-you-mean",), name="cart.prodd",
    ),
    Situation(
        "an externalName that leads into another namespace",
        "legacy.prod.svc.cluster.local A", "NXDOMAIN",
        (OTHER, "the externalName of legacy leads to a name that does not exist"),
        "service legacy in namespace prod is an alias of cart.test.svc.cluster.local., ...",
        name="legacy",
    ),
)  # fmt: skip

OFF = (
    Situation(
        "a client hears nothing, the operator does",
        "stock.prod.svc.cluster.local A", "NXDOMAIN", None, _THERE, ("namespace",), name="stock",
    ),
    Situation(
        "a headless service without ready endpoints, of which clients hear nothing",
        "orders.prod.svc.cluster.local A", "NXDOMAIN", None,
        "service orders in namespace prod exists, but none of its 3 endpoints is ready",
        name="orders",
    ),
)  # fmt: skip
