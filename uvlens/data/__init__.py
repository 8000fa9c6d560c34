"""Visibilities and the files they come from."""

from .averaging import average, average_baselines
from .coverage import WeightHistogram
from .fields import chosen_fields, count_fields, field_centers, fields_of, has_fields, largest_field
from .files import FORMATS, Format, check_writable, format_of_name, is_compressed, read, read_or_stream, stream, write
from .imaging import Imaging, poisson_noise
from .phaseshift import shift_phase_center
from .smearing import SmearingLoss, bins_for_tolerance, smearing_factor, smearing_loss
from .stream import VisibilityStream
from .visibilities import Visibilities
from .weights import apply_weights, weight_factor

__all__ = [
    "FORMATS",
    "Format",
    "Imaging",
    "SmearingLoss",
    "Visibilities",
    "VisibilityStream",
    "WeightHistogram",
    "apply_weights",
    "average",
    "average_baselines",
    "bins_for_tolerance",
    "check_writable",
    "chosen_fields",
    "count_fields",
    "field_centers",
    "fields_of",
    "format_of_name",
    "has_fields",
    "is_compressed",
    "largest_field",
    "poisson_noise",
    "read",
    "read_or_stream",
    "shift_phase_center",
    "smearing_factor",
    "smearing_loss",
    "stream",
    "weight_factor",
    "write",
]
