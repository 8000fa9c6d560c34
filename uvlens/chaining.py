"""What a fit hands to the next model: adapt images, where its source lies, image positions, and priors.

first  = uvl.fit(uvl.Model(normal, lens, simple_source))
second = uvl.Model(normal, first.lens_priors(widen=3.0), uvl.PixelSource(
    uvl.RectangularMesh(40, 40, *first.source_region()), uvl.AdaptiveBrightness(), adapt=first.adapt_image()),
    positions=uvlens.chaining.positions_of(first), chained=True)
"""

import jax
import jax.numpy as jnp
import numpy as np

from .adapt import AdaptImage
from .chainedpriors import priors_about
from .errors import InputError
from .handedon import remembered
from .labels import by_sky
from .lens.images import image_positions
from .reconstruction import light_grid

_SIGNIFICANT = 3.0
"""S/N of a pixel that shows that there is a source, and may be its brightest point."""
_SEEN = 1.0
"""S/N of a pixel that may belong to it."""
_FAINTEST = 0.1
"""|magnification| below which an image is none that a guard is made of."""
_N_TRACED = 100


def adapt_image(result, sky=None, source=None):
    """AdaptImage of the lensed source at the best fit, without the light in front of the lens.

    Args:
        result: Result.
        sky: name of the sky; default: the first. The channels of a cube are added.
        source: number of the source whose image it is; default: all that the sky sees.

    Raises:
        InputError: no such sky.
    """
    own = _sky(result, sky)

    def compute():
        members = _members(result, own.name)
        if source is None:
            return {"image": np.sum([np.asarray(one.lensed_source) for one in members], axis=0)}
        image = np.zeros(own.mask.n_pixels)
        for one in members:
            image += sum(np.asarray(one.image_of(p.columns)) for p in one.parts if p.block.source == source)
            image += sum(light.image for light in one.lights if light.is_lensed and light.of.place == source)
        return {"image": image}

    image = remembered(result, f"adapt {own.name} {source}", compute)["image"]
    return AdaptImage.of_mask(image, own.mask, "adapt image of a fit")


def source_region(result, sky=None, share=0.98, source=None):
    """(extent, (x, y)): the square that holds `share` of the flux of the pixelised sources [arcsec].

    The centre is the mean position weighted by flux, extent half the side, as RectangularMesh has it. Pixels with
    S/N > 1 count: those of a faint halo have less than 3 each and half of the flux together.

    Args:
        result: Result.
        sky: name of the sky; default: the first.
        share: of the flux.
        source: number of the source; default: all that the sky sees.

    Raises:
        InputError: no such sky, or no source that is brighter than its noise.
    """
    name = _sky(result, sky).name

    def compute():
        x, y, brightness, area, significance = _points(_members(result, name), source)
        if not (significance > _SIGNIFICANT).any():
            raise InputError("this fit has no source pixel with S/N > 3: nothing says where its source is")
        flux = np.where(significance > _SEEN, brightness * area, 0.0)
        center = float(np.average(x, weights=flux)), float(np.average(y, weights=flux))
        distance = np.maximum(np.abs(x - center[0]), np.abs(y - center[1]))
        order = np.argsort(distance)
        summed = np.cumsum(flux[order])
        return {"region": [float(distance[order][np.searchsorted(summed, share * summed[-1])]), *center]}

    extent, x, y = (float(one) for one in remembered(result, f"region {name} {source} {share}", compute)["region"])
    return extent, (x, y)


