"""Sealed records: they open where they were put, and nowhere and in no other form."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_runtime.security.envelope import (
    OVERHEAD,
    CannotOpen,
    Place,
    key_version_of,
    seal,
    seal_into,
    unseal,
    unseal_into,
)

KEY = bytes(range(32))
PLACE = Place("acme", "concept", b"r" * 16, version=7)


@given(plain=st.binary(max_size=300), version=st.integers(0, 2**32 - 1))
def test_what_was_sealed_opens(plain: bytes, version: int) -> None:
    sealed = seal(KEY, version, PLACE, plain)
    assert unseal(KEY, PLACE, sealed) == plain
    assert key_version_of(sealed) == version
    assert len(sealed) == OVERHEAD + len(plain)


def test_the_same_plain_text_never_gives_the_same_record() -> None:
    assert seal(KEY, 1, PLACE, b"same") != seal(KEY, 1, PLACE, b"same")


@pytest.mark.parametrize(
    "elsewhere",
    [
        Place("other", "concept", b"r" * 16, version=7),
        Place("acme", "relationship", b"r" * 16, version=7),
        Place("acme", "concept", b"s" * 16, version=7),
        Place("acme", "concept", b"r" * 16, field="answer", version=7),
        Place("acme", "concept", b"r" * 16, version=8),
        Place("acmeconcept", "", b"r" * 16, version=7),
    ],
)
def test_a_record_that_was_moved_does_not_open(elsewhere: Place) -> None:
    with pytest.raises(CannotOpen):
        unseal(KEY, elsewhere, seal(KEY, 1, PLACE, b"text"))


def test_a_bit_flipped_anywhere_is_noticed() -> None:
    sealed = seal(KEY, 1, PLACE, b"text")
    for i in range(len(sealed)):
        altered = bytearray(sealed)
        altered[i] ^= 1
        with pytest.raises(CannotOpen):
            unseal(KEY, PLACE, bytes(altered))


def test_cut_extended_and_empty_records_do_not_open() -> None:
    sealed = seal(KEY, 1, PLACE, b"text")
    for damaged in (b"", sealed[:-1], sealed + b"\0", sealed[: OVERHEAD - 1]):
        with pytest.raises(CannotOpen):
            unseal(KEY, PLACE, damaged)


@given(plain=st.binary(max_size=300), version=st.integers(0, 2**32 - 1))
def test_a_record_sealed_into_a_buffer_is_like_any_other(plain: bytes, version: int) -> None:
    sealed, opened = bytearray(OVERHEAD + len(plain)), bytearray(len(plain))
    seal_into(KEY, version, PLACE, memoryview(plain), memoryview(sealed))
    assert unseal(KEY, PLACE, bytes(sealed)) == plain
    unseal_into(KEY, PLACE, memoryview(seal(KEY, version, PLACE, plain)), memoryview(opened))
    assert opened == plain


def test_damaged_records_do_not_open_into_a_buffer_either() -> None:
    sealed, out = seal(KEY, 1, PLACE, b"text"), memoryview(bytearray(4))
    wrong = [sealed[:i] + bytes([sealed[i] ^ 1]) + sealed[i + 1 :] for i in range(len(sealed))]
    for damaged in (*wrong, b"", sealed[:-1], sealed + b"\0", sealed[: OVERHEAD - 1]):
        with pytest.raises(CannotOpen):
            unseal_into(KEY, PLACE, memoryview(damaged), out)
    with pytest.raises(CannotOpen):
        unseal_into(KEY, PLACE, memoryview(sealed), memoryview(bytearray(5)))
    with pytest.raises(CannotOpen):
        unseal_into(bytes(32), PLACE, memoryview(sealed), out)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(CannotOpen):
        unseal(os.urandom(32), PLACE, seal(KEY, 1, PLACE, b"text"))
