"""The API keys of tenants, and the sessions of logins, that this user keeps: in one file of mode 0600.

deployments:
  <deployment's id>:
    name: default
    tenants:
      acme: <API key>
    sessions:
      acme: {token: <token>, until: <seconds since 1970>}
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cortexctl import durable, render
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused


@dataclass(frozen=True, slots=True)
class KeptSession:
    """A session that a login began: its newest token, and until when (seconds since 1970) that is good."""

    token: str
    until: float

    @property
    def left(self) -> float:
        """How many seconds the token is good for; less than 0 when it is over."""
        return self.until - time.time()


ENVIRONMENT = "CORTEXCTL_API_KEY"
LOCK_PATIENCE = 5.0


def path() -> Path:
    """Return where the credentials are: $XDG_CONFIG_HOME/cortexctl/credentials.yaml, or below ~/.config."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "cortexctl" / "credentials.yaml"


def api_key(deployment: Deployment, tenant: str, *, file: Path | None = None) -> str:
    """Return the API key of a tenant: from the file named, else the environment, else the credentials.

    Raises Refused when there is none, or when what holds it is not to be read or damaged.
    """
    if key := given(file) or saved(deployment, tenant):
        return key
    raise Refused(
        f"There is no API key of tenant {tenant!r} here.",
        why=f"{path()} has none for deployment {deployment.name!r} ({deployment.id}).",
        todo=f"Give --api-key-file or {ENVIRONMENT}, or have one made: cortexctl api-key make {tenant}.",
    )


def given(file: Path | None) -> str:
    """Return the API key in a file, or else in the environment; empty: there is none. Raises Refused."""
    return os.environ.get(ENVIRONMENT, "").strip() if file is None else _from_file(file)


def saved(deployment: Deployment, tenant: str) -> str | None:
    """Return the API key kept in the credentials file, if there is one. Raises Refused."""
    entry = _read(path()).get(deployment.id, {})
    key = entry.get("tenants", {}).get(tenant)
    return str(key) if key else None


def save(deployment: Deployment, tenant: str, key: str) -> Path:
    """Keep an API key, instead of an older one of the tenant. Returns the file. Raises Refused, Locked."""
    return _keep(deployment, tenant, "tenants", key)


def session(deployment: Deployment, tenant: str) -> KeptSession | None:
    """Return the session of a tenant that a login has left here, if there is one. Raises Refused."""
    kept = _read(path()).get(deployment.id, {}).get("sessions", {}).get(tenant)
    return KeptSession(kept["token"], kept["until"]) if kept else None


def save_session(deployment: Deployment, tenant: str, token: str, seconds: float) -> Path:
    """Keep a session's newest token, which is good for so long. Returns the file. Raises Refused, Locked."""
    return _keep(deployment, tenant, "sessions", {"token": token, "until": time.time() + seconds})


def forget_session(deployment: Deployment, tenant: str) -> None:
    """Remove a session; no-op when none is kept. Raises Refused, Locked."""
    _drop(deployment, tenant, "sessions")


def _keep(deployment: Deployment, tenant: str, part: str, value: object) -> Path:
    place = path()
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = place.with_name(".credentials.lock")
        with durable.exclusive(lock, "The credentials file", patience=LOCK_PATIENCE):
            known = _read(place)
            entry = known.setdefault(deployment.id, {"name": deployment.name, "tenants": {}})
            entry.setdefault(part, {})[tenant] = value
            durable.write(place.resolve(), yaml.safe_dump({"deployments": known}, sort_keys=False).encode())
    except OSError as error:
        raise Refused(
            f"What opens {tenant!r} cannot be kept in {place}.",
            why=str(error),
            todo="Mend the directory, or set XDG_CONFIG_HOME; --no-save keeps nothing.",
        ) from error
    return place


def forget(deployment: Deployment, tenant: str) -> None:
    """Remove the API key and the session of a tenant; no-op when none is kept. Raises Refused, Locked."""
    for part in ("tenants", "sessions"):
        _drop(deployment, tenant, part)


def _drop(deployment: Deployment, tenant: str, part: str) -> None:
    place = path()
    if tenant not in _read(place).get(deployment.id, {}).get(part, {}):
        return
    with durable.exclusive(
        place.with_name(".credentials.lock"), "The credentials file", patience=LOCK_PATIENCE
    ):
        known = _read(place)
        known.get(deployment.id, {}).get(part, {}).pop(tenant, None)
        durable.write(place.resolve(), yaml.safe_dump({"deployments": known}, sort_keys=False).encode())


def _read(place: Path) -> dict[str, dict[str, Any]]:
    try:
        _close_to_others(place)
        content = yaml.safe_load(place.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Refused(
            f"{place} cannot be read.", why=str(error), todo="Mend its permissions or its owner."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise _damaged(place, " ".join(str(error).split())) from error
    if content is None:
        return {}
    deployments = content.get("deployments") if isinstance(content, dict) else None
    if not isinstance(deployments, dict) or not all(_is_entry(entry) for entry in deployments.values()):
        raise _damaged(place, "It does not map deployments to tenants and tenants to API keys.")
    return deployments


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict) or not isinstance(tenants := entry.get("tenants"), dict):
        return False
    if not isinstance(sessions := entry.get("sessions", {}), dict):
        return False
    keys = all(isinstance(name, str) and isinstance(key, str) for name, key in tenants.items())
    return keys and all(isinstance(name, str) and _is_session(kept) for name, kept in sessions.items())


def _is_session(kept: object) -> bool:
    if not isinstance(kept, dict) or set(kept) != {"token", "until"}:
        return False
    return isinstance(kept["token"], str) and isinstance(kept["until"], (int, float))


def _damaged(place: Path, why: str) -> Refused:
    return Refused(
        f"{place} is damaged.",
        why=why,
        todo="Mend it, or move it away and have new API keys made (cortexctl api-key make).",
    )


def _close_to_others(place: Path) -> None:
    """Take read rights from others, and say so: whoever read the file meanwhile has the keys."""
    mode = stat.S_IMODE(place.stat().st_mode)
    if mode & 0o077:
        place.chmod(0o600)
        render.note(
            f"Warning: {place} had mode {mode:04o}, so that others could read its API keys; it has 0600 now. "
            "Consider making new keys."
        )


def _from_file(file: Path) -> str:
    try:
        _close_to_others(file)
        lines = file.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            f"The API key file {file} cannot be read.",
            why=str(error),
            todo="Check the path and its permissions.",
        ) from error
    if len(lines) != 1:
        raise Refused(
            f"The API key file {file} holds no API key.",
            why=f"It has {len(lines)} words; one is expected.",
            todo="Write the key alone into it.",
        )
    return lines[0]
