"""One pass over a data set with calibration nuisances: divided by its gains, with the sums of their columns.

For every column B_j = T_j M0 (see `nuisances`): Q_j = Re(B_j^H C^-1 A), a dirty image of the visibilities that j
touches; together m images and as many visibilities as there are entries in T (seven a visibility at most).
"""

import dataclasses
import hashlib

import numpy as np
import scipy.sparse

from ..conventions import ARCSEC
from ..data.observation import ObservationBuilder
from ..data.stream import VisibilityStream
from ..data.visibilities import Visibilities
from ..errors import InputError
from ..nufft import CHUNK, chunks, type1
from .accumulate import ReductionSums
from .compensated import CompensatedSum
from .nuisances import Nuisances, NuisanceTerm, marginalised

_COMPRESSED = "nuisances need the visibilities themselves: data that were reduced already (.uvlens) have none"


def reduce_calibrated(data, mask, nuisances, image, start=None, *, phase_center=None, pixel_window=False, eps=1e-12):
    """The Reduction of one data set with its calibration nuisances marginalised.

    Args:
        data: Visibilities, or a VisibilityStream that can be gone through again.
        mask: Mask (N).
        nuisances: Nuisances.
        image: of the fiducial model, shape (N,) [Jy/pixel].
        start: {key: value} of the nuisances that the data are divided by first; 0 where there is none.
        phase_center: (right ascension, declination) of the mask's origin [deg]; None: that of the data.
        pixel_window: as for `normal_operator`.
        eps: of the transforms.

    Raises:
        InputError: data without antenna numbers, times or scans where they are needed; data that are reduced already.
    """
    if not isinstance(data, Visibilities | VisibilityStream):
        raise InputError(_COMPRESSED)
    image = np.asarray(image, dtype=float)
    sums = _Sums(mask, nuisances, image, dict(start or {}), phase_center, pixel_window, eps)
    for part in [data] if isinstance(data, Visibilities) else data:
        for rows in chunks(len(part), CHUNK):
            sums.add(part if len(part) <= CHUNK else part.select(rows))
    return sums.finish()


def check_calibratable(data_sets, nuisances):
    """Refuse data sets that do not say what the nuisances need, before anything is fitted to them."""
    if not nuisances:
        raise InputError("nuisances: no width is > 0: give antenna_phases, antenna_amplitudes, flux_scale or shift")
    for data in data_sets:
        if not isinstance(data, Visibilities | VisibilityStream):
            raise InputError(_COMPRESSED)
        if isinstance(data, VisibilityStream) and not data.is_repeatable:
            raise InputError("nuisances go through the data several times: give a function that returns the stream")
        if nuisances.of_antennas:
            first = data if isinstance(data, Visibilities) else data.first()
            _Columns(nuisances).intervals(first)


def gains(term, values, data):
    """exp(T p) of values p (m,) at every visibility of `data` (K,); 1 for antennas and times that were not solved for.

    Args:
        term: NuisanceTerm.
        values: of its nuisances.
        data: Visibilities of the same data set, flagged ones and autocorrelations too.

    Raises:
        InputError: no antennas, times or scans where the nuisances are of these.
    """
    width = {kind: 1.0 for kind, _, _ in term.keys}
    kinds = {"antenna_phases": "antenna_phases", "antenna_amplitudes": "antenna_amplitudes", "flux_scale": "flux_scale"}
    kinds |= {"shift_x": "shift", "shift_y": "shift"}
    columns = _Columns(Nuisances(**{kinds[kind]: one for kind, one in width.items()}, interval=term.interval))
    columns.origin = term.origin
    found = np.ones(len(data), complex)
    crossed = np.arange(len(data))
    if columns.nuisances.of_antennas and data.antenna1 is not None and data.antenna2 is not None:
        crossed = np.flatnonzero(data.antenna1 != data.antenna2)
    if len(crossed):
        tangents, known = columns.of(data.select(crossed)), dict(zip(term.keys, values))
        found[crossed] = np.exp(tangents @ np.array([known.get(key, 0.0) for key in columns.keys]))
    return found


