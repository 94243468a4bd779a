"""An OpenID Connect provider on this machine: discovery, keys, logins, and tokens as a test wants them."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from cortexctl.platforms.local import certificates
from cortexctl.platforms.local.certificates import Identity

CLIENT = "cortexkg-test"
NONCE = "n" * 32


@cache
def _first_key() -> RSAKey:
    return RSAKey.generate_key(2048, parameters={"kid": "first"})


class Provider:
    """Answers by TLS; counts how often its keys were fetched. `down`: every answer is 500."""

    def __init__(self, directory: Path) -> None:
        self._authority = certificates.open_authority(directory, "provider")
        certificates.ensure(self._authority, directory, Identity("provider", "provider"))
        self.ca = (directory / "ca.crt").read_text()
        self.key: RSAKey | ECKey = _first_key()
        self.keys: list[RSAKey | ECKey] = [self.key]
        self.fetched, self.down = 0, False
        self.asked: dict[str, dict[str, str]] = {}  # what a login asked for, by the code that it was given
        self.changed: dict[str, Any] = {}  # how the ID tokens of logins differ from good ones
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "provider.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.issuer = f"https://localhost:{self._server.server_port}"

    def roll(self) -> None:
        """Sign with another key from now on."""
        self.key = ECKey.generate_key("P-256", parameters={"kid": f"key-{len(self.keys)}"})
        self.keys = [self.key]

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Return good claims, but for what is changed; None leaves one out."""
        now = int(time.time())
        claims = {
            "iss": self.issuer, "sub": "user-1", "aud": CLIENT, "iat": now, "exp": now + 300,
            "nonce": NONCE, "groups": ["staff", "writers"], "jti": str(time.monotonic_ns()), **changed,
        }  # fmt: skip
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, header: dict[str, Any] | None = None, key: Any = None, **changed: Any) -> str:
        """Return an ID token."""
        algorithm = "RS256" if isinstance(self.key, RSAKey) else "ES256"
        head = {"alg": algorithm, "kid": self.key.kid, **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(head, self.claims(**changed), key or self.key, algorithms=[head["alg"]])

    @contextmanager
    def serving(self) -> Iterator[Provider]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def authorize(self, address: str) -> dict[str, str]:
        """Log a person in whom a browser brought to this address; return what it is sent back with."""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert address.startswith(f"{self.issuer}/authorize?")
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert asked["code_challenge_method"] == "S256" and "openid" in asked["scope"].split()
        code = secrets.token_hex(8)
        self.asked[code] = asked
        return {"redirect_uri": asked["redirect_uri"], "state": asked["state"], "code": code}

    def exchange(self, form: dict[str, str]) -> dict[str, Any] | None:
        """Return the tokens for a code, once and for whoever has the verifier alone."""
        asked = self.asked.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or (asked["code_challenge"], asked["redirect_uri"]) != (
            challenge,
            form["redirect_uri"],
        ):
            return None
        token = self.token(**{"nonce": asked["nonce"], **self.changed})
        return {"access_token": "unused", "token_type": "Bearer", "id_token": token}

    def _answer(self, path: str) -> dict[str, Any] | None:
        if path == "/.well-known/openid-configuration":
            places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            return {"issuer": self.issuer, **{k: f"{self.issuer}/{v}" for k, v in places.items()}}
        if path == "/keys":
            self.fetched += 1
            return {"keys": [key.as_dict(private=False) for key in self.keys]}
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(None if provider.down else provider._answer(self.path))

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["content-length"])).decode()
                self.answer(None if provider.down else provider.exchange(dict(parse_qsl(content))))

            def answer(self, found: dict[str, Any] | None) -> None:
                content = json.dumps(found).encode()
                self.send_response(500 if found is None else 200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                return

        return Handler
