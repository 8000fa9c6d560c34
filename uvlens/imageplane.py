"""`image_plane:` of a model file: pixels and mask, and the normal operator of data sets on them."""

import dataclasses

import numpy as np

from .defaultpriors import Field
from .errors import InputError
from .grid import Mask
from .oversampling import OverSampling, parse_over_sampling
from .quadrature import AdaptiveSampling
from .schema import Section, as_list, as_number
from .shapes import Annulus, FitsFile, inside_any, mask_of_shapes, parse_shape

_PLACED = frozenset({"mask", "pixel_scale", "center"})
_SAME = 1e-6


@dataclasses.dataclass(frozen=True)
class ImagePlane:
    """Where the image plane is sampled; `given` are the keys that its section has.

    over_sampling, of light profiles, and the operator are those of all visibilities. Compressed data bring their own
    pixels: what is not given is theirs, what is given must agree with them.
    """

    pixel_scale: float | None
    rays: int
    pixel_window: bool
    mask: tuple
    center: tuple | dict
    given: frozenset[str] = frozenset()
    over_sampling: OverSampling | AdaptiveSampling | None = None
    operator: str = "auto"

    def reach(self):
        """Distance of the edge of the mask from the phase centre [arcsec]; that of a centre in ra, dec is not in it."""
        kind, *arguments = self.mask
        if kind == "fits":
            mask = Mask.from_fits(arguments[0])
            return float(np.hypot(mask.x, mask.y).max())
        if kind == "shapes":
            shapes = [one.read(None) if isinstance(one, FitsFile) else one for one in arguments[0]]
            corners = [(x, y) for w, e, s, n in (one.bounds() for one in shapes) for x in (w, e) for y in (s, n)]
            return max(float(np.hypot(x, y)) for x, y in corners)
        center = (0.0, 0.0) if isinstance(self.center, dict) else self.center
        return float(np.hypot(*center) + arguments[-1])

    def nominal_field(self, has_visibilities):
        """The Field of default priors where the section says it: None where data or files decide."""
        if not has_visibilities or "mask" not in self.given or isinstance(self.center, dict):
            return None
        kind, *arguments = self.mask
        return Field(float(arguments[-1]), self.center) if kind in ("disc", "annulus") else None

    def build_mask(self, data_sets):
        """The mask on which data sets (Visibilities, VisibilityStreams, Reductions) are fitted."""
        own = next((reduction.mask for reduction in _reductions(data_sets)), None)
        if own is not None and not _PLACED & self.given:
            return own
        if own is None:
            scale = self.pixel_scale or min(data.suggested_pixel_scale() for data in data_sets)
        else:
            scale = self._scale_of_compressed(own)
        kind, *arguments = self.mask
        if kind == "fits":
            return Mask.from_fits(arguments[0], phase_center=data_sets[0].phase_center)
        if kind == "shapes":
            shapes = [one.read(data_sets[0].phase_center) if isinstance(one, FitsFile) else one for one in arguments[0]]
            if own is None:
                return mask_of_shapes(shapes, scale)
            return _on_pixels_of(own, shapes)
        center = own.grid.center if own and "center" not in self.given else _offset(self.center, data_sets[0])
        if own is not None and "mask" not in self.given:
            if max(abs(a - b) for a, b in zip(center, own.grid.center)) > _SAME * scale:
                raise InputError(f"image_plane.center: the compressed data lie about {own.grid.center}, got {center}")
            return own
        if kind == "disc":
            return Mask.disc(arguments[0], scale, center)
        return Mask.annulus(*arguments, scale, center)

    def _scale_of_compressed(self, own):
        scale = own.grid.pixel_scale
        if self.pixel_scale is not None and abs(self.pixel_scale / scale - 1.0) > _SAME:
            raise InputError(
                f'image_plane.pixel_scale: the data were reduced on pixels of {scale:.8g}", got {self.pixel_scale:.8g}"'
            )
        return scale

    def reduce(self, data_sets, mask, schedule=None):
        """The Reduction of data sets on a mask: visibilities are reduced (by a Schedule), Reductions added."""
        from .normal import reduce

        windows = {reduction.pixel_window for reduction in _reductions(data_sets)} or {self.pixel_window}
        if "pixel_window" in self.given:
            windows.add(self.pixel_window)
        if len(windows) > 1:
            raise InputError("image_plane.pixel_window: compressed data were reduced with another value")
        return reduce(data_sets, mask, pixel_window=windows.pop(), schedule=schedule)


