"""HAProxy's configuration, of a region and of the edge, and its runtime interface.

Names of files are relative to the tree's directory, where it is started.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path

from cortexctl.deployment import Deployment, Region

SLOTS = 40
BACKEND = "nodes"
SOCKET = "haproxy.sock"

_COMMON = """# Written anew at every start; what is changed here is lost.
global
    nbthread 1
    no strict-limits
    maxconn 4000
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
    ssl-default-server-options ssl-min-ver TLSv1.2
    tune.ssl.cachesize 2000

defaults
    # A connection that is refused is tried at another server at once.
    option redispatch 1
    retries 3
    timeout connect 1s
    timeout client 60s
    timeout server 30s
    timeout check 1s
    timeout queue 2s
    timeout http-request 10s
    timeout http-keep-alive 60s
"""


def region(region: Region) -> str:
    """Return a region's configuration: TLS ends here, requests go round robin to nodes that are ready.

    Every port that a node can have is a server; those without a node are disabled, so that a node comes and
    goes by the runtime interface and no connection is dropped for it.
    """
    nodes = {node.port: node.name for node in region.nodes}
    first = region.first_port + 8
    servers = "\n".join(
        f"    server n{i + 1} 127.0.0.1:{first + i}{'' if first + i in nodes else ' disabled'}"
        for i in range(SLOTS)
    )
    return f"""{_COMMON}
global
    stats socket unix@{SOCKET} mode 600 level admin

frontend front
    mode http
    bind 127.0.0.1:{region.load_balancer_port} ssl crt certs/server.pem alpn http/1.1
    http-request set-header X-Forwarded-For %[src]
    # Only nodes say this, to each other.
    http-request del-header Cortex-Forwarded-By
    # What is safe to send twice: reads, and writes that carry a key by which their first outcome is known.
    acl repeatable method GET HEAD
    acl repeatable path_end /query
    acl repeatable req.hdr(Idempotency-Key) -m found
    http-request disable-l7-retry unless repeatable
    default_backend {BACKEND}

backend {BACKEND}
    mode http
    balance roundrobin
    http-reuse always
    retry-on conn-failure empty-response
    option httpchk
    http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host localhost
    http-check expect status 200
    default-server ssl verify required ca-file certs/ca.crt crt certs/balancer.pem
    default-server check inter 1s fall 2 rise 1
{servers}
"""


def edge(deployment: Deployment) -> str:
    """Return the edge's configuration: TLS passes through to regions whose front door is ready."""
    servers = "\n".join(
        f"    server {region.name} 127.0.0.1:{region.load_balancer_port}" for region in deployment.regions
    )
    return f"""{_COMMON}
listen edge
    mode tcp
    bind 127.0.0.1:{deployment.edge_port}
    balance roundrobin
    option httpchk
    http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host localhost
    http-check expect status 200
    default-server check check-ssl verify required ca-file certs/ca.crt inter 1s fall 2 rise 1
    default-server on-marked-down shutdown-sessions
{servers}
"""


def slot(region: Region, port: int) -> str:
    """Return the server that stands for a node's port."""
    return f"n{port - region.first_port - 7}"


def tell(directory: Path, commands: Iterable[str]) -> str:
    """Send commands to a running HAProxy and return its answers. Raises OSError when none runs.

    The directory may be deeper than a socket's name may be long: it is reached through a descriptor.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(2.0)
            connection.connect(f"/proc/self/fd/{descriptor}/{SOCKET}")
            connection.sendall(("; ".join(commands) + "\n").encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    finally:
        os.close(descriptor)