def positions_of(result, threshold=None, source=0, sky=None):
    """Positions: all images of the brightest point of the source, a guard of later pixelised searches.

    The point is the source pixel of the highest brightness with S/N > 3 (or the brightest of light profiles); its
    images those of the lens at the best fit, in the box of the mask, with |magnification| > 0.1.

    Args:
        result: Result.
        threshold: arcsec; None: the larger of three times the largest separation in the source plane that the posterior
            (100 samples of it) gives these images, and a twentieth of their largest separation in the sky.
        source: number of the source.
        sky: name of a sky that sees it; default: the first.

    Raises:
        InputError: no such sky, no source brighter than its noise, or one that has fewer than two images.
    """
    from .model import Positions

    own = _sky(result, sky)
    mask = own.mask

    def compute():
        x, y, brightness, _, significance = _points(_members(result, own.name), source)
        brightness = np.where(significance > _SIGNIFICANT, brightness, 0.0)
        if not brightness.size or not brightness.max() > 0.0:
            raise InputError("this fit has no source pixel with S/N > 3: it has no brightest point")
        brightest = int(np.argmax(brightness))
        lens = result.model.lens(jnp.asarray(result.best_vector), source)
        center = tuple(0.5 * float(axis.min() + axis.max()) for axis in (mask.x, mask.y))
        half = 0.5 * float(max(np.ptp(mask.x), np.ptp(mask.y)))
        found = image_positions(lens, float(x[brightest]), float(y[brightest]), center, half, faintest=_FAINTEST)
        return {"xy": np.stack([found.x, found.y], axis=1)}

    xy = remembered(result, f"positions {own.name} {source}", compute)["xy"]
    if len(xy) < 2:
        raise InputError(f"the brightest point of source {source} has {len(xy)} images: positions need two")
    if threshold is None:
        scatter = remembered(result, f"scatter {own.name} {source}", lambda: {"it": _scatter(result, xy, source)})["it"]
        threshold = max(3.0 * float(scatter), 0.05 * _largest_separation(*xy.T))
    return Positions(jnp.asarray(xy), float(threshold), source)


def lens_priors(result, widen=3.0, floor=0.5):
    """The LensPlane (or list of them) of a fit with priors about its posterior in the place of its own.

    The rule is that of `priors_about`. Hand the new Model `chained=True`, and the cosmology and reference_redshift of
    the old one, for which its Einstein radii are stated. Ties and fixed numbers stay.
    """
    return priors_about(result, {"lens": result.model.components["lens"]}, widen, floor)[0]["lens"]


def _points(members, source):
    """(x, y, brightness, area, S/N) of the source pixels of [Reconstruction], of light profiles alone without noise."""
    found = [[], [], [], [], []]
    for one in members:
        for part in one.parts:
            if source is not None and part.block.source != source:
                continue
            brightness = np.asarray(one.source(part))
            positions = part.mesh.node_positions(part.geometry)
            area = part.mesh.node_areas(part.geometry)
            error = np.sqrt(np.diagonal(one.covariance)[part.columns])
            for values, own in zip(found, (*positions, brightness, area, brightness / error)):
                values.append(np.asarray(own))
        lights = [light for light in one.lights if light.is_lensed and source in (None, light.of.place)]
        if lights and not any(source in (None, part.block.source) for part in one.parts):
            positions = [np.asarray(axis).ravel() for axis in light_grid(one, lights).coordinates()]
            brightness = np.maximum(sum(light.brightness(*positions) for light in lights), 0.0)
            seen = np.where(brightness > 0.0, np.inf, 0.0)
            for values, own in zip(found, (*positions, brightness, np.ones_like(brightness), seen)):
                values.append(own)
    return tuple(np.concatenate([np.zeros(0), *values]) for values in found)


def _scatter(result, xy, source):
    """Largest separation in the source plane of image positions, over samples of the posterior [arcsec]."""
    model = result.model
    trace = jax.jit(lambda vector: model.lens(vector, source).ray_trace(xy[:, 0], xy[:, 1]))
    chosen = result.vectors[:: -(-len(result.vectors) // _N_TRACED)]
    return max(_largest_separation(*trace(jnp.asarray(vector))) for vector in chosen)


def _largest_separation(x, y):
    x, y = np.asarray(x), np.asarray(y)
    return float(np.hypot(x[:, None] - x, y[:, None] - y).max())


def _sky(result, name):
    """The Sky of a name, the first for None."""
    named = {sky.name: sky for sky in reversed(result.model.skies)}
    if name is None:
        return result.model.skies[0]
    if name not in named:
        raise InputError(f"the fit has no sky {name!r}; it has {', '.join(map(repr, named))}")
    return named[name]


def _members(result, name):
    return by_sky(result.reconstructions)[name]
