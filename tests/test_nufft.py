"""Transforms against the definition, and each other."""

import numpy as np
import pytest
import reference

import uvlens as uvl
from uvlens.nufft import type1, type2

# finufft is asked for 1e-12; pynufft interpolates to about 1e-5
TOLERANCE = {"finufft": 1e-10, "dft": 1e-12, "pynufft": 2e-5}
GRIDS = [
    uvl.PixelGrid((12, 9), 0.1, (0.3, -0.7)),
    uvl.PixelGrid((7, 16), 0.2, (0.0, 0.0)),
    uvl.PixelGrid((33, 32), 0.05, (-2.0, 1.5)),
]


@pytest.mark.parametrize("backend", TOLERANCE)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_transforms_equal_the_definition(backend, grid):
    rng = np.random.default_rng(1)
    u, v = rng.uniform(-9e5, 9e5, (2, 150))
    image, c = rng.normal(size=grid.shape), rng.normal(size=150) + 1j * rng.normal(size=150)
    x, y = grid.coordinates()
    matrix = reference.fourier_matrix(u, v, x.ravel(), y.ravel())
    forward, adjoint = matrix @ image.ravel(), (matrix.conj().T @ c).reshape(grid.shape)
    tolerance = TOLERANCE[backend]
    assert np.abs(type2(image, u, v, grid, backend=backend) - forward).max() < tolerance * np.abs(forward).max()
    assert np.abs(type1(u, v, c, grid, backend=backend) - adjoint).max() < tolerance * np.abs(adjoint).max()


@pytest.mark.parametrize("backend", ["finufft", "dft"])
def test_type1_is_the_adjoint_of_type2(backend):
    rng = np.random.default_rng(2)
    grid = GRIDS[0]
    u, v = rng.uniform(-9e5, 9e5, (2, 200))
    image, c = rng.normal(size=grid.shape), rng.normal(size=200) + 1j * rng.normal(size=200)
    left = np.vdot(c, type2(image, u, v, grid, backend=backend))
    right = np.vdot(type1(u, v, c, grid, backend=backend), image)
    assert abs(left - right) < 1e-11 * np.linalg.norm(c) * np.linalg.norm(image) * np.sqrt(image.size)


def test_chunks_do_not_change_the_result():
    rng = np.random.default_rng(3)
    u, v = rng.uniform(-9e5, 9e5, (2, 101))
    c = rng.normal(size=101) + 0j
    whole, parts = (type1(u, v, c, GRIDS[2], chunk=size) for size in (1000, 17))
    assert np.abs(whole - parts).max() < 1e-10 * np.abs(whole).max()


def test_a_point_to_the_north_east_has_the_measurement_set_sign():
    """V = exp(+2 pi i (u l + v m)), l East, m North."""
    grid = uvl.PixelGrid((5, 5), 1.0)
    image = np.zeros((5, 5))
    image[3, 4] = 1.0  # 1" North, 2" East
    vis = type2(image, np.array([1e4, 0.0]), np.array([0.0, 1e4]), grid)
    phase = 2.0 * np.pi * 1e4 * np.pi / 648000.0
    assert np.allclose(np.angle(vis), [2.0 * phase, phase])


def test_unknown_backend_is_named():
    with pytest.raises(uvl.InputError, match="fftw"):
        type1(np.zeros(1), np.zeros(1), np.ones(1), GRIDS[0], backend="fftw")
