"""A cortex's state as one run of bytes that its arrays are views of: what a snapshot has in it.

image = Image.of(cortex.state())               # memory, and where each array goes in it
image.fill(cortex.state())                     # copied: the cortex may go on now
Cortex.from_state(settings, image.state())     # a cortex that goes on in the image's memory

Each array begins at a multiple of 4,096 bytes, little-endian, in C order, so that the run can be mapped as it
is. It is read and written as bytes elsewhere (changelog.snapshots); nothing here does I/O.
"""

from __future__ import annotations

import math
import mmap
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.cortex import Cortex

PAGE = 4096
MAX_PARTS = 256
_NAME = re.compile(r"[a-z_]+(\.[a-z_]+)?")
_DTYPE = re.compile(r"\|[bui]1|<[uif][248]")
State = Mapping[str, npt.NDArray[Any] | int]


class ImageError(ValueError):
    """A description of an image that no cortex gave, or bytes that are not those it describes."""


@dataclass(frozen=True, slots=True)
class ArrayPlace:
    """Where an array is: dtype as numpy writes it, offset in bytes, and the sum of its bytes (see sum_of)."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    sum: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the array itself."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def end(self) -> int:
        """Where the next array begins."""
        return self.offset + _pages(self.nbytes)


@dataclass(frozen=True, slots=True)
class Image:
    """Memory of its own (anonymous, never of a file), the arrays' places in it, and the numbers beside it."""

    memory: mmap.mmap
    places: tuple[ArrayPlace, ...]
    numbers: dict[str, int]

    @property
    def size(self) -> int:
        """Bytes of the arrays, each filled up to whole pages."""
        return self.places[-1].end if self.places else 0

    @classmethod
    def of(cls, state: State) -> Image:
        """Return an image with room for a state, still empty."""
        places: list[ArrayPlace] = []
        numbers: dict[str, int] = {}
        end = 0
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                little = value.dtype.newbyteorder("<").str
                places.append(ArrayPlace(name, little, value.shape, end))
                end = places[-1].end
            else:
                numbers[name] = int(value)
        return cls(_allocated(end), tuple(places), numbers)

    @classmethod
    def described(cls, places: tuple[ArrayPlace, ...], numbers: dict[str, int], size: int) -> Image:
        """Return an empty image of `size` bytes. Raises ImageError, before any memory is taken."""
        if len(places) + len(numbers) > MAX_PARTS or not all(map(_NAME.fullmatch, numbers)):
            raise ImageError("the numbers are not those of a cortex")
        end = 0
        for place in places:
            if not _NAME.fullmatch(place.name) or not _DTYPE.fullmatch(place.dtype):
                raise ImageError(f"{place.name[:64]!r} of dtype {place.dtype[:16]!r} is no array of a cortex")
            if len(place.shape) > 2 or min(place.shape, default=0) < 0 or place.offset != end:
                raise ImageError(f"array {place.name} is not where the one before it ends")
            end = place.end
        if end != size:
            raise ImageError(f"the arrays take {end} bytes, there are {size}")
        return cls(_allocated(size), places, dict(numbers))

    def fill(self, state: State) -> None:
        """Copy a state in. numpy lets other threads run meanwhile; the state must not change."""
        for place, array in zip(self.places, self._arrays(), strict=True):
            np.copyto(array, state[place.name])

    def summed(self) -> tuple[ArrayPlace, ...]:
        """Return the places with the sums of what is there."""
        return tuple(
            ArrayPlace(place.name, place.dtype, place.shape, place.offset, self._sum(place))
            for place in self.places
        )

    def state(self) -> dict[str, npt.NDArray[Any] | int]:
        """Return the state: views that may be written to, and keep the memory. Raises ImageError."""
        for place in self.places:
            if self._sum(place) != place.sum:
                raise ImageError(f"array {place.name} is not what was written")
        arrays = {place.name: array for place, array in zip(self.places, self._arrays(), strict=True)}
        return arrays | self.numbers

    def _arrays(self) -> list[npt.NDArray[Any]]:
        return [
            np.frombuffer(self.memory, place.dtype, math.prod(place.shape), place.offset).reshape(place.shape)
            for place in self.places
        ]

    def _sum(self, place: ArrayPlace) -> int:
        """Return a sum of an array's bytes as uint64, modulo 2^64, its last page filled up with zeros.

        Each page counts by its place: what stands elsewhere than it was is found too. It finds slips of
        programs and memory and costs a tenth of a CRC. That nobody altered anything is for the encryption to
        prove.
        """
        words = np.frombuffer(self.memory, "<u8", (place.end - place.offset) // 8, place.offset)
        pages = words.reshape(-1, PAGE // 8).sum(axis=1, dtype=np.uint64)
        return int((pages * np.arange(1, 2 * pages.size, 2, dtype=np.uint64)).sum(dtype=np.uint64))


def check_parts(state: State) -> None:
    """Raise ImageError unless a state has the same parts of the same kinds as this version's cortices."""
    expected = Cortex().state()
    wrong = [
        name for name in expected.keys() | state.keys() if not _alike(expected.get(name), state.get(name))
    ]
    if wrong:
        raise ImageError(f"another version's parts: {', '.join(sorted(wrong))}")


def _alike(empty: npt.NDArray[Any] | int | None, found: npt.NDArray[Any] | int | None) -> bool:
    """Tell whether a part is of the same kind as in an empty cortex, where a width of 0 may become any."""
    if not isinstance(empty, np.ndarray) or not isinstance(found, np.ndarray):
        return type(empty) is type(found)
    widths = (empty.shape[1:], found.shape[1:])
    same = len(widths[0]) == len(widths[1]) and all(a in (0, b) for a, b in zip(*widths, strict=True))
    return same and empty.dtype == found.dtype


def _allocated(size: int) -> mmap.mmap:
    memory = mmap.mmap(-1, max(size, PAGE), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # where there are any: a fault for each 2 MiB, not for each page
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _pages(size: int) -> int:
    return -(-size // PAGE) * PAGE
