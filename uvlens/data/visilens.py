"""visilens's .bin: float64 rows u, v, Re, Im, sigma, antenna 1, antenna 2, then the primary beam."""

import numpy as np

from ..errors import InputError
from .visibilities import Visibilities
from .weights import weight_from_sigma

_ROWS = 7


def recognises(path):
    """(7 K + 1) numbers, the last two rows begin with what can be antenna numbers."""
    if path.is_dir() or path.stat().st_size % 8 or (path.stat().st_size // 8 - 1) % _ROWS:
        return False
    numbers = np.memmap(path, dtype="<f8", mode="r")
    n_visibilities = (len(numbers) - 1) // _ROWS
    antennas = [numbers[row * n_visibilities :][: min(n_visibilities, 1000)] for row in (5, 6)]
    return n_visibilities > 0 and all(_are_antennas(part) for part in antennas)


def read(path):
    """Visibilities from a .bin; sigma of 0 or infinity means flagged."""
    numbers = np.fromfile(path, dtype="<f8")
    u, v, real, imaginary, sigma, antenna1, antenna2 = numbers[:-1].reshape(_ROWS, -1)
    for name, antenna in (("antenna 1", antenna1), ("antenna 2", antenna2)):
        if not _are_antennas(antenna):
            raise InputError(f"{path}: {name} must be whole numbers, 0 or more")
    with_antennas = bool(np.any(antenna1 != antenna2))
    return Visibilities(
        u=u,
        v=v,
        vis=real + 1j * imaginary,
        weight=weight_from_sigma(path, sigma),
        antenna1=antenna1.astype(np.int64) if with_antennas else None,
        antenna2=antenna2.astype(np.int64) if with_antennas else None,
        primary_beam=float(numbers[-1]) if numbers[-1] > 0.0 else None,
        name=path.name,
    )


def write(data, path):
    """The .bin: sigma of flagged visibilities is infinite; what is unknown (antennas, primary beam) is 0."""
    zeros = np.zeros(len(data))
    with np.errstate(divide="ignore"):
        sigma = data.weight**-0.5
    antennas = [zeros if antenna is None else antenna for antenna in (data.antenna1, data.antenna2)]
    rows = np.stack([data.u, data.v, data.vis.real, data.vis.imag, sigma, *antennas])
    np.append(rows.ravel(), data.primary_beam_fwhm or 0.0).astype("<f8").tofile(path)


def _are_antennas(values):
    with np.errstate(invalid="ignore"):
        return bool(np.all((values >= 0.0) & (values < 1e5) & (values == np.floor(values))))
