"""The model of a fit in a copy of a UVFITS file, of which nothing else changes by a bit."""

import os
import shutil

import numpy as np

from .data import uvfits_tables
from .datasection import fields_of_entry
from .errors import InputError
from .export_set import BLOCK, PARALLEL, beam_of_entry, coordinates


def write_uvfits(path, out, entries, what, predict):
    """A copy whose real and imaginary parts alone are replaced, in their place in the file."""
    from astropy.io import fits

    with fits.open(path, memmap=False) as file:
        header, groups = file[0].header, file[0].data
        if groups is None:
            raise InputError(f"{path}: a UVFITS file without visibilities")
        tables = {hdu.name: hdu for hdu in file[1:]}
        if header["BITPIX"] > 0:
            raise InputError(f"{path}: visibilities kept as scaled integers cannot be replaced; export to .npz")
        axes, location = uvfits_tables.axes_of(path, header), (file.fileinfo(0) or {})["datLoc"]
        hands = [i for i, hand in enumerate(uvfits_tables.hands_of(header, axes)) if hand in PARALLEL]
        names = uvfits_tables.parameters_of(path, groups)
        diameters = uvfits_tables.diameters_of(tables)
        jobs = []
        for entry in entries:
            beam = beam_of_entry(entry, diameters)
            for field in fields_of_entry(entry):
                center, number = uvfits_tables.source_of(path, (field,), groups, tables, header)
                rows = np.arange(len(groups))
                if number is not None:
                    rows = np.flatnonzero(np.asarray(groups.par("SOURCE")).astype(int) == number)
                parameters = {key: uvfits_tables.values_of(groups, name)[rows] for key, name in names.items()}
                frequency = uvfits_tables.frequencies_of(header, tables, axes, parameters)[0]
                head = {"phase_center": center, "primary_beam": beam, "name": path.name}
                jobs.append((rows, parameters, frequency, head | {"field": np.full(len(rows), field)}))
    partial = f"{out}.partial"
    try:
        shutil.copyfile(path, partial)
        count = _replace_groups(partial, header, location, axes, hands, jobs, what, predict)
        os.replace(partial, out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror or error}") from None
    finally:
        if os.path.exists(partial):
            os.remove(partial)
    return count


def _replace_groups(path, header, location, axes, hands, jobs, what, predict):
    lengths = [header[f"NAXIS{i}"] for i in range(header["NAXIS"], 1, -1)]
    kind = ">f4" if header["BITPIX"] == -32 else ">f8"
    shape = (header["GCOUNT"], header["PCOUNT"] + int(np.prod(lengths)))
    raw = np.memmap(path, dtype=kind, mode="r+", offset=location, shape=shape)
    cube = _cells(raw[:, header["PCOUNT"] :].reshape(-1, *lengths), axes)
    if what == "model":
        cube[..., :2] = 0.0
    count = 0
    for rows, parameters, frequency, head in jobs:
        size = max(1, BLOCK // (cube.shape[1] * cube.shape[2]))
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            one = {key: values[part] for key, values in parameters.items()}
            seconds = [one.get(key) for key in ("UU", "VV", "WW")]
            antennas, time = uvfits_tables.antennas_of(one), one["DATE"] - header.get("UVLENST0", 0.0)
            own = head | {"time": time, "field": head["field"][part]}
            data = coordinates(*seconds, np.ascontiguousarray(frequency[part]), *antennas, **own)
            vis = predict(data).reshape(frequency[part].shape)
            for hand in hands:
                for i, values in enumerate((vis.real, vis.imag)):
                    old = cube[rows[part], :, :, hand, i]
                    cube[rows[part], :, :, hand, i] = values if what == "model" else old - values
            count += vis.size
    raw.flush()
    return count


def _cells(values, axes):
    """A view with axes (group, IF, channel, hand, 3) on an array of shape (groups, NAXISn, ..., NAXIS2)."""
    last = values.ndim - 1
    position = {kind: last - (axis - 2) for kind, axis in axes.items()}
    wanted = [position[kind] for kind in ("IF", "FREQ", "STOKES", "COMPLEX") if kind in position]
    others = [i for i in range(1, last + 1) if i not in wanted]
    view = np.transpose(values, [0, *others, *wanted])[(slice(None), *(0,) * len(others))]
    return view if "IF" in position else view[:, None]
