"""The lens model: from a vector of free parameters to ln E, left to right.

parameters -> Lens of every source -> Scene (rays traced) -> for every system: mesh geometry -> Mapper (L) -> H -> ln E
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .columns import columns_of
from .constraints import all_hold, as_constraints, excluded_shares
from .cosmology import as_cosmology
from .defaultpriors import field_of, with_default_priors
from .domain import check_priors, confined
from .errors import InputError
from .guard import positions_of, proposed
from .lens.lens import as_planes
from .parameters import Parameters
from .planes import lenses_of, reference_of, with_subhaloes
from .rebuild import options_of
from .reconstruction import Reconstruction
from .sampledamplitudes import WAYS, with_sampled_amplitudes
from .scene import Scene
from .sky import as_skies
from .sourcemodel import STRENGTH_RANGE, PixelSource, Source, settled_source
from .system import FittedSystem
from .systembuild import fitted_system
from .weightscale import check_weight_scale

__all__ = ["STRENGTH_RANGE", "Model", "PixelSource", "Positions", "Reconstruction", "Source"]


class Positions(eqx.Module):
    """Guard of pixelised searches: images of one source must trace back to within `threshold` of each other.

    ln L gains -1/2 (excess / (0.1 threshold))^2, excess = largest separation in the source plane - threshold > 0.

    Args:
        xy: image positions, shape (M, 2), M >= 2 [arcsec East, North].
        threshold: arcsec.
        source: number of the source that they are images of.
    """

    xy: Float[Array, "M 2"]
    threshold: float = eqx.field(static=True)
    source: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if self.xy.ndim != 2 or self.xy.shape[1] != 2 or self.xy.shape[0] < 2:
            raise InputError(f"positions need at least two (x, y) pairs, got shape {self.xy.shape}")
        if not self.threshold > 0.0:
            raise InputError(f"positions threshold must be a positive number of arcsec, got {self.threshold}")

    def log_penalty(self, lens):
        """The term added to ln L."""
        beta_x, beta_y = lens.ray_trace(self.xy[:, 0], self.xy[:, 1])
        i, j = jnp.triu_indices(len(self.xy), 1)
        squared = (beta_x[i] - beta_x[j]) ** 2 + (beta_y[i] - beta_y[j]) ** 2
        excess = jnp.sqrt(jnp.maximum(jnp.max(squared), self.threshold**2)) - self.threshold
        return -0.5 * (excess / (0.1 * self.threshold)) ** 2


class Model(eqx.Module):
    """A lens and the sources behind it, seen by one or several normal operators.

        ln E = sum over systems of ln E(system)

    A system is a sky with all its sources, or the skies that share one.

    Args:
        normal: the normal operator of the data; a Sky; or a list of these (bands that look different, a line and its
            continuum, an image beside visibilities).
        lens: a LensPlane; a list of mass components in one plane; or a list of LensPlanes with redshifts.
        source: a Source, PixelSource or light profile. Of a single one every sky takes mesh, prior and strength, with
            a source vector of its own (one for all if it is `shared`). A list: a single sky sees all of them; of
            several operators each sees its own; a Sky says which it sees.
        rays: rays per side of an image pixel; its brightness is the mean over rays x rays of them.
        positions: Positions, the guard against demagnified solutions; "auto": those that the data propose; "none": no
            guard, and `fit` does not ask for one.
        cosmology: of `uvlens.cosmology` (its H0 and Om0 may be priors), a name of astropy's, or None for Planck18; it
            matters where there are several planes, or sources at several redshifts.
        reference_redshift: of the source that Einstein radii and deflections are stated for; None: the farthest of
            those without a deflection_scale.
        chained: whether the priors of the lens come from the posterior of an earlier fit, so that the search begins
            near its solution.
        constraints: inequalities between parameters ("source.light.0.R_sersic < source.light.1.R_sersic", or
            `function_of` them that gives booleans): where one does not hold, ln L is -inf.
        amplitudes: "solved": linear fluxes are solved for; "sampled": they are parameters with priors
            (`sampledamplitudes`).
        weight_scale: factor of the weights, a number or prior; {name of a sky: one} where there are several; None: 1
            (see `uvlens.weightscale`).
        signed: paths of fluxes with priors that may be negative ("source.light.0.flux"); those that are sampled in the
            place of linear ones know it themselves.

    Fields of components may be numbers, priors (`uvl.Uniform(...)`, a numpyro distribution, `uvl.FREE`, a member of a
    joint prior), `SameAs(path)`, or a `function_of` others. Where
    a prior that is not bounded (a normal) leaves the domain of a parameter, ln L is -inf.

    Raises:
        InputError: redshifts that are missing or in the wrong order; priors outside a parameter's domain; sources that
            no sky sees, or skies without a source; see `systembuild.fitted_system`.
    """

    systems: tuple[FittedSystem, ...]
    grids: tuple[tuple[Float[Array, "N rays"], Float[Array, "N rays"]], ...]
    positions: Positions | None
    parameters: Parameters = eqx.field(static=True)
    components: dict = eqx.field(static=True)
    reference_redshift: float | None = eqx.field(static=True)
    chained: bool = eqx.field(static=True)
    constraints: tuple = eqx.field(static=True)
    excluded: float = eqx.field(static=True)
    unguarded: bool = eqx.field(static=True)
    defaults: tuple[str, ...] = eqx.field(static=True)
    signed: tuple[str, ...] = eqx.field(static=True)
    rays: int = eqx.field(static=True)

    def __init__(
        self,
        normal,
        lens,
        source,
        rays=4,
        positions=None,
        cosmology=None,
        reference_redshift=None,
        constraints=(),
        amplitudes="solved",
        weight_scale=None,
        chained=False,
        signed=(),
    ):
        self.chained, self.rays = bool(chained), rays
        planes = as_planes(lens)
        cosmology = as_cosmology(cosmology)
        lens = list(planes) if isinstance(lens, list | tuple) and planes[0] is lens[0] else planes[0]
        is_list = isinstance(source, list | tuple)
        sources = [settled_source(one) for one in (source if is_list else [source])]
        skies = as_skies(normal, [one.shared for one, _ in sources], is_list)
        stated = [one for one, _ in sources]
        self.reference_redshift = reference_of(planes, stated, reference_redshift)
        lens = with_subhaloes(lens, self.reference_redshift, cosmology)
        components = {"lens": lens, "source": stated if is_list else stated[0], "cosmology": cosmology}
        self.components, self.defaults = with_default_priors(components, lambda: field_of(skies[0].mask))
        if amplitudes not in WAYS:
            raise InputError(f"amplitudes must be {' or '.join(WAYS)}, got {amplitudes!r}")
        if amplitudes == "sampled":
            self.components, sampled = with_sampled_amplitudes(self.components, skies)
            signed = (*signed, *sampled)
        # the sources of a fit are a list, whether they were stated as one or not
        self.signed = signed if is_list else tuple(one.replace("source.", "source.0.", 1) for one in signed)
        lens, stated = self.components["lens"], self.components["source"]
        stated = stated if is_list else [stated]
        sources = [(one, maximised) for one, (_, maximised) in zip(stated, sources)]
        if weight_scale is not None:
            self.components = {**self.components, "nuisances": {"weight_scale": weight_scale}}
        self.parameters = Parameters(self.components)
        self.parameters.check_known(signed, "signed")
        check_priors(self.components, self.parameters, signed)
        if weight_scale is not None:
            check_weight_scale(self.components["nuisances"], self.parameters, [sky.name for sky in skies])
            if any(sky.n_channels > 1 or sky.spectral is not None for sky in skies):
                raise InputError("nuisances.weight_scale: of merged channels without a spectral index")
        self.constraints = as_constraints(constraints, self.parameters)
        self.excluded = excluded_shares(self.constraints, self.parameters)[0] if self.constraints else 0.0
        self.unguarded = isinstance(positions, str) and positions == "none"
        is_proposed = isinstance(positions, str) and positions == "auto"
        if isinstance(positions, str) and not (self.unguarded or is_proposed):
            raise InputError(f'positions must be Positions, "auto" or "none", got {positions!r}')
        self.positions = positions = None if isinstance(positions, str) else positions
        if positions is not None and not 0 <= positions.source < len(stated):
            raise InputError(f"positions: source {positions.source} is not one of the {len(stated)} sources")
        centers = _light_centers(as_planes(self.parameters.fill(self.parameters.median())["lens"]))
        skies = [sky.over_sampled(centers) for sky in skies]
        self.grids, numbers = _grids(skies, rays)
        self.systems = tuple(
            fitted_system(
                [skies[i] for i in members],
                members,
                [numbers[i] for i in members],
                skies[members[0]].rays or rays,
                columns_of([skies[i] for i in members], sources, lens, is_list),
            )
            for members in _sharing(skies, sources)
        )
        if is_proposed:
            found = proposed(self)
            if found is None:
                raise InputError("positions: auto: no two images stand out of the data; state positions")
            self.positions = positions_of(found)

    def rebuilt(self, **changes):
        """The Model of the same arguments but these, every option kept: `rebuilt(lens=..., chained=True)`."""
        return Model(**(options_of(self) | changes))

    @property
    def skies(self):
        """[Sky], with the operators that suit what is fitted to them."""
        found = {number: sky for system in self.systems for number, sky in zip(system.numbers, system.skies)}
        return [found[i] for i in range(len(found))]

    def with_start(self, vector):
        """The same model, its positive solvers starting from the source pixels that are > 0 at `vector` (n,).

        Changes the time of a likelihood near there, not its value.
        """
        if not any(system.columns.constrained.any() for system in self.systems):
            return self
        starts = [
            system.inversions(problem)[0].source > 0.0 for system, problem in zip(self.systems, self._problems(vector))
        ]
        return eqx.tree_at(lambda model: [system.start for system in model.systems], self, starts)

    def settled(self, vector):
        """The model with spectral indices, where there are any, in the sums of its operators: for plots and files."""
        systems = tuple(system.settled(problem) for system, problem in zip(self.systems, self._problems(vector)))
        return eqx.tree_at(lambda model: model.systems, self, systems)

    @property
    def normal(self):
        """The normal operator of the first sky."""
        return self.skies[0].normal

    @property
    def is_positive(self):
        """Whether any source is required to be >= 0."""
        return any(block.pixels.positive for system in self.systems for block in system.columns.blocks)

    @property
    def n_source(self):
        """S of the first system."""
        return self.systems[0].n_source

    @property
    def n_rays(self):
        """Rays per pixel of the first sky."""
        return self.grids[0][0].shape[1]

    @property
    def log_evidence_null(self):
        """ln E of an empty sky, all skies together."""
        return sum(sky.reduction.log_evidence_null for sky in self.skies)

    def lens(self, vector, source=0):
        """The Lens at a physical parameter vector (n,), as source number `source` sees it."""
        return self.lenses(vector)[source]

    def lenses(self, vector):
        """[Lens] as each source sees it."""
        return lenses_of(self.filled(vector)[0], self.reference_redshift)

    def filled(self, vector):
        """(components with numbers for priors, whether these lie in their domains and all constraints hold)."""
        filled = self.parameters.fill(vector)
        filled["source"] = filled["source"] if isinstance(filled["source"], list) else [filled["source"]]
        components, valid = confined(filled, self.signed)
        if self.constraints:
            valid = valid & all_hold(self.constraints, self.parameters.values(vector))
        return components, valid

    def problems(self, vector):
        """[Problem] of every system at a physical vector (n,), in JAX."""
        filled, _ = self.filled(vector)
        scene = Scene(lenses_of(filled, self.reference_redshift), self.grids)
        return [system.problem(filled, scene) for system in self.systems]

    @eqx.filter_jit
    def _problems(self, vector):
        return self.problems(vector)

    def log_likelihood(self, vector):
        """ln E - ln E_null plus the positions term, if there is one, at a physical vector (n,)."""
        return self.log_evidence_minus_null(vector) + self.positions_penalty(vector)

    def positions_penalty(self, vector):
        """The term of the positions guard, 0 without one."""
        if self.positions is None:
            return jnp.array(0.0)
        return self.positions.log_penalty(self.lens(vector, self.positions.source))

    def log_evidence_minus_null(self, vector):
        """ln E - ln E_null at a physical vector (n,).

        NaN where a positive source was not found, -inf where a parameter is outside its domain.
        """
        problems = self.problems(vector)
        value = sum(system.log_evidence_minus_null(problem) for system, problem in zip(self.systems, problems))
        return jnp.where(self.filled(vector)[1], value, -jnp.inf)

    def log_prob(self, vector):
        """ln E - ln E_null + ln prior at a physical vector (n,)."""
        return self.log_likelihood(vector) + self.parameters.log_prior(vector)

    def log_posterior(self, z):
        """Log density in the unconstrained space, where every prior is a unit normal: ln E - ln E_null - z.z / 2."""
        return self.log_likelihood(self.parameters.from_normal(z)) - 0.5 * jnp.sum(z**2)

    def strengths(self, vector):
        """The dimensionless strength of every block of every system at a physical vector (n,), in order."""
        return [strength for problem in self._problems(vector) for strength in problem.strengths]

    def strength(self, vector):
        """That of the first block."""
        return self.strengths(vector)[0]

    def linear_problem(self, vector):
        """(mapper, H, ln det H) of the first system at a physical vector (n,): what its evidence is made of."""
        problem = self.problems(vector)[0]
        return problem.mapper, problem.prior, problem.log_det

    def inversions(self, vector):
        """[Reconstruction] of every channel of every sky at a physical vector (n,), in order."""
        problems = self._problems(vector)
        found = [one for system, problem in zip(self.systems, problems) for one in system.reconstructions(problem)]
        return sorted(found, key=lambda one: (one.sky, one.channel))

    def invert(self, vector):
        """(inversion, geometry) of the first channel of the first sky: the source in Jy/arcsec^2 on its mesh."""
        first = self.inversions(vector)[0]
        return first.inversion, first.geometry


def _light_centers(planes):
    """Where the light of the lens is steep, the parameters at their medians."""
    lights = [one for plane in planes for one in plane.light]
    found = [(float(one.center_x), float(one.center_y)) for one in lights if hasattr(one, "center_x")]
    return tuple(dict.fromkeys(found))


def _grids(skies, rays):
    """([(x, y)], number of the one that each sky has): rays are traced once where masks agree."""
    grids, known, numbers = [], [], []
    for sky in skies:
        mask, own = sky.mask, sky.rays or rays
        for number, (other, other_rays) in enumerate(known):
            if own == other_rays and mask.grid == other.grid and np.array_equal(mask.kept, other.kept):
                numbers.append(number)
                break
        else:
            numbers.append(len(known))
            known.append((mask, own))
            grids.append(tuple(jnp.asarray(r) for r in mask.rays(own)))
    return tuple(grids), numbers


def _sharing(skies, sources):
    """Numbers of the skies of each system: those that are connected by shared sources."""
    groups = []
    for i, sky in enumerate(skies):
        shared = {number for number in sky.sources if sources[number][0].shared}
        joined = [group for group in groups if group[1] & shared]
        members = sorted({i}.union(*(group[0] for group in joined)))
        groups = [group for group in groups if group not in joined]
        groups.append((set(members), shared.union(*(group[1] for group in joined))))
    return sorted(sorted(members) for members, _ in groups)
