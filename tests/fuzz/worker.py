"""
The process that fuzzes one target: ``python -m tests.fuzz.worker TARGET [flags of libFuzzer]``.

The product is instrumented as it is imported, so nothing of it may be imported before.
"""

import importlib
import os
import sys

import atheris

PRODUCT = ["kubedns", "dnsmasq_py"]
PLANT = "KUBE_DNS_FUZZ_PLANT"  # set: a fault is planted, for the test of the fuzzer itself


def main() -> None:
    """Fuzz until libFuzzer ends the process."""
    target, *flags = sys.argv[1:]
    atheris.enabled_hooks.add("str")  # "RegEx" cannot do with patterns of octets
    with atheris.instrument_imports(include=PRODUCT):
        module = importlib.import_module(f"tests.fuzz.targets.{target}")
    atheris.Setup([sys.argv[0], *flags], _planted if os.environ.get(PLANT) else module.check)
    atheris.Fuzz()


def _planted(octets: bytes) -> None:
    assert octets[:1] != b"!", "planted"


if __name__ == "__main__":
    main()
