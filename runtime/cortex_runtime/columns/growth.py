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
    """Return an array of at least `size` rows: the one given, or a copy with an eighth more room."""
    held = array.shape[0]
    if size <= held:
        return array
    shape = max(chunk, -(-(size + size // 8) // chunk) * chunk), *array.shape[1:]
    if fill == 0:
        larger = np.zeros(shape, dtype=array.dtype)  # memory that nobody has written to takes none
    else:
        larger = np.empty(shape, dtype=array.dtype)
        larger[held:] = fill
    larger[:held] = array
    return larger
