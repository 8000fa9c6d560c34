"""What a fit handed on, kept in a file: later stages start from the same bits whoever computes them again."""

import numpy as np

from .files import load_arrays, save_arrays


def remembered(result, key, compute):
    """Arrays by name that a fit hands on: computed once, then kept in the file `result.handed_on`, if it has one.

    A resumed pipeline hands on the same bits, whatever the number of threads of its linear algebra: checkpoints of the
    next stage belong to one model, to the last digit of its priors and its adapt image.
    """
    file = result.handed_on
    kept = (load_arrays(file) or {}) if file is not None else {}
    mine = {name.removeprefix(f"{key}|"): array for name, array in kept.items() if name.startswith(f"{key}|")}
    if mine:
        return mine
    found = {name: np.asarray(value) for name, value in compute().items()}
    if file is not None:
        save_arrays(file, kept | {f"{key}|{name}": value for name, value in found.items()})
    return found
