"""
Coverage-guided fuzzing: octets that nobody thought of, and properties that must hold for all.

``python -m tests.fuzz TARGET|all --seconds N``.  A walk through the files:

targets/    one file for each thing under test: `check` takes octets and asserts what must be true
judge       what dnspython, as an independent reader, says of a message
held        what must be true of a forwarder's cache while changes are told
seeds/      small inputs by target, from which the fuzzer makes others; what once failed stays there
worker      the process that fuzzes one target, its imports instrumented by atheris
running     starts workers, reads what they found
test_fuzz   every seed, and about a minute of fuzzing

What runs outside of Python is not seen by the coverage: msgspec, the YAML scanner in C, the JSON
scanner, zlib, the patterns of `re`.  There the seeds and the words of `TOKENS` must lead the way.
"""
