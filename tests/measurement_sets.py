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


WINDOWS = [
    ("low", 3.40e11 + 5e8 * np.arange(4), 5e8),
    ("high", 3.52e11 - 5e8 * np.arange(6), 5e8),  # downwards, as lower sidebands are
]


def point_source(times=12, n_antennas=6, windows=WINDOWS, n_fields=1, offset=(0.83, -0.41), seed=0):
    """Rows of a point of 1 Jy at an offset [arcsec] in every field with unit noise, a scan for every 4 times.

    Each integration has all baselines and the autocorrelations of every window. Antenna 3 is flagged in the first scan
    by FLAG_ROW; of all other samples 5 % are flagged by FLAG; two of them hold NaN.
    """
    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(n_antennas)
    position = rng.normal(size=(n_antennas, 3)) * 150.0
    l, m = np.radians(np.array(offset) / 3600.0)
    for i in range(times):
        for number, (_, frequency, _) in enumerate(windows):
            n, shape = len(first), (len(first), len(frequency), 2)
            turned = position @ _turn(0.02 * i)
            uvw = turned[first] - turned[second]
            phase = 2.0 * np.pi * (uvw[:, :1] * l + uvw[:, 1:2] * m) * np.asarray(frequency) / 299792458.0
            data = np.exp(1j * phase)[..., None] + rng.normal(size=shape) + 1j * rng.normal(size=shape)
            flag = rng.random(shape) < 0.05
            data[np.nonzero(flag)[0][:2], np.nonzero(flag)[1][:2], np.nonzero(flag)[2][:2]] = np.nan
            scan = 1 + i // 4
            integers = {
                "ANTENNA1": first,
                "ANTENNA2": second,
                "DATA_DESC_ID": np.full(n, number),
                "FIELD_ID": np.full(n, (i // 4) % n_fields),
                "SCAN_NUMBER": np.full(n, scan),
            }
            yield {key: values.astype(np.int32) for key, values in integers.items()} | {
                "TIME": np.full(n, 4.9758948e9 + 30.0 * i + 600.0 * scan),
                "INTERVAL": np.full(n, 30.0),
                "FLAG_ROW": (scan == 1) & ((first == 3) | (second == 3)),
                "UVW": uvw,
                "DATA": data.astype(np.complex64),
                "FLAG": flag,
                "WEIGHT": rng.uniform(0.5, 2.0, (n, 2)).astype(np.float32),
            }


def _turn(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
