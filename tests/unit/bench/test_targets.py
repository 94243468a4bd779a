"""Verdicts on what was measured."""

from __future__ import annotations

from columnbench.targets import TARGETS, Row, all_musts_met, judge, rows

ALL = ("wordnet", "big", "hard")


def target(key: str, sets: tuple[str, ...] = ("big", "hard")):  # type: ignore[no-untyped-def]
    return next(each for each in TARGETS if each.key == key and each.sets == sets)


def row(table: list[Row], key: str, kernels: str = "numba") -> Row:
    return next(
        each
        for each in table
        if (each.target.key, each.kernels) == (key, kernels) and each.target.sets != ("wordnet",)
    )


def test_less_is_better() -> None:
    p50 = target("query.p50")
    assert [judge(p50, "numba", figure) for figure in (0.13, 0.14, 0.3, 0.31, None)] == [
        "aim met", "must met", "must met", "missed", "not measured",
    ]  # fmt: skip
    assert judge(p50, "numpy", 0.31) == "must met"
    assert judge(p50, "numpy", 0.01) == "must met"  # numpy alone has no aim here


def test_more_is_better() -> None:
    insertion = target("insertion")
    assert [judge(insertion, "numba", figure) for figure in (30, 29, 10, 9.9)] == [
        "aim met", "must met", "must met", "missed",
    ]  # fmt: skip


def test_as_good_as_the_peer_is_not_better() -> None:
    assert judge(target("mrr.low"), "numba", 0.0) == "missed"
    assert judge(target("mrr.low"), "numba", 0.0001) == "aim met"


def test_the_worse_of_the_two_sets_counts() -> None:
    figures = {
        ("big", "numba"): {"query.p50": 0.2, "recall": 1.0},
        ("hard", "numba"): {"query.p50": 0.25, "recall": 0.99},
        ("wordnet", "numba"): {"query.p50": 9.0, "recall": 0.1},
    }
    table = rows(figures, ALL, ())
    assert (row(table, "query.p50").measured, row(table, "query.p50").set) == (0.25, "hard")
    assert (row(table, "recall").measured, row(table, "recall").verdict) == (0.99, "missed")


def test_the_small_set_has_its_own_targets() -> None:
    figures = {("wordnet", "numpy"): {"query.p50": 0.2}, ("big", "numpy"): {"query.p50": 0.9}}
    table = rows(figures, ALL, ())
    small = next(each for each in table if each.target.sets == ("wordnet",) and each.kernels == "numpy")
    assert (small.measured, small.verdict) == (0.2, "must met")


def test_what_is_missing_on_one_set_is_not_measured_and_no_success() -> None:
    table = rows({("big", "numba"): {"pause": 1.0}}, ALL, (), ("numba",))
    assert row(table, "pause").verdict == "not measured"
    assert not all_musts_met(table)


def test_only_what_was_asked_for_is_judged() -> None:
    good = {
        each.target.key: each.target.aim["numba"] + (1 if each.target.strictly else 0)
        for each in rows({}, ALL, ("usearch", "tantivy"), ("numba",))
    }
    table = rows({("big", "numba"): good}, ("big",), (), ("numba",))
    assert all_musts_met(table)
    keys = {each.target.key for each in table}
    assert not keys & {"mrr.low", "insertion", "same"}
    assert all(each.target.sets != ("wordnet",) for each in table)
    assert not all_musts_met(rows({("big", "numba"): good | {"apply": 5.1}}, ("big",), (), ("numba",)))


def test_without_a_large_set_the_small_one_is_judged_by_the_large_ones_targets() -> None:
    table = rows({("wordnet", "numba"): {"apply": 3.0}}, ("wordnet",), (), ("numba",))
    assert (row(table, "apply").set, row(table, "apply").verdict) == ("wordnet", "must met")
