"""Answers that are not 2xx."""

from __future__ import annotations

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages.base import Message


class ErrorDetail(Message, frozen=True, kw_only=True):
    """A stable code for programs, a sentence for people, and what finds the request in the logs."""

    code: str
    message: str
    request_id: str


class ErrorResponse(Message, frozen=True, kw_only=True):
    """The body of every answer that is not 2xx."""

    error: ErrorDetail


decoding.learn(globals())
