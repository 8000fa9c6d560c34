"""Draws the pictures of docs/choosing.md: pixels, masks and sources of one simulated lens, its mass known.

python docs/figures/choosing.py [pixels] [mask] [source] [search]
"""

import sys
from pathlib import Path

import numpy as np
import scipy.optimize
import scipy.stats
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import uvlens as uvl
from uvlens.imaging import make_image
from uvlens.nufft import type2
from uvlens.simulate import lensed_image


def lens(theta_e=1.0):
    return uvl.LensPlane([uvl.SIE(theta_e, 0.1, -0.05), uvl.Shear(0.03, 0.02)])


CLUMPS = [(0.05, 0.05, 0.10, 1.0), (0.16, 0.13, 0.04, 1.4), (-0.06, 0.16, 0.04, 1.2)]
"""x, y, sigma [arcsec], peak brightness."""
STRENGTH = 0.03
SEARCH_NOISE = 3e-2
"""Of a visibility in draw_search [Jy]: larger than in the others."""
GRID = uvl.PixelGrid((150, 150), 0.025)


def brightness(x, y):
    """Of the source [0.04 Jy/arcsec^2]."""
    return 0.04 * sum(peak * np.exp(-0.5 * ((x - a) ** 2 + (y - b) ** 2) / s**2) for a, b, s, peak in CLUMPS)


def observed(sigma=4e-3):
    """ALMA configuration 4; noise of a visibility [Jy]."""
    image = lensed_image(lens().ray_trace, brightness, uvl.PixelGrid((300, 300), 0.0125))
    settings = {"declination": -30.0, "hour_angle": (-0.3, 0.3), "integration": 240.0, "sigma": sigma, "seed": 1}
    return uvl.observe((image, 0.0125), "alma.cycle10.4", **settings)


class System:
    """The source behind the known lens, by the formulas of docs/theory.md."""

    def __init__(self, data, mask, mesh, rays=4, window=False, theta_e=1.0):
        self.mask, self.mesh = mask, mesh
        normal = uvl.normal_operator(data, mask, "fft", pixel_window=window)
        x, y = mask.rays(rays)
        beta = [np.asarray(one) for one in lens(theta_e).ray_trace(x, y)]
        self.geometry = mesh.geometry(*beta)
        self.lensing = self.entries(*beta) * (mask.grid.pixel_area / rays**2)
        self.null = float(normal.reduction.null_chi_squared)
        area = normal.reduction.resolution_area
        prior = uvl.Gradient(1.0).prior(mesh, self.geometry, area)
        self.unit_prior = normal.reduction.sum_weight * area**2 * np.asarray(prior.dense())
        self.curvature = self.lensing.T @ np.asarray(normal.dense()) @ self.lensing
        self.target = self.lensing.T @ np.asarray(normal.dirty_image)

    def solve(self, strength, positive=False):
        """(s, chi^2, ln E - ln E_null)."""
        h = strength * self.unit_prior
        a = self.curvature + h
        if positive:
            factor = np.linalg.cholesky(a).T
            s = scipy.optimize.nnls(factor, np.linalg.solve(factor.T, self.target))[0]
        else:
            s = np.linalg.solve(a, self.target)
        gain = s @ self.curvature @ s - 2.0 * s @ self.target
        log_det = np.linalg.slogdet(a)[1] - np.linalg.slogdet(h)[1]
        return s, self.null + gain, -0.5 * (gain + s @ h @ s + log_det)

    def entries(self, beta_x, beta_y):
        """Sum of the basis functions over the rays of each row, shape (rows, S)."""
        indices, weights = (np.asarray(one) for one in self.mesh.interpolation(beta_x, beta_y, self.geometry))
        found = np.zeros((len(beta_x), self.mesh.n_source))
        rows = np.broadcast_to(np.arange(len(beta_x)).reshape(-1, *[1] * (indices.ndim - 1)), indices.shape)
        np.add.at(found, (rows, indices), weights)
        return found

    def picture(self, source, x, y):
        """Brightness on a lattice of positions."""
        return (self.entries(x.reshape(-1, 1), y.reshape(-1, 1)) @ source).reshape(x.shape)

    def residual(self, data, source):
        """Visibilities less those of the model."""
        image = self.mask.to_image(self.lensing @ source)
        vis = data.vis - type2(image, data.u, data.v, self.mask.grid)
        return uvl.Visibilities(u=data.u, v=data.v, vis=vis, weight=data.weight)


