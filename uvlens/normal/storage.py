"""A Reduction in one file, `.npz` inside: `normal.npz` of a fit, or a compressed data set `.uvlens`.

Arrays: kept (the mask), dirty_image, histogram, and for each primary beam i kernel_i, primary_beam_i (where there is
one) and the uv cells cell_u_i, cell_v_i, cell_vis_i, cell_weight_i; of each set of calibration nuisances
nuisance_sigma_i, nuisance_start_i, nuisance_response_i, nuisance_data_i, nuisance_gram_i. `header` is JSON; its `kind`
is "visibilities" or "image". Of an image: kept and data_kept (both masks), data, weight, psf.
"""

import dataclasses
import json
import zipfile
import zlib

import numpy as np

from .. import __version__
from ..data import compressed
from ..data.cells import CELL_ARRAYS, UVCells
from ..data.coverage import WeightHistogram
from ..data.observation import Observation
from ..errors import InputError
from ..files import write_atomically
from ..grid import Mask, PixelGrid
from .compensated import CompensatedSum
from .nuisances import NuisanceTerm
from .psf_reduction import ImagingReduction
from .reduction import Reduction, ToeplitzTerm

_LAYOUT = 2
_NUISANCE_ARRAYS = ("sigma", "start", "response", "data", "gram")


def save_reduction(reduction, path, **extra):
    """Write a Reduction; `extra` are small JSON values kept in the header."""
    if reduction.kind == "image":
        _save_image(reduction, path, extra)
        return
    arrays = {}
    for i, term in enumerate(reduction.terms):
        arrays[f"kernel_{i}"] = term.kernel
        arrays |= {f"cell_{key}_{i}": getattr(term.cells, key) for key in CELL_ARRAYS}
        if term.primary_beam is not None:
            arrays[f"primary_beam_{i}"] = term.primary_beam
    header = {
        "format": compressed.FORMAT,
        "layout": _LAYOUT,
        "kind": reduction.kind,
        "version": __version__,
        "pixel_scale": reduction.mask.grid.pixel_scale,
        "center": reduction.mask.grid.center,
        "null_chi_squared": dataclasses.astuple(reduction.null_chi_squared),
        "noise_normalization": dataclasses.astuple(reduction.noise_normalization),
        "histogram_first": reduction.histogram.first,
        "cell_sizes": [term.cells.size for term in reduction.terms],
        "pixel_window": reduction.pixel_window,
        "observations": [dataclasses.asdict(observation) for observation in reduction.observations],
        "hashes": reduction.hashes,
        "nuisances": [
            [term.name, term.keys, term.fiducial, term.interval, term.origin] for term in reduction.nuisances
        ],
        **extra,
    }
    for i, term in enumerate(reduction.nuisances):
        arrays |= {f"nuisance_{key}_{i}": getattr(term, key) for key in _NUISANCE_ARRAYS}
    arrays |= {
        "kept": reduction.mask.kept,
        "dirty_image": reduction.dirty_image,
        "histogram": reduction.histogram.weight,
    }
    write_atomically(path, lambda stream: np.savez_compressed(stream, header=np.array(json.dumps(header)), **arrays))


def load_reduction(path):
    """Read what `save_reduction` wrote: (Reduction or ImagingReduction, header).

    Raises:
        InputError: no such file, another kind of file, or one of another release's layout.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            header = json.loads(str(archive["header"]))
            if header["format"] != compressed.FORMAT:
                raise ValueError(f"format {header['format']!r}")
            if header.get("layout") != _LAYOUT:
                raise ValueError(f"layout {header.get('layout')!r}, this release reads {_LAYOUT}: convert again")
            arrays = {key: archive[key] for key in archive.files if key != "header"}
        assemble = _assemble_image if header.get("kind") == "image" else _assemble
        return assemble(header, arrays), header
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        text = next(iter(str(error).splitlines()), "")
        raise InputError(f"{path}: not a saved normal operator ({text})") from None


def _save_image(reduction, path, extra):
    grids = {"mask": reduction.mask.grid, "data_mask": reduction.data_mask.grid}
    header = {
        "format": compressed.FORMAT,
        "layout": _LAYOUT,
        "kind": reduction.kind,
        "version": __version__,
        "grids": {name: [grid.pixel_scale, *grid.center] for name, grid in grids.items()},
        "name": reduction.name,
        "unit": reduction.unit,
        "image_phase_center": reduction.phase_center,
        "hashes": reduction.hashes,
        **extra,
    }
    arrays = {"kept": reduction.mask.kept, "data_kept": reduction.data_mask.kept}
    arrays |= {name: getattr(reduction, name) for name in ("data", "weight", "psf")}
    write_atomically(path, lambda stream: np.savez_compressed(stream, header=np.array(json.dumps(header)), **arrays))


def _assemble_image(header, arrays):
    masks = []
    for name, key in (("mask", "kept"), ("data_mask", "data_kept")):
        scale, *center = header["grids"][name]
        masks.append(Mask(PixelGrid(arrays[key].shape, scale, tuple(center)), arrays[key]))
    center = header["image_phase_center"]
    return ImagingReduction(
        *masks,
        *(arrays[name] for name in ("data", "weight", "psf")),
        name=header["name"],
        phase_center=None if center is None else tuple(center),
        unit=header.get("unit", ""),
    )


def _assemble(header, arrays):
    mask = Mask(PixelGrid(arrays["kept"].shape, header["pixel_scale"], tuple(header["center"])), arrays["kept"])
    terms = []
    for i, size in enumerate(header["cell_sizes"]):
        cells = UVCells(size, *(arrays[f"cell_{key}_{i}"] for key in CELL_ARRAYS))
        terms.append(ToeplitzTerm(arrays[f"kernel_{i}"], arrays.get(f"primary_beam_{i}"), cells))
    return Reduction(
        mask=mask,
        terms=tuple(terms),
        dirty_image=arrays["dirty_image"],
        null_chi_squared=CompensatedSum(*header["null_chi_squared"]),
        noise_normalization=CompensatedSum(*header["noise_normalization"]),
        histogram=WeightHistogram(header["histogram_first"], arrays["histogram"]),
        pixel_window=header["pixel_window"],
        observations=tuple(Observation.from_dict(one) for one in header["observations"]),
        hashes=tuple(header["hashes"]),
        nuisances=tuple(
            NuisanceTerm(
                name,
                tuple((kind, antenna, interval) for kind, antenna, interval in keys),
                *(arrays[f"nuisance_{key}_{i}"] for key in _NUISANCE_ARRAYS),
                *others,
            )
            for i, (name, keys, *others) in enumerate(header.get("nuisances", []))
        ),
    )
