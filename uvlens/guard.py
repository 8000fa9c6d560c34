"""The guard of pixelised searches: where one is needed, and image positions proposed by the data.

A source of pixels can take the shape of the image itself: with next to no lens in front of it (or an overmassive one)
every datum is fitted, at an evidence that a search climbs to from afar. Positions that must meet in the source plane
exclude that. They are asked for wherever pixels and a free mass are searched together, whatever the priors; a stage
whose masses have priors from an earlier fit, their sizes above all, starts next to the answer and needs none.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

from .errors import InputError

SIZES = ("theta_E", "b0", "alpha_R_s", "kappa_s", "log10_mass", "mass_to_light", "scale", "amplitude", "amplitudes")
"""Parameters that say how massive a component is."""


def needs_guard(model):
    """Whether a search of this model can end in a demagnified source: pixels, a free mass, and no earlier fit."""
    return wants_guard(any(system.columns.blocks for system in model.systems), model.parameters, model.chained)


def wants_guard(has_pixels, parameters, chained=False):
    """`needs_guard` of what a model file states: whether a source is pixelised, the Parameters, a lens from a stage."""
    return has_pixels and bool(_masses(parameters)) and not (chained or masses_are_chained(parameters))


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


def describe_positions(positions):
    """Positions in words, for logs and reports."""
    pairs = ", ".join(f"({x:.2f}, {y:.2f})" for x, y in np.asarray(positions.xy))
    return f'images at {pairs} have to meet within {positions.threshold:.2g}" in the source plane'


def _of_visibilities(sky):
    """A proposal from the sky CLEANed on the pixels of its mask, channels added up; None where there is no kernel."""
    from scipy.ndimage import binary_erosion

    from .emission import clean
    from .positions import propose_positions

    if not sky.reduction.terms:
        return None
    kept = sky.mask.kept
    cleaned = clean(flat_sums(sky.reduction), inside=kept)
    # nothing is known of the dirty image outside; at the edge a slope would be a peak
    image = np.where(binary_erosion(kept, np.ones((3, 3))), cleaned.image, 0.0)
    return propose_positions(dataclasses.replace(cleaned, image=image))


def flat_sums(reduction):
    """DirtySums of a Reduction on its mask, in units in which the noise is even.

    With W = sum_i P_i K_i P_i and g = (diag W / mean diag W)^1/2: d~ / g is the response to the sky g s by about
    sum_i <P_i^2> K_i. Exact where the primary beams are constant over the mask; a start for CLEAN where they are not.
    """
    from .emission import DirtySums

    mask, dirty = reduction.mask, np.atleast_2d(reduction.dirty_image)
    rows, columns = mask.grid.shape
    kernel, diagonal = 0.0, 0.0
    for term in reduction.terms:
        power = np.ones(mask.n_pixels) if term.primary_beam is None else np.asarray(term.primary_beam) ** 2
        kernel = kernel + len(dirty) * power.mean() * np.asarray(term.kernel)
        diagonal = diagonal + power * float(term.kernel[rows - 1, columns - 1])
    image = np.zeros(mask.grid.shape)
    image[mask.kept] = dirty.sum(axis=0) / np.sqrt(diagonal / diagonal.mean())
    return DirtySums(mask.grid, image, kernel)