def new_figure(width, height, rows, columns, **options):
    figure = Figure(figsize=(width, height), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def draw_pixels(data):
    """Einstein radius of the largest evidence against the pixel scale: rays, and the response of the pixels."""
    scales = np.array([0.05, 0.07, 0.09, 0.12, 0.15])
    kinds = {"one ray a pixel": (1, False), "4 x 4 rays": (4, False), "4 x 4 rays, pixel_window": (4, True)}
    mesh = uvl.RectangularMesh(20, 20, extent=0.4, center=(0.05, 0.08))
    tried = 1.0 + 1e-3 * np.linspace(-3.0, 3.0, 7)
    figure, ((axes,),) = new_figure(5.2, 3.4, 1, 1)
    for (name, (rays, window)), marker, shift in zip(kinds.items(), "so^", (-1e-3, 0.0, 1e-3)):
        found = []
        for scale in scales:
            mask = uvl.Mask.annulus(0.45, 1.65, scale)
            log_evidence = [System(data, mask, mesh, rays, window, one).solve(STRENGTH)[2] for one in tried]
            square, slope, _ = np.polyfit(tried - 1.0, log_evidence, 2)
            found.append((-0.5 * slope / square, np.sqrt(-0.5 / square), np.max(log_evidence)))
        middle, error, highest = np.array(found).T
        print(name, np.round(1e3 * middle, 2), np.round(1e3 * error, 2), np.round(highest, 1))
        axes.errorbar(
            scales + shift, 1e3 * middle, 1e3 * error, marker=marker, markersize=5, linewidth=1.2, capsize=2, label=name
        )
    axes.axhline(0.0, color="black", linewidth=0.8)
    suggested = data.suggested_pixel_scale()
    axes.axvline(suggested, color="0.6", linewidth=0.8)
    axes.annotate("auto", (suggested, 0.03), (3, 0), xycoords=("data", "axes fraction"), textcoords="offset points")
    axes.set(xlabel="pixel scale [arcsec]", ylabel="Einstein radius less the truth [mas]")
    axes.legend(fontsize=8, frameon=False)
    return figure


def draw_mask(data):
    """What is left outside a mask that cuts the ring, and outside one that does not."""
    mesh = uvl.RectangularMesh(20, 20, extent=0.4, center=(0.05, 0.08))
    figure, (panels,) = new_figure(8.6, 3.1, 1, 3, sharey=True)
    dirty = make_image(data, GRID)
    pictures = [("dirty image", dirty, None)]
    for radius in (1.0, 1.6):
        system = System(data, uvl.Mask.disc(radius, 0.07), mesh)
        source, chi_squared, _ = system.solve(STRENGTH)
        pictures.append((f'residual, disc of {radius}"', make_image(system.residual(data, source), GRID), radius))
        print(radius, chi_squared)
    for axes, (title, one, radius) in zip(panels, pictures):
        limit = 8.0 if radius else np.abs(dirty.image).max() / dirty.noise
        extent = np.array(GRID.extent)
        shown = axes.imshow(
            one.image[:, ::-1] / one.noise,
            origin="lower",
            extent=(extent[1], extent[0], extent[2], extent[3]),
            cmap="viridis" if radius is None else "RdBu_r",
            vmin=-limit if radius else None,
            vmax=limit,
        )
        if radius:
            angle = np.linspace(0.0, 2.0 * np.pi, 200)
            axes.plot(radius * np.cos(angle), radius * np.sin(angle), color="black", linewidth=0.8, linestyle="--")
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("East [arcsec]")
        figure.colorbar(shown, ax=axes, shrink=0.8, label="S/N" if axes is panels[2] else None)
    panels[0].set_ylabel("North [arcsec]")
    return figure


def draw_source(data):
    """Truth and reconstructions: strengths, meshes, positivity."""
    mask = uvl.Mask.annulus(0.45, 1.65, 0.07)
    fixed = {"extent": 0.4, "center": (0.05, 0.08)}
    lattice, coarse = uvl.RectangularMesh(24, 24, **fixed), uvl.RectangularMesh(8, 8, **fixed)
    adaptive, bilinear = uvl.AdaptiveMesh(16, 16), uvl.RectangularMesh(24, 24, basis="bilinear", **fixed)
    systems = {mesh: System(data, mask, mesh) for mesh in (lattice, coarse, adaptive, bilinear)}
    grid = 10.0 ** np.arange(-4.0, 2.1, 0.25)
    best = grid[np.argmax([systems[lattice].solve(one)[2] for one in grid])]
    print("strength of the largest evidence", best)
    cases = [
        ("gradient, strength / 300", lattice, best / 300.0, False),
        ("best strength", lattice, best, False),
        ("strength x 300", lattice, best * 300.0, False),
        ("best strength, positive", lattice, best, True),
        ("8 x 8 nodes", coarse, best, False),
        ("adaptive, 16 x 16 nodes", adaptive, best, False),
        ("bilinear, 24 x 24 nodes", bilinear, best, False),
    ]
    side = np.linspace(-0.4, 0.4, 160)
    x, y = np.meshgrid(side + fixed["center"][0], side + fixed["center"][1])
    figure, panels = new_figure(8.6, 4.7, 2, 4, sharex=True, sharey=True)
    pictures = [("truth", brightness(x, y), None)]
    for name, mesh, strength, positive in cases:
        source, chi_squared, log_evidence = systems[mesh].solve(strength, positive)
        pictures.append((name, systems[mesh].picture(source, x, y), log_evidence))
        print(name, log_evidence, chi_squared)
    highest = max(value for *_, value in pictures if value is not None)
    top = pictures[0][1].max()
    for axes, (name, values, value) in zip(panels.ravel(), pictures):
        extent = (x.max(), x.min(), y.min(), y.max())
        axes.imshow(values[:, ::-1], origin="lower", extent=extent, cmap="magma", vmin=-0.1 * top, vmax=top)
        said = "" if value is None else f"\n$\\Delta$ ln E = {value - highest:.0f}"
        axes.set_title(name + said, fontsize=8.5)
    for axes in panels[1]:
        axes.set_xlabel("East [arcsec]")
    for axes in panels[:, 0]:
        axes.set_ylabel("North [arcsec]")
    return figure


def draw_search(_):
    """68 and 95 % regions of four searches on data of little S/N, and what they cost."""
    mask = uvl.Mask.annulus(0.45, 1.65, 0.09)
    mass = [
        uvl.SIE(
            theta_E=uvl.Uniform(0.7, 1.3),
            e1=uvl.Normal(0.0, 0.2),
            e2=uvl.Normal(0.0, 0.2),
            center_x=uvl.Normal(0.0, 0.05),
            center_y=uvl.Normal(0.0, 0.05),
        ),
        uvl.Shear(uvl.Normal(0.0, 0.1), uvl.Normal(0.0, 0.1)),
    ]
    pixels = uvl.PixelSource(
        uvl.RectangularMesh(14, 14, extent=0.4, center=(0.05, 0.08)), uvl.Gradient(uvl.LogUniform(1e-4, 1e2))
    )
    model = uvl.Model(
        uvl.normal_operator(observed(SEARCH_NOISE), mask, "direct"), mass, pixels, rays=2, positions="auto"
    )
    pair = [model.parameters.paths.index(f"lens.mass.{name}") for name in ("0.e1", "1.gamma1")]
    figure, (panels,) = new_figure(8.6, 2.8, 1, 4, sharex=True, sharey=True)
    grid = np.array(np.meshgrid(np.linspace(-0.1, 0.24, 120), np.linspace(-0.08, 0.1, 120)))
    for axes, method in zip(panels, ("optimize", "svi", "auto", "nautilus")):
        result = uvl.fit(model, method, seed=1)
        drawn = result.resample(4000, seed=1).vectors[:, pair].T
        print(method, result.n_evaluations, result.n_gradients, f"{result.wall_seconds:.0f} s")
        for path, values in zip(model.parameters.paths, result.vectors.T):
            print(f"    {path} {values.mean():.4f} +- {values.std():.4f}")
        density = scipy.stats.gaussian_kde(drawn)
        levels = np.quantile(density(drawn), [0.05, 0.32])
        axes.contourf(
            *grid, density(grid.reshape(2, -1)).reshape(120, 120), [*levels, np.inf], colors=["#9ab3cf", "#1f4e79"]
        )
        axes.plot(0.1, 0.03, "x", color="#c8553d")
        axes.set_title(f"{method}: {result.n_evaluations:,} likelihoods\n{result.n_gradients:,} gradients", fontsize=9)
        axes.set_xlabel("$e_1$")
    panels[0].set_ylabel("$\\gamma_1$")
    return figure


FIGURES = {"pixels": draw_pixels, "mask": draw_mask, "source": draw_source, "search": draw_search}


def main(names):
    data = observed()
    print(data, f'suggested pixel scale {data.suggested_pixel_scale():.3f}"')
    for name in names or FIGURES:
        FIGURES[name](data).savefig(Path(__file__).with_name(f"choosing_{name}.png"))


if __name__ == "__main__":
    main(sys.argv[1:])
