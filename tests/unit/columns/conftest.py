"""Every test that asks for `kernels` runs on both."""

from __future__ import annotations

import pytest

from cortex_runtime.columns.kernels import Kernels, KernelsError, chosen


@pytest.fixture(params=["numpy", "numba"], scope="session")
def kernels(request: pytest.FixtureRequest) -> Kernels:
    try:
        return chosen(request.param)
    except KernelsError as error:
        pytest.skip(str(error))
