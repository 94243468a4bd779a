"""Work that is killed before each of its steps, one after the other."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from cortex_runtime.client import Client
from cortexctl import durable
from cortexctl.tenants import passphrases


def killed_before_each_step(work: Callable[[], object], resumed: Callable[[], None]) -> int:
    """Do the work in a process that is killed before its first step, then before its second, and so on.

    A step is whatever is seen from outside: a request, a file, a link. Returns how many steps there are.
    """
    step = 0
    while _dies(work, step):
        resumed()
        step += 1
        assert step < 40
    return step


def _dies(work: Callable[[], object], step: int) -> bool:
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = [step]

    def counted(real: Any) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return real(*arguments, **more)

        return call

    durable.write = counted(durable.write)
    Client.request = counted(Client.request)  # type: ignore[method-assign]
    passphrases.link = counted(passphrases.link)
    try:
        work()
    finally:
        os._exit(0)
