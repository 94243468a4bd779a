"""Rotation of the keys that sign tokens: nobody's good token is refused, wherever it is killed."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cortex_runtime.client import Client
from cortex_runtime.formats import tokens
from cortex_runtime.formats.messages import HealthReport
from cortex_runtime.formats.tokenkeys import OVERLAP, Issuer, TokenKeys, parse
from cortex_runtime.security.tokenkeys import TokenKeyFile, finder
from cortexctl import keys, tokenfiles
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.health import Answer
from cortexctl.keys import TokenRotation, ages
from cortexctl.keys import tokens as rotation
from unit.server.killing import killed_before_each_step
from unit.server.node import TENANTS, Node, eventually

OLD = 400


class House:
    """A deployment of three regions; the node is of the first, and nothing runs in the others."""

    def __init__(self, directory: Path, node: Node) -> None:
        regions = {"eu-west": 1, "us-east": 1, "ap-south": 1}
        self.node = node
        self.deployment = Deployment("trial", "trial-1", "small", "local", 21_000, regions, directory)
        self.secrets = [region.directory / "secrets" for region in self.deployment.regions]
        for place in self.secrets[1:]:
            place.mkdir(parents=True)
        self.secrets[0].parent.mkdir()
        self.secrets[0].symlink_to(node.directory)
        (directory / "operator").symlink_to(node.directory / "operator")
        (directory / "secrets").mkdir()
        shutil.copy(node.directory / "token-keys.json", directory / "secrets")
        for issuer in tokenfiles.ISSUERS:
            tokenfiles.keep(self.deployment, self.keys(issuer))

    def keys(self, issuer: Issuer) -> TokenKeys:
        return tokenfiles.read(self.deployment, issuer)

    def ask(self) -> tuple[Answer, ...]:
        here = self.node.directory
        with Client(
            f"https://127.0.0.1:{self.node.port}", ca=here / "ca.crt", timeout=10,
            certificate=here / "node.pem", token=self.node.operator_token(),
        ) as client:  # fmt: skip
            report = client.request("GET", "/v1/health", type=HealthReport)
        return (Answer(self.deployment.nodes[0], report),)

    def rotate(self, issuer: Issuer) -> TokenRotation:
        return keys.rotate_tokens(self.deployment, issuer, self.ask)

    def all_believe_all(self, *old: str) -> None:
        """See that what anybody signs now is believed by the keys of every region, and older tokens too."""
        of_nodes = [parse((place / "token-keys.json").read_bytes()) for place in self.secrets]
        for place in self.secrets:
            files = [TokenKeyFile(place / name) for name in ("token-keys.json", "operator-keys.json")]
            verifier = tokens.Verifier(finder(*files).get)
            for signer in (self.keys("operator"), *of_nodes):
                assert verifier.verify(minted(signer))
            for token in old:
                assert verifier.verify(token)


def minted(signer: TokenKeys, like: str = "") -> str:
    """Return a new token; a tenant's says the same as another one."""
    if signer.issuer == "operator":
        return tokens.mint_operator_token(signer, "ada")
    said: dict[str, Any] = {"sub": "s", "epoch": 1}
    if like:
        said = json.loads(base64.urlsafe_b64decode(like.split(".")[1] + "=="))
    return tokens.mint(signer, subject=said["sub"], tenant="acme", epoch=said["epoch"], role="reader")[0]


@pytest.fixture
def house(node: Node, tmp_path: Path) -> House:
    return House(tmp_path / "trial", node)


@contextmanager
def asking(node: Node) -> Iterator[Counter[int]]:
    """Ask all the while with tokens that were never shown before: old ones, renewed ones, an operator's."""
    found, over = Counter[int](), threading.Event()
    first = node.keys["acme"]
    old = [node.send_raw("POST", "/v1/session", first).json()["token"] for _ in range(OLD)]
    operators = [node.operator_token() for _ in range(OLD)]
    api_key = node.operator("POST", "/v1/tenants/acme/api-keys", role="reader")["api_key"]

    def ask(method: str, path: str, token: str, content: bytes = b"") -> Any:
        answer = node.send_raw(method, path, token, content)
        found[answer.status_code] += 1
        return answer.json()

    def work() -> None:
        token = first
        while not over.is_set():
            token = ask("POST", "/v1/session", token)["token"]
            for stock in (old, operators):
                ask("GET", "/v1/tenants" if stock is operators else "/v1/session", stock.pop())
            login = msgspec.json.encode({"tenant": "acme", "api_key": api_key})
            ask("GET", "/v1/session", ask("POST", "/v1/login", "", login)["token"])
            ask("GET", "/v1/tenants", node.operator_token())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("issuer", tokenfiles.ISSUERS)
def test_whoever_asks_during_a_rotation_is_refused_nothing(house: House, issuer: Issuer) -> None:
    before = house.keys(issuer)
    house.node.send("GET", "concepts/none")  # the tokens are new enough for what follows
    with asking(house.node) as found:
        done = [house.rotate(issuer) for _ in range(3)]
        asked = found.total()

        def more() -> None:
            assert set(found) == {200} and found[200] > asked + 50

        eventually(more)
    assert (done[0].previous, done[0].nodes) == (before.signing, ("eu-west-1",))
    assert [each.previous for each in done[1:]] == [each.signing for each in done[:-1]]
    after = house.keys(issuer)
    assert after.signing == done[-1].signing and after.derivation == before.derivation
    assert [key.d is None for key in after.keys] == [True] * (len(after.keys) - 1) + [False]


