# Export visibilities from a measurement set to an .npz file for uvlens, from inside CASA.
#
# numpy and CASA's table tool are all it needs: CASA 4 and 5 (Python 2.7), CASA 6 and pip's casatools (Python 3).
#
#     casa --nogui -c export_uvlens.py target.ms target.npz [--field LENS1] [--spw 0,1] [--stokes both|any]
#                                                          [--column DATA]
#
# or at CASA's prompt:
#
#     exec(open("export_uvlens.py").read())
#     export("target.ms", "target.npz", field="LENS1")
#
# Flags come before weights. Of the data columns CORRECTED_DATA is taken where there is one, of the weights
# WEIGHT_SPECTRUM where it has the shape of the data, else WEIGHT. Stokes I is the weighted mean of the parallel hands,
# its weight their sum; a visibility counts where both are unflagged (--stokes any: where one is). Flagged ones are kept
# with weight 0. The sign is the measurement set's own.
from __future__ import print_function

import json
import os
import sys

import numpy as np

VERSION = 2
ROWS = 20000
PARALLEL = (((1,), "I"), ((9, 12), "XX YY"), ((5, 8), "RR LL"))
LIGHT = 299792458.0


def new_table():
    """CASA's table tool."""
    try:
        from casatools import table

        return table()
    except ImportError:
        pass
    try:
        from taskinit import tbtool
    except ImportError:
        from casac import casac

        return casac.table()
    return tbtool()


def open_table(path):
    tb = new_table()
    tb.open(path)
    return tb


def cell(tb, column, row):
    """One cell: columns of cells of different shape cannot be read as a whole."""
    return np.asarray(tb.getcell(column, int(row)))


def rows_last(values):
    """From CASA's order (correlation, channel, row) to (row, channel, correlation)."""
    values = np.asarray(values)
    return np.transpose(values, tuple(range(values.ndim))[::-1])


def chosen_field(path, names, there, asked):
    listed = ", ".join("%d (%s)" % (i, names[i]) for i in there)
    if asked is None:
        if len(there) > 1:
            raise ValueError("%s: has fields %s; say which one, field=%d" % (path, listed, there[-1]))
        return int(there[0])
    if str(asked) in names:
        return names.index(str(asked))
    if str(asked).isdigit() and int(asked) in there:
        return int(asked)
    raise ValueError("%s: there is no field %r; it has %s" % (path, asked, listed))


def data_column(path, columns, asked):
    for name in (asked,) if asked else ("CORRECTED_DATA", "DATA"):
        if name in columns:
            return name
    raise ValueError("%s: no column %s" % (path, asked or "DATA or CORRECTED_DATA"))


def weights(part, columns, shape):
    """WEIGHT_SPECTRUM where these rows have one of the data's shape, else WEIGHT for every channel."""
    if "WEIGHT_SPECTRUM" in columns:
        try:
            spectrum = rows_last(part.getcol("WEIGHT_SPECTRUM"))
        except RuntimeError:  # cells that were never written
            spectrum = np.zeros(0)
        if spectrum.shape == shape:
            return np.asarray(spectrum, dtype=float)
    return np.ones(shape) * rows_last(part.getcol("WEIGHT"))[:, np.newaxis, :]


def total_intensity(path, vis, weight, hands, stokes):
    """(I, w): I = sum w V / sum w and w = sum w over the parallel hands."""
    for wanted, _ in PARALLEL:
        which = [i for i, hand in enumerate(hands) if hand in wanted]
        if which:
            break
    else:
        raise ValueError("%s: no parallel hands among the correlations %s" % (path, list(hands)))
    weight = weight[..., which]
    vis = np.where(weight > 0.0, vis[..., which], 0.0)
    total = weight.sum(axis=-1)
    if stokes == "both":
        total = np.where(np.all(weight > 0.0, axis=-1), total, 0.0)
    mean = (weight * vis).sum(axis=-1) / np.where(total > 0.0, total, 1.0)
    return np.where(total > 0.0, mean, 0.0), total