class _Sums:
    def __init__(self, mask, nuisances, image, start, phase_center, pixel_window, eps):
        self._mask, self._nuisances, self._image, self._start = mask, nuisances, image, start
        self._phase_center, self._pixel_window, self._eps = phase_center, pixel_window, eps
        self._reduction = ReductionSums(mask, pixel_window=pixel_window, eps=eps)
        self._columns = _Columns(nuisances)
        self._undivided = ObservationBuilder()
        self._gram, self._data = np.zeros((0, 0)), np.zeros(0)
        self._responses, self._log_gains = {}, CompensatedSum()

    def add(self, part):
        from ..prediction import visibilities_of_image

        good = part.weight > 0.0
        self._reduction.add_flagged(int(np.count_nonzero(~good)))
        self._undivided.add_flagged(int(np.count_nonzero(~good)))
        if not good.any():
            return
        kept = part if good.all() else part.select(good)
        self._undivided.add(kept, 0)
        tangents = self._columns.of(kept)
        values = np.array([self._start.get(key, 0.0) for key in self._columns.keys])
        gain = np.exp(tangents @ values)
        power = gain.real**2 + gain.imag**2
        kept = dataclasses.replace(kept, vis=kept.vis / gain, weight=kept.weight * power)
        self._log_gains += CompensatedSum.of(2.0 * np.log(power))
        model = visibilities_of_image(
            self._image,
            self._mask,
            kept,
            phase_center=self._phase_center,
            pixel_window=self._pixel_window,
            eps=self._eps,
        )
        self._reduction.add(kept)
        columns = (scipy.sparse.diags_array(model) @ tangents).tocsc()
        weighted = scipy.sparse.diags_array(kept.weight) @ columns
        m = len(values)
        self._gram = _grown(self._gram, (m, m)) + (columns.conj().T @ weighted).real.toarray()
        self._data = _grown(self._data, (m,)) + (weighted.conj().T @ kept.vis).real
        for key, which in self._reduction.groups_of(kept):
            rows = np.ones(len(kept), bool) if which is None else which
            found = self._images(kept, weighted.tocsc(), rows)
            self._responses[key] = _grown(self._responses.get(key, np.zeros((0, self._mask.n_pixels))), found.shape)
            self._responses[key] += found

    def _images(self, data, weighted, rows):
        """Dirty images of the columns of C^-1 B at the mask pixels, shape (m, N); without primary beam."""
        found = np.zeros((weighted.shape[1], self._mask.n_pixels))
        step = self._mask.grid.pixel_scale * ARCSEC
        for j in range(weighted.shape[1]):
            touched = weighted.indices[weighted.indptr[j] : weighted.indptr[j + 1]]
            values = weighted.data[weighted.indptr[j] : weighted.indptr[j + 1]]
            inside = rows[touched]
            u, v, values = data.u[touched[inside]], data.v[touched[inside]], values[inside]
            if not len(u):
                continue
            if self._pixel_window:  # A is the transform over the response of a pixel
                values = values / (np.sinc(u * step) * np.sinc(v * step))
            padding = (0, (1 << (len(u) - 1).bit_length()) - len(u))  # few lengths to compile for
            u, v, values = (np.pad(array, padding) for array in (u, v, values))
            images = type1(u, v, values, self._mask.grid, eps=self._eps).real
            found[j] = images[self._mask.rows, self._mask.columns]
        return found

    def finish(self):
        reduction, powers = self._reduction.finish_with_powers()
        keys = self._columns.keys
        response = np.zeros((len(keys), self._mask.n_pixels))
        for key, found in self._responses.items():
            power = powers[key]
            response[: len(found)] += found if power is None else found * power
        order = sorted(range(len(keys)), key=lambda j: keys[j])
        keys = [keys[j] for j in order]
        sigmas = self._nuisances.sigmas
        term = NuisanceTerm(
            name=reduction.observations[0].name,
            keys=tuple(keys),
            sigma=np.array([sigmas[kind] for kind, _, _ in keys]),
            start=np.array([self._start.get(key, 0.0) for key in keys]),
            response=response[order],
            data=self._data[order],
            gram=self._gram[np.ix_(order, order)],
            fiducial=hashlib.sha256(self._image.tobytes()).hexdigest(),
            interval=self._nuisances.interval,
            origin=self._columns.origin,
        )
        # what is known of the data is known of those that were given, their hash included
        reduction = dataclasses.replace(reduction, observations=(self._undivided.finish(),))
        return marginalised(reduction, term, self._log_gains)


