"""Runs cortexctl, and ends it by SIGKILL at a step: before a request is sent, or a file is replaced.

killed.py NUMBER WORD...: at the step of this number, from 1; when there are fewer it runs to its end.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from cortex_runtime.client import Client
from cortexctl import main

_steps = count(1)


def stepping(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is a step."""

    def step(*arguments: Any, **options: Any) -> Any:
        if next(_steps) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    return step


if __name__ == "__main__":
    last = int(sys.argv.pop(1))
    Client._send = stepping(Client._send)  # type: ignore[method-assign]
    os.replace = stepping(os.replace)
    main.main()
