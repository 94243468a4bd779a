"""Properties as tags: canonical values, exceptions, and the same answers as by comparing the values."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_runtime.columns import INHERITS, Cortex, InvalidOperationError, Put, Relate, Wanted, tags_of
from cortex_runtime.columns import tags as module
from cortex_runtime.columns.model import KEY_SHIFT, MAX_TAGS
from unit.columns.worlds import ENCODER, identifier

keys = st.sampled_from(["a", "b", "ä", ""])
scalars = st.one_of(
    st.sampled_from([0, 1, 1.0, -0.0, 0.5, True, False, "1", "", "true", 2**70, 1e300, "\ud800"]),
    st.integers(), st.text("ab1é", max_size=3), st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
values = st.one_of(scalars, st.none(), st.just({"x": 1}), st.lists(st.one_of(scalars, st.none()), max_size=4))


def tag_of(value: Any) -> set[int]:
    return set(tags_of({"key": value}))


def test_values_are_compared_by_what_they_are() -> None:
    assert tag_of(1) == tag_of(1.0) == tag_of([1, 1.0]) == tag_of([1])
    assert tag_of(0) == tag_of(-0.0)
    assert tag_of(2**60) == tag_of(float(2**60)) != tag_of(2**60 + 1)
    different = [1, "1", True, "true", 1.5, "", "a", "A", "ä", 0, False, -1]
    assert len({tuple(tag_of(value)) for value in different}) == len(different)
    assert tag_of([1, "a", None, {"b": 2}]) == tag_of(1) | tag_of("a")


@pytest.mark.parametrize("value", [None, {}, {"a": 1}, [], [None], [[1]], [{"a": 1}]])
def test_what_has_no_value_to_filter_by_is_an_exception(value: Any) -> None:
    (tag,) = tag_of(value)
    assert tag & ((1 << KEY_SHIFT) - 1) == 0
    assert tag >> KEY_SHIFT == tags_of({"key": 1})[0] >> KEY_SHIFT


def test_tags_are_the_same_for_ever() -> None:
    assert tags_of({"legs": 4, "color": ["brown", "white"], "wings": None}) == (
        12377881132632356111, 17717611733842919424, 18414348567536927489, 18414348656358746031
    )  # fmt: skip


def test_a_concept_has_at_most_1024_of_them() -> None:
    assert len(tags_of({"a": list(range(MAX_TAGS))})) == MAX_TAGS
    assert len(tags_of({"a": [1.0, 1] * 100_000})) == 1
    with pytest.raises(InvalidOperationError, match=r"'a'.* more than 1,024"):
        tags_of({"a": list(range(MAX_TAGS + 1))})
    with pytest.raises(InvalidOperationError, match=r"'b'.* more than 1,024"):
        tags_of({"a": list(range(MAX_TAGS)), "b": None})


@settings(deadline=None)
@given(properties=st.dictionaries(keys, values, max_size=4))
def test_tags_are_what_a_put_takes_and_survive_storing(properties: dict[str, Any]) -> None:
    tags = tags_of(properties)
    assert list(tags) == sorted(set(tags))
    encoding = ENCODER.encode("word")
    Cortex().compete([Put(identifier(1), encoding.bits, encoding.words, tags)])
    try:
        stored = msgspec.msgpack.decode(msgspec.msgpack.encode(properties))
    except (OverflowError, UnicodeEncodeError):  # no JSON that is taken has these
        return
    assert tags_of(stored) == tags


@settings(deadline=None, max_examples=60)
@given(
    own=st.dictionaries(keys, values, max_size=3),
    parents=st.dictionaries(keys, values, max_size=3),
    wanted=st.dictionaries(keys, st.one_of(scalars, st.lists(scalars, min_size=1, max_size=3)), max_size=2),
)
def test_a_filter_finds_what_has_the_values_and_nothing_else(
    own: dict[str, Any], parents: dict[str, Any], wanted: dict[str, Any]
) -> None:
    asked, encoding, cortex = Wanted(wanted), ENCODER.encode("word"), Cortex()
    puts = [
        Put(identifier(number), encoding.bits, encoding.words, tags_of(properties))
        for number, properties in ((1, own), (2, parents))
    ]
    cortex.apply(cortex.compete([*puts, Relate(identifier(1), identifier(2), INHERITS, 1.0)])[1])
    found = {each for match in cortex.query(encoding, where=asked.where).matches for each in match.ids}
    expected = {1: {**parents, **own}, 2: parents}
    assert found == {identifier(number) for number, has in expected.items() if asked.held_by(has)}


def test_equal_hashes_do_not_make_equal_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_value", lambda canonical: 7)
    asked = Wanted({"key": ["x", 1]})
    assert asked.where == (tags_of({"key": "y"}),)
    assert not asked.held_by({"key": "y"})
    assert not asked.held_by({"other": "x"})
    assert asked.held_by({"key": ["y", 1.0]})
