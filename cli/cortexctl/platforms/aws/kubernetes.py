"""How one gets into a region's Kubernetes: a kubeconfig, and the token of EKS that it asks us for.

A token is a signed request to STS, good for 15 minutes, that EKS sends on to learn who asks: no AWS command
line is needed, and nothing secret is written down.
"""

from __future__ import annotations

import base64
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from cortexctl.errors import Refused
from cortexctl.platforms.aws.account import LOGIN, explained

API = "client.authentication.k8s.io/v1"
PREFIX = "k8s-aws-v1."
URL_SECONDS = 60  # what STS needs; EKS counts 15 minutes from when the request was signed
TOKEN_LIFE = timedelta(minutes=14)


def kubeconfig(client: Any, cluster: str, region: str, deployment: str) -> dict[str, Any]:
    """Return a kubeconfig with one context, of this cluster. Raises Refused."""
    with explained(f"EKS says nothing of the cluster {cluster} in {region}"):
        found = client.describe_cluster(name=cluster)["cluster"]
    name = f"{deployment}/{region}"
    call = ["-P", "-m", "cortexctl.main", "--deployment", deployment, "aws", "token", "--region", region]
    ask = {"apiVersion": API, "command": sys.executable, "args": call, "interactiveMode": "Never"}
    authority = found["certificateAuthority"]["data"]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {"name": name, "cluster": {"server": found["endpoint"], "certificate-authority-data": authority}}
        ],
        "users": [{"name": name, "user": {"exec": ask}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }


def token(cluster: str, region: str) -> dict[str, Any]:
    """Return an ExecCredential with a token for a cluster. Raises Refused."""
    import botocore.session  # noqa: PLC0415 - it takes its time to load
    from botocore.model import ServiceId  # noqa: PLC0415
    from botocore.signers import RequestSigner  # noqa: PLC0415

    with explained("No token for Kubernetes can be made"):
        session = botocore.session.get_session()
        credentials = session.get_credentials()
        if credentials is None:
            raise Refused(
                "No token for Kubernetes can be made.", why="There are no credentials for AWS.", todo=LOGIN
            )
        signer = RequestSigner(
            ServiceId("STS"), region, "sts", "v4", credentials, session.get_component("event_emitter")
        )
        request = {
            "method": "GET",
            "url": f"https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
            "body": {},
            "headers": {"x-k8s-aws-id": cluster},
            "context": {},
        }
        url = signer.generate_presigned_url(
            request, region_name=region, expires_in=URL_SECONDS, operation_name=""
        )
    encoded = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    until = datetime.now(UTC) + TOKEN_LIFE
    status = {"token": PREFIX + encoded, "expirationTimestamp": until.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {"apiVersion": API, "kind": "ExecCredential", "spec": {}, "status": status}
