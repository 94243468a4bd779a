"""Patroni's REST interface, asked with the operator's client certificate, and for orders by password too."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cortexctl.deployment import Deployment, Region
from cortexctl.errors import Refused
from cortexctl.platforms.local import patroni, preparation


@dataclass(frozen=True)
class Patroni:
    """All Patronis of a deployment."""

    deployment: Deployment

    @cached_property
    def _context(self) -> ssl.SSLContext:
        operator = self.deployment.operator_certificate
        try:
            context = ssl.create_default_context(cafile=str(self.deployment.ca_certificate))
            context.load_cert_chain(operator)
        except OSError as error:
            raise Refused(
                f"The operator's certificate {operator} cannot be used.",
                why=str(error),
                todo="Run this as the user that ran cortexctl up; if a file is missing, run up again.",
            ) from error
        return context

    @cached_property
    def _order(self) -> dict[str, str]:
        secret = f"{patroni.OPERATOR}:{preparation.passwords(self.deployment)[patroni.OPERATOR]}"
        return {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"}

    def get(self, region: Region, path: str, *, timeout: float = 3.0) -> dict[str, Any] | None:
        """Return what a region's Patroni answers, whatever its status; None when it doesn't."""
        try:
            found = json.loads(self._request(region, "GET", path, None, timeout)[1])
        except (OSError, http.client.HTTPException, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def post(self, region: Region, path: str, body: dict[str, Any], *, timeout: float) -> tuple[int, str]:
        """Return status and text of what a region's Patroni answers. Raises OSError when it doesn't."""
        try:
            status, text = self._request(region, "POST", path, json.dumps(body), timeout)
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        return status, text.strip()

    def _request(
        self, region: Region, method: str, path: str, body: str | None, timeout: float
    ) -> tuple[int, str]:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", region.patroni_port, timeout=timeout, context=self._context
        )
        try:
            headers = {"Content-Type": "application/json"} | (self._order if method == "POST" else {})
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()
