"""The engine's inner loops, twice: in numpy alone, and compiled by numba. Both give the same, bit for bit.

Which are used is chosen once, when a cortex is made: by name, else by the environment variable
CORTEX_KERNELS, `numpy`, `numba` or `auto` (the default: numba when it is installed).
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from functools import cache
from typing import Literal

from cortex_runtime.columns.kernels.interfaces import (
    ApplyingKernels,
    CompetitionKernels,
    IdentifiersKernels,
    PostingsKernels,
    RelationshipsKernels,
    SearchKernels,
    SpreadingKernels,
)

Name = Literal["numpy", "numba"]
VARIABLE = "CORTEX_KERNELS"


class KernelsError(ValueError):
    """The kernels that were asked for cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """One implementation of every inner loop, a module for each concept."""

    name: Name
    postings: PostingsKernels
    search: SearchKernels
    relationships: RelationshipsKernels
    spreading: SpreadingKernels
    identifiers: IdentifiersKernels
    applying: ApplyingKernels
    competition: CompetitionKernels


def chosen(name: str | None = None) -> Kernels:
    """Return the kernels of a name, or those the environment names. Raises KernelsError."""
    wanted = name or os.environ.get(VARIABLE) or "auto"
    if wanted == "auto":
        wanted = "numba" if _numba_is_installed() else "numpy"
    if wanted == "numpy":
        return _numpy()
    if wanted != "numba":
        raise KernelsError(f"{VARIABLE} is {wanted!r}: it names auto, numpy or numba.")
    if not _numba_is_installed():
        raise KernelsError("numba is not installed: install the extra `accelerator`, or choose numpy.")
    return _numba()


def _numba_is_installed() -> bool:
    return importlib.util.find_spec("numba") is not None


# Loaded when they are chosen: numba takes a second and tens of megabytes, its first compilation more.


@cache
def _numpy() -> Kernels:
    from cortex_runtime.columns.kernels import (  # noqa: PLC0415
        numpy_applying,
        numpy_competition,
        numpy_identifiers,
        numpy_postings,
        numpy_relationships,
        numpy_search,
        numpy_spreading,
    )

    return Kernels(
        "numpy",
        applying=numpy_applying,
        competition=numpy_competition,
        identifiers=numpy_identifiers,
        postings=numpy_postings,
        relationships=numpy_relationships,
        search=numpy_search,
        spreading=numpy_spreading,
    )


@cache
def _numba() -> Kernels:
    from cortex_runtime.columns.kernels import (  # noqa: PLC0415
        numba_applying,
        numba_competition,
        numba_identifiers,
        numba_postings,
        numba_relationships,
        numba_search,
        numba_spreading,
    )

    return Kernels(
        "numba",
        applying=numba_applying,
        competition=numba_competition,
        identifiers=numba_identifiers,
        postings=numba_postings,
        relationships=numba_relationships,
        search=numba_search,
        spreading=numba_spreading,
    )
