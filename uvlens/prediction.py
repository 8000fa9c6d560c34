"""Visibilities of a model at the coordinates of any data set: what the telescope would have measured of it."""

from pathlib import Path

import numpy as np

from .conventions import ARCSEC
from .data.phaseshift import rotation
from .errors import InputError
from .labels import by_sky
from .nufft import type2
from .products import channel_frequencies
from .wcs import sky_offset

BEAM_TOLERANCE = 1e-6
"""Largest error of A on the mask from taking one frequency for neighbouring channels."""
_SAME_CENTER = 1e-9
"""Degrees."""


def predict(model, vector, data, *, sky=None, eps=1e-12):
    """Visibilities of a Model, its source reconstructed at a parameter vector.

        V_k = sum_i A_k(x_i) I_i exp(+2 pi i (u_k l_i + v_k m_i))

    with A_k the primary beam of `data` at the frequency of k for its pair of antennas, about its pointing centre;
    divided by sinc(u_k dx) sinc(v_k dx) where the model was fitted with `pixel_window`, times (nu_k / nu_0)^alpha of a
    source with a spectral index. Of a cube I is that of the channel nearest in frequency. Weights do not matter.

    Args:
        model: Model.
        vector: of its free parameters, shape (n,).
        data: Visibilities (K); its phase centre may differ from that of the fit, if it has w.
        sky: name of the sky; default: the first.
        eps: relative accuracy of the transform.

    Returns:
        Complex visibilities, shape (K,) [Jy], in the frame of `data`.

    Raises:
        InputError: another phase centre without w; a beam that needs frequencies or antennas that are not there; no
            such sky.
    """
    import jax.numpy as jnp

    model, found = model.settled(jnp.asarray(vector)), model.inversions(jnp.asarray(vector))
    return predict_reconstructed(found, data, sky=sky, eps=eps)


def predict_reconstructed(found, data, *, sky=None, eps=1e-12):
    """`predict` from sources already reconstructed: `found` = model.settled(...).inversions(...)."""
    groups = by_sky(found)
    name = next(iter(groups)) if sky is None else sky
    if name not in groups:
        raise InputError(f"the model has no sky {name!r}; it has {', '.join(map(repr, groups))}")
    members = groups[name]
    own, reduction = members[0].of_sky, members[0].of_sky.reduction
    if own.is_image:
        raise InputError(f"sky {name!r} is an image: it has no visibilities")

    def of(image, part):
        return visibilities_of_image(
            np.asarray(image),
            reduction.mask,
            part,
            phase_center=reduction.phase_center,
            pixel_window=reduction.pixel_window,
            eps=eps,
        )

    if len(members) == 1:
        vis = of(members[0].image, data)
        if own.law is not None:
            index, reference = own.law
            vis = vis * (_frequency(data) / reference) ** index
        return vis
    centers = np.array(channel_frequencies(members))
    nearest = np.argmin(np.abs(_frequency(data)[:, None] - centers), axis=1)
    vis = np.empty(len(data), np.complex128)
    for number in np.unique(nearest):
        which = nearest == number
        vis[which] = of(members[number].image, data.select(which))
    return vis


def gains_of(found, data, *, sky=None):
    """Gains that a fit found for a data set, shape (K,): what a telescope measured is their product with the model.

        G_k = exp(sum_j T_kj p_j),   p the calibration nuisances solved for with the image of `found`

    1 without nuisances, and for antennas and times that were not among them (see `uvlens.normal.nuisances`).

    Args:
        found: as for `predict_reconstructed`.
        data: Visibilities that were fitted, or all rows of their file.
        sky: name of the sky; default: the first.

    Raises:
        InputError: nuisances of several data sets, none or several of which have the name of this one.
    """
    from .normal.calibrated import gains

    groups = by_sky(found)
    one = groups[next(iter(groups)) if sky is None else sky][0]
    terms = getattr(one.of_sky.reduction, "nuisances", ())
    if not terms:
        return np.ones(len(data), complex)
    name = Path(data.name).name
    fields = () if data.field is None else np.unique(data.field)
    names = {name, f"{name} field {fields[0]}"} if len(fields) == 1 else {name}
    own = terms if len(terms) == 1 else [term for term in terms if Path(term.name).name in names]
    if len(own) != 1:
        names = ", ".join(dict.fromkeys(term.name for term in terms))
        raise InputError(f"{data.name}: the fit has calibration nuisances of {names}: which are these data is unclear")
    return gains(own[0], own[0].solve(one.image)[0], data)


