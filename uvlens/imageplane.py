"""`image_plane:` of a model file: pixels and mask, and the normal operator of data sets on them."""

import dataclasses

from .errors import InputError
from .grid import Mask
from .schema import Section, as_number

_PLACED = frozenset({"mask", "pixel_scale", "center"})
_SAME = 1e-6


@dataclasses.dataclass(frozen=True)
class ImagePlane:
    """Where the image plane is sampled; `given` are the keys that its section has.

    Compressed data bring their own pixels: what is not given is theirs, what is given must agree with them.
    """

    pixel_scale: float | None
    rays: int
    pixel_window: bool
    mask: tuple
    center: tuple | dict
    given: frozenset[str] = frozenset()

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
    mask = section.section("mask", {"disc": {"radius": 3.0}})
    if len(mask.value) != 1 or not set(mask.value) <= {"disc", "annulus", "fits"}:
        given = ", ".join(map(str, mask.value)) or "nothing"
        raise InputError(f"{mask.path}: expected one of disc, annulus, fits, got {given}")
    if "disc" in mask.value:
        inner = mask.section("disc")
        shape = ("disc", inner.number("radius", positive=True))
        inner.finish()
    elif "annulus" in mask.value:
        inner = mask.section("annulus")
        shape = ("annulus", inner.number("inner"), inner.number("outer", positive=True))
        inner.finish()
        if not 0.0 <= shape[1] < shape[2]:
            raise InputError(f"{inner.path}: expected 0 <= inner < outer, got {shape[1]} and {shape[2]}")
    else:
        shape = ("fits", folder / mask.text("fits"))
        for key in ("pixel_scale", "center"):
            if section.get(key) not in (None, "auto"):
                raise InputError(f"{section.name(key)}: a FITS mask has its own; leave this key out")
    center = section.get("center", [0.0, 0.0])
    if isinstance(center, dict):
        inner = Section(center, section.name("center"))
        center = {"ra": inner.get("ra"), "dec": inner.get("dec")}
        inner.finish()
    else:
        center = section.numbers("center", 2, [0.0, 0.0])
    section.finish()
    return ImagePlane(None if scale == "auto" else scale, rays, window, shape, center, frozenset(section.value))


def _offset(center, data):
    if not isinstance(center, dict):
        return center
    if data.phase_center is None:
        raise InputError("image_plane.center: ra, dec need data with a phase centre; give [East, North] in arcsec")
    from .wcs import sky_offset

    return sky_offset(center["ra"], center["dec"], data.phase_center)
