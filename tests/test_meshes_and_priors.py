"""Every mesh with every prior in a whole model: dense algebra, derivatives, jit and vmap; and no mesh mirrors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

import uvlens as uvl
from uvlens.inversion import matrix_from_bands
from uvlens.simulate import lensed_image

TRUTH = uvl.LensPlane([uvl.SIE(0.8, 0.1, 0.05, 0.02, -0.01), uvl.Shear(0.03, -0.02)])
FREE = [uvl.SIE(uvl.Normal(0.8, 0.05), uvl.Normal(0.1, 0.1), 0.05, 0.02, -0.01), uvl.Shear(0.03, -0.02)]
MESHES = {
    "rectangular spline": uvl.RectangularMesh(7, 8),
    "rectangular bilinear": uvl.RectangularMesh(8, 7, extent=0.6, center=(0.02, 0.01), basis="bilinear"),
    "adaptive spline": uvl.AdaptiveMesh(7, 8),
    "adaptive bilinear": uvl.AdaptiveMesh(8, 7, basis="bilinear", density="brightness"),
    "delaunay": uvl.VertexSettings("overlay", 50, natural=False),
    "natural neighbour": uvl.VertexSettings("overlay", 50, natural=True),
}
PRIORS = {
    "zeroth_order": uvl.ZerothOrder(0.5),
    "gradient": uvl.Gradient(uvl.LogUniform(0.1, 10.0)),
    "curvature": uvl.Curvature(0.05),
    "adaptive": uvl.AdaptiveBrightness(0.5, 1.0, uvl.LogUniform(1.0, 50.0), 1.0),
    "split_cross": uvl.SplitCross(0.5),
    "gaussian": uvl.GaussianCovariance(0.01, uvl.LogUniform(0.02, 1.0)),
    "exponential": uvl.ExponentialCovariance(0.01, 0.1),
    "matern": uvl.MaternCovariance(0.01, uvl.LogUniform(0.02, 1.0), nu=1.5),
}
PAIRS = [
    (mesh, prior)
    for mesh in MESHES
    for prior in PRIORS
    if prior != "split_cross" or mesh in ("delaunay", "natural neighbour")
]
EVERY_DAY = {
    ("rectangular spline", "gradient"),
    ("adaptive spline", "gradient"),
    ("adaptive bilinear", "adaptive"),
    ("delaunay", "split_cross"),
    ("natural neighbour", "matern"),
}


def source(x, y):
    """An L: a long stroke to the North, a short one to the East, brighter at the corner."""

    def stroke(x0, x1, y0, y1):
        soft = 0.02
        inside = [0.5 * (np.tanh((x - x0) / soft) - np.tanh((x - x1) / soft))]
        inside.append(0.5 * (np.tanh((y - y0) / soft) - np.tanh((y - y1) / soft)))
        return inside[0] * inside[1]

    x, y = np.asarray(x), np.asarray(y)
    return 0.05 * (stroke(-0.16, -0.04, -0.2, 0.3) + stroke(-0.04, 0.22, -0.2, -0.08))


@pytest.fixture(scope="module")
def visibilities():
    grid = uvl.PixelGrid((160, 160), 0.02)
    image = lensed_image(TRUTH.ray_trace, source, grid)
    rng = np.random.default_rng(3)
    u, v = rng.normal(0.0, 6e5, (2, 1500))
    data = uvl.type2(image, u, v, grid) + 2e-4 * (rng.normal(size=1500) + 1j * rng.normal(size=1500))
    return uvl.Visibilities(u=u, v=v, vis=data, weight=np.full(1500, 2e-4**-2.0))


@pytest.fixture(scope="module")
def image():
    def sky(x, y):
        return source(*TRUTH.ray_trace(jnp.asarray(x), jnp.asarray(y)))

    return uvl.observe_image(sky, 0.06, (52, 52), psf=0.12, exposure_time=1e6, background_rms=3e-6, seed=4)


def few(visibilities, n=150):
    keep = np.arange(len(visibilities)) < n
    return visibilities.select(keep)


def adapt(mask):
    """A ring, as an earlier fit might have left it."""
    return uvl.AdaptImage.of_mask(np.exp(-0.5 * ((np.hypot(mask.x, mask.y) - 0.8) / 0.2) ** 2), mask)


@pytest.mark.parametrize(
    ("mesh", "prior"), [pair if pair in EVERY_DAY else pytest.param(*pair, marks=pytest.mark.slow) for pair in PAIRS]
)
def test_evidence_and_its_gradient(mesh, prior, visibilities):
    data, mask = few(visibilities), uvl.Mask.disc(1.3, 0.11)
    normal = uvl.normal_operator(data, mask)
    model = uvl.Model(normal, FREE, uvl.PixelSource(MESHES[mesh], PRIORS[prior], adapt=adapt(mask)), rays=3)
    vector = model.parameters.median() * 1.01
    (problem,) = model.problems(vector)
    # L as it is, H as it is, and from there on nothing of the package
    lensing, h = np.asarray(problem.mapper.dense()), np.asarray(matrix_from_bands(problem.prior))
    a = reference.fourier_matrix(data.u, data.v, mask.x, mask.y) @ lensing
    f, d = ((a.conj().T * data.weight) @ a).real, (a.conj().T @ (data.weight * data.vis)).real
    log_dets = [np.linalg.slogdet(one)[1] for one in (f + h, h)]
    assert np.isclose(float(problem.log_det), log_dets[1], rtol=1e-9)
    expected = 0.5 * d @ np.linalg.solve(f + h, d) - 0.5 * log_dets[0] + 0.5 * log_dets[1]
    value_and_gradient = jax.jit(jax.value_and_grad(model.log_evidence_minus_null))
    value, gradient = value_and_gradient(vector)
    assert np.isclose(float(value), expected, rtol=1e-9)
    assert np.isclose(float(model.log_evidence_minus_null(vector)), float(value), rtol=1e-11)
    for i in range(len(vector)):
        step = 1e-7 * abs(float(vector[i]))
        values = [float(value_and_gradient(vector.at[i].add(sign * step))[0]) for sign in (1.0, -1.0)]
        numeric = (values[0] - values[1]) / (2.0 * step)
        scale = np.max(np.abs(np.asarray(gradient) * np.asarray(vector))) / abs(float(vector[i]))
        assert abs(float(gradient[i]) - numeric) < 1e-4 * scale, (model.parameters.paths[i], gradient[i], numeric)
    batch = jnp.stack([vector, vector * 1.002])
    together = jax.jit(jax.vmap(model.log_evidence_minus_null))(batch)
    alone = [float(value_and_gradient(one)[0]) for one in batch]
    assert np.allclose(together, alone, rtol=1e-11)


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("kind", ["visibilities", "image"])
def test_no_mesh_mirrors_or_transposes(mesh, kind, visibilities, image):
    """The L comes back as it is, more like itself than like any of its seven mirror images and turns."""
    if kind == "image":
        normal = uvl.normal_operator(image, image.mask(uvl.Mask.disc(1.3, 0.06)))
    else:
        normal = uvl.normal_operator(visibilities, uvl.Mask.disc(1.4, 0.07))
    settings = MESHES[mesh]
    if isinstance(settings, uvl.VertexSettings):
        settings = uvl.VertexSettings("overlay", 500, natural=settings.natural)
    else:
        settings = type(settings)(26, 26, basis=settings.basis)
    model = uvl.Model(normal, TRUTH, uvl.PixelSource(settings, uvl.Gradient(1e-3), positive=True), rays=2)
    (found,) = model.inversions(jnp.zeros(0))
    x, y = np.meshgrid(*2 * [np.linspace(-0.3, 0.3, 41)])
    (part,) = found.parts
    indices, weights = part.mesh.interpolation(jnp.asarray(x), jnp.asarray(y), part.geometry)
    seen = np.sum(np.asarray(weights) * np.asarray(found.source(part))[np.asarray(indices)], axis=-1)
    alike = {}
    for turn in range(4):
        for flip in (False, True):
            true = np.rot90(source(x, y), turn)
            true = true[:, ::-1] if flip else true
            alike[turn, flip] = np.corrcoef(true.ravel(), seen.ravel())[0, 1]
    assert alike[0, False] > 0.85
    assert alike[0, False] > 0.1 + max(value for key, value in alike.items() if key != (0, False))
