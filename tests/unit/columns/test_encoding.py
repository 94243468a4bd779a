from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cortex_runtime.columns import Encoder, Encoding, NothingToEncodeError, TextTooLongError, prior
from cortex_runtime.columns.encoding import MAX_BITS, MAX_CHARACTERS, PAD, WORD_BITS, word_bit
from cortex_runtime.columns.search import weights_of
from unit.columns.worlds import ENCODER, WORDS

GOLDEN = {
    "A domestic animal that barks": [
        7325,
        13174,
        14264,
        32152,
        44832,
        50874,
        55048,
        58667,
        59250,
        60682,
        60803,
    ],
    "Straße": [30574, 50627, 52696],
    "漢字かな": [1051, 19042, 22357],
    "🙂🚀": [10021, 30731, 56358, 59410],
}


# Common and rare words of English, and what is no ASCII or no word at all.
VOCABULARY = re.findall(
    r"\S+",
    "the of a in or and to is that by for with an used as on from who be having at person something not one "
    "genus state act family small plant large people quality dog cat barking domestic animal photosynthesis "
    "bureaucracy harpsichord metamorphosis antelope locomotive 1992 2nd don't semi-arid Linnaeus U.S. "
    "sclerophyllous zymurgy ytterbium xylophone wolverine vestibule umbrage thermodynamics quixotic oxymoron",
)
FOREIGN = re.findall(
    r"\S+",
    "Straße naïve İstanbul Привет мир 漢字 かな สวัสดี नमस्ते 한국어 ٢٠٢٤ 🚀 👩\u200d🚀 🇩🇪 ?! — ﬁne \ud800",
)


def chosen_texts(count: int, vocabulary: list[str], *, longest: int = 30) -> list[str]:
    """Texts that no library's random numbers have a part in: words by BLAKE2b, the first ones more often."""
    texts = []
    for number in range(count):
        draws = blake2b(str(number).encode()).digest()
        size = 1 + draws[0] % longest
        texts.append(
            " ".join(vocabulary[draw * draw % 65536 * len(vocabulary) >> 16] for draw in draws[1:][:size])
        )
    return texts


def digest_of(encodings: Iterable[Encoding]) -> str:
    state = blake2b(digest_size=16)
    for each in encodings:
        state.update(each.bits.astype("<u2").tobytes() + bytes([each.words]))
    return state.hexdigest()


def plain(encoding: Encoding) -> tuple[list[int], int, int]:
    return encoding.bits.tolist(), encoding.words, encoding.dimension


def share(first: str, second: str) -> float:
    a, b = set(ENCODER.encode(first).bits.tolist()), set(ENCODER.encode(second).bits.tolist())
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("text", GOLDEN)
def test_the_bits_of_a_text_never_change(text: str) -> None:
    encoding = ENCODER.encode(text)
    assert encoding.bits.tolist() == GOLDEN[text]
    assert encoding.words == sum(bit < WORD_BITS for bit in GOLDEN[text])


def test_the_bits_of_thousands_of_texts_never_change() -> None:
    english = chosen_texts(5000, VOCABULARY, longest=63)
    assert digest_of(ENCODER.encode_many(english)) == "6a29a1fda660b9dbf01a3af52e612446"
    mixed = chosen_texts(1000, VOCABULARY[::6] + FOREIGN)
    assert digest_of(ENCODER.encode_many(mixed)) == "519ccda01ab5d8a359cf657fee507722"


def test_another_process_with_another_hash_seed_gives_the_same_bits() -> None:
    program = (
        "import sys; from unit.columns.test_encoding import *;"
        "print(digest_of(Encoder().encode_many(chosen_texts(500, VOCABULARY + FOREIGN))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{digest_of(ENCODER.encode_many(chosen_texts(500, VOCABULARY + FOREIGN)))}\n"


some_texts = st.lists(
    st.one_of(
        st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=50).map(" ".join),
        st.lists(st.sampled_from(VOCABULARY + FOREIGN), min_size=1, max_size=20).map(" ".join),
        st.text(max_size=40).map(lambda text: f"{text}!"),
        st.sampled_from(["?!", "\0a\0", "_", "A", "🚀", "x" * 100]),
    ),
    max_size=12,
)


