"""The generator of texts and queries."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from columnbench import corpus

BASE = [
    " ".join(f"{'aeiou'[(7 * number + 3 * place) % 5]}{(number * place) % 97}word" for place in range(5, 17))
    for number in range(40)
] + [f"the of the and of a an in{number}" for number in range(40)]


def hash_of(lines: list[str]) -> str:
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def differing(one: str, other: str) -> float:
    words = list(zip(one.split(), other.split(), strict=True))
    return sum(a != b for a, b in words) / len(words)


def test_the_same_lines_on_every_machine() -> None:
    made = corpus.make("big", BASE, 500, 100, 50)
    assert hash_of(made.texts[:100]) == "9b91550ac0999c57"
    assert hash_of(made.extras) == "366eabdfec32e268"
    assert {kind: hash_of([query.text for query in queries]) for kind, queries in made.queries.items()} == {
        "report": "5bba9e8de2c1dfa9",
        "tuning": "297dba7b309ea4c9",
        "typos": "07b8224f68e31960",
        "common": "e31fdd7023a37ace",
        "long": "4c9724b0ff10a191",
    }


def test_other_sets_have_other_lines() -> None:
    big, hard = (corpus.make(name, BASE, 100, 10, 10).texts for name in ("big", "hard"))
    assert not set(big) & set(hard)


@pytest.mark.parametrize("shares", [(0.3, 0.6), (0.75, 0.95)])
def test_a_variant_has_its_share_of_other_words(shares: tuple[float, float]) -> None:
    distinct = [" ".join(f"t{text}w{place}" for place in range(30)) for text in range(200)]
    variants, sources = corpus.vary(distinct, 400, shares, corpus.generator("any", "test"))
    swapped = []
    for variant, source in zip(variants, sources.tolist(), strict=True):
        swapped.append(differing(variant, distinct[source]))
    assert sum(swapped) / len(swapped) == pytest.approx(sum(shares) / 2, abs=0.03)


def test_every_text_is_varied_equally_often_and_the_order_is_not_that_of_the_texts() -> None:
    distinct = [" ".join([f"t{text}"] * 20) for text in range(50)]
    variants, taken = corpus.vary(distinct, 500, (0.1, 0.2), corpus.generator("any", "test"))
    sources = [Counter(variant.split()).most_common(1)[0][0] for variant in variants]
    assert set(Counter(sources).values()) == {10}
    assert sources == [f"t{number}" for number in taken.tolist()]
    assert sources[:50] != [f"t{text}" for text in range(50)]


def test_words_come_in_as_often_as_they_occur() -> None:
    texts = ["often often often rare"] * 100
    words = Counter(
        word
        for text in corpus.vary(texts, 2000, (1.0, 1.0), corpus.generator("any", "test"))[0]
        for word in text.split()
    )
    assert words["often"] / words["rare"] == pytest.approx(3, rel=0.1)


def test_queries_are_of_texts_that_are_there_and_tuning_is_on_others() -> None:
    made = corpus.make("hard", BASE, 400, 10, 150)
    report, tuning = made.queries["report"], made.queries["tuning"]
    assert len(report) == 150
    assert not {query.wanted for query in report} & {query.wanted for query in tuning}
    kept = total = 0
    for query in report:
        words = made.texts[query.wanted].split()
        rest = iter(words)
        assert all(word in rest for word in query.text.split())  # in order
        kept, total = kept + len(query.text.split()), total + len(words)
    assert kept / total == pytest.approx(0.7, abs=0.03)


def test_queries_are_of_the_gloss_alone() -> None:
    texts = ["dog, domestic dog; a barking animal", "no words before it", "cat; a; b c"] * 20
    assert corpus.glosses(texts)[:3].tolist() == [3, 0, 1]
    for query in corpus.make("wordnet", texts, 60, 1, 30).queries["report"]:
        assert not {"dog,", "domestic", "dog;", "cat;"} & set(query.text.split())
    variants = corpus.make("big", ["head head head; " + "gloss " * 20] * 50, 100, 1, 50)
    heads = [query.text.split().count("head") for query in variants.queries["report"]]
    assert sum(heads) / len(heads) < 2  # only such as were drawn into the gloss


def test_common_queries_have_only_common_words() -> None:
    texts = [f"the {'of ' * (number % 2)}unique{number}" for number in range(1000)]
    assert corpus.common_words(texts) == ["of", "the"]
    queries = corpus.make_queries("wordnet", texts, corpus.glosses(texts), 10)["common"]
    assert len(queries) == corpus.COMMON_QUERIES
    assert {word for query in queries for word in query.text.split()} == {"of", "the"}


def test_long_queries_have_thirty_words() -> None:
    queries = corpus.make_queries("wordnet", BASE, corpus.glosses(BASE), 10)["long"]
    assert {len(query.text.split()) for query in queries} == {30}


def test_typing_errors_change_some_of_the_longer_words_by_one_letter() -> None:
    text = " ".join(["is", "typewriter"] * 500)
    typed = corpus.mistype(text, corpus.generator("any", "test"))
    pairs = list(zip(text.split(), typed.split(), strict=True))
    assert {b for a, b in pairs if a == "is"} == {"is"}
    wrong = [b for a, b in pairs if a != b]
    assert len(wrong) / 500 == pytest.approx(corpus._MISTYPED, abs=0.06)
    assert {len(word) for word in wrong} == {9, 10, 11}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    directory = tmp_path / "set"
    made = corpus.make("wordnet", BASE, 30, 5, 5)
    assert not corpus.is_written(directory)
    corpus.write(made, directory)
    assert corpus.is_written(directory)
    assert corpus.read_lines(directory, "texts") == made.texts
    assert corpus.read_lines(directory, "extras") == made.extras
    assert corpus.read_queries(directory, 1000) == made.queries
    assert corpus.read_queries(directory, 3)["common"] == made.queries["common"][:3]
