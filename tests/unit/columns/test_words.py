# ruff: noqa: RUF001 - letters that look alike are what is tested
from __future__ import annotations

import re
import sys
import unicodedata
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cortex_runtime.columns import NothingToEncodeError, characters
from cortex_runtime.columns.words import _in_order, fold, is_pair, words_of

# Texts of characters that are in every Python's Unicode, of all planes, marks and invisible ones often.
known = st.characters(exclude_categories=["Cn", "Co", "Cs"])
tricky = st.sampled_from(
    "aiIıİßſςΣﬁǅ가각한ᄒ\u1161\u11abㅎ\uffa0か\u3099ﾊﾞำ\u0e33क्षि\u0301\u0323\u0307\u0327\u0345\u05b0\u0653"
    "\u200b\u200c\u200d\u200e\u200f\u00ad\u034f\ufe0f\u20e3👩🚀🏽🇩🇪漢々〇٣๓３①㎒ﷺـ\u0600\u202e \n"
)
texts = st.text(st.one_of(tricky, known), max_size=30)
INVISIBLE = "\u200c\u200d\u200e\u200f\u00ad\u034f\u2060\ufeff\ufe0e\ufe0f\U000e0067\u0640\u202b"


def words(text: str) -> list[str]:
    try:
        return words_of(text)
    except NothingToEncodeError:
        return []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't STOP, 2nd_time", ["don", "t", "stop", "2nd", "time"]),
        ("漢字かな", ["漢字", "字か", "かな"]),
        ("hello 世界!", ["hello", "世界"]),
        ("人々と〇", ["人々", "々と", "と〇"]),
        ("犬", ["犬"]),
        ("abc漢字def", ["abc", "漢字", "def"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("क्\u200dषेत्र", ["क्षेत्र"]),
        ("สวัส", ["สว", "วั", "ัส"]),
        ("ไทย\u200bลาว", ["ไท", "ทย", "ลา", "าว"]),
        ("한국어 조선말", ["한국어", "조선말"]),
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8", ["한국"]),
        ("ㅎㅏㄴ ﾊﾞﾝ", ["\ud558\u1102", "\u30d0\u30f3"]),
        ("السَّلام عليكم", ["السَّلام", "عليكم"]),
        ("كـــتاب ﻛﺘﺎﺏ", ["كتاب", "كتاب"]),
        ("می\u200cخواهم", ["میخواهم"]),
        ("שלום\u200f, עולם", ["שלום", "עולם"]),
        ("٢٠٢٤ ๒๕๖๗ २०२४ ３", ["2024", "2567", "2024", "3"]),
        ("İSTANBUL istanbul ısırgan ISIRGAN", ["istanbul", "istanbul", "isirgan", "isirgan"]),
        ("ﬁn oﬀice ǆ Ǆ ＡＢ", ["fin", "office", "dž", "dž", "ab"]),
        ("ΣΊΣΥΦΟΣ σίσυφος", ["σίσυφοσ", "σίσυφοσ"]),
        ("5 \u3392", ["5", "mhz"]),
        ("co\u00adoperate 1\ufe0f\u20e3", ["cooperate", "1\u20e3"]),
        ("launch 🚀 now", ["launch", "🚀", "now"]),
        ("👩\u200d🚀👍🏽", ["👩", "🚀", "👍"]),
        ("🇩🇪🇫🇷🇩", ["🇩🇪", "🇫🇷", "🇩"]),
        ("❤\ufe0f ❤", ["❤", "❤"]),
        ("?! €", ["?", "!", "€"]),
        ("x\ud800y \udfff", ["x", "y"]),
        ("\U00011f04\U00011f05 \U000323b0\U000323b1", ["\U00011f04\U00011f05", "\U000323b0\U000323b1"]),
        ("a\x00b\x85c\ufffed", ["a", "b", "c", "d"]),
    ],
)
def test_words_of_scripts(text: str, expected: list[str]) -> None:
    assert words_of(text) == expected


@given(texts)
@example("\u0345\u0301α")
@example("i\u0323\u0307")
@example("\u1100\u200d\u1161")
def test_canonical_forms_do_not_matter(text: str) -> None:
    assert (
        words(unicodedata.normalize("NFD", text)) == words(unicodedata.normalize("NFC", text)) == words(text)
    )


@given(texts)
def test_folding_again_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(texts)
def test_case_does_not_matter(text: str) -> None:
    assert words(text.casefold()) == words(text)


@given(texts, st.text(INVISIBLE, min_size=1, max_size=3), st.integers(0, 30))
def test_invisible_characters_do_not_matter(text: str, invisible: str, at: int) -> None:
    plain = "".join(character for character in text if character not in INVISIBLE)
    canonical = unicodedata.normalize("NFC", plain)
    assert words(canonical[:at] + invisible + canonical[at:]) == words(canonical)


