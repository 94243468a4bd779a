"""A person logs in: OpenID Connect, authorization code with PKCE (RFC 7636), loopback redirect (RFC 8252).

The browser is sent to the provider and comes back to a port of this machine that is open for this login
alone; the code that it brings is exchanged for an ID token, and that at a node for a session of ours.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx
import msgspec

from cortex_runtime.client import Client
from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages import LoginProvider, LoginResponse, OidcLoginRequest
from cortexctl.callback import Callback
from cortexctl.errors import Refused

TIMEOUT = 10.0


class _Metadata(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


@dataclass(frozen=True, slots=True)
class _Secrets:
    """What binds an answer to this login: each is made anew."""

    state: str
    nonce: str
    verifier: str

    @property
    def challenge(self) -> str:
        """The verifier's SHA-256, as PKCE has it (S256)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def log_in(client: Client, tenant: str, *, show: Callable[[str], None], patience: float) -> LoginResponse:
    """Return a session for a person whom the tenant's identity provider knows.

    `show` is given the address for the browser; the answer is waited for `patience` seconds. Raises Refused
    when the provider, the person or the node says no, or nobody comes; and ClientError.
    """
    provider = client.request("GET", f"/v1/login/oidc?tenant={tenant}", type=LoginProvider)
    bound = _Secrets(*(secrets.token_urlsafe(32) for _ in range(3)))
    try:
        context = ssl.create_default_context(cadata=provider.ca or None)
        with httpx.Client(verify=context, trust_env=False, timeout=TIMEOUT) as http:
            metadata = _discover(http, provider)
            with Callback(bound.state, provider.issuer) as callback:
                show(_address(metadata, provider, bound, callback.address))
                code = callback.wait(patience)
            token = _exchange(http, metadata, provider, bound, code, callback.address)
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise Refused(
            f"The identity provider {provider.issuer} does not do what a login needs.", why=str(error),
            todo="Look whether it answers and has our client with the redirect http://127.0.0.1/callback"
            " for any port; then log in again.",
        ) from error  # fmt: skip
    if not hmac.compare_digest(_nonce(token), bound.nonce):
        raise Refused("The ID token is of another login.", why="Its nonce is not ours.", todo="Log in again.")
    request = OidcLoginRequest(tenant=tenant, id_token=token, nonce=bound.nonce)
    return client.request("POST", "/v1/login/oidc", request, type=LoginResponse)


def _discover(http: httpx.Client, provider: LoginProvider) -> _Metadata:
    answer = http.get(provider.issuer.rstrip("/") + "/.well-known/openid-configuration").raise_for_status()
    found = msgspec.json.decode(answer.content, type=_Metadata)
    places = (found.authorization_endpoint, found.token_endpoint)
    if found.issuer != provider.issuer or not all(place.startswith("https://") for place in places):
        raise ValueError("its metadata are of another issuer, or its endpoints not behind TLS")
    return found


def _address(metadata: _Metadata, provider: LoginProvider, bound: _Secrets, redirect: str) -> str:
    asked = {
        "response_type": "code", "client_id": provider.client_id, "redirect_uri": redirect,
        "scope": "openid profile", "state": bound.state, "nonce": bound.nonce,
        "code_challenge": bound.challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    separator = "&" if "?" in metadata.authorization_endpoint else "?"
    return f"{metadata.authorization_endpoint}{separator}{urlencode(asked)}"


def _exchange(
    http: httpx.Client, metadata: _Metadata, provider: LoginProvider, bound: _Secrets, code: str,
    redirect: str,
) -> str:  # fmt: skip
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": redirect,
        "client_id": provider.client_id, "code_verifier": bound.verifier,
    }  # fmt: skip
    answer = http.post(metadata.token_endpoint, data=form).raise_for_status()
    return msgspec.json.decode(answer.content, type=_Tokens).id_token


def _nonce(token: str) -> str:
    """Return the nonce that an ID token says, not verified yet: the node does that. Raises Refused."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["nonce"])
    except (ValueError, LookupError, TypeError, RecursionError):
        raise Refused(
            "The identity provider gave no ID token that can be read.", todo="Tell who runs it."
        ) from None


decoding.learn(globals())
