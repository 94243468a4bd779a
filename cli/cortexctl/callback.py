"""Where the browser comes back to: a port of 127.0.0.1 that is open for one login (RFC 8252, 7.3)."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from cortexctl.errors import Refused

MAX_WORD = 200


class Callback:
    """Waits for the one answer of a login: that with our state; what comes else is refused, and waited on.

    So nobody who does not know the state can end a login, or have another's code taken.
    """

    def __init__(self, state: str, issuer: str) -> None:
        self._state, self._issuer = state, issuer
        self._answer: dict[str, str] | None = None
        self._came, self._lock = threading.Event(), threading.Lock()
        self._strange = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.address = f"http://127.0.0.1:{self._server.server_port}/callback"

    def __enter__(self) -> Self:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        ).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, patience: float) -> str:
        """Return the code that the provider gave. Raises Refused when it refuses, or nobody comes."""
        until = time.monotonic() + patience
        while not self._came.wait(0.2):
            if time.monotonic() > until:
                strange = f" {self._strange} answers were of another login." if self._strange else ""
                raise Refused(
                    "Nobody has logged in.", why=f"It was waited for {patience:.0f} s.{strange}",
                    todo="Run it again, and open the address in a browser of this machine.",
                )  # fmt: skip
        answer = self._answer or {}
        if "error" in answer:
            told = ": ".join(
                answer[name][:MAX_WORD] for name in ("error", "error_description") if name in answer
            )
            raise Refused(
                "The identity provider has refused the login.", why=f"{_plain(told)}.",
                todo="Log in again as somebody who may, or ask who runs the provider.",
            )  # fmt: skip
        return answer["code"]

    def take(self, path: str, answer: Mapping[str, str]) -> tuple[int, str]:
        """Take what a browser brought; return the status and the text that it is shown."""
        with self._lock:
            if path != "/callback":
                return 404, "There is nothing here."
            if self._answer is not None:
                return 409, "This login has had its answer already."
            ours = hmac.compare_digest(answer.get("state", "").encode(), self._state.encode())
            if not ours or answer.get("iss", self._issuer) != self._issuer:
                self._strange += 1
                return 400, "This answer is of another login."
            if "error" not in answer and not answer.get("code"):
                return 400, "The answer has no code."
            self._answer = dict(answer)
        refused = "error" in answer
        return 200, "The login was refused; look at the terminal." if refused else "You may close this page."

    def told(self) -> None:
        """Let the login go on: the browser has its page."""
        if self._answer is not None:
            self._came.set()


def _plain(text: str) -> str:
    """Return text without what a terminal might obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _handler(callback: Callback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, text = callback.take(parts.path, dict(parse_qsl(parts.query)))
            self.send_response(status)
            self.send_header("content-type", "text/plain; charset=utf-8")
            self.send_header("content-length", str(len(text)))
            self.send_header("cache-control", "no-store")
            self.end_headers()
            self.wfile.write(text.encode())
            callback.told()

        def log_message(self, *_: object) -> None:
            """Say nothing: what is asked holds the code."""

    return Handler
