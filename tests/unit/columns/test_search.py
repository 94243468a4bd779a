from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_runtime.columns import (
    Cortex,
    CortexSettings,
    Encoding,
    InvalidQueryError,
    QueryTooComplexError,
    postings,
    querying,
)
from cortex_runtime.columns.kernels import Kernels, numpy_search
from cortex_runtime.columns.search import Found
from unit.columns.worlds import ENCODER, arrays_of, filled, full_scan, put, texts

QUERIES = texts(400, seed=2, length=20)
# Of the words of the texts, w1 to w10 are in more than 1 % of them.
COMMON = ["w1 w2 w3", "w1", "w2 w4", "w1 w2 w3 w4 w5 w6", "w9 w10", "w3 w7 w8 w9"]


@cache
def made(kernels: Kernels) -> Cortex:
    return filled(1500, kernels=kernels)


@cache
def mapped(kernels: Kernels) -> Cortex:
    """A cortex that has bitmaps although it is too small for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings, "SMALLEST_BITMAP", 4)
        cortex = filled(1500, kernels=kernels)
        while cortex.postings.tidy():
            pass
    assert (cortex.postings.slots >= 0).sum() > 10
    return cortex


@pytest.fixture(params=[made, mapped])
def cortex(request: pytest.FixtureRequest, kernels: Kernels) -> Cortex:
    cortex: Cortex = request.param(kernels)
    return cortex


def search(cortex: Cortex, bits: np.ndarray, **options: object) -> Found:
    wide = bits.astype(np.int64)
    weights = cortex.searcher.weights(wide, cortex.columns)
    return cortex.searcher.search(wide, weights, **options)  # type: ignore[arg-type]


def as_pairs(found: Found) -> list[tuple[int, int]]:
    return list(zip(found.columns.tolist(), found.scores.tolist(), strict=True))


@pytest.fixture(params=[1024, 8])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many postings numpy visits before it looks at the bound: few, so that it is often, or many."""
    monkeypatch.setattr(numpy_search, "FIRST_POSTINGS", request.param)
    monkeypatch.setattr(numpy_search, "FEW_ROWS", request.param // 8)
    return int(request.param)


@pytest.fixture(params=[0.0, 0.07, 1.0])
def single(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of how many columns numpy sums up common bits one by one: of none, of some or of all."""
    monkeypatch.setattr(numpy_search, "SINGLE", request.param)


@pytest.mark.parametrize("limit", [1, 10, 64, 100])
def test_search_is_a_full_scan_ties_included(limit: int, chunk: int, cortex: Cortex) -> None:
    for text in QUERIES[:60]:
        bits = ENCODER.encode(text).bits
        assert as_pairs(search(cortex, bits, limit=limit)) == full_scan(cortex, bits, limit)


@pytest.mark.usefixtures("single")
@pytest.mark.parametrize("limit", [1, 10, 500])
def test_common_words_alone_are_a_full_scan(limit: int, cortex: Cortex) -> None:
    for text in COMMON:
        bits = ENCODER.encode(text).bits
        assert as_pairs(search(cortex, bits, limit=limit)) == full_scan(cortex, bits, limit)
        hidden = np.array(sorted(column for column, _ in full_scan(cortex, bits, 30)[::2]), dtype=np.int64)
        every = [pair for pair in full_scan(cortex, bits, limit + 30) if pair[0] not in hidden]
        assert as_pairs(search(cortex, bits, limit=limit, without=hidden)) == every[:limit]


def test_search_from_a_floor_is_a_full_scan(chunk: int, cortex: Cortex) -> None:
    for text in QUERIES[150:190]:
        bits = ENCODER.encode(text).bits
        own = cortex.searcher.weights(bits.astype(np.int64), cortex.columns).sum()
        for part in (0.3, 0.6, 0.9):
            floor = int(part * own) + 1
            found = search(cortex, bits, limit=64, floor=floor)
            assert as_pairs(found) == full_scan(cortex, bits, 64, floor)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(1, 12))
@settings(max_examples=20, deadline=None)
def test_columns_that_tie_come_in_order_of_their_numbers(
    kernels: Kernels, choices: list[int], limit: int
) -> None:
    cortex = Cortex(CortexSettings(join_threshold=1.0, refractory=0), kernels)
    words = ["alpha beta", "alpha gamma", "beta gamma", "delta alpha", "gamma", "the alpha"]
    for number, choice in enumerate(choices):
        cortex.apply(cortex.compete([put(number, f"{words[choice]} x{number}")])[1])
    for text in ("alpha", "beta gamma", "alpha beta gamma delta"):
        bits = ENCODER.encode(text).bits
        assert as_pairs(search(cortex, bits, limit=limit)) == full_scan(cortex, bits, limit)


def test_columns_that_are_left_out_do_not_count_among_the_best(chunk: int, cortex: Cortex) -> None:
    for text in QUERIES[:30]:
        bits = ENCODER.encode(text).bits
        every = full_scan(cortex, bits, 40)
        hidden = np.array(sorted(column for column, _ in every[::2]), dtype=np.int64)
        expected = [pair for pair in full_scan(cortex, bits, 50) if pair[0] not in hidden][:10]
        assert as_pairs(search(cortex, bits, limit=10, without=hidden)) == expected


def test_a_budget_caps_and_says_when_the_answer_is_not_proved(cortex: Cortex) -> None:
    capped = proved = 0
    for text in QUERIES[:100]:
        bits = ENCODER.encode(text).bits
        wide = bits.astype(np.int64)
        cost = cortex.searcher.cost(wide, cortex.searcher.weights(wide, cortex.columns))
        found = search(cortex, bits, limit=5, budget=cost // 2)
        every = full_scan(cortex, bits, 10_000)
        capped += found.capped
        if not found.capped:
            proved += 1
            assert as_pairs(found) == every[:5]
        assert set(as_pairs(found)) <= set(every)
        assert as_pairs(search(cortex, bits, limit=5, budget=cost)) == every[:5]
    assert capped > 10
    assert proved > 10


def test_a_query_of_common_words_alone_is_refused_or_capped_and_still_answers(kernels: Kernels) -> None:
    cortex = filled(5000, settings=CortexSettings(budget=1), kernels=kernels)
    common = ENCODER.encode(" ".join(f"w{number}" for number in range(1, 21)))
    with pytest.raises(QueryTooComplexError, match="budget is 1") as refusal:
        cortex.query(common, 10)
    enough = refusal.value.cost
    assert enough > refusal.value.budget == 1
    result = cortex.query(common, 10, exact=False)
    assert result.capped
    assert result.cost == 1
    assert 0 < len(result.matches) <= 10
    exact = cortex.query(common, 10, budget=enough)
    assert (exact.capped, exact.cost) == (False, enough)
    assert cortex.query(common, 10, budget=enough, exact=False) == exact
    rare = ENCODER.encode("w2999")
    assert not cortex.query(rare, 10, exact=False).capped
    assert cortex.query(rare, 10).matches == cortex.query(rare, 10, exact=False).matches


def test_search_leaves_no_traces(cortex: Cortex) -> None:
    before = arrays_of(cortex)
    bits = ENCODER.encode(QUERIES[0]).bits
    first = as_pairs(search(cortex, bits, limit=10))
    for text in QUERIES[:50]:
        cortex.query(ENCODER.encode(text), 10, hops=2)
    assert as_pairs(search(cortex, bits, limit=10)) == first
    assert not cortex.searcher.sums.any()
    assert not cortex.searcher.table.any()
    assert arrays_of(cortex) == before


def test_a_word_that_no_column_has_finds_nothing(kernels: Kernels) -> None:
    assert made(kernels).query(ENCODER.encode("nowhere"), 10).matches == ()
    assert Cortex(None, kernels).query(ENCODER.encode("anything"), 10).matches == ()


def test_the_index_counts_and_lists_what_the_columns_have(cortex: Cortex) -> None:
    used = np.flatnonzero(cortex.arrays.concepts)
    rows = cortex.arrays.bits[used]
    for bit in np.unique(rows)[:-1].tolist():
        expected = used[(rows == bit).any(axis=1)]
        assert sorted(cortex.postings.list_of(bit).tolist()) == expected.tolist()
        assert cortex.postings.counts[bit] == expected.size


@pytest.mark.parametrize(
    ("name", "value"),
    [("k", 0), ("k", -1), ("k", 1001), ("k", 1 << 70), ("hops", 4), ("hops", -1), ("decay", 0.0),
     ("decay", 1.5), ("decay", float("nan")), ("budget", 0), ("budget", -5), ("k", 2.5), ("hops", 1.5),
     ("budget", 1 << 60), ("budget", float("nan"))],
)  # fmt: skip
def test_bad_queries_are_refused(name: str, value: float, kernels: Kernels) -> None:
    before = arrays_of(made(kernels))
    with pytest.raises(InvalidQueryError, match=f"{name} {value}".replace("+", "[+]")):
        made(kernels).query(ENCODER.encode("w1"), **{name: value})  # type: ignore[arg-type]
    assert arrays_of(made(kernels)) == before


@pytest.mark.parametrize(
    "bits",
    [
        np.array([70_000]), np.array([5, 5], dtype=np.uint16), np.array([3, 65_535], dtype=np.uint16),
        np.array([[5]], dtype=np.uint16), np.arange(41, dtype=np.uint16), [5],
    ],
)  # fmt: skip
def test_queries_of_what_are_no_bits_are_refused(bits: Any, kernels: Kernels) -> None:
    good = ENCODER.encode("w1")
    with pytest.raises(InvalidQueryError, match="bits are not"):
        made(kernels).query(Encoding(bits, 1), 3)
    with pytest.raises(InvalidQueryError, match="bits are not"):
        made(kernels).query(Encoding(bits, 1), 3, hops=1)
    with pytest.raises(InvalidQueryError, match="bits are not"):
        made(kernels).query_many([good, Encoding(bits, 1)], 3)
    with pytest.raises(ValueError, match="limit 0"):
        search(made(kernels), good.bits, limit=0)


def test_many_queries_at_once_are_answered_as_one_by_one(
    cortex: Cortex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(querying, "UNIT", 64)  # the cortex is too small for a query that costs a whole one
    encodings = [ENCODER.encode(text) for text in [*QUERIES[:100], *COMMON, "nowhere"]]
    assert cortex.query_many(encodings, 7) == [cortex.query(each, 7) for each in encodings]
    assert cortex.query_many([], 7) == []
    dear = ENCODER.encode(" ".join(f"w{number}" for number in range(1, 21)))
    with pytest.raises(QueryTooComplexError):
        cortex.query_many([encodings[0], dear], 7, budget=1)
    both = cortex.query_many([encodings[0], dear], 7, budget=1, exact=False)
    assert both == [cortex.query(each, 7, budget=1, exact=False) for each in (encodings[0], dear)]
