"""Packets made of good ones by chance, always the same for a seed."""

import random
from collections.abc import Callable, Iterator, Sequence


def _flip(rng: random.Random, octets: bytearray) -> None:
    octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)


def _replace(rng: random.Random, octets: bytearray) -> None:
    octets[rng.randrange(len(octets))] = rng.choice((0, 1, 0x3F, 0x40, 0x7F, 0x80, 0xC0, 0xFF))


def _cut(rng: random.Random, octets: bytearray) -> None:
    del octets[rng.randrange(len(octets)) :]


def _remove(rng: random.Random, octets: bytearray) -> None:
    at = rng.randrange(len(octets))
    del octets[at : at + rng.randrange(1, 5)]


def _insert(rng: random.Random, octets: bytearray) -> None:
    at = rng.randrange(len(octets))
    octets[at:at] = rng.randbytes(rng.randrange(1, 20))


def _repeat(rng: random.Random, octets: bytearray) -> None:
    at = rng.randrange(len(octets))
    octets += octets[at:] * rng.randrange(1, 4)


MUTATIONS: tuple[Callable[[random.Random, bytearray], None], ...] = (
    _flip, _flip, _flip, _replace, _replace, _cut, _remove, _insert, _repeat,
)  # fmt: skip


def mutated(seeds: Sequence[bytes], seed: int, count: int) -> Iterator[bytes]:
    """Give packets made of `seeds`; some are untouched, some all noise."""
    rng = random.Random(seed)
    for _ in range(count):
        yield mutant(rng, rng.choice(seeds))


def mutant(rng: random.Random, seed: bytes) -> bytes:
    """Give one packet made of another."""
    if rng.random() < 0.02:
        return rng.randbytes(rng.randrange(600))
    octets = bytearray(seed)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 8))):
        if octets:
            rng.choice(MUTATIONS)(rng, octets)
    return bytes(octets)
