"""Mock data that hold a subhalo, as dirty images: no visibilities are needed."""

import jax
import jax.numpy as jnp
import numpy as np

from .compiled import Compiled
from .entries import light_images
from .errors import InputError
from .mocknoise import noise_image
from .planes import lenses_of
from .scansetup import CHUNK
from .scene import Scene


class MockData:
    """Dirty images of mock data: places (B, 3) -> a tuple of (B, N), one for each system.

    Args:
        setup: Setup.
        noise: seed, or None.
    """

    def __init__(self, setup, noise=None):
        perturbed, macro = setup.perturbed, setup.perturbed.macro
        parameters = macro.parameters
        vector = parameters.from_normal(jnp.asarray(setup.z)) if len(parameters) else jnp.zeros(0)
        problems = macro._problems(vector)
        found = [system.inversions(problem)[0] for system, problem in zip(macro.systems, problems)]
        sources, geometries = [one.source for one in found], [problem.geometries for problem in problems]
        reference = perturbed.model.reference_redshift

        def images(model, places):
            def one(place):
                filled, _ = model.filled(perturbed.vector(vector, place))
                scene = Scene(lenses_of(filled, reference), model.grids)
                return tuple(
                    system.normal.apply(image_through(system, filled, scene, source, own)[:, None])[:, 0]
                    for system, source, own in zip(model.systems, sources, geometries)
                )

            return jax.lax.map(one, places)

        self._images = Compiled(images, perturbed.model)
        rng = None if noise is None else np.random.default_rng(noise)
        self.noise = [
            0.0 if rng is None else _noise(system, problem.scales, rng)
            for system, problem in zip(macro.systems, problems)
        ]

    def __call__(self, places):
        padding = np.repeat(places[-1:], -len(places) % CHUNK, axis=0)
        images = self._images(jnp.asarray(np.concatenate([places, padding])))
        return tuple(np.asarray(one)[: len(places)] + noise for one, noise in zip(images, self.noise))


def image_through(system, filled, scene, source, geometries):
    """The sky of a source s (S,) whose meshes keep their geometries, through other lenses: (N,) [flux per pixel]."""
    skies = []
    for k, sky in enumerate(system.skies):
        image = jnp.zeros(sky.mask.n_pixels)
        for block, geometry in zip(system.columns.blocks, geometries):
            if k in block.skies:
                x, y = scene.rays(system.grids[k], block.source)
                indices, values = block.mesh.interpolation(x, y, geometry)
                own = source[block.first : block.stop]
                stated = filled["source"][block.source]
                colour = stated.colour.get(sky.name, 1.0) if stated.shared else 1.0
                area = sky.mask.grid.pixel_area / x.shape[1] * colour
                image += area * jnp.sum((own[indices] * values).reshape(len(x), -1), axis=1)
        for one in system.columns.amplitudes:
            if one.sky == k:
                image += light_images(system, one, filled, scene) @ source[one.first : one.stop]
        skies.append(image)
    return skies[0] if len(skies) == 1 else jnp.concatenate(skies)


def _noise(system, scales, rng):
    """Of weights f w the dirty image sum w V has noise of covariance W / f (of W' where nuisances are marginalised)."""
    factors = np.ones(len(system.skies)) if scales is None else np.asarray(scales)
    return np.concatenate([noise_image(sky.reduction, rng) / np.sqrt(f) for sky, f in zip(system.skies, factors)])


def check_mocks(model):
    for system in model.systems:
        if system.n_channels > 1 or system.products_at is not None:
            raise InputError("sensitivity maps are for skies of one channel without a spectral index")
        if system.columns.fixed:
            raise InputError("sensitivity maps: a flux that is a parameter cannot be mocked; say flux: linear")
