"""A small service in memory that keeps the API's promises: batches apply once for each idempotency key."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from cortex_runtime.client import ApiError, ConnectionFailed
from cortex_runtime.formats.messages import (
    BatchRequest,
    BatchResponse,
    Concept,
    ConceptBody,
    OperationResult,
    Position,
    PutOperation,
)

STATUS = {"invalid": 400, "dimension": 400, "cycle": 409, "quota": 409, "capacity": 507}
Fault = Callable[[str, int], str]


def unknown() -> ConnectionFailed:
    error = ConnectionFailed("https://here", "timed out", unsent=False)
    error.unknown = True
    return error


def unavailable() -> ApiError:
    return ApiError(503, "unavailable", "no node to ask", "-")


class Service:
    """Stands where a Client stands. `fault(method, call)` may answer: lost (done, answer lost), dropped
    (not done, answer lost), refused (503), any code of the API, or nothing."""

    def __init__(self, fault: Fault = lambda method, call: "") -> None:
        self.texts: dict[str, str | None] = {}
        self.puts: list[str] = []
        self.calls = 0
        self._fault = fault
        self._answers: dict[str, BatchResponse] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        type: type[Any],  # noqa: A002 - as the client calls it
        idempotency_key: str | None = None,
        deadline: float | None = None,
        position: Position | None = None,
    ) -> Any:
        with self._lock:
            self.calls += 1
            fault = self._fault(method, self.calls)
            if fault == "refused":
                raise unavailable()
            if fault in STATUS:
                raise ApiError(STATUS[fault], fault, "why not", "request-1")
            if fault == "dropped":
                raise unknown()
            answer = self._get(path) if method == "GET" else self._write(path, body, idempotency_key or "")
            if fault == "lost":
                raise unknown()
            return answer

    def _get(self, path: str) -> Concept:
        id_ = path.rsplit("/", 1)[1]
        if id_ not in self.texts:
            raise ApiError(404, "not_found", "no such concept", "-")
        return Concept(id=id_, text=self.texts[id_], properties={}, column=0, relationships=[], key_version=1)

    def _write(self, path: str, body: Any, key: str) -> BatchResponse:
        if key in self._answers:
            return self._answers[key]
        if isinstance(body, ConceptBody) and not isinstance(body, PutOperation):
            operations: list[Any] = [PutOperation(id=path.rsplit("/", 1)[1], text=body.text)]
        else:
            assert isinstance(body, BatchRequest)
            operations = body.operations
        results = []
        for operation in operations:
            outcome = "updated" if operation.id in self.texts else "allocated"
            results.append(OperationResult(id=operation.id, outcome=outcome))  # type: ignore[arg-type]
            self.texts[operation.id] = operation.text
            self.puts.append(operation.id)
        answer = BatchResponse(results=results, position=Position(slot=7, token=1, seq=len(self.puts)))
        self._answers[key] = answer
        return answer
