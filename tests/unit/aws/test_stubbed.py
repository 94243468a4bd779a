"""What moto has no calls for: the switch of a global database and the accelerator, and refusals.

botocore's Stubber answers: it holds what is asked, and what is answered, against AWS' own shapes.
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions

from cortexctl.errors import CortexctlError, OutcomeUnknown, Refused
from cortexctl.platforms.aws import account, database, traffic
from unit.aws.stubbing import stubbed

NAME = "cortexkg-trial"
pytestmark = pytest.mark.usefixtures("deployment")


def arn(region: str) -> str:
    return f"arn:aws:rds:{region}:123456789012:cluster:{NAME}"


def described(writer: str, status: str = "available") -> dict[str, Any]:
    members = [
        {"DBClusterArn": arn(region), "IsWriter": region == writer, "SynchronizationStatus": "connected"}
        for region in ("eu-west-1", "us-east-1")
    ]
    one = {"GlobalClusterIdentifier": NAME, "Status": status, "GlobalClusterMembers": members}
    return {"GlobalClusters": [one]}


@pytest.mark.parametrize(("data_loss", "how"), [(False, "Switchover"), (True, "AllowDataLoss")])
def test_a_switch_is_waited_for(data_loss: bool, how: str) -> None:
    naps: list[float] = []
    with stubbed("rds", "us-east-1") as (client, stub):
        stub.add_response("describe_global_clusters", described("eu-west-1"))
        wanted = {"GlobalClusterIdentifier": NAME, "TargetDbClusterIdentifier": arn("us-east-1"), how: True}
        stub.add_response("failover_global_cluster", {}, wanted)
        stub.add_response("describe_global_clusters", described("eu-west-1", "switching-over"))
        # Aurora names the new writer before it is done.
        stub.add_response("describe_global_clusters", described("us-east-1", "switching-over"))
        stub.add_response("describe_global_clusters", described("us-east-1"))
        database.switch(client, NAME, "us-east-1", data_loss=data_loss, sleep=naps.append)
    assert len(naps) == 2


def test_a_region_without_a_cluster_cannot_take_over() -> None:
    with stubbed("rds", "ap-south-1") as (client, stub):
        stub.add_response("describe_global_clusters", described("eu-west-1"))
        with pytest.raises(Refused, match="ap-south-1 cannot take the database over"):
            database.switch(client, NAME, "ap-south-1", data_loss=True)


def test_the_dial_of_the_one_region_is_turned() -> None:
    here = "arn:aws:globalaccelerator::123456789012:accelerator"
    groups = [
        {"EndpointGroupArn": f"{here}/a/{region}", "EndpointGroupRegion": region}
        for region in ("eu-west-1", "us-east-1")
    ]
    with stubbed("globalaccelerator", "us-west-2") as (client, stub):

        def listed() -> None:
            some = [
                {"Name": "other", "AcceleratorArn": f"{here}/o"},
                {"Name": NAME, "AcceleratorArn": f"{here}/a"},
            ]
            stub.add_response("list_accelerators", {"Accelerators": some})
            listeners = {"Listeners": [{"ListenerArn": f"{here}/a/l"}]}
            stub.add_response("list_listeners", listeners, {"AcceleratorArn": f"{here}/a"})
            stub.add_response(
                "list_endpoint_groups", {"EndpointGroups": groups}, {"ListenerArn": f"{here}/a/l"}
            )

        listed()
        wanted = {"EndpointGroupArn": f"{here}/a/us-east-1", "TrafficDialPercentage": 20.0}
        stub.add_response("update_endpoint_group", {}, wanted)
        traffic.turn_dial(client, NAME, "us-east-1", 20)
        listed()
        with pytest.raises(Refused, match="sends nothing to ap-south-1"):
            traffic.turn_dial(client, NAME, "ap-south-1", 20)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("ExpiredTokenException", "have expired"),
        ("UnrecognizedClientException", "does not know these credentials"),
        ("AccessDeniedException", "not allowed to"),
        ("ThrottlingException", "takes no more calls"),
        ("SlowDown", "takes no more calls"),
    ],
)
def test_refusals_say_why_and_what_to_do(code: str, why: str) -> None:
    with stubbed("sts", "eu-west-1") as (client, stub):
        stub.add_client_error("get_caller_identity", code, "as the test wants it", 400)
        with pytest.raises(Refused) as refused, account.explained("AWS does not let us in"):
            client.get_caller_identity()
    assert why in refused.value.why
    assert refused.value.todo


@pytest.mark.parametrize(
    ("error", "changes", "kind"),
    [
        (exceptions.NoCredentialsError(), True, Refused),
        (exceptions.EndpointConnectionError(endpoint_url="http://nowhere"), True, Refused),
        (exceptions.ReadTimeoutError(endpoint_url="http://slow"), False, Refused),
        (exceptions.ReadTimeoutError(endpoint_url="http://slow"), True, OutcomeUnknown),
    ],
)
def test_no_answer_to_a_change_is_an_outcome_that_nobody_knows(
    error: Exception, changes: bool, kind: type[CortexctlError]
) -> None:
    with pytest.raises(kind) as raised, account.explained("It is not done", changes=changes):
        raise error
    assert type(raised.value) is kind
    assert raised.value.todo
