"""What a fit leaves in its folder, and its removal before another one begins there."""

import fnmatch
import os
import shutil
from pathlib import Path

from .normal.partitions import discard
from .results import PRODUCTS


def clear(folder, state=True):
    """Remove what a fit left in a folder.

    Args:
        folder: need not be there.
        state: also what was found before the search, which a later run would go on from: sums of partitions
            (reduction/) and the loop of calibration (calibration/).
    """
    folder = Path(folder)
    for file in folder.iterdir() if folder.is_dir() else ():
        ours = file.name.startswith("checkpoint.") or any(fnmatch.fnmatchcase(file.name, one) for one in PRODUCTS)
        if ours and file.is_file():
            os.remove(file)
    if state:
        discard(folder / "reduction")
        shutil.rmtree(folder / "calibration", ignore_errors=True)
