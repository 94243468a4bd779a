"""Names that would be something else somewhere else: no tenant, and no cortex, can be called so."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from adversarial import raw
from cortexctl import inputs
from cortexctl.errors import UsageError
from unit.server.node import Node

NAMES = {
    "climbs": "../acme", "climbs twice": "../../etc/passwd", "backslash": "..\\acme", "dots": "...",
    "hidden": ".acme", "NUL": "acme\0", "NUL within": "ac\0me", "device": "CON",
    "device with a dot": "con.txt",
    "long": "a" * 300, "one too long": "a" * 41, "Cyrillic a": "\u0430cme", "fullwidth": "\uff41\uff43me",
    "Kelvin": "\u212aacme", "dotless": "acm\u0131", "ligature": "\ufb01nance", "right to left": "\u202eacme",
    "zero width": "ac\u200bme", "soft hyphen": "ac\u00adme", "combining": "acme\u0301",
    "emoji": "\U0001f600aa",
    "upper case": "ACME", "space": "ac me", "tab": "ac\tme", "line": "acme\n", "return": "acme\r",
    "percent": "ac%6de", "SQL": "acme'--", "glob": "acm*", "dash first": "-acme", "dash last": "acme-",
    "surrogate": "\ufffdacme", "digits of others": "acme\u0661", "template": "{{acme}}", "shell": "$(acme)",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_the_api_knows_no_such_tenant_or_cortex(node: Node, name: str) -> None:
    for path in (f"/v1/tenants/{quote(name, safe='')}", f"/v1/tenants/{quote(name, safe='')}/leave"):
        answer = node.as_operator("POST" if path.endswith("leave") else "GET", path)
        assert (answer.status_code, answer.json()["error"]["code"]) in ((400, "invalid"), (404, "not_found"))
    body = {"tenant": name, "tier": "free", "keyring_generation": 1}
    quota = {"concepts": 1, "columns": 1, "storage": 1, "requests": 1}
    answer = node.http.post(
        f"https://127.0.0.1:{node.port}/v1/tenants", json={**body, "quota": quota}, headers=operator(node)
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid")
    path = f"/v1/tenants/acme/cortices/{quote(name, safe='')}/concepts/x"
    assert node.send_raw("PUT", path, node.keys["acme"], b'{"text":"a"}').status_code in (400, 404)
    assert {each["tenant"] for each in node.operator("GET", "/v1/tenants")} == {"acme", "other"}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_the_command_line_takes_no_such_name(name: str) -> None:
    for check in (inputs.tenant, inputs.cortex):
        with pytest.raises(UsageError):
            check(name)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/tenants/%2e%2e/acme", "/v1/tenants/acme/../other", "/v1/tenants/acme%2f..%2fother",
        "/v1/tenants/%c0%ae%c0%ae/acme", "/v1/tenants/acme%00", "/v1/tenants/%zz", "/v1/tenants/acme%252e",
        "//v1/tenants/acme", "/v1/./tenants/acme", "/v1/tenants/acme/", "/V1/tenants/acme",
        "/v1/tenants/acme;x=1",
        "/v1/tenants/acme?tenant=other", "/../../../../etc/passwd",
    ],
)  # fmt: skip
def test_a_path_that_another_program_would_read_otherwise_leads_nowhere(node: Node, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: {operator(node)['authorization']}\r\n"
    answer = raw.exchange(node, f"{head}connection: close\r\n\r\n".encode())
    assert raw.statuses(answer)[0] in (400, 404)
    assert b"root:" not in answer


def operator(node: Node) -> dict[str, str]:
    """Return an operator's header."""
    return {"authorization": f"Bearer {node.operator_token()}"}


def test_no_name_has_become_a_file(node: Node) -> None:
    assert not [path for path in Path(node.directory).rglob("*") if "etc" in path.parts]
