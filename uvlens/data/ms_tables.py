"""The small tables of a measurement set that is written: frequencies, directions, antennas, and the rest."""

import warnings
from pathlib import Path

import numpy as np

from ..conventions import ARCSEC, SPEED_OF_LIGHT
from ..errors import UVLensWarning
from ..primarybeam import FWHM_FACTOR, AiryBeam, CasaAiryBeam, FixedBeam, GaussianBeam, MixedBeam

_DAY = 86400.0
_CASA_DISHES = {10.7: 12.0, 6.25: 7.0}
"""Diameters of CASA's Airy patterns and of the dishes that they stand for [m]."""
_EARTH = 6371e3


def write_subtables(path, tables, data, windows, span, telescope):
    """Fill every table but the main one; `span` is the first and the last time [s]."""
    diameters = _diameters(data)
    _write_frequencies(path, tables, windows)
    _write_sky(path, tables, data, span, len(diameters))
    _write_array(path, tables, diameters, span)
    _fill(
        path / "OBSERVATION",
        tables,
        1,
        TELESCOPE_NAME=[telescope],
        TIME_RANGE=[span],
        OBSERVER=["uvlens"],
        PROJECT=[data.name],
        SCHEDULE_TYPE=[""],
        RELEASE_DATE=[span[1]],
    )
    _fill(path / "STATE", tables, 1, OBS_MODE=["OBSERVE_TARGET.ON_SOURCE"], SIG=[True])
    _fill(path / "PROCESSOR", tables, 1, TYPE=["CORRELATOR"], SUB_TYPE=[""])


def _diameters(data):
    """Of the dishes by antenna number [m], 0 where the primary beam does not say."""
    n = int(max(data.antenna1.max(), data.antenna2.max())) + 1
    beam = data.primary_beam
    if isinstance(beam, MixedBeam):
        known = np.array([_diameter(one, data.mean_frequency) for one in beam.beams])[list(beam.kind)]
        return np.pad(known, (0, max(0, n - len(known))))
    return np.full(n, _diameter(beam, data.mean_frequency))


def _diameter(beam, frequency):
    if isinstance(beam, CasaAiryBeam):
        return _CASA_DISHES.get(beam.diameter, beam.diameter)
    if isinstance(beam, GaussianBeam | AiryBeam):
        return beam.diameter
    if isinstance(beam, FixedBeam):
        return FWHM_FACTOR * SPEED_OF_LIGHT / (frequency * beam.fwhm(frequency) * ARCSEC)
    return 0.0


def _write_frequencies(path, tables, windows):
    """SPECTRAL_WINDOW, POLARIZATION and DATA_DESCRIPTION; numbers that are not used get a single channel."""
    count = max(window.number for window in windows) + 1
    by_number = {window.number: window for window in windows}
    unused = np.array([windows[0].frequency[0]]), np.array([windows[0].width[0]])
    with _opened(path / "SPECTRAL_WINDOW", tables, count) as table:
        for number in range(count):
            window = by_number.get(number)
            frequency, width = unused if window is None else (window.frequency, window.width)
            values = {
                "CHAN_FREQ": frequency[None],
                **{key: width[None] for key in ("CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION")},
                "NUM_CHAN": np.array([len(frequency)], np.int32),
                "REF_FREQUENCY": frequency[:1],
                "TOTAL_BANDWIDTH": np.array([width.sum()]),
                "MEAS_FREQ_REF": np.array([5], np.int32),  # topocentric
                "NET_SIDEBAND": np.array([1], np.int32),
                "NAME": np.array([f"spw{number}"], object),
                "FREQ_GROUP_NAME": np.array(["uvlens"], object),
            }
            for column, value in values.items():
                table.putcol(column, value, index=(np.array([number]),))
    _fill(path / "POLARIZATION", tables, 1, CORR_TYPE=[[9, 12]], CORR_PRODUCT=[[[0, 0], [1, 1]]], NUM_CORR=[2])
    numbers = [window.number for window in windows]
    _fill(path / "DATA_DESCRIPTION", tables, len(windows), SPECTRAL_WINDOW_ID=numbers)


