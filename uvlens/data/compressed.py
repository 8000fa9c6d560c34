"""Compressed data sets, `.uvlens`: recognised here, and refused where visibilities are wanted.

They hold the sums that a likelihood needs (see `uvlens.normal.storage`), from which no visibility can be had back.
"""

import json
import zipfile
import zlib

import numpy as np

from ..errors import InputError

FORMAT = "uvlens normal operator"
SUFFIX = ".uvlens"


def recognises(path):
    """An archive whose header says so."""
    if path.is_dir() or not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive, archive.open("header.npy") as member:
            header = json.loads(str(np.lib.format.read_array(member, allow_pickle=False)))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return False
    return isinstance(header, dict) and header.get("format") == FORMAT


def read(path):
    raise InputError(
        f"{path}: a compressed data set holds no visibilities any more; name it under data: of a model file"
    )


def write(data, path):
    raise InputError(f"{path}: a compressed data set is made on a mask: uvlens convert IN {path.name}")
