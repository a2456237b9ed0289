"""Random numbers: one stream a purpose and subject, so that none shifts another."""

import zlib

import numpy


def stream(seed: int, purpose: str, *subject: int) -> numpy.random.Generator:
    """Returns the generator of one purpose; equal arguments give equal numbers.

    Args:
        seed: Of the run.
        purpose: What the numbers are for, as in `gaps`.
        *subject: Whom they concern, as in the indices of a site and of a function.
    """
    return numpy.random.default_rng([seed, zlib.crc32(purpose.encode()), *subject])
