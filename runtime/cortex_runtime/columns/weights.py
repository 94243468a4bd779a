"""What a bit weighs: the information it brings, in steps of a tenth of a bit; a quarter of it for an n-gram.

w = round(10 · a · log2((columns + 1) / (count + 0.5))), a = 1 for words and 0.25 for n-grams, 0 to 255. It is
found by comparing the ratio, one division, with the ratios from which on a bit weighs 1, 2, ... 255: a
logarithm's last digit is not the same on every machine, and here all machines have to agree.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.encoding import PAD, WORD_BITS

Ints = npt.NDArray[np.int64]
Thresholds = npt.NDArray[np.float64]
HEAVIEST = 255


def _thresholds(steps_per_octave: float) -> Thresholds:
    """Return 2**((j - 0.5) / steps) for j = 1 to 255, correctly rounded, as float64[255]."""
    with localcontext() as context:
        context.prec = 40
        octaves = [(2 * step - 1) / (2 * Decimal(steps_per_octave)) for step in range(1, HEAVIEST + 1)]
        return np.array([float(Decimal(2) ** each) for each in octaves])


WORD_STEPS, GRAM_STEPS = 10.0, 2.5  # for each doubling of the ratio
WORD_THRESHOLDS, GRAM_THRESHOLDS = _thresholds(WORD_STEPS), _thresholds(GRAM_STEPS)
# So that one search serves all: the thresholds of n-grams stand behind those of words, 2**600 times as high.
_FAR = 2.0**600
_ALL_THRESHOLDS = np.concatenate((WORD_THRESHOLDS, GRAM_THRESHOLDS * _FAR))
_SCALES = np.repeat((1.0, _FAR, 0.0), (WORD_BITS, PAD - WORD_BITS, 1))
_BEFORE = np.repeat((0, HEAVIEST, 0), (WORD_BITS, PAD - WORD_BITS, 1)).astype(np.uint8)


def weights_of(bits: npt.NDArray[np.integer], counts: npt.NDArray[np.integer], columns: int) -> Ints:
    """Return the weights int64 (0-255) of bits that so many of the columns have; PAD weighs nothing."""
    ratios = (2.0 * columns + 2.0) / (2.0 * counts + 1.0)
    ratios *= _SCALES[bits]
    weights: Ints = _ALL_THRESHOLDS.searchsorted(ratios, side="right")
    weights -= _BEFORE[bits]
    return weights
