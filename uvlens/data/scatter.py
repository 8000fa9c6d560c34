"""The noise that data show by themselves: how visibilities of one baseline and channel scatter from one to the next."""

import numpy as np

LONGEST_RUN = 8
"""Integrations along which a straight line is to describe the source."""

_LONGEST_STEP = 2.1
_FLAGGED_IN_EFFECT = 1e-6
_ROUNDING = 1e-20


def is_usable(data):
    """Not flagged, nor flagged in effect by a sigma that is out of all proportion, shape (K,)."""
    return data.weight > _FLAGGED_IN_EFFECT * np.median(data.weight[data.weight > 0.0])


def scatter_in_runs(data, longest=LONGEST_RUN):
    """Chi^2 about a straight line in time, run by run.

        chi^2_r = sum_{k in r} w_k |V_k - a_r - b_r t_k|^2,   expected 2 n_r / factor,   n_r = length - 2

    A run is at most `longest` consecutive visibilities of one baseline, field and channel that follow each other by at
    most 2.1 x the median step of that baseline (in the order of the file where no time is known). Runs of two take a
    constant (n_r = 1), single visibilities are left out.

    Args:
        data: Visibilities.

    Returns:
        (chi_squared, n, index): per run chi^2, complex degrees of freedom and the number of one of its visibilities;
        None without antenna numbers.
    """
    found = _sorted_runs(data)
    if found is None:
        return None
    use, starts, position = found
    if not len(use):
        return np.zeros(0), np.zeros(0), use
    length = np.diff(np.append(starts, len(use)))
    n_parts = -(-length // longest)
    of_run = np.repeat(np.arange(len(starts)), length)
    part = position * n_parts[of_run] // length[of_run]
    first = np.flatnonzero((position == 0) | (np.diff(part, prepend=-1) != 0))
    count = np.diff(np.append(first, len(use)))
    weight, vis = data.weight[use], data.vis[use]
    time = (position if data.time is None else data.time[use]).astype(float)

    def total(values):
        return np.add.reduceat(values, first)

    def each(values):
        return np.repeat(values, count)

    scale = total(weight)
    time = time - each(total(weight * time) / scale)
    residual = vis - each(total(weight * vis) / scale)
    spread = total(weight * time**2)
    slope = np.where(
        (count > 2) & (spread > 0.0), total(weight * time * residual) / np.where(spread > 0.0, spread, 1.0), 0
    )
    residual = residual - each(slope) * time
    chi_squared = total(weight * np.abs(residual) ** 2)
    chi_squared[chi_squared < _ROUNDING * total(weight * np.abs(vis) ** 2)] = 0.0
    kept = count > 1
    return chi_squared[kept], np.where(count > 2, count - 2.0, 1.0)[kept], use[first[kept]]


def pairs(data):
    """Indices (first, second) of neighbours, no visibility in two pairs, or None without antenna numbers."""
    found = _sorted_runs(data)
    if found is None:
        return None
    use, starts, position = found
    is_first = np.ones(len(use), dtype=bool)
    is_first[starts] = False
    follows = is_first[1:]
    first = np.flatnonzero(follows & (position[:-1] % 2 == 0))
    return use[first], use[first + 1]


def _sorted_runs(data):
    """(numbers of usable visibilities sorted by run, starts of the runs, position inside the run)."""
    if data.antenna1 is None or data.antenna2 is None:
        return None
    use = np.flatnonzero(is_usable(data) & (data.antenna1 != data.antenna2))
    keys = [key[use] for key in (data.frequency, data.field, data.antenna2, data.antenna1) if key is not None]
    order = np.lexsort(keys if data.time is None else [data.time[use], *keys])
    use, keys = use[order], [key[order] for key in keys]
    if len(use) < 2:
        return use[:0], use[:0], use[:0]
    follows = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    if data.time is not None:
        follows &= _is_short_step(np.diff(data.time[use]), follows)
    starts = np.flatnonzero(np.concatenate([[True], ~follows]))
    run = np.concatenate([[0], np.cumsum(~follows)])
    return use, starts, np.arange(len(use)) - starts[run]


def _is_short_step(step, follows):
    """Steps of at most 2.1 x the median positive one of their group; groups end where `follows` is not."""
    group = np.concatenate([[0], np.cumsum(~follows)])[:-1]
    positive = np.flatnonzero(follows & (step > 0.0))
    positive = positive[np.lexsort((step[positive], group[positive]))]
    count = np.bincount(group[positive], minlength=group[-1] + 1)
    middle = np.cumsum(count) - count + np.maximum(count - 1, 0) // 2
    median = np.zeros(len(count))
    median[count > 0] = step[positive[middle[count > 0]]]
    return step <= _LONGEST_STEP * median[group]


def antenna_factors(data, longest=LONGEST_RUN):
    """Factors a_i of the antennas, true weight_ij = a_i a_j weight_ij in the file, by maximum likelihood.

        ln L = sum_r n_r (ln a_i + ln a_j) - a_i a_j chi^2_r / 2

    with the runs of `scatter_in_runs`; Newton's method in ln a, which is convex.

    Args:
        data: Visibilities.

    Returns:
        (antennas, factors, relative_errors), or None: no antenna numbers, or antennas that the runs do not tie to
        the others by a triangle.
    """
    runs = scatter_in_runs(data, longest)
    if runs is None or not np.any(runs[0] > 0.0):
        return None
    chi_squared, n, index = runs
    antennas, number = np.unique([data.antenna1[index], data.antenna2[index]], return_inverse=True)
    first, second = number.reshape(2, -1)
    size = len(antennas)
    pair = first * size + second
    freedom = np.bincount(pair, weights=n, minlength=size**2).reshape(size, size)
    half = 0.5 * np.bincount(pair, weights=chi_squared, minlength=size**2).reshape(size, size)
    freedom, half = freedom + freedom.T, half + half.T
    log_factor = np.full(size, 0.5 * np.log(freedom.sum() / half.sum()))
    if np.linalg.matrix_rank(np.diag(freedom.sum(axis=1)) + freedom) < size:
        return None
    for _ in range(50):
        predicted = half * np.exp(log_factor[:, None] + log_factor)
        hessian = np.diag(predicted.sum(axis=1)) + predicted
        step = np.linalg.solve(hessian, (freedom - predicted).sum(axis=1))
        log_factor += np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-10:
            break
    return antennas, np.exp(log_factor), np.sqrt(np.diag(np.linalg.inv(hessian)))