def primary_beam(path):
    """Gaussians of FWHM 1.13 lambda / diameter, one or one for each kind of antenna; None where one is not known."""
    tb = open_table(os.path.join(path, "ANTENNA"))
    diameters = np.asarray(tb.getcol("DISH_DIAMETER"), dtype=float)
    tb.close()
    if not len(diameters) or not np.all(np.isfinite(diameters) & (diameters > 0.0)):
        return None
    kinds, kind = np.unique(diameters, return_inverse=True)
    beams = [{"gaussian_diameter": float(diameter)} for diameter in kinds]
    return beams[0] if len(beams) == 1 else {"mixed": beams, "kind": [int(k) for k in kind]}


def telescope_of(path):
    try:
        tb = open_table(os.path.join(path, "OBSERVATION"))
    except RuntimeError:  # no such table
        return None
    names = tb.getcol("TELESCOPE_NAME")
    tb.close()
    return str(names[0]) if len(names) else None


def read_description(path, tb, rows, numbers, description, column, columns, stokes):
    """Arrays of the rows of one DATA_DESC_ID, row by row, channels fastest."""
    tables = [open_table(os.path.join(path, name)) for name in ("DATA_DESCRIPTION", "SPECTRAL_WINDOW", "POLARIZATION")]
    window = int(tables[0].getcol("SPECTRAL_WINDOW_ID")[description])
    polarization = int(tables[0].getcol("POLARIZATION_ID")[description])
    frequency = cell(tables[1], "CHAN_FREQ", window).reshape(-1)
    width = np.abs(cell(tables[1], "CHAN_WIDTH", window).reshape(-1))
    hands = cell(tables[2], "CORR_TYPE", polarization).reshape(-1)
    for table in tables:
        table.close()
    parts = []
    for start in range(0, len(rows), ROWS):
        chosen = rows[start : start + ROWS]
        part = tb.selectrows([int(row) for row in chosen])
        vis = rows_last(part.getcol(column))
        flag = rows_last(part.getcol("FLAG")).astype(bool)
        weight = weights(part, columns, vis.shape)
        uvw = rows_last(part.getcol("UVW"))
        part.close()
        with np.errstate(invalid="ignore"):
            bad = flag | ~np.isfinite(vis) | ~np.isfinite(weight) | (weight <= 0.0)
        vis, weight = total_intensity(path, vis.astype(complex), np.where(bad, 0.0, weight), hands, stokes)
        shape = vis.shape
        arrays = {"vis": vis.ravel(), "weight": weight.ravel(), "flag": weight.ravel() == 0.0}
        for i, key in enumerate("uvw"):
            arrays[key] = np.repeat(uvw[:, i], shape[1])
        for key, values in numbers.items():
            arrays[key] = np.repeat(values[chosen], shape[1])
        arrays["frequency"] = np.tile(frequency, shape[0])
        arrays["channel_width"] = np.tile(width, shape[0])
        arrays["spw"] = np.zeros(vis.size, dtype=int) + window
        parts.append(arrays)
    return parts