def _on_pixels_of(own, shapes):
    """The mask of shapes on the pixels of a compressed data set."""
    west, east, south, north = own.grid.extent
    for bounds in (one.bounds() for one in shapes):
        if bounds[0] < west or bounds[1] > east or bounds[2] < south or bounds[3] > north:
            raise InputError(
                f"image_plane.mask: a shape reaches out of the pixels of the compressed data, "
                f"{west:.3g} to {east:.3g} East, {south:.3g} to {north:.3g} North"
            )
    return Mask(own.grid, inside_any(shapes, *own.grid.coordinates()))


def _reductions(data_sets):
    from .normal import Reduction

    return [one for one in data_sets if isinstance(one, Reduction)]


def parse_image_plane(section, folder):
    """An ImagePlane from its section."""
    scale = section.get("pixel_scale", "auto")
    if scale != "auto":
        scale = as_number(scale, section.name("pixel_scale"), positive=True)
    rays = section.integer("rays", 4)
    if rays > 32:
        raise InputError(f"{section.name('rays')}: expected at most 32 per pixel side, got {rays}")
    window = section.boolean("pixel_window", False)
    shape = parse_mask(section.section("mask", {"disc": {"radius": 3.0}}), folder)
    if shape[0] in ("fits", "shapes"):
        for key in ("pixel_scale", "center") if shape[0] == "fits" else ("center",):
            if section.get(key) not in (None, "auto"):
                what = "a FITS mask has its own" if shape[0] == "fits" else "the shapes of this mask say where they are"
                raise InputError(f"{section.name(key)}: {what}; leave this key out")
    center = section.get("center", [0.0, 0.0])
    if isinstance(center, dict):
        inner = Section(center, section.name("center"))
        center = {"ra": inner.get("ra"), "dec": inner.get("dec")}
        inner.finish()
    else:
        center = section.numbers("center", 2, [0.0, 0.0])
    sampling = parse_over_sampling(section)
    operator = section.choice("operator", ["auto", "direct", "fft", "lowrank", "nufft"], "auto")
    section.finish()
    scale = None if scale == "auto" else scale
    return ImagePlane(scale, rays, window, shape, center, frozenset(section.value), sampling, operator)


def parse_mask(mask, folder):
    """("disc", radius) and ("annulus", inner, outer) about `center`, ("fits", path), ("shapes", list)."""
    kind, *others = (*mask.value, None)
    if kind not in ("patches", "disc", "annulus", "arc", "polygon", "fits") or len(others) > 1:
        given = ", ".join(map(str, mask.value)) or "nothing"
        raise InputError(f"{mask.path}: expected one of disc, annulus, arc, polygon, fits, patches, got {given}")
    if kind == "patches":
        patches = as_list(mask.require(kind), mask.name(kind))
        if not patches:
            raise InputError(f"{mask.name(kind)}: expected at least one shape, got an empty list")
        name = mask.name(kind)
        return "shapes", [parse_shape(Section(patch, f"{name}.{i}"), folder) for i, patch in enumerate(patches)]
    shape = parse_shape(mask, folder)
    if isinstance(shape, FitsFile):
        return "fits", shape.path
    if not isinstance(shape, Annulus) or "center" in mask.value[kind]:
        return "shapes", [shape]
    return ("disc", shape.outer) if kind == "disc" else ("annulus", shape.inner, shape.outer)


def _offset(center, data):
    if not isinstance(center, dict):
        return center
    if data.phase_center is None:
        raise InputError("image_plane.center: ra, dec need data with a phase centre; give [East, North] in arcsec")
    from .wcs import sky_offset

    return sky_offset(center["ra"], center["dec"], data.phase_center)
