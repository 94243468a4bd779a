"""A cortex tells its state, and another one goes on from it: in the same arrays, or in an image of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from cortex_runtime.columns import Cortex, CortexSettings, Operation
from cortex_runtime.columns.kernels import Kernels
from cortex_runtime.columns.snapshot import PAGE, ArrayPlace, Image, ImageError, check_parts
from unit.columns.worlds import (
    ENCODER,
    QUICK,
    filled,
    identifier,
    plain,
    put,
    streams,
    texts,
)


def image_of(cortex: Cortex) -> Image:
    """An image as it would be after it was written, and read elsewhere."""
    image = Image.of(cortex.state())
    image.fill(cortex.state())
    other = Image.described(image.summed(), image.numbers, image.size)
    other.memory[:] = image.memory[:]
    return other


def held_by(cortex: Cortex) -> dict[str, Any]:
    return {
        name: (value.dtype, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
        for name, value in cortex.state().items()
    }


def answers_of(cortex: Cortex, asked: list[str]) -> list[Any]:
    return [cortex.query(ENCODER.encode(text), 5, hops=2).matches for text in asked]


@given(streams(60), streams(30))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cortex_made_of_a_state_decides_as_the_one_that_told_it(
    kernels: Kernels, operations: list[Operation], later: list[Operation]
) -> None:
    cortex = Cortex(QUICK, kernels)
    for start in range(0, len(operations), 7):
        cortex.apply(cortex.compete(operations[start : start + 7])[1])
    other = Cortex.from_state(QUICK, image_of(cortex).state(), kernels)
    assert other.digest() == cortex.digest()
    assert held_by(other) == held_by(cortex)
    before = held_by(cortex)
    ours, theirs = cortex.compete(later), other.compete(later)
    assert [plain(each) for each in theirs[0]] == [plain(each) for each in ours[0]]
    assert theirs[1].to_bytes() == ours[1].to_bytes()
    other.apply(theirs[1])
    assert held_by(cortex) == before
    cortex.apply(ours[1])
    assert other.digest() == cortex.digest()
    assert held_by(other) == held_by(cortex)


def test_the_same_questions_have_the_same_answers(kernels: Kernels) -> None:
    cortex = filled(600, kernels=kernels)
    asked = texts(50, seed=9)
    other = Cortex.from_state(None, image_of(cortex).state(), kernels)
    assert answers_of(other, asked) == answers_of(cortex, asked)
    more = [put(number, text) for number, text in enumerate(texts(300, seed=3), start=500)]
    for each in (cortex, other):
        each.apply(each.compete(more)[1])
    assert answers_of(other, asked) == answers_of(cortex, asked)
    assert other.nbytes <= 1.5 * cortex.nbytes


def test_big_arrays_are_not_copied() -> None:
    state = image_of(filled(300)).state()
    other = Cortex.from_state(None, state)
    for array, name in ((other.arrays.bits, "arrays.bits"), (other.concepts.ids, "concepts.ids")):
        assert np.shares_memory(array, state[name])


def test_an_empty_cortex_has_a_state_too(kernels: Kernels) -> None:
    other = Cortex.from_state(None, image_of(Cortex(kernels=kernels)).state(), kernels)
    assert other.digest() == Cortex().digest()
    other.apply(other.compete([put(1, "a first concept")])[1])
    assert other.column_of(identifier(1)) == 0


def test_the_arrays_begin_on_pages_and_the_image_is_as_long_as_they_are() -> None:
    image = Image.of(filled(300).state())
    assert all(place.offset % PAGE == 0 for place in image.places)
    assert image.size == len(image.memory) == sum(-(-place.nbytes // PAGE) * PAGE for place in image.places)


def test_a_byte_that_changed_is_noticed() -> None:
    image = image_of(filled(50))
    place = next(place for place in image.places if place.name == "postings.arena")
    image.memory[place.offset + 9] ^= 4
    with pytest.raises(ImageError, match="arena"):
        image.state()


def test_pages_that_changed_places_are_noticed() -> None:
    image = image_of(filled(300))
    place = next(place for place in image.places if place.name == "postings.counts")
    first, second = (
        slice(place.offset, place.offset + PAGE),
        slice(place.offset + PAGE, place.offset + 2 * PAGE),
    )
    image.memory[first], image.memory[second] = image.memory[second], image.memory[first]
    with pytest.raises(ImageError, match="counts"):
        image.state()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../arrays"}, {"name": "a/b"}, {"dtype": "|O"}, {"dtype": "<f16"}, {"dtype": ">i8"},
        {"shape": (-1,)}, {"shape": (1 << 62,)}, {"shape": (1, 1, 1)}, {"shape": (1 << 40, 1 << 40)},
        {"offset": PAGE}, {"offset": -PAGE}, {"offset": 1},
    ],
)  # fmt: skip
def test_a_description_that_no_cortex_gave_is_refused(wrong: dict[str, Any]) -> None:
    place = ArrayPlace("arrays.states", "|u1", (PAGE,), 0)
    Image.described((place,), {}, PAGE)
    with pytest.raises(ImageError):
        Image.described((replace(place, **wrong),), {}, PAGE)


def test_arrays_that_overlap_or_are_too_many_are_refused() -> None:
    place = ArrayPlace("arrays.states", "|u1", (PAGE,), 0)
    for places, numbers in (
        ((place, place), {}),
        ((), {"n": 1}),
        ((place,), {"../n": 1}),
        ((place,), {"a" * n: 1 for n in range(1, 300)}),
    ):
        with pytest.raises(ImageError):
            Image.described(places, numbers, PAGE)


def test_parts_of_another_version_are_noticed() -> None:
    state = dict(Cortex().state())
    check_parts(state)
    without = {name: value for name, value in state.items() if name != "arrays.words"}
    for other in (
        without,
        state | {"arrays.activation": np.zeros(0)},
        state | {"arrays.words": np.zeros(0, dtype=np.uint16)},
        state | {"arrays.bits": np.zeros((0, 41), dtype=np.uint16)},
        state | {"operations": np.zeros(0)},
    ):
        with pytest.raises(ImageError, match=r"arrays|operations"):
            check_parts(other)


def test_a_cortex_of_other_settings_has_the_same_parts() -> None:
    check_parts(Cortex(CortexSettings(refractory=1)).state())