@settings(max_examples=50)
@given(some_texts)
@example(["a\0b", "cat"])
@example(["dog", "?!", "_"])
def test_a_batch_has_the_bits_of_each_text_alone(texts: list[str]) -> None:
    alone = [plain(Encoder().encode(text)) for text in texts]
    encodings = Encoder().encode_many(iter(texts))
    assert [plain(each) for each in encodings] == alone
    assert [plain(encodings[index]) for index in range(len(encodings))] == alone
    assert [plain(each) for each in encodings[1:5]] == alone[1:5]
    assert encodings.rows.shape == (len(texts), MAX_BITS)
    assert encodings.rows.dtype == np.uint16
    assert encodings.sizes.dtype == encodings.words.dtype == np.uint8
    assert encodings.sizes.tolist() == [len(bits) for bits, _, _ in alone]
    assert (encodings.rows != PAD).sum(axis=1).tolist() == encodings.sizes.tolist()


def test_a_batch_of_many_texts_and_of_long_ones() -> None:
    long = [" ".join(chosen_texts(6000, VOCABULARY)), "漢字" * 200_000, "🚀", "antelope"]
    for texts in (chosen_texts(1000, VOCABULARY + FOREIGN), [*long, *long[::-1]], []):
        encodings = Encoder().encode_many(texts)
        assert [plain(each) for each in encodings] == [plain(ENCODER.encode(text)) for text in texts]
    with pytest.raises(IndexError):
        encodings[0]


@pytest.mark.parametrize("bad", ["", " ", "x" * (MAX_CHARACTERS + 1)])
def test_a_batch_with_a_text_that_cannot_be_encoded_is_refused(bad: str) -> None:
    with pytest.raises((NothingToEncodeError, TextTooLongError)) as alone:
        ENCODER.encode(bad)
    with pytest.raises(type(alone.value)) as together:
        ENCODER.encode_many(["dog", bad, "cat"])
    assert str(together.value) == str(alone.value)


@given(st.text(max_size=300))
def test_any_text_has_well_formed_bits_or_a_reason(text: str) -> None:
    try:
        encoding = Encoder().encode(text)
    except NothingToEncodeError as error:
        assert "no word" in str(error)
        return
    bits = encoding.bits
    assert bits.dtype == np.uint16
    assert 1 <= bits.size <= MAX_BITS
    assert (np.diff(bits.astype(int)) > 0).all()
    assert bits.max() < PAD
    assert encoding.words == (bits < WORD_BITS).sum()
    assert ENCODER.encode(text).bits.tolist() == bits.tolist()


@given(st.permutations(WORDS[:10]), st.permutations(WORDS[10:20]), st.integers(6, 9))
def test_texts_that_share_words_share_more_bits(first: list[str], second: list[str], same: int) -> None:
    like = first[:same] + second[same:]
    assert share(" ".join(first), " ".join(like)) > share(" ".join(first), " ".join(second))


def test_texts_with_words_swapped_share_more_weight_than_others() -> None:
    texts = chosen_texts(2000, VOCABULARY)
    encodings = ENCODER.encode_many(texts)
    counts = np.bincount(encodings.rows.ravel(), minlength=PAD + 1)
    all_weights = weights_of(np.arange(PAD), counts[:PAD], len(texts))

    def weight(first: Encoding, second: Encoding) -> int:
        return int(all_weights[np.intersect1d(first.bits, second.bits)].sum())

    long = [number for number, text in enumerate(texts) if len(set(text.split())) > 9]
    for number in long:
        words = texts[number].split()
        drawn = texts[number - 1].split() * len(words)
        words[::3] = drawn[: len(words[::3])]
        swapped = ENCODER.encode(" ".join(words))
        others = [
            weight(encodings[number], encodings[other]) for other in (number - 7, number - 8, number - 9)
        ]
        assert weight(encodings[number], swapped) > np.mean(others)
    assert len(long) > 500


