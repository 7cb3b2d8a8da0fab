"""Image files with bytes cut off or changed."""

from __future__ import annotations

import random

from reading import probe

from sightsmith.core.contracts.image import ImageError


def refusals(path, sources, reaches) -> int:
    """How many of ``sources``, damaged at random and written to ``path``, are refused; anything but a refusal in words
    is an error. Bytes change among the first so many of ``reaches``, or anywhere."""
    draw = random.Random(0)
    refused = 0
    for source in sources:
        content = bytearray(source[:draw.randrange(1, len(source))] if draw.random() < 0.3 else source)
        reach = min(len(content), draw.choice([*reaches, len(source)]))
        for _ in range(draw.randrange(1, 6)):
            content[draw.randrange(reach)] = draw.randrange(256)
        path.write_bytes(content)
        try:
            probe(path)
        except ImageError as error:
            refused += 1
            assert str(error).isprintable() and str(path) not in str(error)
    return refused
