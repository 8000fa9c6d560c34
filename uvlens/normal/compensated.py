"""Sums that keep what float64 drops: the constants of an evidence reach 1e9 while its differences are below 1."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class CompensatedSum:
    """A sum held as two floats, total = leading + remainder, |remainder| <= half a unit in the last place."""

    leading: float = 0.0
    remainder: float = 0.0

    @staticmethod
    def of(values):
        """The sum of an array, shape (K,), to 1e-30 of the sum of moduli.

        Halves are added pairwise, and what each addition rounds off (a + b - fl(a + b), exactly: Knuth's two-sum) is
        summed apart.
        """
        values, dropped = np.asarray(values, dtype=np.float64), []
        while len(values) > 1:
            half = len(values) // 2
            a, b = values[:half], values[half : 2 * half]
            total = a + b
            of_b = total - a
            dropped.append(float(np.sum((a - (total - of_b)) + (b - of_b))))
            values = np.append(total, values[-1]) if len(values) % 2 else total
        parts = (*values.tolist(), *dropped)
        leading = math.fsum(parts)
        return CompensatedSum(leading, math.fsum((*parts, -leading)))

    def __add__(self, other):
        parts = (self.leading, other.leading, self.remainder, other.remainder)
        leading = math.fsum(parts)
        return CompensatedSum(leading, math.fsum((*parts, -leading)))

    def __float__(self):
        return self.leading + self.remainder