def export(ms, out, field=None, spw=None, stokes="both", column=None):
    """Write the visibilities of one field of a measurement set to an .npz file.

    ms: its folder; out: name of the file; field: number or name; spw: a number or a list, None for all;
    stokes: "both" or "any"; column: of the data.
    """
    path = ms.rstrip("/")
    if stokes not in ("both", "any"):
        raise ValueError("stokes must be both or any, got %r" % (stokes,))
    tb = open_table(path)
    columns = list(tb.colnames())
    column = data_column(path, columns, column)
    names = (("ANTENNA1", "antenna1"), ("ANTENNA2", "antenna2"), ("TIME", "time"), ("INTERVAL", "interval"))
    names += (("FIELD_ID", "field"), ("SCAN_NUMBER", "scan"))
    numbers = dict((key, np.asarray(tb.getcol(name))) for name, key in names)
    description, flag_row = np.asarray(tb.getcol("DATA_DESC_ID")), np.asarray(tb.getcol("FLAG_ROW")).astype(bool)
    fields = open_table(os.path.join(path, "FIELD"))
    field_names = [str(name) for name in fields.getcol("NAME")]
    number = chosen_field(path, field_names, np.unique(numbers["field"]), field)
    center = np.degrees(cell(fields, "PHASE_DIR", number).ravel(order="F")[:2])
    fields.close()
    keep = (numbers["field"] == number) & (numbers["antenna1"] != numbers["antenna2"]) & ~flag_row
    windows = open_table(os.path.join(path, "DATA_DESCRIPTION"))
    window_of = np.asarray(windows.getcol("SPECTRAL_WINDOW_ID"))
    windows.close()
    wanted = None if spw is None else set(int(one) for one in np.atleast_1d(spw))
    there = set(int(window_of[one]) for one in np.unique(description))
    if wanted is not None and not wanted <= there:
        raise ValueError("%s: spw %s is not there; it has %s" % (path, spw, ", ".join(map(str, sorted(there)))))
    parts = []
    for one in np.unique(description[keep]):
        if wanted is None or int(window_of[one]) in wanted:
            rows = np.flatnonzero(keep & (description == one))
            parts += read_description(path, tb, rows, numbers, int(one), column, columns, stokes)
    tb.close()
    if not parts or not any(np.any(part["weight"] > 0.0) for part in parts):
        raise ValueError("%s: no visibilities left: all of field %d are flagged" % (path, number))
    arrays = dict((key, np.concatenate([part[key] for part in parts])) for key in parts[0])
    header = {
        "format": "uvlens",
        "version": VERSION,
        "sign": "casa",
        "formula": "V(u, v) = sum I exp(+2 pi i (u l + v m)), l East, m North, u and v in wavelengths",
        "uv_unit": "m",
        "units": {"u, v, w": "m", "vis": "Jy", "weight": "Jy^-2", "time, interval": "s", "frequency": "Hz"},
        "primary_beam": primary_beam(path),
        "phase_center": [float(center[0] % 360.0), float(center[1])],
        "pointing_center": None,
        "telescope": telescope_of(path),
        "name": os.path.basename(path),
        "source": path,
        "field_name": field_names[number],
        "column": column,
        "weight_scale": "as in the measurement set",
        "uvlens": "casa-script",
    }
    with open(out, "wb") as file:
        np.savez(file, header=np.array(json.dumps(header)), **arrays)
    good = int(np.count_nonzero(arrays["weight"] > 0.0))
    print("%s: %d visibilities (%d flagged) of field %s" % (out, arrays["u"].size, arrays["u"].size - good, number))


def main(words):
    options, names, key = {}, [], None
    for word in words:
        if key:
            options[key] = word
            key = None
        elif word.startswith("--"):
            key = word[2:]
            if key not in ("field", "spw", "stokes", "column"):
                raise ValueError("unknown option %s; there are --field --spw --stokes --column" % word)
        else:
            names.append(word)
    if len(names) != 2 or key:
        raise ValueError("usage: target.ms target.npz [--field F] [--spw 0,1] [--stokes both|any] [--column C]")
    if "spw" in options:
        options["spw"] = [int(number) for number in options["spw"].split(",")]
    export(names[0], names[1], **options)


def own_words(words):
    """What follows the script's own name; None where it was not started as a script."""
    for i, word in enumerate(words):
        if word == "-c" and i + 2 < len(words):
            return words[i + 2 :]
    is_script = words and words[0].endswith(".py") and not words[0].endswith("__main__.py")
    return words[1:] if is_script else None


if __name__ == "__main__":
    mine = own_words(sys.argv)
    if mine is not None:
        try:
            main(mine)
        except ValueError as error:
            print("export_uvlens: %s" % error)
            sys.exit(2)