@pytest.mark.parametrize(("issuer", "steps"), [("node", 14), ("operator", 13)])
def test_a_rotation_killed_before_any_step_is_finished_by_the_next(
    house: House, issuer: Issuer, steps: int
) -> None:
    first = minted(house.keys(issuer))

    def resumed() -> None:
        begun = house.keys(issuer)
        before = minted(begun)
        house.all_believe_all(first)
        assert house.rotate(issuer).signing == begun.keys[-1].kid or not begun.turning
        house.all_believe_all(first, before)
        assert not house.keys(issuer).turning
        assert keys.token_key_ages(house.deployment)[0].age is not None

    # The issuer's file and three copies, then the node is asked; the same, unless it is an operator's key,
    # which no node signs by; and the four files of the end.
    assert killed_before_each_step(lambda: house.rotate(issuer), resumed) == steps


def test_a_token_of_a_key_that_is_over_or_removed_is_refused(house: House) -> None:
    for issuer in tokenfiles.ISSUERS:
        old = house.keys(issuer)
        path = "/v1/tenants" if issuer == "operator" else "/v1/session"
        house.rotate(issuer)
        known = {key.kid: key for key in house.keys(issuer).keys}
        like = house.node.keys["acme"]
        assert house.node.send_raw("GET", path, minted(old, like)).status_code == 200
        over = msgspec.structs.replace(known[old.signing], retired_at=int(time.time()) - OVERLAP - 1)
        rest = [key for key in house.keys(issuer).keys if key.kid != old.signing]
        for kept in ([over, *rest], rest):
            tokenfiles.keep(house.deployment, msgspec.structs.replace(house.keys(issuer), keys=kept))
            answer = house.node.send_raw("GET", path, minted(old, like))
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")
        for tenant in TENANTS:  # their tokens were of the old key
            house.node.keys[tenant] = house.node.renew_token(tenant)


@pytest.mark.parametrize("late", ["knows nothing", "does not answer", "signs by the old one"])
def test_nothing_is_retired_while_a_node_does_not_follow(
    house: House, late: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "PATIENCE", 0.3)
    before = house.keys("node")

    def ask() -> tuple[Answer, ...]:
        (answer,) = house.ask()
        other = house.deployment.nodes[1]
        if late == "does not answer":
            return answer, Answer(other, None, "it hangs")
        report: Any = answer.report
        if late == "knows nothing":
            return answer, Answer(other, msgspec.structs.replace(report, token_keys=()))
        return answer, Answer(other, msgspec.structs.replace(report, signing_key=before.signing))

    with pytest.raises(Refused) as refused:
        keys.rotate_tokens(house.deployment, "node", ask)
    assert "us-east-1" in refused.value.why and "eu-west-1" not in refused.value.why
    begun = house.keys("node")
    assert begun.turning and all(key.retired_at is None for key in begun.keys[-2:])
    assert (begun.signing == before.signing) == (late != "signs by the old one")
    assert keys.preview_tokens(house.deployment, "node").would == f"finish the change to {begun.keys[-1].kid}"
    assert keys.due(keys.token_key_ages(house.deployment), keys.Policy())[0].kind == "node-tokens"
    house.all_believe_all()
    assert house.rotate("node").signing == begun.keys[-1].kid


def test_a_node_that_was_down_and_a_region_that_was_away_come_back_with_the_new_keys(house: House) -> None:
    away = house.secrets[2]
    shutil.rmtree(away)
    house.node.stop(signal.SIGKILL)
    done = keys.rotate_tokens(house.deployment, "node", lambda: ())
    assert done.nodes == () and not away.exists()
    old_session = house.node.keys["acme"]
    house.node.start()
    assert house.ask()[0].report.signing_key == done.signing  # type: ignore[union-attr]
    assert house.node.send_raw("GET", "/v1/session", old_session).status_code == 200
    away.mkdir()
    for issuer in tokenfiles.ISSUERS:  # as preparing a region does
        tokenfiles.copy(house.deployment.regions[2], house.keys(issuer))
    house.all_believe_all()


def test_what_cannot_be_written_is_said_and_the_next_call_goes_on(house: House) -> None:
    path = house.secrets[2] / "token-keys.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(Refused) as refused:
        house.rotate("node")
    assert refused.value.exit_code == 5 and str(path) in refused.value.why
    assert house.keys("node").turning
    path.rmdir()
    assert house.rotate("node").signing == house.keys("node").signing
    house.all_believe_all()


def test_a_deployments_own_keys_are_listed_with_their_states(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = house.keys("operator")
    tokenfiles.keep(house.deployment, first.published())
    shown = {key.id: key for key in keys.own_keys(house.deployment)}
    assert [shown[key.kid].state for key in house.keys("operator").keys[-2:]] == ["ACTIVE", "PENDING"]
    house.rotate("operator")
    shown = {key.id: key for key in keys.own_keys(house.deployment)}
    before, now = (shown[key.kid] for key in house.keys("operator").keys[-2:])
    assert (before.state, now.state, now.until, now.days) == ("RETIRING", "ACTIVE", None, 0)
    assert before.until is not None
    assert next(iter(shown.values())).kind == "root"
    later = time.time() + OVERLAP + 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    assert {key.id: key.state for key in keys.own_keys(house.deployment)}[before.id] == "DESTROYED"


def test_token_keys_are_due_by_their_own_age(house: House) -> None:
    found = keys.token_key_ages(house.deployment)
    assert [(each.kind, each.tenant) for each in found] == [("node-tokens", ""), ("operator-tokens", "")]
    aged = [ages.Aged(each.kind, "", 30.0) for each in found]
    assert keys.due(aged, keys.Policy()) == [] and keys.due(aged, keys.Policy(tokens=30)) == aged
