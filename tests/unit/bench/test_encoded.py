"""What contestants share: rows of bits, the full scan, frames; and what vectors are made of bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from columnbench.encoded import (
    PAD,
    FullScan,
    Scorer,
    all_weights,
    counts_of,
    padded,
    read_frames,
    write_frames,
)
from columnbench.engine import identifier, number_of
from columnbench.vectors import fold


def some_rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.Generator(np.random.PCG64(3))
    rows = padded(
        np.unique((chance.random(1 + number % 40) * 300).astype(np.int64)) for number in range(count)
    )
    return rows, (rows != PAD).sum(axis=1).astype(np.uint8)


def test_rows_are_padded() -> None:
    rows = padded([np.array([3, 5]), np.array([], dtype=np.int64)])
    assert rows.shape == (2, 40)
    assert rows[0, :3].tolist() == [3, 5, PAD]
    assert (rows[1] == PAD).all()


def test_the_full_scan_finds_what_a_loop_finds() -> None:
    rows, words = some_rows(700)
    weights = all_weights(rows)
    assert weights[PAD] == 0
    bits = np.array([1, 2, 3, 50, 60, 299, 40_000])
    columns, scores, total = FullScan(rows, words).best(bits, 10)
    slowly = [
        (-sum(int(weights[bit]) for bit in row.tolist() if bit in bits), int(words[number]), number)
        for number, row in enumerate(rows)
    ]
    best = sorted(slowly)[:10]
    assert columns == [number for _, _, number in best]
    assert scores == [-score for score, _, _ in best]
    assert total == int(weights[bits].sum())
    assert counts_of(rows)[5] == (rows == 5).any(axis=1).sum()


def test_the_full_scan_of_few_columns_returns_those_that_share_something() -> None:
    rows, words = padded([np.array([1]), np.array([2]), np.array([3])]), np.ones(3, dtype=np.uint8)
    columns, scores, _ = FullScan(rows, words).best(np.array([2, 9]), 10)
    assert columns == [1]
    assert scores[0] > 0


def test_candidates_are_refined_by_weight_then_brevity_then_number() -> None:
    rows = padded([np.array([1, 2, 3]), np.array([1]), np.array([1, 2]), np.array([1, 2])])
    scorer = Scorer(rows, np.array([3, 1, 2, 2], dtype=np.uint8))
    scorer.weights[:] = 10
    assert scorer.refined(np.array([0, 1, 2, 3]), np.array([1, 2]), 3).tolist() == [2, 3, 0]


def test_frames(tmp_path: Path) -> None:
    frames = [b"one", b"", b"three"]
    write_frames(tmp_path / "frames", iter(frames))
    assert list(read_frames(tmp_path / "frames")) == frames


def test_bits_are_folded_modulo_1024() -> None:
    folded = fold(padded([np.array([0, 9, 1024 + 17]), np.array([65_534])]))
    assert folded.shape == (2, 128)
    set_bits = np.unpackbits(folded, axis=1, bitorder="little")
    assert np.flatnonzero(set_bits[0]).tolist() == [0, 9, 17]
    assert np.flatnonzero(set_bits[1]).tolist() == [1022]


def test_ids_can_be_undone() -> None:
    ids = [identifier(number) for number in (0, 1, 999_999, 1 << 40)]
    assert {len(each) for each in ids} == {16}
    assert [number_of(each) for each in ids] == [0, 1, 999_999, 1 << 40]
    assert len({each[:2] for each in ids}) == 4
