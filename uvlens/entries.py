"""The rows of L in one linear system: where rays of every sky meet the meshes, and light profiles on their pixels."""

import jax.numpy as jnp
import numpy as np

from .light import PointSource, column_entries, light_columns
from .oversampling import OverSampling
from .quadrature import AdaptiveSampling
from .source import Mapper, border_of


def traced_block(system, number, block, filled, scene):
    """(geometry, {sky: (indices, weights)}) of a block; source in flux per arcsec^2."""
    key = (block.source, block.part, tuple(system.grids[k] for k in block.skies))
    if key in scene.mapped:
        geometry, found = scene.mapped[key]
        return geometry, dict(zip(block.skies, found))
    source, mesh = filled["source"][block.source], block.mesh

    def ray_trace(x, y):
        return scene.trace(x, y, block.source)

    rays = [scene.rays(system.grids[k], block.source) for k in block.skies]
    if getattr(mesh, "border", "none") == "relocate":
        borders = [border_of(system.skies[k].mask) for k in block.skies]
        rays = [border.relocate(*beta, ray_trace) for border, beta in zip(borders, rays)]
    weights = None
    if system.adapt[number] is not None:
        counts = np.concatenate(
            [np.full(system.skies[k].mask.n_pixels, r[0].shape[1]) for k, r in zip(block.skies, rays)]
        )
        weights = jnp.repeat(system.adapt[number], counts, total_repeat_length=int(counts.sum()))
    every_x, every_y = (
        rays[0] if len(rays) == 1 else (jnp.concatenate([one[i].ravel() for one in rays]) for i in range(2))
    )
    if weights is not None:
        weights = weights.reshape(every_x.shape)
    geometry = mesh.geometry(every_x, every_y, ray_trace, ray_weights=weights)
    found = []
    for k, (x, y) in zip(block.skies, rays):
        indices, values = mesh.interpolation(x, y, geometry)
        area = system.skies[k].mask.grid.pixel_area / x.shape[1] * _colour(source, system.skies[k])
        found.append((indices.reshape(len(x), -1), values.reshape(len(x), -1) * area))
    scene.mapped[key] = geometry, found
    return geometry, dict(zip(block.skies, found))


def assembled(system, filled, scene, entries):
    """L of all blocks and amplitudes."""
    rows = []
    for k, sky in enumerate(system.skies):
        parts = [
            (found[k][0] + block.first, found[k][1])
            for block, found in zip(system.columns.blocks, entries)
            if k in block.skies
        ]
        for one in system.columns.amplitudes:
            if one.sky == k:
                parts.append(column_entries(light_images(system, one, filled, scene), one.first))
        if not parts:
            parts.append(column_entries(jnp.zeros((sky.mask.n_pixels, 0)), 0))
        rows.append([jnp.concatenate(list(arrays), axis=1) for arrays in zip(*parts)])
    indices, weights = stacked(rows)
    return Mapper(indices, weights, system.columns.n_source)


def fixed_images(system, filled, scene):
    """The sky of each light whose flux is a parameter, shape (N of its sky,) [flux per pixel]."""
    return tuple(
        one.component(filled, system.skies).flux * light_images(system, one, filled, scene)[:, 0]
        for one in system.columns.fixed
    )


def added(system, images):
    """Sum of such images at all pixels of the system, shape (N,)."""
    skies = [jnp.zeros(sky.mask.n_pixels) for sky in system.skies]
    for one, image in zip(system.columns.fixed, images):
        skies[one.sky] = skies[one.sky] + image
    return skies[0] if len(skies) == 1 else jnp.concatenate(skies)


def light_images(system, one, filled, scene):
    """Images of unit flux of a light profile's columns in its sky, shape (N, n) [1/pixel]."""
    profile, sky = one.component(filled, system.skies), system.skies[one.sky]
    area, lensed, colour = sky.mask.grid.pixel_area, isinstance(one.place, int), 1.0
    grid = system.grids[one.sky]

    def trace(x, y):
        return scene.trace(x, y, one.place) if lensed else scene.to_plane(x, y, one.plane or 0)

    if lensed:
        colour = _colour(filled["source"][one.place], sky)
    if isinstance(sky.over_sampling, AdaptiveSampling) and not isinstance(profile, PointSource):

        def brightness(x, y):
            return profile.columns(*trace(x, y))

        return colour * sky.over_sampling.integrate(brightness, sky.mask)
    x, y, pixel, weight = sub_pixels(sky, scene.grids[grid])
    if lensed and sky.over_sampling is None:
        x, y = (beta.ravel() for beta in scene.rays(grid, one.place))
    else:
        x, y = trace(x, y)
    bent = lensed or (one.place == "lens" and not scene.is_first(one.plane or 0))
    window = getattr(sky.reduction, "pixel_window", False)
    return colour * light_columns([profile], x, y, pixel, weight, sky.mask.n_pixels, area, bent, window)


def sub_pixels(sky, rays):
    """(x, y, pixel, weight) of the positions at which light profiles are evaluated, each of shape (M,)."""
    if isinstance(sky.over_sampling, OverSampling):
        grid = sky.over_sampling.sub_grid(sky.mask)
        return grid.x, grid.y, grid.pixel, grid.weight
    n_pixels, n_rays = rays[0].shape
    pixel = jnp.repeat(jnp.arange(n_pixels), n_rays)
    return rays[0].ravel(), rays[1].ravel(), pixel, jnp.full(n_pixels * n_rays, 1.0 / n_rays)


def stacked(rows):
    """Entries (indices, weights) of several members, one below the other, padded to the same width."""
    if len(rows) == 1:
        return rows[0]
    width = max(indices.shape[1] for indices, _ in rows)
    padded = [[jnp.pad(a, ((0, 0), (0, width - a.shape[1]))) for a in pair] for pair in rows]
    return tuple(jnp.concatenate(list(arrays)) for arrays in zip(*padded))


def _colour(source, sky):
    return source.colour.get(sky.name, 1.0) if source.shared else 1.0
