"""From skies and what is fitted to them to a FittedSystem: operators chosen, what cannot go together refused."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .errors import InputError
from .normal import SourceSize, joint_operator, operator_from_reduction, suited
from .normal.spectral import ProductsAt
from .source import check_mesh
from .system import FittedSystem


def fitted_system(skies, numbers, grids, rays, columns):
    """The FittedSystem of some skies, operators chosen for what is fitted to them.

    Args:
        skies: its members.
        numbers, grids: see FittedSystem.
        rays: per pixel side, for the cost model.
        columns: Columns.

    Raises:
        InputError: what channels, spectral indices and shared sources cannot do together; more nodes than rays.
    """
    _check_channels(skies, columns)
    for block in columns.blocks:
        check_mesh(block.mesh, sum(skies[k].mask.n_pixels for k in block.skies) * rays**2)
    entries = sum(block.mesh.entries(rays) for block in columns.blocks)
    size = SourceSize(columns.n_source, entries + columns.n_source - columns.n_pixels)
    if columns.n_source:
        skies = tuple(_with_operator(sky, suited(sky.normal, size)) for sky in skies)
    else:
        skies = tuple(_with_operator(sky, _for_images(sky.normal)) for sky in skies)
    operators = tuple(sky.normal for sky in skies)
    spectral = skies[0].spectral
    return FittedSystem(
        skies,
        operators[0] if len(operators) == 1 else joint_operator(operators),
        tuple(_adapt_rows(block, skies) for block in columns.blocks),
        jnp.ones(columns.n_source, bool),
        tuple(numbers),
        tuple(grids),
        columns,
        None if spectral is None else ProductsAt(spectral, size),
    )


def _for_images(normal):
    """The operator for a model without columns, which asks for products with single images."""
    if normal.choice is None or normal.reduction.kind != "visibilities" or normal.method == "fft":
        return normal
    operator = operator_from_reduction(normal.reduction, "fft")
    return dataclasses.replace(operator, choice="nothing is solved for: one product with W an evaluation")


def _adapt_rows(block, skies):
    """The adapt image at the pixels of the skies that see a block, shape (N,), or None."""
    if block.pixels.adapt is None:
        return None
    return jnp.asarray(np.concatenate([block.pixels.adapt.on(skies[k].mask) for k in block.skies]))


def _with_operator(sky, normal):
    return eqx.tree_at(lambda s: s.normal, sky, normal, is_leaf=lambda leaf: leaf is sky.normal)


def _check_channels(skies, columns):
    """Refuse what channels that share W, spectral indices and shared sources cannot do together."""
    maximised = [block for block in columns.blocks if block.maximised]
    if len(maximised) > 1:
        raise InputError('one pixelised source of a sky can have strength: "evidence"; give the others a prior')
    if maximised and skies[0].n_channels > 1:
        raise InputError("channels that share a curvature matrix have one strength: a number, a prior or auto")
    if maximised and skies[0].spectral is not None:
        raise InputError("a source with a spectral index has one strength: a number, a prior or auto")
    if skies[0].n_channels > 1 and any(one.profile.flux.sigma is not None for one in columns.amplitudes):
        raise InputError("amplitude_sigma is of one channel: leave it out where channels share a curvature matrix")
    if len(skies) > 1 and any(sky.n_channels > 1 or sky.spectral is not None for sky in skies):
        raise InputError("a source that skies share needs skies with one channel and no spectral index")
    if skies[0].spectral is not None and (columns.amplitudes or len(columns.blocks) > 1):
        raise InputError("a spectral index is for a sky with one pixelised source and nothing else")
    if columns.fixed and (skies[0].n_channels > 1 or skies[0].spectral is not None):
        raise InputError("a flux that is a parameter is of one channel: say flux: linear, or channels: merge")
