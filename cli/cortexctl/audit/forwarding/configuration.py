"""The file that says where the audit log is forwarded to. Nothing else can: no request names a receiver.

state: /var/lib/cortexkg/forward      where it is kept how far each sink is
sinks:
  - name: siem
    kind: splunk
    url: https://splunk.example.com:8088/services/collector/event
    token_file: /etc/cortexkg/hec-token
    ca: /etc/cortexkg/splunk-ca.pem   without it, what the system trusts
    tenants: [acme]                   without it, all; - is the log of no tenant
  - {name: logs, kind: syslog, host: logs.example.com, port: 6514}
  - {name: hook, kind: webhook, url: "https://example.com/audit", secret_file: /etc/cortexkg/hook-secret}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import yaml
from msgspec import Meta, Struct

from cortex_runtime.formats import decoding
from cortexctl.errors import UsageError

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$(?!\n)")]
HttpsUrl = Annotated[str, Meta(pattern=r"^https://[^/@\s]+(/\S*)?$(?!\n)", max_length=2048)]


class Sink(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all kinds have. `timeout`: seconds in which the receiver must have answered."""

    name: Name
    tenants: list[str] | None = None
    ca: Path | None = None
    timeout: Annotated[float, Meta(gt=0, le=300)] = 10.0

    def takes(self, tenant: str) -> bool:
        """Tell whether a tenant's events go there."""
        return self.tenants is None or tenant in self.tenants


class SplunkSink(Sink, frozen=True, kw_only=True, tag="splunk"):
    """A Splunk HTTP Event Collector."""

    url: HttpsUrl
    token_file: Path


class SyslogSink(Sink, frozen=True, kw_only=True, tag="syslog"):
    """A syslog receiver that speaks TLS; `certificate` and `key` when it asks who we are."""

    host: Annotated[str, Meta(min_length=1, max_length=253)]
    port: Annotated[int, Meta(ge=1, le=65535)] = 6514
    certificate: Path | None = None
    key: Path | None = None


class WebhookSink(Sink, frozen=True, kw_only=True, tag="webhook"):
    """A receiver of signed JSON. Private addresses are refused unless `allow_private`."""

    url: HttpsUrl
    secret_file: Path
    allow_private: bool = False


class Configuration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    state: Path
    sinks: Annotated[list[SplunkSink | SyslogSink | WebhookSink], Meta(min_length=1)]


def read(path: Path) -> Configuration:
    """Read the file; paths in it are relative to it. Raises UsageError."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = msgspec.convert(
            content, Configuration, dec_hook=lambda kind, value: _path(path.parent, kind, value)
        )
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise _unusable(path, " ".join(str(error).split())) from error
    names = [sink.name for sink in found.sinks]
    if len(names) != len(set(names)):
        raise _unusable(path, "Two sinks have the same name.")
    return found


def secret(path: Path) -> bytes:
    """Return what a file keeps secret, without the white space around it. Raises UsageError."""
    try:
        found = path.read_bytes().strip()
    except OSError as error:
        raise _unusable(path, str(error)) from error
    if not found or any(byte < 33 or byte > 126 for byte in found):
        raise _unusable(path, "It is empty, or has more than one word of ASCII.")
    return found


def _path(base: Path, kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return base / value
    raise NotImplementedError


def _unusable(path: Path, why: str) -> UsageError:
    return UsageError(f"{path} cannot be used.", why=why, todo="Mend it; docs/audit.md has an example.")


decoding.learn(globals())
