"""Visibilities of a model at the coordinates of any data set: what the telescope would have measured of it."""

import numpy as np

from .conventions import ARCSEC
from .errors import InputError
from .nufft import type2
from .wcs import sky_offset

BEAM_TOLERANCE = 1e-6
"""Largest error of A on the mask from taking one frequency for neighbouring channels."""
_SAME_CENTER = 1e-9
"""Degrees."""


def predict(model, vector, data, *, eps=1e-12):
    """Visibilities of a Model, its source reconstructed at a parameter vector.

        V_k = sum_i A_k(x_i) I_i exp(+2 pi i (u_k l_i + v_k m_i))

    with A_k the primary beam of `data` at the frequency of k for its pair of antennas, about its pointing centre;
    divided by sinc(u_k dx) sinc(v_k dx) where the model was fitted with `pixel_window`. Weights do not matter.

    Args:
        model: Model.
        vector: of its free parameters, shape (n,).
        data: Visibilities (K); its phase centre may differ from that of the fit, if it has w.
        eps: relative accuracy of the transform.

    Returns:
        Complex visibilities, shape (K,) [Jy], in the frame of `data`.

    Raises:
        InputError: another phase centre without w; a beam that needs frequencies or antennas that are not there.
    """
    import jax.numpy as jnp

    inversion, _ = model.invert(jnp.asarray(vector))
    return visibilities_of_image(
        np.asarray(inversion.image),
        model.normal.mask,
        data,
        phase_center=model.normal.reduction.phase_center,
        pixel_window=model.normal.reduction.pixel_window,
        eps=eps,
    )


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
    axes, others = _axes(phase_center), _axes(own)
    u, v, w = (axes @ others.T) @ np.stack([data.u, data.v, data.w])
    l, m, n = axes @ others[2]
    return u, v, np.exp(-2j * np.pi * (u * l + v * m + w * (n - 1.0)))


def _axes(center):
    """Unit vectors to the East, to the North and towards (right ascension, declination) [deg], shape (3, 3)."""
    a, d = np.deg2rad(center)
    east = [-np.sin(a), np.cos(a), 0.0]
    north = [-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)]
    return np.array([east, north, [np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)]])
