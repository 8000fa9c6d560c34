"""`uvlens info`: the facts of a data set, and the page that shows them."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np

from .conventions import ARCSEC, SPEED_OF_LIGHT
from .convert import describe_compressed
from .data import (
    VisibilityStream,
    chosen_fields,
    fields_of,
    has_fields,
    is_compressed,
    largest_field,
    read,
    read_or_stream,
    weight_factor,
)
from .data.fields import field_centers
from .data.weightwords import explain_factor
from .describeimage import describe_image, is_image
from .emission import clean, dirty_sums, survey_grid
from .errors import InputError
from .imaging import synthesized_beam
from .outside import emission_radius
from .positions import propose_positions
from .primarybeam import MixedBeam

_SAMPLE = 4_000_000
"""Visibilities that are looked at of data too large to be held."""
_EARTH = 7.292e-5
"""rad/s."""


def describe_data(path, options):
    """The facts that `uvlens info --json` prints.

    Args:
        path: of the data.
        options: of their format.

    Returns:
        dict; lengths in arcsec, wavelengths and m, frequencies in Hz, fluxes in Jy, times in s. Of an image those of
        `describe_image`.
    """
    if is_image(path):
        return describe_image(path)
    if is_compressed(path):
        return describe_compressed(path)
    data, n_visibilities, remarks = _sampled(*read_one_field(path, options, read_or_stream))
    good = data.unflagged()
    windows, said = windows_of(data)
    beam = synthesized_beam(good.u, good.v, good.weight)
    center = data.phase_center
    field = [0] if good.field is None else np.unique(good.field).tolist()
    named = fields_of(path) if has_fields(path) else {}
    facts = {
        "file": Path(path).name,
        "name": data.name,
        "n_visibilities": n_visibilities,
        "n_flagged": round((len(data) - len(good)) * n_visibilities / len(data)),
        "fields": sorted(named) or field,
        "field_names": list(named.values()) or None,
        "field": field,
        "field_centers": _centers(path) if len(named) > 1 else None,
        "phase_center": None if center is None else {"ra": center[0], "dec": center[1]},
        "pointing_offset": list(data.pointing_offset),
        "time": _times(data),
        "spws": windows,
        "frequency_hz": good.mean_frequency,
        "antennas": None if (used := _used_antennas(good)) is None else len(used),
        "dishes": _dishes(good, used),
        "primary_beam": None if data.primary_beam is None else data.primary_beam.describe(),
        "primary_beam_fwhm": data.primary_beam_fwhm,
        "uv_range": [float(good.uv_distance.min()), float(good.uv_distance.max())],
        "uv_range_m": _range_in_metres(good),
        "beam": {"bmaj": beam.major, "bmin": beam.minor, "bpa": beam.position_angle},
        "sensitivity_jy_beam": good.sensitivity * (len(data) / n_visibilities) ** 0.5,
        "suggested_pixel_scale": good.suggested_pixel_scale(),
        "largest_scale": _largest_scale(good),
    }
    facts |= _emission(_rescaled(good, windows))
    facts |= _limits(good, facts["suggested_mask_radius"])
    return facts | {"warnings": remarks + said}


def _centers(path):
    """{field number: {ra, dec} [deg]} of those that are known."""
    known = {n: center for n, center in field_centers(path).items() if center is not None}
    return {str(n): {"ra": float(ra), "dec": float(dec)} for n, (ra, dec) in known.items()}


def read_one_field(path, options, read=read):
    """(data, remarks); where a file has several fields and none was named, the one with the most data."""
    if "field" in options or not has_fields(path):
        return read(path, **options), []
    name, listed = largest_field(path)
    data, remarks = read(path, field=name, **options), []
    if listed:
        remarks = [f"several fields: {listed}; this is {name}, --field says another"]
        with contextlib.suppress(InputError):
            chosen_fields(path, None, data.primary_beam_fwhm)
            remarks = [f"a mosaic, which images and fits take as one: {listed}; this is {name}, --field says another"]
    return data, remarks


def _sampled(data, remarks):
    """(Visibilities, how many there are, remarks): of data too large to be held a sample from several places."""
    if not isinstance(data, VisibilityStream):
        return data, len(data), remarks
    sample, total = data.sample(_SAMPLE), data.expected_count
    said = "more" if total is None else f"about {total:,}"
    remarks = [*remarks, f"{len(sample):,} of {said} visibilities were looked at, from several places in the file"]
    return sample, total or len(sample), remarks


def windows_of(data):
    """Facts of each spectral window, and warnings."""
    numbers = [None] if data.spw is None else np.unique(data.spw)
    windows, remarks = [], []
    for number in numbers:
        part = data if number is None else data.select(data.spw == number)
        good = part.unflagged() if np.any(part.weight > 0.0) else None
        if good is None:
            continue
        channels = 1 if part.frequency is None else len(np.unique(part.frequency))
        estimate = weight_factor(good)
        factor = error = None
        said = "weights cannot be checked: no antenna numbers, or too few repeats of a baseline"
        if estimate is not None:
            factor, error = estimate[0], estimate[0] * estimate[1]
            said = explain_factor(good, factor, error, channels)
        if said is not None:
            remarks.append(said if number is None else f"spw {number}: {said}")
        windows.append(
            {
                "id": 0 if number is None else int(number),
                "frequency_hz": part.mean_frequency,
                "n_channels": channels,
                "channel_width_hz": None if part.channel_width is None else float(np.median(part.channel_width)),
                "n_visibilities": len(part),
                "n_flagged": len(part) - len(good),
                "weight_factor": factor,
                "weight_factor_error": error,
            }
        )
    return windows, remarks


def _rescaled(data, windows):
    """The data with the weights that their scatter shows, where it shows any."""
    factor = {window["id"]: window["weight_factor"] or 1.0 for window in windows}
    if data.spw is None:
        return data.with_weights_scaled(factor[0])
    weight = data.weight.copy()
    for number, one in factor.items():
        weight[data.spw == number] *= one
    return dataclasses.replace(data, weight=weight)


def _times(data):
    """Beginning, end [s], scans, time on source and length of an integration [s], or None."""
    if data.time is None:
        return None
    moments = np.unique(np.round(data.time, 2))
    length = None
    if data.interval is not None:
        length = float(np.median(data.interval))
    elif len(moments) > 1:
        length = float(np.median(np.diff(moments)))
    half = 0.5 * (length or 0.0)
    return {
        "start": float(data.time.min()) - half,
        "end": float(data.time.max()) + half,
        "n_scans": None if data.scan is None else len(np.unique(data.scan)),
        "integration": length,
        "on_source": None if length is None else len(moments) * length,
    }


def _used_antennas(data):
    if data.antenna1 is None or data.antenna2 is None:
        return None
    return np.unique(np.concatenate([np.unique(data.antenna1), np.unique(data.antenna2)]))


def _dishes(data, used):
    """[{diameter_m, antennas}], or None where the primary beam is not that of dishes."""
    beam = data.primary_beam
    if isinstance(beam, MixedBeam) and used is not None:
        kinds = [
            (getattr(one, "diameter", None), int(np.sum(np.array(beam.kind)[used] == i)))
            for i, one in enumerate(beam.beams)
        ]
    else:
        kinds = [(getattr(beam, "diameter", None), None if used is None else len(used))]
    if any(diameter is None for diameter, _ in kinds):
        return None
    return [{"diameter_m": diameter, "antennas": n} for diameter, n in kinds if n != 0]


def _range_in_metres(data):
    if data.frequency is None:
        return None
    length = data.uv_distance * (SPEED_OF_LIGHT / data.frequency)
    return [float(length.min()), float(length.max())]


def survey(data):
    """(CleanImage, DirtySums, radius about (0, 0) that holds the emission or None) of the primary beam's field.

    Where the field is too large for one image at full resolution, a coarse one finds the emission and a fine one of
    that part is returned.
    """
    scale = data.suggested_pixel_scale()
    width = data.primary_beam_fwhm or min(2.0 * _largest_scale(data), 384.0 * scale)
    part, grid = survey_grid(data, width)
    cleaned, sums, reach = _cleaned(part, grid)
    if len(part) < len(data) and reach is not None:
        part, grid = survey_grid(data, 2.0 * reach)
        cleaned, sums, _ = _cleaned(part, grid)
    return cleaned, sums, reach


def _cleaned(data, grid):
    sums = dirty_sums(data, grid)
    cleaned = clean(sums)
    return cleaned, sums, emission_radius(sums, cleaned)


def _largest_scale(data):
    """0.6 / u_min [arcsec]."""
    return 0.6 / (max(float(data.uv_distance.min()), 1.0) * ARCSEC)


def _emission(data):
    """What a quick CLEAN of the field finds; weights as the scatter shows them."""
    cleaned, sums, reach = survey(data)
    proposal = propose_positions(cleaned, reach) if reach is not None else None
    beyond_noise = float(data.weight @ (data.vis.real**2 + data.vis.imag**2)) - 2.0 * len(data)
    x, _ = cleaned.grid.coordinates()
    radius = reach if reach is not None else min(3.0, float(x.max()))
    return {
        "peak_jy_beam": float(sums.dirty.max() / sums.sum_weight),
        "peak_snr": float(sums.signal_to_noise().max()),
        "total_snr": max(beyond_noise, 0.0) ** 0.5,
        "rescaled_sensitivity_jy_beam": data.sensitivity,
        "emission_found": reach is not None,
        "suggested_mask_radius": float(np.ceil(10.0 * radius) / 10.0) if radius > 0.5 else radius,
        "positions": None
        if proposal is None
        else {"xy": [[one.x, one.y] for one in proposal[0]], "threshold": proposal[1]},
    }


def _limits(data, radius):
    """Smearing and w term for a source at a radius [arcsec] from the phase centre.

    Loss of amplitude 1 - sinc(dnu / nu |u| r) and 1 - sinc(omega dt |u| r), on the longest baseline and on average;
    the phase 2 pi |w| (1 - n) that a flat sky leaves out.
    """
    fringes = data.uv_distance * radius * ARCSEC

    def loss(turns):
        lost = 1.0 - np.sinc(np.minimum(turns, 1.0))
        return {"worst": float(lost.max()), "mean": float(np.average(lost, weights=data.weight))}

    smearing = {"radius": radius, "channel": None, "time": None}
    if data.channel_width is not None and data.frequency is not None:
        smearing["channel"] = loss(data.channel_width / data.frequency * fringes)
    if data.interval is not None:
        smearing["time"] = loss(_EARTH * data.interval * fringes)
    bend = 1.0 - (1.0 - (radius * ARCSEC) ** 2) ** 0.5
    phase = None if data.w is None else float(2.0 * np.pi * np.abs(data.w).max() * bend)
    return {"smearing": smearing, "w_term_rad": phase}
