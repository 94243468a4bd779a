"""How the suite is shared between workers (scripts/test runs three of them)."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)  # the workers ask for the groups by this hook, too
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the one deployment in one worker, which begins with it, and each other module in one."""
    items.sort(key=_has_no_deployment)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(str(item.path) if _has_no_deployment(item) else "deployment"))


def _has_no_deployment(item: pytest.Item) -> bool:
    return item.get_closest_marker("deployment") is None
