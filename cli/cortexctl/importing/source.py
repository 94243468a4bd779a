"""Where the lines come from: a file, or standard input, which is kept aside to be read twice."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cortexctl.errors import Refused, UsageError

STANDARD_INPUT = "-"
MEMORY = 16 << 20


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """Open what is to be imported, so that it can be read from its beginning more than once.

    Standard input goes to memory, and beyond 16 MiB to a file without a name that ends with the process.
    Raises UsageError when there is no such file, Refused when it cannot be read.
    """
    if name == STANDARD_INPUT:
        with tempfile.SpooledTemporaryFile(max_size=MEMORY) as spool:
            shutil.copyfileobj(sys.stdin.buffer, spool)
            spool.seek(0)
            yield spool  # type: ignore[misc]  # has all of BinaryIO that is used here
        return
    path = Path(name)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise UsageError(
            f"There is no file {name}.", todo="Check the path; - reads standard input."
        ) from None
    except OSError as error:
        raise Refused(
            f"{name} cannot be read.", why=str(error), todo="Check the path and its permissions."
        ) from error
    with file:
        yield file


def identity(name: str) -> str:
    """Return what a source is called in the journal."""
    return name if name == STANDARD_INPUT else str(Path(name).resolve())
