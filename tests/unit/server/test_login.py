"""People log in at the command line: the real command, a provider of the test's own, the browser played."""

from __future__ import annotations

import re
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
import yaml

from cortexctl import credentials
from unit.server.house import House
from unit.server.node import Node
from unit.server.provider import CLIENT, Provider

ROLES = {"owners": "admin", "writers": "writer", "staff": "reader"}


@pytest.fixture(scope="module")
def house(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"), node)
    with made.doors():
        yield made


@pytest.fixture(scope="module")
def provider(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with Provider(tmp_path_factory.mktemp("provider")).serving() as found:
        wanted = {"issuer": found.issuer, "client_id": CLIENT, "role_claim": "groups", "roles": ROLES}
        house.node.operator("PUT", "/v1/tenants/acme/identity-provider", ca=found.ca, **wanted)
        yield found
        house.node.as_operator("DELETE", "/v1/tenants/acme/identity-provider")


@pytest.fixture
def good(provider: Provider) -> Iterator[Provider]:
    yield provider
    provider.changed, provider.down = {}, False


def begin(house: House, *words: str) -> tuple[subprocess.Popen[str], str]:
    """Start a login; return it and the address that it prints."""
    process = house.start("login", "acme", "--no-browser", *words)
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"https://\S+", line)
    assert found, line + process.stderr.read()
    return process, found[0]


def end(process: subprocess.Popen[str], code: int) -> str:
    """Wait for a login's end; return what it said."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert "Traceback" not in err
    return out + err


def bring(answer: dict[str, str], **changed: str) -> httpx.Response:
    """Come back to where the browser was sent from."""
    words = {name: value for name, value in {**answer, **changed}.items() if value and name != "redirect_uri"}
    return httpx.get(f"{answer['redirect_uri']}?{urlencode(words)}", trust_env=False)


def kept(house: House) -> Path:
    return house.home / "config" / "cortexctl" / "credentials.yaml"


def test_who_logs_in_is_used_by_commands_renewed_and_logged_out(house: House, good: Provider) -> None:
    process, address = begin(house)
    shown = bring(good.authorize(address))
    assert (shown.status_code, shown.text) == (200, "You may close this page.")
    assert "writer" in end(process, 0)
    assert stat.S_IMODE(kept(house).stat().st_mode) == 0o600
    house.run("concept", "put", "acme", "by-login", "put by a person")
    assert house.json("concept", "get", "acme", "by-login")["text"] == "put by a person"
    event = house.node.operator("GET", "/v1/audit?tenant=acme&action=concept.put&limit=1")[0]
    assert event["actor"].startswith("person:")
    content = yaml.safe_load(kept(house).read_text())
    session = content["deployments"]["trial-1234"]["sessions"]["acme"]
    token = session["token"]
    session["until"] -= 200.0  # more than half of its time is gone
    kept(house).write_text(yaml.safe_dump(content))
    house.run("concept", "get", "acme", "by-login")
    renewed = yaml.safe_load(kept(house).read_text())["deployments"]["trial-1234"]["sessions"]["acme"]
    assert renewed["token"] != token and renewed["until"] > session["until"] + 100
    house.run("logout", "acme")
    assert "sessions" not in kept(house).read_text() or renewed["token"] not in kept(house).read_text()
    assert house.node.send_raw("GET", "/v1/session", renewed["token"]).status_code == 401
    assert "nothing to do" in house.run("logout", "acme")[1]
    assert "no API key" in house.run("concept", "get", "acme", "by-login", expect=5)[1]


def test_a_session_that_is_over_is_said_and_no_other_credential_is_taken_for_it(
    house: House, good: Provider
) -> None:
    process, address = begin(house)
    bring(good.authorize(address))
    end(process, 0)
    content = yaml.safe_load(kept(house).read_text())
    entry = content["deployments"]["trial-1234"]
    entry["sessions"]["acme"]["until"] -= 400.0
    entry["tenants"]["acme"] = house.node.operator("POST", "/v1/tenants/acme/api-keys", role="admin")[
        "api_key"
    ]
    kept(house).write_text(yaml.safe_dump(content))
    assert "cortexctl login acme" in house.run("concept", "get", "acme", "a", expect=5)[1]
    house.run("concept", "put", "acme", "a", "a", CORTEXCTL_API_KEY=entry["tenants"]["acme"])
    house.run("logout", "acme")
    house.run("concept", "get", "acme", "a")  # by the API key again
    entry = yaml.safe_load(kept(house).read_text())
    entry["deployments"]["trial-1234"]["tenants"] = {}
    kept(house).write_text(yaml.safe_dump(entry))


def test_an_answer_with_another_state_is_refused_and_the_right_one_waited_for(
    house: House, good: Provider
) -> None:
    process, address = begin(house, "--patience", "30")
    answer = good.authorize(address)
    for changed in ({"state": "s" * 43}, {"state": ""}, {"iss": "https://elsewhere.example"}, {"code": ""}):
        assert bring(answer, **changed).status_code == 400
    assert httpx.get(answer["redirect_uri"].replace("callback", "other"), trust_env=False).status_code == 404
    assert process.poll() is None
    assert bring(answer, iss=good.issuer).status_code == 200
    end(process, 0)
    house.run("logout", "acme")


def test_of_two_answers_the_first_counts(house: House, good: Provider) -> None:
    process, address = begin(house)
    first, second = good.authorize(address), good.authorize(address)
    assert bring(first).status_code == 200
    with suppress(httpx.TransportError):  # the port may be closed already
        assert bring(second).status_code == 409
    end(process, 0)
    assert second["code"] in good.asked and first["code"] not in good.asked
    house.run("logout", "acme")


def test_nobody_comes(house: House, good: Provider) -> None:
    process, address = begin(house, "--patience", "1")
    bring(good.authorize(address), state="of somebody else")
    told = end(process, 5)
    assert "Nobody has logged in" in told and "of another login" in told


def test_the_provider_says_no(house: House, good: Provider) -> None:
    process, address = begin(house)
    answer = good.authorize(address)
    bring(answer, code="", error="access_denied", error_description="not \x1b[31mtoday")
    told = end(process, 5)
    assert "access_denied: not ?[31mtoday" in told and "\x1b" not in told


@pytest.mark.parametrize(
    ("changed", "why"),
    [({"nonce": "m" * 43}, "nonce is not ours"), ({"nonce": None}, "no ID token that can be read"),
     ({"aud": "another"}, "not valid"), ({"groups": ["strangers"]}, "not valid")],
)  # fmt: skip
def test_an_id_token_that_is_not_ours_begins_no_session(
    house: House, good: Provider, changed: dict[str, object], why: str
) -> None:
    good.changed = changed
    process, address = begin(house)
    bring(good.authorize(address))
    assert why in end(process, 5)
    assert credentials.ENVIRONMENT not in house.environment()
    assert "nothing to do" in house.run("logout", "acme")[1]


def test_a_code_of_a_provider_that_is_down_or_does_not_know_it_is_told(house: House, good: Provider) -> None:
    process, address = begin(house)
    answer = good.authorize(address)
    good.asked.clear()
    bring(answer)
    assert "does not do what a login needs" in end(process, 5)
    good.down = True
    assert "does not do what a login needs" in house.run("login", "acme", "--no-browser", expect=5)[1]


@pytest.mark.parametrize("tenant", ["other", "nobody"])
def test_without_a_provider_there_is_no_login(house: House, tenant: str) -> None:
    _, told = house.run("login", tenant, "--no-browser", expect=5)
    assert "no identity provider" in told
