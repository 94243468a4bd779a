from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_runtime.columns import Cortex, Encoding, Put, VectorError, vectors
from cortex_runtime.columns.encoding import MAX_BITS, PAD, WORD_BITS
from cortex_runtime.columns.vectors import MAX_DIMENSION, OUTPUTS, WINNERS
from unit.columns.worlds import ENCODER, identifier

Floats = npt.NDArray[np.float64]
finite = st.floats(-1e300, 1e300, allow_nan=False)
some_vectors = st.integers(1, 20).flatmap(
    lambda size: st.lists(
        st.lists(finite, min_size=size, max_size=size).filter(any), min_size=1, max_size=5
    ).map(np.array)
)


def drawn(count: int, dimension: int) -> Floats:
    """Numbers in [-1, 1) by BLAKE2b, about normal: the same on every machine."""
    digests = b"".join(
        blake2b(f"{dimension} {number}".encode()).digest() for number in range(count * dimension // 8 + 1)
    )
    raw = np.frombuffer(digests, dtype="<i2").astype(np.int64)[: 4 * count * dimension]
    return np.asarray(raw.reshape(count, dimension, 4).sum(axis=2) / (1 << 17))


def reference(vector: Floats) -> list[int]:
    """The bits as the module's docstring defines them, by whole numbers of Python and matrices."""
    quantized = [round(number / max(map(abs, vector.tolist())) * 16_383) for number in vector.tolist()]
    mixing, projecting = vectors._signs(vector.size)
    size = projecting.shape[0]
    folded = [0] * size
    for place, number in enumerate(quantized):
        folded[place % size] += number * int(mixing[place])
    rows = np.arange(size)
    hadamard = 1 - 2 * (np.bitwise_count(rows[:, None] & rows).astype(object) % 2)
    mixed = hadamard.dot(np.array(folded, dtype=object))
    shift = max(0, max(map(abs, mixed)).bit_length() - (30 - (size.bit_length() - 1)))
    projected = hadamard.dot((mixed >> shift)[:, None] * projecting.astype(object)).ravel().tolist()
    strongest = sorted(range(len(projected)), key=lambda place: (-abs(projected[place]), place))[:40]
    return sorted(2 * place + (projected[place] < 0) for place in strongest)


def shared(first: Encoding, second: Encoding) -> int:
    return np.intersect1d(first.bits, second.bits).size


GOLDEN = {
    1: "df835238c4d82800eefcebd4d403ecfb",
    2: "12c263af94809d2d945043a45e54822d",
    64: "707f280f104fa87eeaf50e424fadf2c2",
    384: "0eaabcfb063b4dcdb54270f0528b8460",
    1536: "6d3a87880a0bda55eedc7d99c1cf22bd",
    4097: "40ec89659a9608f9cd0778f50fe1faf8",
    65535: "c0051d9561702135dd335461ca5d916e",
}


@pytest.mark.parametrize("dimension", GOLDEN)
def test_the_bits_of_a_vector_never_change(dimension: int) -> None:
    many = drawn(64 if dimension < 4096 else 4, dimension)
    rows = ENCODER.encode_vectors(many).rows
    assert blake2b(rows.astype("<u2").tobytes(), digest_size=16).hexdigest() == GOLDEN[dimension]


@pytest.mark.parametrize("dimension", [1, 3, 64, 257])
def test_the_bits_are_those_of_the_definition(dimension: int) -> None:
    for vector in drawn(3, dimension):
        assert ENCODER.encode_vector(vector).bits.tolist() == reference(vector)


@settings(max_examples=30)
@given(some_vectors)
def test_any_vector_has_well_formed_bits(many: Floats) -> None:
    for each in ENCODER.encode_vectors(many):
        assert each.bits.dtype == np.uint16
        assert each.bits.size == each.words == WINNERS <= MAX_BITS
        assert (np.diff(each.bits.astype(int)) > 0).all()
        assert each.bits.max() < OUTPUTS <= WORD_BITS < PAD
        assert each.dimension == many.shape[1]


@settings(max_examples=30)
@given(some_vectors, st.integers(-60, 60))
def test_a_power_of_two_times_a_vector_has_the_same_bits(many: Floats, power: int) -> None:
    many = many[(np.abs(many).min(axis=1, initial=1, where=many != 0) > 1e-200)]
    if many.size and np.abs(many).max() < 1e200:
        assert (ENCODER.encode_vectors(many * 2.0**power).rows == ENCODER.encode_vectors(many).rows).all()


def test_a_positive_number_times_a_vector_has_nearly_always_the_same_bits() -> None:
    many = drawn(200, 48)
    same = ENCODER.encode_vectors(many).rows
    for factor in (3, 0.1, 1e-30, 12345.678):
        scaled = ENCODER.encode_vectors(many * factor).rows
        assert (scaled == same).all(axis=1).mean() > 0.98
    opposite = ENCODER.encode_vectors(-many)
    assert max(shared(a, b) for a, b in zip(ENCODER.encode_vectors(many), opposite, strict=True)) == 0


@pytest.mark.parametrize("dimension", [1, 5, 384, 5000])
def test_a_batch_has_the_bits_of_each_vector_alone(dimension: int) -> None:
    many = drawn(70, dimension)
    rows = ENCODER.encode_vectors(many).rows
    alone = np.array([ENCODER.encode_vector(vector).bits for vector in many])
    assert (rows[:, :WINNERS] == alone).all()
    assert (rows[:, WINNERS:] == PAD).all()
    for part in (many[3:40], many[::-1][30:67][::-1], np.asfortranarray(many)[3:40]):
        assert (ENCODER.encode_vectors(part).rows == rows[3:40]).all()


def test_lists_and_other_types_have_the_same_bits() -> None:
    vector = drawn(1, 20)[0].astype(np.float32)
    expected = ENCODER.encode_vector(vector).bits.tolist()
    same: list[Any] = [
        vector.tolist(),
        tuple(vector.tolist()),
        vector.astype(float),
        vector.astype(">f8"),
        list(vector),
    ]
    for each in same:
        assert ENCODER.encode_vector(each).bits.tolist() == expected
    whole = np.array([1, -5, 300, 0])
    for other in (whole.tolist(), whole, whole.astype(np.int16), whole.astype(np.float16), [1, -5.0, 300, 0]):
        assert (
            ENCODER.encode_vector(other).bits.tolist()
            == ENCODER.encode_vector([1.0, -5, 300, 0]).bits.tolist()
        )


@pytest.mark.parametrize("dimension", [4, 64, 384, 1536])
def test_the_closer_vectors_are_the_more_bits_they_share(dimension: int) -> None:
    firsts, noise = drawn(100, dimension), drawn(200, dimension)[100:]
    overlaps = []
    for share in (0.1, 0.3, 0.6, 1000):
        pairs = zip(
            ENCODER.encode_vectors(firsts), ENCODER.encode_vectors(firsts + share * noise), strict=True
        )
        overlaps.append(np.mean([shared(*pair) for pair in pairs]))
    assert overlaps == sorted(overlaps, reverse=True)
    assert overlaps[0] > 20
    assert overlaps[0] > 2 * overlaps[-1]


def test_vectors_with_one_number_each_share_few_bits() -> None:
    encodings = ENCODER.encode_vectors(np.eye(30))
    most = max(shared(encodings[a], encodings[b]) for a in range(30) for b in range(a))
    assert most < 10


def test_the_nearest_by_cosine_are_among_the_first_by_overlap() -> None:
    centres, dimension = drawn(50, 48), 48
    noise = drawn(2000, dimension)
    many = np.repeat(centres, 40, axis=0) + 0.7 * noise
    queries = many[::97] + 0.2 * noise[1::97][: many[::97].shape[0]]
    rows, asked = ENCODER.encode_vectors(many).rows, ENCODER.encode_vectors(queries)
    counts = np.bincount(rows[:, :WINNERS].ravel(), minlength=OUTPUTS)
    weights = np.log2((many.shape[0] + 1) / (counts + 0.5))
    cosines = queries @ many.T / np.linalg.norm(many, axis=1)
    first_ten, first_hundred = [], []
    for cosine, each in zip(cosines, asked, strict=True):
        overlap = (np.isin(rows, each.bits) * weights[np.minimum(rows, OUTPUTS - 1)]).sum(axis=1)
        nearest, best = set(np.argsort(-cosine)[:10].tolist()), np.argsort(-overlap, kind="stable").tolist()
        first_ten.append(len(nearest & set(best[:10])))
        first_hundred.append(len(nearest & set(best[:100])))
    assert np.mean(first_ten) > 5
    assert np.mean(first_hundred) > 9.5


def test_a_cortex_takes_vectors() -> None:
    cortex, many = Cortex(), drawn(300, 24)
    puts = [
        Put(identifier(number), *(each.bits, each.words), dimension=each.dimension)
        for number, each in enumerate(ENCODER.encode_vectors(many))
    ]
    cortex.apply(cortex.compete(puts)[1])
    for number in range(0, 300, 50):
        match = cortex.query(ENCODER.encode_vector(many[number] * 1.5), 1).matches[0]
        assert match.ids == (identifier(number),)


@pytest.mark.parametrize(
    ("vector", "complaint"),
    [
        ([], "1 to 65,535 numbers, not 0"),
        (np.zeros(MAX_DIMENSION + 1), "1 to 65,535 numbers, not 65,536"),
        ([0.0, 0, -0.0], "the vector is all zeros"),
        ([1.0, float("nan")], "the vector has nan at 1"),
        ([float("-inf"), 2.0], "the vector has -inf at 0"),
        ([[1.0, 2.0]], r"not an array of shape \[1, 2\]"),
        (3.5, r"not an array of shape \[\]"),
        (["1", "2"], "not <U1"),
        ("12", "not <U2"),
        ([True, 0.5], r"not True \(at 0\)"),
        ([0.5, np.True_], r"not True \(at 1\)"),
        (np.ones(3, dtype=bool), "not bool"),
        (np.ones(3, dtype=complex), "not complex128"),
        (np.ones(3, dtype=np.longdouble), "not (float128|longdouble|float96)"),
        ([1.0, None], "not object"),
        ([1.0, [2.0]], "no array of numbers"),
        ([10**400, 1.0], "no array of numbers|not object"),
        (None, "not object"),
    ],
)
def test_what_is_no_vector_is_refused(vector: Any, complaint: str) -> None:
    with pytest.raises(VectorError, match=complaint):
        ENCODER.encode_vector(vector)


@pytest.mark.parametrize(
    ("many", "complaint"),
    [
        ([1.0, 2.0], r"not an array of shape \[2\]"),
        ([[1.0], [2.0, 3.0]], "no array of numbers"),
        (np.ones((2, 3, 4)), r"shape \[2, 3, 4\]"),
        ([[1.0, 2.0], [0.0, 0.0]], "vector 1 is all zeros"),
        ([[1.0, 2.0], [0.0, float("inf")], [float("nan"), 0.0]], "vector 1 has inf at 1"),
        ([[1.0, 2.0], [1.0, False]], r"not False \(at 1\)"),
        (np.ones((3, 0)), "not 0"),
    ],
)
def test_a_batch_with_what_is_no_vector_is_refused(many: Any, complaint: str) -> None:
    with pytest.raises(VectorError, match=complaint):
        ENCODER.encode_vectors(many)


def test_no_vectors_are_no_encodings() -> None:
    assert len(ENCODER.encode_vectors(np.ones((0, 3)))) == 0


def test_extreme_numbers_are_no_problem() -> None:
    smallest, largest = 5e-324, 1.7976931348623157e308
    assert (
        ENCODER.encode_vector([smallest, 0]).bits.tolist()
        == ENCODER.encode_vector([largest, 0]).bits.tolist()
    )
    for vector in (
        np.full(MAX_DIMENSION, largest),
        np.where(np.arange(MAX_DIMENSION) % 2, -largest, largest),
    ):
        assert ENCODER.encode_vector(vector).bits.size == WINNERS
