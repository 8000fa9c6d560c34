"""Synthetic observations: antenna tables, uv tracks, thermal noise, and skies to look at."""

from .arrays import Array
from .cube import observe_cube
from .disc import RotatingDisc, channel_velocities
from .image import observe_image
from .noise import sefd_from_tsys, visibility_sigma
from .observe import observe
from .sky import lensed_image, read_fits_sky, write_fits_sky
from .uvtracks import uv_tracks

__all__ = [
    "Array",
    "RotatingDisc",
    "channel_velocities",
    "lensed_image",
    "observe",
    "observe_cube",
    "observe_image",
    "read_fits_sky",
    "sefd_from_tsys",
    "uv_tracks",
    "visibility_sigma",
    "write_fits_sky",
]
