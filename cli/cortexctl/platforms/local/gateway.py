"""etcd's JSON gateway, asked by what runs inside a region, in its directory."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import Any

from cortexctl.deployment import Region
from cortexctl.platforms.local.etcd import client_url

TIMEOUT = 10.0


def ask(regions: Iterable[Region], path: str, body: dict[str, Any], *, certificate: str) -> dict[str, Any]:
    """Return the answer of the first member that gives one. Raises OSError when none does."""
    context = ssl.create_default_context(cafile="certs/arbiter-ca.crt")
    context.load_cert_chain(f"certs/{certificate}.pem")
    content, reasons = json.dumps(body).encode(), []
    for region in regions:
        url = f"{client_url(region)}/v3/{path}"
        request = urllib.request.Request(url, content, method="POST")  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT, context=context) as answer:  # noqa: S310  # nosec B310
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            reasons.append(f"{region.name}: {error.read().decode(errors='replace').strip()}")
        except (OSError, ValueError) as error:
            reasons.append(f"{region.name}: {error}")
    raise OSError("; ".join(reasons))
