from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_runtime.columns import Encoder, NothingToEncodeError, prior
from cortex_runtime.columns.encoding import MAX_BITS, PAD, WORD_BITS, word_bit
from cortex_runtime.columns.words import words_of
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


def share(first: str, second: str) -> float:
    a, b = set(ENCODER.encode(first).bits.tolist()), set(ENCODER.encode(second).bits.tolist())
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("text", GOLDEN)
def test_the_bits_of_a_text_never_change(text: str) -> None:
    encoding = ENCODER.encode(text)
    assert encoding.bits.tolist() == GOLDEN[text]
    assert encoding.words == sum(bit < WORD_BITS for bit in GOLDEN[text])


def test_another_process_with_another_hash_seed_gives_the_same_bits() -> None:
    program = (
        "from cortex_runtime.columns import Encoder; print(Encoder().encode('a barking dog').bits.tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{ENCODER.encode('a barking dog').bits.tolist()}\n"


@given(st.text(max_size=300))
def test_any_text_has_well_formed_bits_or_a_reason(text: str) -> None:
    try:
        encoding = Encoder().encode(text)
    except NothingToEncodeError as error:
        assert not any(character.isalnum() for character in text)
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


@pytest.mark.parametrize(
    ("text", "words", "pairs"),
    [
        ("漢字かな", [], ["漢字", "字か", "かな"]),
        ("hello 世界!", ["hello"], ["世界"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"], []),
        ("สวัส", [], ["สว", "วั", "ัส"]),
        ("犬", [], ["犬"]),
        ("don't stop", ["don", "t", "stop"], []),
    ],
)
def test_words_of_scripts(text: str, words: list[str], pairs: list[str]) -> None:
    assert words_of(text) == (words, pairs)


def test_letters_within_compatibility_characters_are_folded() -> None:
    assert words_of("5 \u3392")[0] == ["5", "mhz"]


def test_symbols_count_when_there_is_no_word() -> None:
    assert words_of("🙂🚀")[0] == ["🙂", "🚀"]
    assert words_of("🙂 rocket")[0] == ["rocket"]
    assert ENCODER.encode("?!").words == 2


@pytest.mark.parametrize("text", ["", " \t\n", "\u200d\ufe0f", "\x00"])
def test_nothing_is_refused(text: str) -> None:
    with pytest.raises(NothingToEncodeError, match="no word and no symbol"):
        ENCODER.encode(text)


@pytest.mark.parametrize("unit", ["dog ", "a", "犬", "🙂", "né ", " "])
def test_a_mebibyte_is_encoded_or_refused(unit: str) -> None:
    text = unit * ((1 << 20) // len(unit.encode()))
    if unit == " ":
        with pytest.raises(NothingToEncodeError):
            ENCODER.encode(text)
    else:
        assert 1 <= ENCODER.encode(text).bits.size <= 3


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


def test_the_cache_of_words_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex_runtime.columns.encoding._CACHED_WORDS", 100)
    encoder = Encoder()
    for number in range(1000):
        encoder.encode(f"w{number}")
    assert len(encoder._words) <= 100
    assert encoder.encode("w1").bits.tolist() == ENCODER.encode("w1").bits.tolist()


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