def _write_sky(path, tables, data, span, n_antennas):
    """FIELD, and POINTING where the antennas pointed elsewhere than at the phase centre."""
    center = data.phase_center
    if center is None:
        center = (0.0, 0.0)
        warnings.warn(f"{data.name}: phase centre unknown, written as (0, 0)", UVLensWarning, stacklevel=2)
    used = [0] if data.field is None else np.unique(data.field).tolist()
    n = max(used) + 1
    stem = Path(data.name).stem or "target"
    names = [stem if used == [i] else f"{stem}_{i}" for i in range(n)]
    direction = np.broadcast_to(np.deg2rad(center), (n, 1, 2))
    columns = ("PHASE_DIR", "DELAY_DIR", "REFERENCE_DIR")
    _fill(
        path / "FIELD",
        tables,
        n,
        frames=columns,
        NAME=names,
        CODE=[""] * n,
        SOURCE_ID=[-1] * n,
        TIME=[span[0]] * n,
        **{column: direction for column in columns},
    )
    if data.pointing_center is None or data.phase_center is None:
        return
    pointing = np.broadcast_to(np.deg2rad(data.pointing_center), (n_antennas, 1, 2))
    _fill(
        path / "POINTING",
        tables,
        n_antennas,
        frames=("DIRECTION", "TARGET"),
        ANTENNA_ID=np.arange(n_antennas),
        DIRECTION=pointing,
        TARGET=pointing,
        TIME=[0.5 * sum(span)] * n_antennas,
        TIME_ORIGIN=[span[0]] * n_antennas,
        INTERVAL=[span[1] - span[0] + _DAY] * n_antennas,
        TRACKING=[True] * n_antennas,
        NAME=[stem] * n_antennas,
    )


def _write_array(path, tables, diameters, span):
    """ANTENNA and FEED; the positions of the antennas are not known, all get one place on the surface."""
    n = len(diameters)
    names = [f"A{i:03d}" for i in range(n)]
    _fill(
        path / "ANTENNA",
        tables,
        n,
        NAME=names,
        STATION=names,
        TYPE=["GROUND-BASED"] * n,
        MOUNT=["ALT-AZ"] * n,
        POSITION=np.broadcast_to([_EARTH, 0.0, 0.0], (n, 3)),
        OFFSET=np.zeros((n, 3)),
        DISH_DIAMETER=diameters,
    )
    _fill(
        path / "FEED",
        tables,
        n,
        ANTENNA_ID=np.arange(n),
        BEAM_ID=[-1] * n,
        SPECTRAL_WINDOW_ID=[-1] * n,
        NUM_RECEPTORS=[2] * n,
        BEAM_OFFSET=np.zeros((n, 2, 2)),
        POLARIZATION_TYPE=[["X", "Y"]] * n,
        POL_RESPONSE=np.broadcast_to(np.eye(2, dtype=np.complex64), (n, 2, 2)),
        POSITION=np.zeros((n, 3)),
        RECEPTOR_ANGLE=np.zeros((n, 2)),
        TIME=[0.5 * sum(span)] * n,
        INTERVAL=[0.0] * n,
    )


def _opened(path, tables, n_rows):
    table = tables.Table.from_filename(str(path), 1, False)
    table.addrows(n_rows)
    return table


def _fill(path, tables, n_rows, frames=(), **columns):
    """Fill a subtable; `frames` are columns of directions, which are ICRS."""
    with _opened(path, tables, n_rows) as table:
        for column in frames:
            keywords = table.getcolkeywords(column)
            table.putcolkeywords(column, {"MEASINFO": dict(keywords.get("MEASINFO", {}), type="direction", Ref="ICRS")})
        for column, values in columns.items():
            array = np.array(values)
            if array.dtype.kind == "U":
                array = array.astype(object)
            elif array.dtype.kind == "b":
                array = array.astype(np.uint8)
            elif array.dtype.kind == "i":
                array = array.astype(np.int32)
            table.putcol(column, np.ascontiguousarray(array))
