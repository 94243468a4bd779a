"""Arrays that grow in chunks."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)
_FIRST_CHUNK = 256


def grown(
    array: npt.NDArray[Scalar], size: int, *, fill: float = 0, chunk: int = _FIRST_CHUNK
) -> npt.NDArray[Scalar]:
    """Return an array of at least `size` rows: the one given, or a copy with a quarter more room."""
    if size <= array.shape[0]:
        return array
    rows = max(chunk, -(-(size + size // 4) // chunk) * chunk)
    larger = np.full((rows, *array.shape[1:]), fill, dtype=array.dtype)
    larger[: array.shape[0]] = array
    return larger
