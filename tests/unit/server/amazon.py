"""A server that stands where AWS KMS would be: moto's, by HTTP, with faults."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.request import Request
from moto.kms import utils
from moto.kms.models import kms_backends
from moto.kms.responses import KmsResponse
from werkzeug import Response
from werkzeug.serving import make_server

USES = ("TrentService.Encrypt", "TrentService.Decrypt")


def mend() -> None:
    """Let moto keep the ids of multi-Region keys, which are longer than others, in what it encrypts."""
    utils.KEY_ID_LEN = 40
    utils.HEADER_LEN = utils.KEY_ID_LEN + utils.IV_LEN + utils.TAG_LEN
    utils.CIPHERTEXT_HEADER_FORMAT = f">{utils.KEY_ID_LEN}s{utils.IV_LEN}s{utils.TAG_LEN}s"


def _enabled(request: Request) -> bool:
    """Tell whether the key that a request uses is enabled: moto uses a closed one all the same."""
    region = request.headers["authorization"].split("/")[2]
    known = kms_backends[DEFAULT_ACCOUNT_ID][region]
    name = json.loads(request.data)["KeyId"]
    key = known.get_key_id_from_alias(name) if name.startswith("alias/") else name
    return key not in known.keys or bool(known.keys[key].enabled)


class _Request(Request):
    from_wsgi_server = True  # as moto asks


class Kms:
    """KMS of all AWS regions behind one port; `fault` is the code with which it refuses everything."""

    def __init__(self) -> None:
        self.fault = ""
        answer: Any = self._answer
        self.server = make_server("127.0.0.1", 0, _Request.application(answer), threaded=True)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def _answer(self, request: _Request) -> Response:
        if self.fault:
            status = 500 if self.fault == "KMSInternalException" else 400
            told = {"__type": self.fault, "message": "as the test wants it"}
            return Response(json.dumps(told), status)
        if request.headers.get("x-amz-target") in USES and not _enabled(request):
            return Response(json.dumps({"__type": "KMSInvalidStateException", "message": "closed"}), 400)
        status, headers, body = KmsResponse.dispatch(request, request.url, dict(request.headers))
        return Response(body, status, headers)

    @contextmanager
    def failing(self, code: str) -> Iterator[None]:
        self.fault = code
        try:
            yield
        finally:
            self.fault = ""


@contextmanager
def running() -> Iterator[Kms]:
    """Give a server that runs."""
    mend()
    kms = Kms()
    thread = threading.Thread(target=kms.server.serve_forever)
    thread.start()
    try:
        yield kms
    finally:
        kms.server.shutdown()
        thread.join()
