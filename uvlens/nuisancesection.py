"""`nuisances:` of a model file: which calibration errors the data have, and how large they may be.

nuisances:
  antenna_phases: 10.0          # degrees rms, one phase for each antenna of each data set
  antenna_amplitudes: 0.05      # rms of ln amplitude
  flux_scale: 0.05              # rms of the ln flux scale of each data set
  shift: 0.02                   # arcsec rms, of each data set along x and along y
  interval: 600                 # seconds, or scan: new antenna phases and amplitudes after that; default: never
  weight_scale: {lognormal: [0, 0.1]}   # a factor of the weights, sampled; {SKY: prior} where there are several
"""

from .normal import Nuisances
from .parse_priors import parse_parameter
from .priors import known_name
from .schema import as_number

WIDTHS = ("antenna_phases", "antenna_amplitudes", "flux_scale", "shift")


def parse_nuisances(section):
    """(Nuisances, weight_scale or None) from their Section."""
    widths = {key: as_number(section.get(key), section.name(key)) for key in WIDTHS if section.get(key) is not None}
    interval = section.get("interval")
    if interval is not None and interval != "scan":
        interval = as_number(interval, section.name("interval"), positive=True)
    scale, name = section.get("weight_scale"), section.name("weight_scale")
    if isinstance(scale, dict) and not any(known_name(one) or one in ("same_as", "equals", "mixture") for one in scale):
        scale = {str(key): parse_parameter(one, f"{name}.{key}") for key, one in scale.items()}
    elif scale is not None:
        scale = parse_parameter(scale, name)
    section.finish()
    return Nuisances(**widths, interval=interval), scale


def nuisances_section(nuisances):
    """What `parse_nuisances` reads."""
    content = {key: float(getattr(nuisances, key)) for key in WIDTHS if getattr(nuisances, key)}
    return content if nuisances.interval is None else content | {"interval": nuisances.interval}
