"""Named points at which a process ends itself by SIGKILL, for tests of what is left then.

CORTEX_FAILPOINTS names them, with commas between. Without it none is armed, and reaching one is a look at an
empty set.
"""

from __future__ import annotations

import os
import signal

ARMED = frozenset(filter(None, os.environ.get("CORTEX_FAILPOINTS", "").split(",")))


def reached(name: str) -> None:
    """End the process if this point is armed."""
    if name in ARMED:
        os.kill(os.getpid(), signal.SIGKILL)
