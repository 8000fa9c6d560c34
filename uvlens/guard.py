"""The guard of pixelised searches: where one is needed, and image positions proposed by the data.

A source of pixels can take the shape of the image itself: with next to no lens in front of it (or an overmassive one)
every datum is fitted, at an evidence that a search climbs to from afar. Positions that must meet in the source plane
exclude that. They are asked for wherever pixels and a free mass are searched together, whatever the priors; a stage
whose masses have priors from an earlier fit, their sizes above all, starts next to the answer and needs none.
"""

import jax.numpy as jnp
import numpy as np

from .errors import InputError

SIZES = ("theta_E", "b0", "alpha_R_s", "kappa_s", "log10_mass", "mass_to_light", "scale", "amplitude", "amplitudes")
"""Parameters that say how massive a component is."""


def needs_guard(model):
    """Whether a search of this model can end in a demagnified source: pixels, a free mass, and no earlier fit."""
    pixels = any(system.columns.blocks for system in model.systems)
    return pixels and bool(_masses(model.parameters)) and not (model.chained or masses_are_chained(model.parameters))


def masses_are_chained(parameters):
    """Whether the free masses have priors from an earlier fit: all their sizes, or any parameter where none is free."""
    own = _masses(parameters)
    sizes = [prior for path, prior in own if set(path.split(".")) & set(SIZES)]
    return all(one.is_chained for one in sizes) if sizes else any(one.is_chained for _, one in own)


def _masses(parameters):
    """[(path, prior)] of the free parameters of masses."""
    found = zip(parameters.paths, parameters.priors)
    return [(path, prior) for path, prior in found if path.startswith("lens.") and ".mass." in path]


def check_guard(model):
    """Refuse a search that needs a guard and has none.

    Args:
        model: Model.

    Raises:
        InputError: with the line to paste, where the data propose one.
    """
    if model.positions is not None or model.unguarded or not needs_guard(model):
        return
    proposal = proposed_line(model)
    paste = f"paste {proposal}" if proposal else "no two images stand out of the data, read them off `uvlens image`"
    raise InputError(
        f"a pixelised source with a free lens needs positions, or the search may end in a demagnified source: {paste}; "
        f'or say positions: none (in Python Model(..., positions="none")) if the priors exclude that'
    )


def proposed_line(model):
    """`positions: {...}` as the data of the model propose it, or None."""
    from .positions import positions_line

    found = proposed(model)
    return None if found is None else positions_line(*found)


def proposed(model):
    """(peaks, threshold) from the first sky with at least two images, or None."""
    for sky in model.skies:
        found = None if sky.is_image else _of_visibilities(sky)  # an image shows the lens first
        if found is not None:
            return found
    return None


def positions_of(found):
    """Positions of a proposal."""
    from .model import Positions

    peaks, threshold = found
    return Positions(jnp.array([[one.x, one.y] for one in peaks]), float(threshold))


def _of_visibilities(sky):
    """A proposal from the sky CLEANed on the pixels of its mask; None where channels or beams differ."""
    from .emission import DirtySums, clean
    from .positions import propose_positions

    reduction = sky.reduction
    if np.ndim(reduction.dirty_image) != 1 or len(reduction.terms) != 1:
        return None
    grid, kept = sky.mask.grid, sky.mask.kept
    image = np.zeros(grid.shape)
    image[kept] = np.asarray(reduction.dirty_image)
    return propose_positions(clean(DirtySums(grid, image, np.asarray(reduction.terms[0].kernel))))
