"""The OpenAPI 3.1 document, made from the table of routes and the types of the messages."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec

from cortex_runtime import __version__
from cortex_runtime.formats.messages import ErrorResponse
from cortex_runtime.server.requests import Route


def document(routes: list[Route]) -> bytes:
    """Return the document as JSON."""
    return _document(tuple(routes))


@cache
def _document(routes: tuple[Route, ...]) -> bytes:
    kinds = {kind for route in routes for kind in (route.takes, route.gives) if kind is not None}
    ordered = [ErrorResponse, *sorted(kinds, key=repr)]
    schemas, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    by_kind = dict(zip(map(repr, ordered), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_kind)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "CortexKG column runtime", "version": __version__},
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            },
        }
    )


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in route.query]
    operation: dict[str, Any] = {
        "operationId": route.action,
        "summary": route.summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done", **_content(route.gives, schemas)},
            "default": {"description": "Refused or failed", **_content(ErrorResponse, schemas)},
        },
    }
    if route.takes is not None:
        operation["requestBody"] = {"required": True, **_content(route.takes, schemas)}
    if route.audience != "public":
        operation["security"] = [{"bearer": []}]
    return operation


def _content(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    if kind is None:
        return {}
    return {"content": {"application/json": {"schema": schemas[repr(kind)]}}}
