"""Many fits as one table."""

import json
from pathlib import Path

import numpy as np

from .errors import InputError


def load_results(pattern):
    """Astropy Table of many fits: one row a `summary.json`, columns medians and errors by path.

    Args:
        pattern: glob of result folders, such as "runs/*".
    """
    import glob

    from astropy.table import Table

    rows = []
    for folder in sorted(glob.glob(str(pattern))):
        file = Path(folder) / "summary.json"
        if not file.exists():
            continue
        summary = json.loads(file.read_text())
        row = {"folder": folder, "max_log_evidence": summary["max_log_evidence"], "method": summary["method"]}
        for path, values in {**summary["parameters"], **summary["derived"]}.items():
            row[path], row[f"{path}.std"] = values["median"], values["std"]
        rows.append(row)
    if not rows:
        raise InputError(f"{pattern}: no folder with a summary.json")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return Table({c: [row.get(c, np.nan) if row.get(c) is not None else np.nan for row in rows] for c in columns})
