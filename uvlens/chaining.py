"""What a fit hands to the next model: adapt images, where its source lies, and priors about its lens.

first  = uvl.fit(uvl.Model(normal, lens, simple_source))
second = uvl.Model(normal, first.lens_priors(widen=3.0), uvl.PixelSource(
    uvl.RectangularMesh(40, 40, *first.source_region()), uvl.AdaptiveBrightness(), adapt=first.adapt_image()))
"""

import jax
import numpy as np

from .adapt import AdaptImage
from .errors import InputError
from .labels import by_sky
from .parameters import path_name
from .priors import Normal, SameAs, TruncNormal, is_free

_BOUNDS = {"uniform": (0, 1), "loguniform": (0, 1), "truncnormal": (2, 3)}
"""Which arguments of a prior bound it."""


def adapt_image(result, sky=None):
    """AdaptImage of the lensed source at the best fit, without the light in front of the lens.

    Args:
        result: Result.
        sky: name of the sky; default: the first. The channels of a cube are added.

    Raises:
        InputError: no such sky.
    """
    members = _members(result, sky)
    image = np.sum([np.asarray(one.lensed_source) for one in members], axis=0)
    return AdaptImage.of_mask(image, members[0].mask, "adapt image of a fit")


def source_region(result, sky=None, share=0.98):
    """(extent, (x, y)): the square that holds `share` of the flux of the pixelised sources [arcsec].

    The centre is the mean position weighted by flux where S/N > 3; extent is half the side, as RectangularMesh has it.

    Raises:
        InputError: no such sky, no pixelised source, or none that is brighter than its noise.
    """
    x, y, flux = [], [], []
    for one in _members(result, sky):
        for part in one.parts:
            source = np.asarray(one.source(part))
            error = np.sqrt(np.diagonal(one.covariance)[part.columns])
            kept = source > 3.0 * error
            for values, all_values in zip((x, y), part.mesh.node_positions(part.geometry)):
                values.append(np.asarray(all_values)[kept])
            flux.append((source * np.asarray(part.mesh.node_areas(part.geometry)))[kept])
    x, y, flux = (np.concatenate(values) if values else np.zeros(0) for values in (x, y, flux))
    if not flux.sum() > 0.0:
        raise InputError("this fit has no source pixel with S/N > 3: nothing says where its source is")
    center = float(np.average(x, weights=flux)), float(np.average(y, weights=flux))
    distance = np.maximum(np.abs(x - center[0]), np.abs(y - center[1]))
    order = np.argsort(distance)
    summed = np.cumsum(flux[order])
    return float(distance[order][np.searchsorted(summed, share * summed[-1])]), center


def lens_priors(result, widen=3.0):
    """The LensPlane of a fit with normal priors about its posterior in the place of its own.

        N(median, (widen x standard deviation)^2), cut off where the old prior was

    Ties and fixed numbers stay. Where a prior depended on another parameter the posterior takes its place.

    Args:
        result: Result.
        widen: factor of the posterior's standard deviation, > 0: a posterior used twice counts its data twice, so 1
            would be too narrow.

    Raises:
        InputError: widen not positive; a parameter whose samples do not vary.
    """
    if not widen > 0.0:
        raise InputError(f"widen must be positive, got {widen}")
    paths, lens = result.model.parameters.paths, result.model.components["lens"]

    def prior(key, leaf):
        path = path_name(key)
        if not is_free(leaf):
            return leaf
        i = paths.index(f"lens.{path}")
        samples = np.asarray(result.vectors[:, i])
        middle, width = float(np.median(samples)), widen * float(samples.std())
        if not width > 0.0:
            raise InputError(f"lens.{path}: its samples do not vary: it has no posterior to hand on")
        stated = result.model.parameters.priors[i]
        bounds = _BOUNDS.get(stated.name)
        low_high = [stated.arguments[b] for b in bounds] if bounds else []
        if bounds is None or any(isinstance(one, str) for one in low_high):
            return Normal(middle, width)
        return TruncNormal(middle, width, *(float(one) for one in low_high))

    return jax.tree_util.tree_map_with_path(prior, lens, is_leaf=lambda leaf: is_free(leaf) or isinstance(leaf, SameAs))


def _members(result, sky):
    groups = by_sky(result.reconstructions)
    name = next(iter(groups)) if sky is None else sky
    if name not in groups:
        raise InputError(f"the fit has no sky {name!r}; it has {', '.join(map(repr, groups))}")
    return groups[name]