class _Columns:
    """T of part after part; keys that were not met before get new columns behind the others."""

    def __init__(self, nuisances):
        self.nuisances, self.keys, self._number = nuisances, [], {}
        self.origin = None

    def of(self, data):
        """T of some visibilities, sparse, shape (K, m)."""
        kinds, n = self.nuisances.sigmas, len(data)
        every, entries = np.arange(n), []
        if self.nuisances.of_antennas:
            interval = self.intervals(data)
            for antenna, sign in ((data.antenna1, 1.0), (data.antenna2, -1.0)):
                for kind, value in (("antenna_phases", 1j * sign), ("antenna_amplitudes", 1.0)):
                    if kind in kinds:
                        entries.append((every, self._numbers(kind, antenna, interval), np.full(n, value, complex)))
        whole = {
            "flux_scale": np.ones(n),
            "shift_x": 2j * np.pi * ARCSEC * data.u,
            "shift_y": 2j * np.pi * ARCSEC * data.v,
        }
        for kind, values in whole.items():
            if kind in kinds:
                entries.append((every, self._numbers(kind, np.full(n, -1), np.zeros(n, int)), values.astype(complex)))
        rows, columns, values = (np.concatenate(arrays) for arrays in zip(*entries))
        return scipy.sparse.csr_array((values, (rows, columns)), shape=(n, len(self.keys)))

    def intervals(self, data):
        """Number of the interval of each visibility, shape (K,)."""
        if data.antenna1 is None or data.antenna2 is None:
            raise InputError(
                f"{data.name}: antenna phases and amplitudes need to know the antennas of every visibility, which this "
                "format or file does not say; leave antenna_phases and antenna_amplitudes out, or read a measurement "
                "set, UVFITS or .npz"
            )
        if np.any(data.antenna1 == data.antenna2):
            raise InputError(f"{data.name}: visibilities of an antenna with itself have no phase: leave them out")
        if self.nuisances.interval is None:
            return np.zeros(len(data), int)
        if self.nuisances.interval == "scan":
            if data.scan is None:
                raise InputError(f"{data.name}: nuisances.interval: scan needs scan numbers, which these data lack")
            return data.scan
        if data.time is None:
            raise InputError(f"{data.name}: nuisances.interval needs the times of the visibilities")
        self.origin = float(data.time.min()) if self.origin is None else self.origin
        return np.floor((data.time - self.origin) / self.nuisances.interval + 1e-9).astype(int)

    def _numbers(self, kind, antenna, interval):
        """Column of each visibility."""
        pairs, inverse = np.unique(np.stack([antenna, interval]), axis=1, return_inverse=True)
        numbers = []
        for one in pairs.T:
            key = (kind, int(one[0]), int(one[1]))
            if key not in self._number:
                self._number[key] = len(self.keys)
                self.keys.append(key)
            numbers.append(self._number[key])
        return np.array(numbers)[inverse.ravel()]


def _grown(array, shape):
    """The array with zeros behind, of another shape."""
    return np.pad(array, [(0, new - old) for old, new in zip(array.shape, shape)])
