from __future__ import annotations

import io
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_runtime.formats.messages import MAX_BODY_BYTES, BatchRequest, PutOperation
from cortexctl.errors import UsageError
from cortexctl.importing import lines

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)
edges = st.lists(
    st.fixed_dictionaries({"type": words, "target": words}, optional={"weight": st.floats(0.01, 1.0)}),
    max_size=4,
    unique_by=lambda edge: (edge["type"], edge["target"]),
)
concepts = st.lists(
    st.fixed_dictionaries(
        {"id": words, "text": words},
        optional={
            "properties": st.dictionaries(words, st.one_of(words, st.integers(0, 9))),
            "relationships": edges,
        },
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda concept: str(concept["id"]),
)


def source(*items: Any) -> io.BytesIO:
    return io.BytesIO("".join(json.dumps(item) + "\n" for item in items).encode())


@given(items=concepts, limit=st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_batches_hold_every_concept_once_and_in_order(items: list[dict[str, Any]], limit: int) -> None:
    file = source(*items)
    found = lines.survey(file, "x")
    made = list(lines.batches(file, limit))
    flat = [operation for batch in made for operation in batch.operations]
    assert [operation.id for operation in flat] == [item["id"] for item in items]
    assert [batch.index for batch in made] == list(range(len(made)))
    assert all(1 <= len(batch.operations) <= limit for batch in made)
    assert found.concepts == len(items) == len(flat)
    assert found.relationships == sum(batch.relationships for batch in made)
    assert [operation.text for operation in flat] == [item["text"] for item in items]


@given(items=concepts, limit=st.integers(1, 7))
@settings(max_examples=30, deadline=None)
def test_keys_name_batch_run_and_place(items: list[dict[str, Any]], limit: int) -> None:
    made = list(lines.batches(source(*items), limit))
    again = list(lines.batches(source(*items), limit))
    keys = [batch.idempotency_key("run", "acme", "main") for batch in made]
    assert keys == [batch.idempotency_key("run", "acme", "main") for batch in again]
    others = [
        batch.idempotency_key(*place)
        for batch in made
        for place in (("run", "acme", "other"), ("run", "acmf", "main"), ("later", "acme", "main"))
    ]
    assert len({*keys, *others}) == len(keys) + len(others)


def test_equal_content_in_two_places_has_two_keys() -> None:
    batch = next(lines.batches(source({"id": "a", "text": "b"}), 1))
    later = lines.Batch(batch.index + 1, 9, batch.operations, 0)
    assert batch.idempotency_key("r", "t", "c") != later.idempotency_key("r", "t", "c")


def test_no_batch_is_larger_than_a_request_may_be() -> None:
    items = [{"id": str(index), "text": "x", "properties": {"p": "x" * 400_000}} for index in range(5)]
    made = list(lines.batches(source(*items), 1000))
    sizes = [len(msgspec.json.encode(BatchRequest(operations=list(batch.operations)))) for batch in made]
    assert [len(batch.operations) for batch in made] == [2, 2, 1]
    assert max(sizes) <= MAX_BODY_BYTES


def test_a_concept_as_large_as_a_request_fits_and_one_byte_more_does_not() -> None:
    room = MAX_BODY_BYTES - lines.ENVELOPE_BYTES

    def item(filling: int) -> dict[str, object]:
        return {"id": "a", "text": "x", "properties": {"p": "x" * filling}}

    empty = lines.encoded_size(msgspec.convert(item(0), PutOperation))
    batch = next(lines.batches(source(item(room - empty)), 9))
    assert len(msgspec.json.encode(BatchRequest(operations=list(batch.operations)))) == MAX_BODY_BYTES
    with pytest.raises(UsageError) as error:
        lines.survey(source(item(room - empty + 1)), "x")
    assert "line 1" in error.value.why


BAD = {
    b"{": "truncated",
    b"nonsense": "malformed",
    b"[1]": "Expected `object`",
    b'{"id": "a"}': "`text`",
    b'{"text": "a"}': "`id`",
    b'{"id": "", "text": "a"}': "length >= 1",
    b'{"id": "a", "text": "' + b"x" * 65_537 + b'"}': "length <= 65536",
    b'{"id": "a", "text": ""}': "length >= 1",
    b'{"id": "a\\u0000", "text": "b"}': "regex",
    b'{"id": "a", "text": "b", "role": "x"}': "unknown field `role`",
    b'{"id": "a", "vector": []}': "length >= 1",
    b'{"id": "a", "vector": [1, NaN]}': "malformed",
    b'{"id": "a", "text": "b", "parent": ""}': "length >= 1",
    b'{"id": "a", "text": "b", "parent": "c",'
    b' "relationships": [{"type": "inherits", "target": "d"}]}': "one parent",
    b'{"id": "a", "text": "b", "relationships": [{"type": "t"}]}': "`target`",
    b'{"id": "a", "text": "b", "relationships": [{"type": "t", "target": "c", "weight": 0}]}': ">= 1e-06",
    b'{"id": "a", "text": "b", "relationships": [{"type": "t", "target": "c", "weight": NaN}]}': "malformed",
    b'{"id": "a", "text": "b", "relationships": ['
    + b",".join([b'{"type": "t", "target": "c"}'] * 2)
    + b"]}": "twice",
    b'{"id": "a", "text": "\xff"}': "UTF-8",
    b'{"id": "a", "text": "b", "properties": ' + b'{"x":' * 5000 + b"1" + b"}" * 5000 + b"}": "nested",
    b'{"op": "delete", "id": "a", "text": "b"}': "Invalid value",
}


@pytest.mark.parametrize(("line", "why"), BAD.items(), ids=range(len(BAD)))
def test_a_bad_line_is_named_with_what_is_wrong(line: bytes, why: str) -> None:
    file = io.BytesIO(b'{"id": "first", "text": "good"}\n\n' + line + b'\n{"id": "last", "text": "good"}\n')
    with pytest.raises(UsageError) as error:
        lines.survey(file, "words.jsonl")
    assert "line 3" in error.value.why
    assert why in error.value.why
    assert "nothing was imported" in error.value.what


def test_an_id_given_twice_is_refused_with_both_lines() -> None:
    with pytest.raises(UsageError) as error:
        lines.survey(
            source({"id": "a", "text": "x"}, {"id": "b", "text": "x"}, {"id": "a", "text": "y"}), "x"
        )
    assert error.value.why == "line 3: the id 'a' was in line 1 already"


def test_many_bad_lines_are_counted_and_ten_are_shown() -> None:
    with pytest.raises(UsageError) as error:
        lines.survey(io.BytesIO(b"bad\n" * 25), "x")
    assert error.value.what.startswith("25 lines")
    assert error.value.why.count("line ") == 10
    assert error.value.why.endswith("and 15 more")


def test_byte_order_mark_blank_lines_and_line_ends_of_windows_are_taken() -> None:
    file = io.BytesIO(b'\xef\xbb\xbf{"id": "a", "text": "x"}\r\n\r\n  \n{"id": "b", "text": "y"}')
    assert lines.survey(file, "x").concepts == 2
    assert [batch.line for batch in lines.batches(file, 1)] == [1, 4]


def test_a_concept_may_have_a_parent_and_a_vector_instead_of_a_text() -> None:
    file = source({"id": "a", "vector": [1, 0.5], "parent": "b"}, {"id": "b", "text": "x"})
    lines.survey(file, "x")
    (batch,) = lines.batches(file, 9)
    assert [(each.text, each.vector, each.parent) for each in batch.operations] == [
        (None, [1.0, 0.5], "b"), ("x", None, None)
    ]  # fmt: skip


def test_an_empty_source_is_refused() -> None:
    with pytest.raises(UsageError, match="no concepts"):
        lines.survey(io.BytesIO(b"\n \n"), "x")


@given(content=st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_no_bytes_get_past_the_check(content: bytes) -> None:
    try:
        found = lines.survey(io.BytesIO(content), "x")
    except UsageError:
        return
    assert sum(len(batch.operations) for batch in lines.batches(io.BytesIO(content), 10)) == found.concepts


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_batch_has_1_to_1000_concepts(limit: int) -> None:
    with pytest.raises(UsageError):
        lines.check_limit(limit)