def _frequency(data):
    if data.frequency is None:
        raise InputError(f"{data.name}: this model needs the frequency of every visibility")
    return data.frequency


def visibilities_of_image(image, mask, data, *, phase_center=None, pixel_window=False, eps=1e-12):
    """Visibilities of an image on a mask, as `predict` has them.

    Args:
        image: of the unmasked pixels, shape (N,) [Jy/pixel].
        mask: Mask (N).
        data: Visibilities (K).
        phase_center: (right ascension, declination) of (0, 0) of the mask [deg]; None: that of `data`.
        pixel_window: whether to divide by the response of a square pixel.
        eps: relative accuracy of the transform.
    """
    u, v, turn = _in_frame(data, phase_center)
    pointing = _pointing(data, phase_center)
    x, y = mask.x - pointing[0], mask.y - pointing[1]
    vis = np.empty(len(data), np.complex128)
    for power, which in _beams(data, x, y):
        seen = mask.to_image(image if power is None else image * power)
        vis[which] = type2(seen, u[which], v[which], mask.grid, eps=eps)
    if pixel_window:
        step = mask.grid.pixel_scale * ARCSEC
        vis /= np.sinc(u * step) * np.sinc(v * step)
    return vis if turn is None else vis * turn


def _beams(data, x, y):
    """[(A at the pixels, shape (N,), or None for 1; indices or slice of the visibilities)]."""
    if data.primary_beam is None:
        return [(None, slice(None))]
    found = []
    for beam, which in data.primary_beam.groups(data.antenna1, data.antenna2):
        members = np.arange(len(data)) if which is None else np.flatnonzero(which)
        if data.frequency is None:
            found.append((beam.power(x, y, None), members))
            continue
        frequency = data.frequency[members]
        number = np.rint(np.log(frequency) / _step(beam, x, y, float(frequency[0]))).astype(np.int64)
        order = np.argsort(number, kind="stable")
        for same in np.split(order, np.flatnonzero(np.diff(number[order])) + 1):
            found.append((beam.power(x, y, float(frequency[same].mean())), members[same]))
    return found


def _step(beam, x, y, frequency):
    """Of ln nu, over which A changes by at most 2 BEAM_TOLERANCE."""
    change = np.abs(beam.power(x, y, 1.005 * frequency) - beam.power(x, y, 0.995 * frequency)).max() / 0.01
    return 2.0 * BEAM_TOLERANCE / max(change, BEAM_TOLERANCE)


def _pointing(data, phase_center):
    """(x, y) of the pointing centre [arcsec] in the frame of the mask."""
    center = phase_center or data.phase_center
    pointing = data.pointing_center or data.phase_center
    return (0.0, 0.0) if center is None or pointing is None else sky_offset(*pointing, center)


def _in_frame(data, phase_center):
    """(u, v, factor): coordinates about another phase centre, and what takes V from there to that of the data.

        uvw' = R(centre) R(centre of the data)^T uvw,   V = V' exp[-2 pi i (u' l + v' m + w' (n - 1))]

    with (l, m, n) the direction cosines of the data's phase centre about the other one.
    """
    own = data.phase_center
    if own is None or phase_center is None or np.allclose(own, phase_center, rtol=0.0, atol=_SAME_CENTER):
        return data.u, data.v, None
    if data.w is None:
        raise InputError(f"{data.name}: another phase centre than that of the fit, and no w to move it")
    axes, others = rotation(*phase_center), rotation(*own)
    u, v, w = (axes @ others.T) @ np.stack([data.u, data.v, data.w])
    l, m, n = axes @ others[2]
    return u, v, np.exp(-2j * np.pi * (u * l + v * m + w * (n - 1.0)))
