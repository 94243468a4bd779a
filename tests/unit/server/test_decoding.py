"""Every Struct that threads may decode is known to msgspec as soon as its module is imported."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator

import msgspec

import cortex_runtime
import cortexctl

NEVER_DECODED = "cortex_runtime.columns."
AT_ONCE = """
import sys, threading
import msgspec
from cortex_runtime.formats.messages import HealthReport
sys.setswitchinterval(1e-6)
begin = threading.Barrier(8)
def decode():
    begin.wait()
    try:
        msgspec.json.decode(b'{"status":"healthy","slots":[{"slot":1}],"reasons":[]}', type=HealthReport)
    except msgspec.ValidationError:
        pass
threads = [threading.Thread(target=decode) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def structs(of: type[msgspec.Struct] = msgspec.Struct) -> Iterator[type[msgspec.Struct]]:
    for each in of.__subclasses__():
        yield each
        yield from structs(each)


def test_all_structs_are_learned_at_import() -> None:
    for package in (cortex_runtime, cortexctl):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__") and ".kernels.numba_" not in module.name:
                importlib.import_module(module.name)
    mine = [each for each in structs() if each.__module__.startswith(("cortex_runtime.", "cortexctl."))]
    assert len(mine) > 40
    unknown = [
        each.__qualname__
        for each in mine
        if not each.__module__.startswith(NEVER_DECODED)
        and "StructInfo" not in {type(referent).__name__ for referent in gc.get_referents(each)}
    ]
    assert unknown == []


def test_threads_may_decode_first_at_the_same_time() -> None:
    for _ in range(8):
        subprocess.run([sys.executable, "-P", "-c", AT_ONCE], check=True, timeout=60)
