"""The table of routes: complete, told apart, and documented."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

import httpx
import pytest

from cortex_runtime.server import openapi
from cortex_runtime.server.errors import RequestError
from cortex_runtime.server.forwarding import encoded
from cortex_runtime.server.requests import match, parse_position
from cortex_runtime.server.routes import routes


def test_every_route_has_an_audience_and_only_login_and_the_document_are_public() -> None:
    public = {route.path for route in routes() if route.audience == "public"}
    assert public == {"/v1/login", "/v1/login/oidc", "/v1/openapi.json"}
    assert all(route.audience in ("public", "tenant", "operator") for route in routes())


def test_whatever_names_a_tenant_is_for_that_tenant_or_for_operators() -> None:
    for route in routes():
        if "{cortex}" in route.path:
            assert route.audience == "tenant", route.path


def test_no_two_routes_are_the_same() -> None:
    keys = [(route.method, re.sub(r"\{\w+\}", "{}", route.path)) for route in routes()]
    assert len(keys) == len(set(keys))


def test_the_document_names_every_route_and_resolves_its_references() -> None:
    document = json.loads(openapi.document(routes()))
    for route in routes():
        assert route.method.lower() in document["paths"][route.path]
    schemas = document["components"]["schemas"]
    references = re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document))
    assert references
    assert set(references) <= set(schemas)


@pytest.mark.parametrize("name", ["..", "a\x00b", "\ufffd", "x" * 300, "a\nb", "A", "a", "-ab", "a b"])
def test_a_tenant_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(RequestError) as found:
        match(routes(), "GET", f"/v1/tenants/{name}")
    assert found.value.code == "invalid"


def test_a_concept_may_have_any_printable_name() -> None:
    route, names = match(routes(), "GET", "/v1/tenants/acme/cortices/main/concepts/café/..?x#%41 🐕")
    assert route.action == "concept.get"
    assert names == {"tenant": "acme", "cortex": "main", "concept": "café/..?x#%41 🐕"}


def test_other_paths_and_methods_are_told_apart() -> None:
    for method, path, code in (
        ("GET", "/v1/nothing", "not_found"),
        ("PATCH", "/v1/tenants", "method_not_allowed"),
        ("GET", "/v1/tenants/acme/cortices/main/query/a/b", "not_found"),
        ("GET", "/v1/tenants/acme/cortices/main/concepts/a\nb", "invalid"),
    ):
        with pytest.raises(RequestError) as found:
            match(routes(), method, path)
        assert found.value.code == code


def test_a_position_is_three_numbers() -> None:
    position = parse_position("5.2.17")
    assert position is not None
    assert (position.slot, position.token, position.seq) == (5, 2, 17)
    assert parse_position(None) is None
    for bad in ("5.2", "5.2.x", "-1.2.3", "5.2.3.4", "\u0665.2.3"):
        with pytest.raises(RequestError):
            parse_position(bad)


@pytest.mark.parametrize("name", ["a/b", "a?b#c", "%41", "..", ".", "é 🐕", "a//b/../c", "a&b=c+d"])
def test_a_path_that_is_passed_on_arrives_as_it_was(name: str) -> None:
    path = f"/v1/tenants/acme/cortices/main/concepts/{name}"
    url = httpx.URL("https://127.0.0.1:1" + encoded(path))
    assert unquote(url.raw_path.decode()) == path
