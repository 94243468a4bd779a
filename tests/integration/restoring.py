"""A base backup of a deployment's primary, and a server of its own that is started from one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cortexctl.platforms.local import account, patroni, preparation
from integration.running import Running


def back_up(running: Running, to: Path) -> None:
    """Take a base backup as a standby does: over TLS, by the role of replication."""
    region = running.deployment.region(running.primary_region())
    own = to.with_name(f"{to.name}.pem")
    shutil.copyfile(region.directory / "certs" / "role-replicator.pem", own)
    own.chmod(0o600)
    source = (
        f"host=127.0.0.1 port={region.postgres_port} user=replicator sslmode=verify-full"
        f" sslrootcert='{running.deployment.ca_certificate}' sslcert='{own}' sslkey='{own}'"
    )
    subprocess.run(
        [patroni.programs_directory() / "pg_basebackup", "-d", source, "-D", to, "-c", "fast",
         "-X", "stream", "--no-slot", "--no-sync"],
        env={**os.environ, "PGPASSWORD": preparation.passwords(running.deployment)["replicator"]}, check=True,
    )  # fmt: skip


@contextmanager
def restored(backup: Path) -> Iterator[int]:
    """Give the port of a server on 127.0.0.1, started from a base backup, that trusts everybody."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for left in ("postgresql.auto.conf", "standby.signal"):
        (backup / left).unlink(missing_ok=True)
    (backup / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
    (backup / "postgresql.conf").write_text(
        f"port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n"
        "max_connections = 200\nshared_buffers = '32MB'\nio_method = sync\n"
    )
    prefix = account.NAMESPACE if os.geteuid() == 0 else ()
    control = [*prefix, patroni.programs_directory() / "pg_ctl", "-D", backup, "-w"]
    subprocess.run([*control, "-l", f"{backup}.log", "start"], check=True, stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)
