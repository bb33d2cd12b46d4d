"""Which worker takes a picture's next job: the one whose disk already has what the last one computed.

Rendezvous hashing: each worker's place depends on the picture and on itself alone, so a worker that joins or leaves
changes nothing between the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def rank(picture: str, workers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Workers in the order in which they are asked to take a picture's job: all of one machine, then the next one's.

    Args:
        picture: what its stages are kept under: a digest of the models and the picture.
        workers: machine and name of each.
    """

    def weight(*names: str) -> bytes:
        return hashlib.sha256("\0".join((picture, *names)).encode()).digest()

    return sorted(workers, key=lambda each: (weight(each[0]), weight(*each)))
