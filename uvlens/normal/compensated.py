"""Sums that keep what float64 drops: the constants of an evidence reach 1e9 while its differences are below 1."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class CompensatedSum:
    """A sum held as two floats, total = leading + remainder, |remainder| <= half a unit in the last place."""

    leading: float = 0.0
    remainder: float = 0.0

    @staticmethod
    def of(values):
        """The exact sum of an array, shape (K,), rounded to two floats."""
        values = values.tolist()
        leading = math.fsum(values)
        values.append(-leading)
        return CompensatedSum(leading, math.fsum(values))

    def __add__(self, other):
        parts = (self.leading, other.leading, self.remainder, other.remainder)
        leading = math.fsum(parts)
        return CompensatedSum(leading, math.fsum((*parts, -leading)))

    def __float__(self):
        return self.leading + self.remainder