def test_misspelt_words_share_bits() -> None:
    words = ["photosynthesis", "bureaucracy", "metamorphosis", "locomotive", "antelope", "harpsichord"]
    misspelt = [word[:-2] + word[-1] + word[-2] for word in words]
    alike = [share(word, wrong) > 0 for word, wrong in zip(words, misspelt, strict=True)]
    assert sum(alike) >= 3
    assert not any(share(word, other) for word in words for other in words if word != other)


def test_case_form_and_compatibility_do_not_matter() -> None:
    expected = ENCODER.encode("strasse café 1").bits.tolist()
    for text in ("STRASSE Café 1", "Straße cafe\u0301 1", "\uff33trasse, café; \u2460"):
        assert ENCODER.encode(text).bits.tolist() == expected


@pytest.mark.parametrize("text", ["", " \t\n", "\u200d\ufe0f", "\x00"])
def test_nothing_is_refused(text: str) -> None:
    with pytest.raises(NothingToEncodeError, match="no word and no symbol"):
        ENCODER.encode(text)


@pytest.mark.parametrize("unit", ["dog ", "a", "犬", "🙂", "né "])
def test_the_longest_texts_are_encoded_and_longer_ones_refused(unit: str) -> None:
    text = (unit * MAX_CHARACTERS)[:MAX_CHARACTERS]
    assert 1 <= ENCODER.encode(text).bits.size <= 6
    with pytest.raises(TextTooLongError, match=r"has 1,048,577 characters, and may have 1,048,576"):
        ENCODER.encode(f"{text}x")


def test_beyond_forty_bits_the_most_informative_words_stay() -> None:
    rare = [f"zyx{number}qv" for number in range(38)]
    bits = ENCODER.encode(" ".join(["the", "of", "person", "state", *rare])).bits
    assert bits.size == MAX_BITS
    assert (bits < WORD_BITS).all()
    assert {word_bit(word) for word in rare} <= set(bits.tolist())
    assert word_bit("the") not in bits


def test_common_words_have_no_ngrams_and_rare_ones_two() -> None:
    assert ENCODER.encode("the").bits.tolist() == [word_bit("the")]
    assert ENCODER.encode("photosynthesis").bits.size == 3


def test_the_cache_of_words_is_bounded_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex_runtime.columns.encoding._CACHED_WORDS", 100)
    encoder, texts = Encoder(), [f"w{number} {'long' * 20}{number}" for number in range(1000)]
    expected = ENCODER.encode_many(texts)
    for number in range(1000):
        assert plain(encoder.encode(texts[number])) == plain(expected[number])
        assert len(encoder._words) <= 100
    assert (encoder.encode_many(texts).rows == expected.rows).all()
    assert max(map(len, encoder._words)) <= 64


def test_several_threads_use_one_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex_runtime.columns.encoding._CACHED_WORDS", 50)
    encoder, texts = Encoder(), chosen_texts(400, VOCABULARY + FOREIGN)
    found: list[str] = []
    threads = [Thread(target=lambda: found.append(digest_of(encoder.encode_many(texts)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [digest_of(ENCODER.encode_many(texts))] * 4


def test_a_damaged_prior_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = bytearray((Path(prior.__file__).parent / "prior-1.bin").read_bytes())
    assert len(raw) <= 65_536
    monkeypatch.setattr(prior, "__file__", str(tmp_path / "prior.py"))
    for place, complaint in ((0, "not a prior"), (4, "not a prior"), (12, "damaged")):
        broken = raw.copy()
        broken[place] ^= 1
        (tmp_path / "prior-1.bin").write_bytes(broken)
        with pytest.raises(ValueError, match=complaint):
            prior.load.__wrapped__()
