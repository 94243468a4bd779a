"""The texts and the queries that are measured: WordNet, and two sets of variants of it, all of them seeded.

Everything is drawn from PCG64 by `random()` alone, whose stream numpy keeps stable, so that the same input
gives the same lines on every machine and with every version.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
VERSION = 1  # of the generator: another one makes other files
SWAPPED = {
    "wordnet": (0.3, 0.6),
    "big": (0.3, 0.6),
    "hard": (0.75, 0.95),
}  # shares of words; of wordnet, the extras'
MILLION = 1_000_000
DROPPED = 0.3
COMMON_SHARE = 0.01
COMMON_QUERIES = LONG_QUERIES = 400
COMMON_WORDS = (2, 8)
LONG_WORDS = 30
TUNING_QUERIES = 2_000
_MISTYPED = 0.3  # of the words with at least _MISTYPED_LETTERS letters
_MISTYPED_LETTERS = 4
_COUNTED_TEXTS = 100_000
_CHUNK = 50_000
_WORD = re.compile(r"[a-z0-9]+")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Query(NamedTuple):
    """A query, and the number of the text that should come first (-1: none should)."""

    text: str
    wanted: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """texts: what is searched, by number. extras: more of the same kind, to be added while measuring."""

    texts: list[str]
    extras: list[str]
    queries: dict[str, list[Query]]


def generator(name: str, purpose: str) -> np.random.Generator:
    """Return the random numbers for one purpose of one set."""
    digest = hashlib.blake2b(f"{VERSION} {name} {purpose}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


def order(random: np.random.Generator, count: int) -> Ints:
    """Return the numbers below `count` in random order."""
    return np.argsort(random.random(count), kind="stable")


def vary(
    texts: list[str], count: int, swapped: tuple[float, float], random: np.random.Generator
) -> tuple[list[str], Ints]:
    """Return `count` variants of texts, in random order, and of which text each is one.

    Of each variant a share of its words, drawn from `swapped`, is replaced by words drawn from all texts as
    often as they occur there. Every text is taken equally often (one more or less).
    """
    vocabulary: dict[str, int] = {}
    numbers = [[vocabulary.setdefault(word, len(vocabulary)) for word in text.split()] for text in texts]
    sizes = np.array([len(each) for each in numbers], dtype=np.int64)
    stream = np.array([number for each in numbers for number in each], dtype=np.int32)
    starts = np.cumsum(sizes) - sizes
    words = list(vocabulary)
    sources = order(random, len(texts))[np.arange(count) % len(texts)][order(random, count)]
    variants: list[str] = []
    for at in range(0, count, _CHUNK):
        some = sources[at : at + _CHUNK]
        lengths = sizes[some]
        first = np.cumsum(lengths) - lengths
        drawn = stream[np.repeat(starts[some] - first, lengths) + np.arange(lengths.sum())]
        shares = swapped[0] + (swapped[1] - swapped[0]) * random.random(some.size)
        places = np.flatnonzero(random.random(drawn.size) < np.repeat(shares, lengths))
        drawn[places] = stream[(random.random(places.size) * stream.size).astype(np.int64)]
        taken = [words[number] for number in drawn.tolist()]
        variants.extend(
            " ".join(taken[start:end])
            for start, end in zip(first.tolist(), (first + lengths).tolist(), strict=True)
        )
    return variants, sources


def glosses(texts: list[str]) -> Ints:
    """Return at which word the gloss of each text begins: after the first semicolon, else at 0."""
    return np.array(
        [text.partition(";")[0].count(" ") + 1 if "; " in text else 0 for text in texts], dtype=np.int64
    )


def drop(words: list[str], random: np.random.Generator) -> str:
    """Return the text of words without 30 % of them, or of all of them when none would be left."""
    kept = [word for word, chance in zip(words, random.random(len(words)), strict=True) if chance >= DROPPED]
    return " ".join(kept or words)


def mistype(text: str, random: np.random.Generator) -> str:
    """Return a text with one typing error in 30 % of its words of at least four letters."""
    return " ".join(
        _mistyped(word, random) if len(word) >= _MISTYPED_LETTERS and random.random() < _MISTYPED else word
        for word in text.split()
    )


def _mistyped(word: str, random: np.random.Generator) -> str:
    at = int(random.random() * (len(word) - 1))
    letter = _LETTERS[int(random.random() * len(_LETTERS))]
    ways = (
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        word[:at] + word[at + 1 :],
        word[:at] + letter + word[at + 1 :],
        word[:at] + letter + word[at:],
    )
    return ways[int(random.random() * len(ways))]


def common_words(texts: list[str]) -> list[str]:
    """Return the words that more than 1 % of the texts have (counted in the first 100,000)."""
    counted = texts[:_COUNTED_TEXTS]
    counts = Counter(word for text in counted for word in set(_WORD.findall(text.lower())))
    return sorted(word for word, count in counts.items() if count > COMMON_SHARE * len(counted))


def _common_query(words: list[str], random: np.random.Generator) -> str:
    least, most = COMMON_WORDS
    size = least + int(random.random() * (most - least + 1))
    return " ".join(words[number] for number in order(random, len(words))[:size].tolist())


def _long_query(texts: list[str], random: np.random.Generator) -> str:
    words: list[str] = []
    while len(words) < LONG_WORDS:
        words += texts[int(random.random() * len(texts))].split()
    return " ".join(words[:LONG_WORDS])


def make_queries(name: str, texts: list[str], begins: Ints, count: int) -> dict[str, list[Query]]:
    """Return the sets of queries: report and tuning (of different texts), typos, common, long.

    begins: at which word the gloss of each text begins.
    """
    shuffled = order(generator(name, "wanted"), len(texts)).tolist()
    half = len(texts) // 2
    wanted = {"report": shuffled[: min(count, half)], "tuning": shuffled[::-1][: min(TUNING_QUERIES, half)]}
    queries: dict[str, list[Query]] = {}
    for kind, numbers in wanted.items():
        random = generator(name, kind)
        queries[kind] = [
            Query(drop(texts[number].split()[begins[number] :], random), number) for number in numbers
        ]
    random = generator(name, "typos")
    queries["typos"] = [Query(mistype(query.text, random), query.wanted) for query in queries["report"]]
    random, common = generator(name, "common"), common_words(texts)
    queries["common"] = [Query(_common_query(common, random), -1) for _ in range(COMMON_QUERIES)]
    random = generator(name, "long")
    queries["long"] = [Query(_long_query(texts, random), -1) for _ in range(LONG_QUERIES)]
    return queries


def make(name: str, base: list[str], columns: int, extras: int, queries: int) -> Corpus:
    """Return a set of `columns` texts made from the texts of WordNet (of which it has at most all)."""
    if name == "wordnet":
        sources = order(generator(name, "texts"), len(base))[:columns]
        texts = [base[number] for number in sources.tolist()]
    else:
        texts, sources = vary(base, columns, SWAPPED[name], generator(name, "texts"))
    more, _ = vary(base, extras, SWAPPED[name], generator(name, "extras"))
    return Corpus(texts, more, make_queries(name, texts, glosses(base)[sources], queries))


def read_base(path: Path | None, work: Path) -> list[str]:
    """Return WordNet's texts out of an import file, or out of what scripts/wordnet writes (once)."""
    if path is None:
        path = work / "wordnet.jsonl"
        if not path.exists():
            converter = Path(__file__).resolve().parents[2] / "wordnet"
            fresh = path.with_suffix(".new")
            with fresh.open("wb") as output:
                subprocess.run([sys.executable, converter], stdout=output, check=True)
            fresh.rename(path)
    with path.open(encoding="utf-8") as lines:
        return [" ".join(json.loads(line)["text"].split()) for line in lines]


def digest_of(texts: list[str]) -> str:
    """Return a short name for exactly these texts."""
    state = hashlib.blake2b(digest_size=4)
    for text in texts:
        state.update(text.encode("utf-8", "surrogatepass") + b"\n")
    return state.hexdigest()


def write(corpus: Corpus, directory: Path) -> None:
    """Write a corpus for the contestants; the queries last, by which it is known to be complete."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, lines in (("texts", corpus.texts), ("extras", corpus.extras)):
        (directory / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    fresh = directory / "queries.new"
    fresh.write_text(json.dumps(corpus.queries), encoding="utf-8")
    fresh.rename(directory / "queries.json")


def is_written(directory: Path) -> bool:
    """Tell whether a corpus is there."""
    return (directory / "queries.json").exists()


def read_lines(directory: Path, name: str) -> list[str]:
    """Return the lines of `texts` or `extras`."""
    return (directory / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def read_queries(directory: Path, count: int) -> dict[str, list[Query]]:
    """Return the queries by their kind, at most `count` of each."""
    raw = json.loads((directory / "queries.json").read_text(encoding="utf-8"))
    return {kind: [Query(text, wanted) for text, wanted in queries[:count]] for kind, queries in raw.items()}
