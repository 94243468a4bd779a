"""One hop to another node, by mutual TLS, with the client's own token and address."""

from __future__ import annotations

import ssl
from urllib.parse import quote

import httpx

from cortex_runtime.config import TlsConfig
from cortex_runtime.formats.tokenkeys import TokenKeysError
from cortex_runtime.security.hops import HEADER, Hops
from cortex_runtime.server.requests import Request

CONNECT_TIMEOUT = 0.5
ANSWER_TIMEOUT = 5.0


class NotReached(Exception):
    """The request certainly did not reach the other node."""


class NotAnswered(Exception):
    """The other node may or may not have done it."""


class Forwarder:
    """Passes requests on."""

    def __init__(self, tls: TlsConfig, hops: Hops) -> None:
        self._tls, self._hops = tls, hops
        self._context = ssl.create_default_context(cafile=str(tls.ca))
        self.renew()
        self._http = httpx.AsyncClient(
            verify=self._context,
            trust_env=False,
            timeout=httpx.Timeout(ANSWER_TIMEOUT, connect=CONNECT_TIMEOUT),
        )

    def renew(self) -> None:
        """Show the certificate that is in the file now, from the next connection on."""
        self._context.load_cert_chain(self._tls.certificate, self._tls.key)

    async def forward(self, request: Request, address: str, key: str | None) -> tuple[int, bytes]:
        """Return status and body of the other node's answer. Raises NotReached or NotAnswered."""
        caller = request.caller
        headers = {
            "authorization": request.authorization,
            "x-forwarded-for": caller.address,
            "user-agent": caller.agent,
            "x-request-id": request.request_id,
        }
        try:
            headers[HEADER] = self._hops.sign(
                request.method, request.path, request.authorization, caller.address, request.request_id
            )
        except TokenKeysError as error:
            raise NotReached(str(error)) from error
        if key:
            headers["idempotency-key"] = key
        if request.position:
            at = request.position
            headers["cortex-position"] = f"{at.slot}.{at.token}.{at.seq}"
        try:
            response = await self._http.request(
                request.method, address + encoded(request.path), content=request.body, headers=headers
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotReached(str(error)) from error
        except httpx.TransportError as error:
            raise NotAnswered(str(error) or type(error).__name__) from error
        return response.status_code, response.content

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def encoded(path: str) -> str:
    """Return a decoded path as it goes into a URL; steps of dots alone would be resolved away."""
    steps = path.split("/")
    return "/".join(step.replace(".", "%2E") if step in {".", ".."} else quote(step) for step in steps)
