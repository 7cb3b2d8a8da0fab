"""Trial decoding: a file of a stranger is decoded once in a process of its own, which is limited and can be ended.

Decoders are large programs in C; some files make them take minutes, gigabytes or the whole process. What has been
decoded here can be decoded again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
from collections.abc import Collection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from sightsmith.core.contracts.image import ImageError
from sightsmith.core.contracts.records import ImageReaderRecord
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.engine.data.check_images import channels_of_series, probe_input
from sightsmith.engine.data.images import announced_pixels

BASE, PER_PIXEL = 2 * 2**30, 64
"""Bytes of address space beyond what the process starts with: for libraries, and for a pixel in all its copies."""
START = 60
"""Seconds in which the process must have started."""


class TooManyPixelsError(ImageError):
    """An image of more pixels than are allowed."""


class TrialDecoder:
    """Decodes files one at a time; not for several threads."""

    def __init__(self, readers: Collection[ImageReaderRecord], image: ImageConfig, pixels: float) -> None:
        """``readers`` read formats that are not built in, as the keys ``image`` say; all frames of a file may have
        ``pixels``."""
        self._readers, self._image, self._pixels = tuple(readers), image, pixels
        self._process: BaseProcess | None = None

    def start(self) -> None:
        """Start the process, which :meth:`decode` otherwise does."""
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_work, daemon=True,
                                        args=(other, self._readers, self._image, self._pixels))
        self._process.start()
        other.close()
        self._ready = False

    def decode(self, path: Path, seconds: float) -> None:
        """Raises ImageError unless all of ``path`` can be decoded within ``seconds``."""
        if self._process is not None and not self._process.is_alive():  # ended while it had nothing to do
            self.close()
        if self._process is None:
            self.start()
        try:
            if not self._ready:
                self._ready = self._connection.poll(START) and self._connection.recv() is None
            self._connection.send(path)
            if not self._connection.poll(seconds):
                self.close()
                raise ImageError(f"it is not decoded within {seconds:g} s")
            error = self._connection.recv()
        except (EOFError, OSError) as crash:
            self.close()
            raise ImageError("its decoder has crashed") from crash
        if error is not None:
            raise error

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None


def _work(connection: Connection, readers: Collection[ImageReaderRecord], image: ImageConfig, pixels: float) -> None:
    """Decode what is asked for until the other end is closed; the answer is None or the error."""
    memory = psutil.Process().memory_info().vms + BASE + int(PER_PIXEL * pixels)
    with contextlib.suppress(ValueError, OSError):  # a lower limit that is set already stays
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    connection.send(None)
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            connection.send(trial_error(connection.recv(), readers, image, pixels))


def trial_error(path: Path, readers: Collection[ImageReaderRecord], image: ImageConfig, pixels: float,
                ) -> ImageError | None:
    """Why ``path`` cannot be decoded, as :class:`TrialDecoder` says; None if it can."""
    try:
        announced = announced_pixels(path, readers, channels_of_series(image))
        if announced > pixels:
            return TooManyPixelsError(f"the image has {announced / 1e6:.1f} million pixels; "
                                      f"the limit is {pixels / 1e6:g}")
        probe_input(path, readers, image)
    except ImageError as error:
        return ImageError(str(error))
    except MemoryError:
        return ImageError("it takes too much memory")
    return None
