"""Keys that are open: kept for an hour, opened anew before that, by threads where it takes its time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.security.envelope import CannotOpen
from cortex_runtime.security.providers import KekProvider

KEPT = 3600.0  # seconds that an opened key is used without having been opened again
RENEWED_AFTER = 3000.0
OPENED_AT_ONCE = 16


class Wrapped(NamedTuple):
    """A wrapped key, and what it is."""

    tenant: str
    kind: str
    version: int
    kek_version: int
    wrapped: bytes


class OpenedKeys:
    """The keys that a node has opened."""

    def __init__(self, provider: KekProvider, clock: Callable[[], float]) -> None:
        self._provider, self._clock = provider, clock
        self._opened: dict[Wrapped, tuple[bytes, float]] = {}
        self._renewing = threading.Lock()

    def open(self, each: Wrapped) -> bytes:
        """Return a key, opened now if it is not and that is quick. Raises KeyringError or CannotOpen."""
        if not self.has(each):
            if not self._provider.is_quick:
                raise KeyringError(f"a key of tenant {each.tenant} is not open here")
            self._opened[each] = self.unwrap(each), self._clock()
        return self._opened[each][0]

    def has(self, each: Wrapped) -> bool:
        """Tell whether a key is open, and was opened less than an hour ago; else it is forgotten."""
        known = self._opened.get(each)
        if known is not None and self._clock() - known[1] >= KEPT:
            self._opened.pop(each, None)
            return False
        return known is not None

    def keep(self, some: Collection[Wrapped]) -> None:
        """Forget all keys but these."""
        self._opened = {each: kept for each, kept in list(self._opened.items()) if each in some}

    def renew(self, wanted: Collection[Wrapped]) -> dict[Wrapped, str]:
        """Open what is not open yet, or was long ago; return what is not open, and why. From a thread.

        What does not open now stays as it was, for as long as it may be kept.
        """
        with self._renewing:
            why = ""
            try:
                self._provider.renew()
            except KeyringError as error:
                why = str(error)
            stale = self._clock() - RENEWED_AFTER
            old = [each for each in wanted if self._opened.get(each, (b"", stale))[1] <= stale]
            if self._provider.is_quick:
                failed = dict(filter(None, map(self._renew, old)))
            else:
                with ThreadPoolExecutor(OPENED_AT_ONCE, "keys") as pool:
                    failed = dict(filter(None, pool.map(self._renew, old)))
        return {each: why or reason for each, reason in failed.items() if not self.has(each)}

    def unwrap(self, each: Wrapped) -> bytes:
        """Return a key as the provider opens it now. Raises KeyringError or CannotOpen."""
        return self._provider.unwrap(*each)

    def _renew(self, each: Wrapped) -> tuple[Wrapped, str] | None:
        try:
            self._opened[each] = self.unwrap(each), self._clock()
        except (KeyringError, CannotOpen) as error:
            return each, str(error)
        return None
