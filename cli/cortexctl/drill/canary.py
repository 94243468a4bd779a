"""The canary: writers that put sequence-numbered concepts through the front door and read them again.

A write whose outcome is unknown is sent again under the same idempotency key until the service says what
became of it; one that was refused is left, and must never exist.
"""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from cortex_runtime.client import ApiError, Client, ClientError
from cortex_runtime.formats.messages import BatchResponse, Concept, ConceptBody, Position
from cortexctl.access import cortex_path
from cortexctl.drill.history import History, Round, Status, Write

SETTLING = 30.0
PAUSE = 0.1
FINAL = frozenset({"invalid", "not_found", "forbidden", "conflict", "too_large"})


@dataclass(slots=True)
class _Attempted:
    """A write that is under way."""

    id: str
    text: str
    sent: float
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    attempts: int = 0
    unknown: bool = False
    position: Position | None = None

    def settled(self, status: Status, at: float, reason: str = "") -> Write:
        return Write(self.id, self.text, status, self.sent, at, self.attempts, self.position, reason)


class Canary:
    """Writes and reads in threads of its own from `start` to `stop`.

    `connect` gives a client of the front door, one a writer, whose timeout bounds an attempt. Together
    the writers begin at most `rate` rounds a second.
    """

    def __init__(
        self, connect: Callable[[], Client], tenant: str, cortex: str, *, writers: int, rate: float
    ) -> None:
        self._connect, self._tenant, self._cortex = connect, tenant, cortex
        self._run = secrets.token_hex(4)
        self._interval = writers / rate
        self._offset = time.time() - time.monotonic()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._writes: list[Write] = []
        self._rounds: list[Round] = []
        self._threads = [
            threading.Thread(target=self._write, args=(index,), name=f"canary-{index}", daemon=True)
            for index in range(writers)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; writes whose outcome is unknown are followed up for half a minute at most."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def now(self) -> float:
        """Return the canary's time: seconds since 1970, unmoved when the machine's clock is set."""
        return self._offset + time.monotonic()

    def history(self) -> History:
        """Return what happened until now."""
        with self._lock:
            return History(tuple(self._writes), tuple(self._rounds))

    def _write(self, index: int) -> None:
        number, write = 0, None
        with self._connect() as client:
            while not self._stop.is_set():
                began = time.monotonic()
                if write is None:
                    number += 1
                    write = self._new(index, number)
                write = self._round(client, index, write)
                self._stop.wait(max(began + self._interval - time.monotonic(), 0.0))
            if write is not None:
                self._follow_up(client, index, write)

    def _new(self, index: int, number: int) -> _Attempted:
        id_ = f"{self._run}-{index}-{number}"
        return _Attempted(id_, f"canary {self._run} writer {index} number {number}", self.now())

    def _follow_up(self, client: Client, index: int, write: _Attempted) -> None:
        until = time.monotonic() + SETTLING
        left: _Attempted | None = write
        while left is not None and time.monotonic() < until:
            left = self._round(client, index, left)
            time.sleep(PAUSE)
        if left is not None:
            self._record(left.settled("unknown", self.now(), "never answered"))

    def _round(self, client: Client, index: int, write: _Attempted) -> _Attempted | None:
        """Do one round; return the write when its outcome is still unknown."""
        started = self.now()
        left, reason = self._attempt(client, write)
        if not reason:
            reason = self._read(client, write)
        with self._lock:
            self._rounds.append(Round(index, started, self.now(), not reason, reason))
        return left

    def _attempt(self, client: Client, write: _Attempted) -> tuple[_Attempted | None, str]:
        write.attempts += 1
        path = cortex_path(self._tenant, self._cortex, "concepts", write.id)
        body = ConceptBody(text=write.text)
        try:
            answer = client.request(
                "PUT", path, body, type=BatchResponse, idempotency_key=write.key, deadline=0
            )
        except (ClientError, ValueError) as error:  # an answer that cannot be read says nothing
            write.unknown = write.unknown or getattr(error, "unknown", True)
            final = isinstance(error, ApiError) and error.code in FINAL
            if write.unknown and not final:
                return write, f"write unknown: {error}"
            status: Status = "unknown" if write.unknown else "refused"
            self._record(write.settled(status, self.now(), str(error)))
            return None, f"write {status}: {error}"
        write.position = answer.position
        self._record(write.settled("acknowledged", self.now()))
        return None, ""

    def _read(self, client: Client, write: _Attempted) -> str:
        """Read what was written; return what is wrong with it."""
        path = cortex_path(self._tenant, self._cortex, "concepts", write.id)
        try:
            concept = client.request("GET", path, type=Concept, deadline=0, position=write.position)
        except (ClientError, ValueError) as error:
            return f"read: {error}"
        return "" if concept.text == write.text else f"read: {concept.text!r} instead of {write.text!r}"

    def _record(self, write: Write) -> None:
        with self._lock:
            self._writes.append(write)
