"""What nodes tell each other of a request they pass on: signed, and of use with that request alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cortex_runtime.formats.tokenkeys import TokenKeys, new_token_keys
from cortex_runtime.security.hops import MAX_AGE, Hops, InvalidHop
from cortex_runtime.security.tokenkeys import TokenKeyFile
from unit.server.node import Node

REQUEST = ("PUT", "/v1/tenants/acme/cortices/main/concepts/a", "Bearer x", "192.0.2.1", "r1")


def hops(directory: Path, keys: TokenKeys, node: str = "a") -> Hops:
    path = directory / f"{node}.json"
    path.write_bytes(keys.to_bytes())
    return Hops(node, TokenKeyFile(path))


def test_a_node_believes_another_also_when_the_token_keys_were_rotated(tmp_path: Path) -> None:
    keys = new_token_keys("node")
    rotated = keys.published().switched().retired(int(time.time()))
    hops(tmp_path, rotated, "b").check(hops(tmp_path, keys).sign(*REQUEST), *REQUEST)


@pytest.mark.parametrize("changed", range(len(REQUEST)))
def test_a_signature_is_of_no_use_with_another_request(tmp_path: Path, changed: int) -> None:
    ours = hops(tmp_path, new_token_keys("node"))
    said = ours.sign(*REQUEST)
    other = [part + "2" if number == changed else part for number, part in enumerate(REQUEST)]
    with pytest.raises(InvalidHop, match="not signed"):
        ours.check(said, *other)


def test_who_has_not_the_nodes_key_is_not_believed(tmp_path: Path) -> None:
    said = hops(tmp_path, new_token_keys("node")).sign(*REQUEST)
    theirs = hops(tmp_path, new_token_keys("node"), "b")
    for header in (said, "", "a", "a,1", said.replace("a,", "b,", 1), "ä,1,é", f"{said}0"):
        with pytest.raises(InvalidHop, match="not signed"):
            theirs.check(header, *REQUEST)


def test_a_signature_gets_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = hops(tmp_path, new_token_keys("node"))
    said, now = ours.sign(*REQUEST), time.time()
    monkeypatch.setattr(time, "time", lambda: now + MAX_AGE + 1)
    with pytest.raises(InvalidHop, match="too long ago"):
        ours.check(said, *REQUEST)


def test_who_only_says_that_he_passes_a_request_on_is_refused(node: Node) -> None:
    """Though he has a certificate and a token: he would be neither counted nor audited."""
    answer = node.send_raw(
        "GET", "/v1/tenants/acme/cortices", node.keys["acme"], headers={"cortex-forwarded-by": "eu-west-2"}
    )
    assert answer.status_code == 401
    assert answer.json()["error"]["message"] == "Only nodes say that they pass a request on."
    assert node.get_raw("/v1/tenants/acme/cortices").status_code == 200
