"""Seeds for random numbers: one for every purpose, independent of the order in which they are drawn.

Both rules are part of what Neuron promises: datasets, material libraries and trained weights repeat
bit for bit because these values never change.
"""

import hashlib
import zlib


def seed_of(*parts: object) -> int:
    """A 32 bit seed for one purpose, far from those of others: the first bytes of a SHA-256.

    The parts are joined by slashes, so `seed_of(3, "turn", "gold")` is `seed_of("3/turn/gold")`.
    """
    return int.from_bytes(hashlib.sha256(_text(parts)).digest()[:4], "little")


def step_seed(*parts: object) -> int:
    """A 32 bit seed for one step of training, the CRC-32 of its name: cheap, and differs in every step."""
    return zlib.crc32(_text(parts))


def _text(parts: tuple[object, ...]) -> bytes:
    return "/".join(map(str, parts)).encode()
