"""Small measurement sets made with arcae, for tests and benchmarks: columns in tiles, as CASA writes them."""

import numpy as np

MAIN_COLUMNS = ("ANTENNA1", "ANTENNA2", "DATA_DESC_ID", "FIELD_ID", "SCAN_NUMBER", "TIME", "INTERVAL", "FLAG_ROW")


def write_measurement_set(path, rows, windows, fields=("LENS",), antennas=(), diameter=12.0, hands=(9, 12)):
    """Write one.

    Args:
        path: of the new folder.
        rows: an iterable of dicts, each some rows of one window, all of the columns of the main table that are read:
            MAIN_COLUMNS, UVW [m], DATA, FLAG, WEIGHT.
        windows: list of (name, channel centres [Hz], channel width [Hz]), one for each DATA_DESC_ID.
        fields, antennas: names.
        hands: CASA's numbers of the correlations.
    """
    from arcae.lib.arrow_tables import Table

    tiled = {"DATA": _tiled("COMPLEX", 2), "FLAG": _tiled("BOOLEAN", 2), "WEIGHT": _tiled("FLOAT", 1)}
    main = Table.ms_from_descriptor(str(path), "MAIN", tiled)
    start = 0
    for part in rows:
        n = len(part["TIME"])
        main.addrows(n)
        there = (slice(start, start + n),)
        for name in (*MAIN_COLUMNS, "UVW", "DATA", "FLAG", "WEIGHT"):
            main.putcol(name, np.ascontiguousarray(part[name]), index=there)
        start += n
    _table(path, "ANTENNA", {"NAME": list(antennas), "DISH_DIAMETER": np.full(len(antennas), diameter)})
    center = np.tile(np.radians([[[84.5, -50.5]]]), (len(fields), 1, 1))
    _table(path, "FIELD", {"NAME": list(fields), "PHASE_DIR": center})
    number = np.arange(len(windows), dtype=np.int32)
    _table(path, "DATA_DESCRIPTION", {"SPECTRAL_WINDOW_ID": number, "POLARIZATION_ID": 0 * number})
    _table(path, "POLARIZATION", {"CORR_TYPE": np.array([hands], dtype=np.int32)})
    spectral = Table.from_filename(f"{path}/SPECTRAL_WINDOW", readonly=False)
    spectral.addrows(len(windows))
    for i, (name, frequency, width) in enumerate(windows):
        spectral.putcol("NAME", np.array([name], dtype=object), index=(np.array([i]),))
        spectral.putcol("CHAN_FREQ", np.asarray(frequency)[None], index=(np.array([i]),))
        spectral.putcol("CHAN_WIDTH", np.full((1, len(frequency)), width), index=(np.array([i]),))
    spectral.close()
    main.close()


def _tiled(kind, n_axes):
    return {
        "valueType": kind,
        "ndim": n_axes,
        "dataManagerType": "TiledShapeStMan",
        "dataManagerGroup": f"Tiled{kind}",
        "option": 0,
        "maxlen": 0,
        "comment": "",
        "keywords": {},
    }


def _table(path, name, columns):
    from arcae.lib.arrow_tables import Table

    table = Table.from_filename(f"{path}/{name}", readonly=False)
    table.addrows(len(next(iter(columns.values()))))
    for key, values in columns.items():
        table.putcol(key, np.asarray(values, dtype=object if isinstance(values, list) else None))
    table.close()
