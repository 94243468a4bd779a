"""Who has a certificate in a deployment, and what each may be used for.

The database's roles have one each, whose CN is the role's name: PostgreSQL asks for it beside the password,
so that a node's certificate is none of Patroni's roles, and nothing else of the deployment is any.
"""

from __future__ import annotations

from cortexctl.deployment import Node, Region
from cortexctl.platforms.local.certificates import Identity

ROLES = ("postgres", "replicator", "rewind", "cortex")
OPERATOR = Identity("tls", "operator", serves=False)
FRONT = Identity("server", "front", asks=False)
BALANCER = Identity("balancer", "haproxy", serves=False)
DATABASE = Identity("postgres", "database", asks=False)
ETCD = Identity("etcd", "etcd", issuer="arbiter")  # its peers and its own gateway are its clients
ARBITER = Identity("arbiter", "patroni", serves=False, issuer="arbiter")  # what Patroni asks it with
PATRONI = Identity("patroni", "patroni")  # answers, and asks the Patronis of the other regions


def role(name: str) -> Identity:
    """Return the certificate of a role of the database."""
    return Identity(f"role-{name}", name, serves=False)


def of_node(node: Node) -> Identity:
    """Return the certificate of a node, which serves, and asks other nodes."""
    return Identity(node.name, node.name)


def of_region(region: Region) -> tuple[Identity, ...]:
    """Return all certificates of a region."""
    nodes = (of_node(node) for node in region.nodes)
    return (FRONT, BALANCER, DATABASE, ETCD, ARBITER, PATRONI, *(role(name) for name in ROLES), *nodes)
