"""What a COOLEST template says besides its profiles: its origin, redshifts, cosmology, units, what was observed."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..lens.lens import Lens
from .coolest_profiles import CODE


def redshifts(lens, redshift, source_redshift, cosmology):
    """(redshift of the lens, of the source, cosmology): those given, or those of the lens."""
    plane = lens.planes[0] if isinstance(lens, Lens) else lens
    if redshift is None:
        redshift = getattr(plane, "redshift", None)
    if isinstance(lens, Lens):
        source_redshift = lens.source_redshift if source_redshift is None else source_redshift
        cosmology = lens.cosmology if cosmology is None else cosmology
    return redshift, source_redshift, cosmology


def summary(result):
    """The summary of a Result, of a summary itself, of a result folder or its summary.json; {} for None."""
    if result is None:
        return {}
    if isinstance(result, Mapping):
        return result
    if isinstance(result, str | os.PathLike):
        folder = Path(result)
        file = folder / "summary.json" if folder.is_dir() else folder
        try:
            return json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"{file}: not the summary of a fit ({error})") from None
    return result.summary()


def cosmology_entry(cosmology):
    """H0 and Om0 of a flat cosmology, or None."""
    if cosmology is None:
        return None
    known = cosmology.known.cosmology if hasattr(cosmology, "known") else cosmology
    try:
        H0, Om0 = float(getattr(known.H0, "value", known.H0)), float(known.Om0)
    except (AttributeError, TypeError, ValueError):
        raise InputError(f"{CODE}: cosmology must be flat with numbers for H0 and Om0, got {cosmology!r}") from None
    if abs(float(getattr(known, "Ok0", 0.0))) > 1e-6:
        raise InputError(f"{CODE}: the standard knows flat LambdaCDM alone, got a curved cosmology")
    return {"H0": H0, "Om0": Om0, "astropy_name": "FlatLambdaCDM"}


def read_cosmology(entry):
    """The astropy cosmology of an entry, or None."""
    if entry is None:
        return None
    from astropy.cosmology import FlatLambdaCDM

    return FlatLambdaCDM(H0=float(entry["H0"]), Om0=float(entry["Om0"]))


def origin_text(phase_center):
    """Right ascension and declination of (0, 0) as the template wants them."""
    from astropy.coordinates import SkyCoord

    ra, dec = phase_center or (0.0, 0.0)
    ra, dec = SkyCoord(ra, dec, unit="deg").to_string("hmsdms", precision=9).split(" ")
    return {"ra": ra, "dec": dec}


def read_origin(entry):
    """(ra, dec) [deg]."""
    from astropy.coordinates import Angle

    ra, dec = Angle(entry.get("ra", "0h0m0.0s")), Angle(entry.get("dec", "0d0m0.0s"))
    return float(ra.to_value("deg")), float(dec.to_value("deg"))


def units(unit):
    """What `meta` says in the place of electrons per second."""
    brightness = f"amplitudes of analytical profiles in {unit}/arcsec^2, pixels in {unit} per pixel of the instrument"
    return {"flux": unit, "brightness": brightness}


def facts(data):
    """What was observed, for `meta`."""
    if not data:
        return {}
    sets = [
        {
            "name": one.name or "",
            "n_visibilities": len(one),
            "longest_baseline_wavelengths": float(np.max(np.hypot(one.u, one.v))),
            "phase_center_deg": None if one.phase_center is None else [float(v) for v in one.phase_center],
        }
        for one in data
    ]
    sign = "V(u, v) = sum I exp(+2 pi i (u l + v m)), l East, m North, u, v as in the measurement set"
    return {"interferometry": {"data": sets, "visibility_convention": sign, "fitted": "visibilities"}}