@given(st.text(max_size=60))
def test_only_texts_of_nothing_are_refused(text: str) -> None:
    if not words(text):
        assert not any(character.isalnum() for character in fold(text))


@pytest.mark.parametrize("low", [0x1F300, 0x1F600, 0x1F680, 0x1F900, 0x1FA70, 0x2600, 0x2700])
def test_emoji_are_words(low: int) -> None:
    for code in range(low, low + 0x30):
        assert words_of(f"{chr(code)}\ufe0f x") == [chr(code), "x"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        (" \t\n", "only spaces, controls and marks, the first U[+]0020"),
        ("\u200d\ufe0f", "U[+]200D"),
        ("\x00", "U[+]0000"),
        ("\ud800", "U[+]D800"),
        ("\u0301", "U[+]0301"),
    ],
)
def test_nothing_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(NothingToEncodeError, match="no word and no symbol") as refused:
        words_of(text)
    assert reason.replace("[+]", "+") in str(refused.value)


@pytest.mark.parametrize("unit", ["\u0301\u0323", "\uff9e\u0301", "\u0323\u0301\u034f\u0301\u0323"])
def test_marks_in_bad_order_take_no_longer_than_others(unit: str) -> None:
    """Normalisation alone would take half a minute for each."""
    text = "a" + unit * (1 << 15)
    (word,) = words_of(text)
    assert len(word) in (len(text.replace("\u034f", "")) - 1, len(text.replace("\u034f", "")))


@given(st.text("\u0301\u0323\u0307\u0345\u0344\u093e\u09be\uff9e\u05b0", min_size=32, max_size=80))
def test_long_runs_of_marks_are_normalised_as_by_unicode(marks: str) -> None:
    padding = "b" * 1100  # only long texts are put in order before
    assert words(f"{padding} e{marks}")[1:] == words(f"e{marks}")


@given(st.text("\u0301\u0323\u0307\u0345\u0344\u093e\u09be\uff9e\u05b0", min_size=1))
def test_marks_are_put_in_canonical_order(marks: str) -> None:
    ordered = _in_order(re.match("(?s).*", marks))  # type: ignore[arg-type]
    assert unicodedata.normalize("NFKD", ordered) == ordered == unicodedata.normalize("NFKD", marks)


def test_pairs_and_words_are_told_apart() -> None:
    assert [is_pair(word) for word in ("犬", "ัส", "かな", "dog", "🚀", "?", "\U000323b0")] == [
        True, True, True, False, False, False, True,
    ]  # fmt: skip


def test_the_table_is_that_of_unicode_14(monkeypatch: pytest.MonkeyPatch) -> None:
    table = characters.load()
    assert len(table) == characters.CODES
    assert blake2b(table, digest_size=16).hexdigest() == "5d01fdd3749f19ccb161a075ee3afea8"
    if unicodedata.unidata_version == characters.UNICODE:
        some = range(0, characters.CODES, 13)
        assert bytes(map(characters.classify, some)) == table[::13]
    monkeypatch.setattr(unicodedata, "unidata_version", "15.1.0")
    with pytest.raises(ValueError, match=r"Unicode 14.0.0, not 15.1.0: use Python 3.11"):
        characters.build()


def test_a_damaged_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = bytearray((Path(characters.__file__).parent / "characters-1.bin").read_bytes())
    assert len(raw) < 8192
    monkeypatch.setattr(characters, "__file__", str(tmp_path / "characters.py"))
    for place, complaint in ((0, "not a table"), (4, "not a table"), (12, "damaged"), (40, "damaged")):
        broken = raw.copy()
        broken[place] ^= 1
        (tmp_path / "characters-1.bin").write_bytes(broken)
        with pytest.raises(ValueError, match=complaint):
            characters.load.__wrapped__()
    (tmp_path / "characters-1.bin").write_bytes(b"")
    with pytest.raises(ValueError, match="not a table"):
        characters.load.__wrapped__()


def test_what_is_newer_than_unicode_14_is_never_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another Python would do something else to it."""
    table = characters.load()
    new = "".join(chr(code) for code in range(sys.maxunicode + 1) if table[code] & characters.NEW)
    normalize = unicodedata.normalize

    def checked(form: Literal["NFKC"], text: str) -> str:
        assert not any(table[ord(character)] & characters.NEW for character in text)
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", checked)
    assert fold(f"É{new}É") == f"é{new}é"
    assert fold("É\u0378É") == "é\u0378é"  # the same without any character above U+FFFF
