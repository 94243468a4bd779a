"""Single concepts and relationships, and queries: what is asked of the service and how answers look."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from cortex_runtime.client import Client
from cortex_runtime.formats.messages import (
    BatchResponse,
    Concept,
    ConceptBody,
    Match,
    Message,
    QueryRequest,
    QueryResponse,
    RelateOperation,
    UnrelateOperation,
)
from cortexctl import inputs
from cortexctl.access import cortex_path
from cortexctl.errors import UsageError


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a cortex: a request, relative to the cortex."""

    what: str
    method: str
    parts: tuple[str, ...]
    body: Message | None = None


def put(
    id_: str,
    text: str | None,
    properties: list[str],
    relationships: list[str],
    *,
    parent: str | None = None,
    vector: str | None = None,
) -> Change:
    """Return the change that puts a concept; `vector` names a file. Raises UsageError."""
    content = {
        "text": text,
        "vector": None if vector is None else read_vector(vector),
        "properties": dict(_property(word, "--property") for word in properties),
        "relationships": [_relationship(word) for word in relationships],
        "parent": parent,
    }
    body = inputs.message(content, ConceptBody, "concept")
    return Change("put", "PUT", ("concepts", inputs.concept(id_)), body)


def delete(id_: str) -> Change:
    """Return the change that deletes a concept. Raises UsageError."""
    return Change("delete", "DELETE", ("concepts", inputs.concept(id_)))


def relate(source: str, type_: str, target: str, weight: float) -> Change:
    """Return the change that adds a relationship. Raises UsageError."""
    content = {"source": source, "type": type_, "target": target, "weight": weight}
    return Change(
        "relate", "POST", ("relationships",), inputs.message(content, RelateOperation, "relationship")
    )


def unrelate(source: str, type_: str, target: str) -> Change:
    """Return the change that removes a relationship. Raises UsageError."""
    content = {"source": source, "type": type_, "target": target}
    body = inputs.message(content, UnrelateOperation, "relationship")
    return Change("unrelate", "DELETE", ("relationships",), body)


def apply(client: Client, tenant: str, cortex: str, change: Change) -> BatchResponse:
    """Make a change. Raises ClientError."""
    path = cortex_path(tenant, cortex, *change.parts)
    return client.request(change.method, path, change.body, type=BatchResponse)


def preview(tenant: str, cortex: str, change: Change) -> dict[str, Any]:
    """Return what a dry run shows: the request that would be sent."""
    return {
        "would": change.what,
        "request": f"{change.method} {cortex_path(tenant, cortex, *change.parts)}",
        "body": msgspec.to_builtins(change.body),
    }


def get(client: Client, tenant: str, cortex: str, id_: str) -> Concept:
    """Return a concept. Raises ClientError."""
    return client.request("GET", cortex_path(tenant, cortex, "concepts", id_), type=Concept)


def shown(concept: Concept) -> dict[str, Any]:
    """Return a concept as rows for people: each property with where it comes from."""
    rows: dict[str, Any] = {
        "id": concept.id,
        "text": concept.text,
        "vector": f"{concept.dimension:,} numbers" if concept.dimension else None,
        "column": concept.column,
        "inherits from": " -> ".join(concept.ancestors) or None,
    }
    for name, value in sorted(concept.properties.items()):
        origin = f" (from {concept.inherited[name]})" if name in concept.inherited else ""
        rows[f"property {name}"] = _as_json(value) + origin
    for name in sorted(name for name, value in concept.own_properties.items() if value is None):
        rows[f"property {name}"] = "- (an exception: not inherited)"
    for edge in concept.relationships:
        weight = "" if edge.weight == 1 else f" ({edge.weight:g})"
        rows.setdefault(f"{edge.type} ->", []).append(edge.target + weight)
    return rows | {"key version": concept.key_version}


def question(
    text: str | None,
    k: int,
    hops: int,
    decay: float,
    *,
    vector: str | None = None,
    where: list[str] | None = None,
    budget: int | None = None,
    exact: bool = False,
) -> QueryRequest:
    """Return a query by text, or by the vector in a file. Raises UsageError."""
    content = {
        "text": text,
        "vector": None if vector is None else read_vector(vector),
        "k": k,
        "hops": hops,
        "decay": decay,
        "where": _where(where or []),
        "budget": budget,
        "exact": exact,
    }
    request: QueryRequest = inputs.message(content, QueryRequest, "query")
    return request


def read_vector(name: str) -> Any:
    """Return the JSON in a file, or with - in standard input. Raises UsageError."""
    try:
        return msgspec.json.decode(sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes())
    except OSError as error:
        raise UsageError(
            f"The vector cannot be read from {name}.",
            why=str(error),
            todo="Check the path; - is standard input.",
        ) from error
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UsageError(
            f"There is no vector in {name}.", why=str(error), todo="Give a JSON array of numbers."
        ) from error


def find(client: Client, tenant: str, cortex: str, wanted: QueryRequest) -> QueryResponse:
    """Ask a query. Raises ClientError."""
    return client.request("POST", cortex_path(tenant, cortex, "query"), wanted, type=QueryResponse)


def rows(answer: QueryResponse) -> list[dict[str, Any]]:
    """Return the results as rows for people: the path as 'a -type-> b -type-> c'."""
    return [
        {
            "id": match.id,
            "overlap": match.overlap,
            "activation": match.activation,
            "text": match.text,
            "path": _path(match),
        }
        for match in answer.matches
    ]


def _path(match: Match) -> str:
    if not match.path:
        return ""
    return match.path[0].source + "".join(f" -{step.type}-> {step.target}" for step in match.path)


def _where(words: list[str]) -> dict[str, Any]:
    """Return a filter: a key that is given several times may have any of the values."""
    where: dict[str, Any] = {}
    for word in words:
        name, value = _property(word, "--where")
        where.setdefault(name, []).extend(value if isinstance(value, list) else [value])
    return where


def _as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _property(word: str, option: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not name or not equals:
        raise UsageError(f"{word!r} is no property.", why="It is not NAME=VALUE.", todo=f"Mend {option}.")
    try:
        return name, msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return name, value


def _relationship(word: str) -> dict[str, Any]:
    type_, equals, rest = word.partition("=")
    if not type_ or not equals or not rest:
        raise UsageError(
            f"{word!r} is no relationship.", why="It is not TYPE=TARGET[@WEIGHT].", todo="Mend --relate."
        )
    target, at, weight = rest.rpartition("@")
    try:
        return (
            {"type": type_, "target": target, "weight": float(weight)}
            if at
            else {"type": type_, "target": rest}
        )
    except ValueError:  # the @ is part of the target's id
        return {"type": type_, "target": rest}
