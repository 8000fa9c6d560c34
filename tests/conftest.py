"""Shared fixtures: small data whose brute force is quick, and the folder of telescope data."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import reference

import uvlens as uvl

CACHE = {
    "JAX_COMPILATION_CACHE_DIR": str(Path(__file__).parents[1] / ".pytest_cache" / "jax"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
"""What one process of the tests has compiled the others load: a fifth of the time. For JAX to be imported below."""
os.environ.update({name: value for name, value in CACHE.items() if name not in os.environ})


def is_alive(pid):
    """Whether a process of this number runs: neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def n_drawn(file):
    """Draws that the checkpoint of a chain holds; 0 where there is none yet."""
    if not file.exists():
        return 0
    with np.load(file) as saved:
        return len(saved["z"]) if "z" in saved else 0


def assert_same_numbers(one, other, where=""):
    """What two JSON files hold, sums over threads aside."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key, value in one.items():
            assert_same_numbers(value, other[key], f"{where}.{key}")
    elif isinstance(one, float):
        assert other == pytest.approx(one, rel=1e-9, abs=1e-12), where
    else:
        assert other == one, where


@pytest.fixture(scope="session")
def data_folder():
    """Folder of the telescope data; tests that need it skip where it is not there."""
    folder = Path(os.environ.get("UVLENS_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no telescope data at {folder}: set UVLENS_DATA")
    return folder


@pytest.fixture(scope="session")
def casa(data_folder, tmp_path_factory):
    """Folder of CASA's measurement sets, unpacked."""
    folder = tmp_path_factory.mktemp("casa")
    for path in (data_folder / "casa").glob("*.ms.tar.gz"):
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
    return folder


def random_visibilities(n=60, seed=0, longest=4e5, signal=5.0, **extra):
    """n visibilities of noise and a few off-centre points, weights of all sizes."""
    rng = np.random.default_rng(seed)
    radius, angle = longest * np.sqrt(rng.random(n)), rng.uniform(0.0, 2.0 * np.pi, n)
    u, v = radius * np.cos(angle), radius * np.sin(angle)
    weight = rng.uniform(0.3, 3.0, n)
    x, y = rng.uniform(-0.6, 0.6, (2, 4))
    vis = reference.fourier_matrix(u, v, x, y) @ (signal * rng.random(4))
    vis = vis + (rng.normal(size=n) + 1j * rng.normal(size=n)) / np.sqrt(weight)
    return uvl.Visibilities(u=u, v=v, vis=vis, weight=weight, **extra)


def lensed_visibilities(n, seed, lens, center=(0.06, 0.03), width=0.12, snr=3.0, longest=4e5):
    """n visibilities of a lensed Gaussian spot, transformed exactly, with unit noise and an rms signal of `snr`."""
    rng = np.random.default_rng(seed)
    radius, angle = longest * np.sqrt(rng.random(n)), rng.uniform(0.0, 2.0 * np.pi, n)
    u, v = radius * np.cos(angle), radius * np.sin(angle)
    sky = uvl.Mask.disc(1.2, 0.03)
    beta_x, beta_y = (np.asarray(b) for b in lens.ray_trace(sky.x, sky.y))
    image = np.exp(-0.5 * ((beta_x - center[0]) ** 2 + (beta_y - center[1]) ** 2) / width**2)
    vis = reference.fourier_matrix(u, v, sky.x, sky.y) @ image
    vis = vis * snr / np.sqrt(np.mean(np.abs(vis) ** 2))
    return uvl.Visibilities(u, v, vis + rng.normal(size=n) + 1j * rng.normal(size=n), np.ones(n))


@pytest.fixture
def visibilities():
    """60 visibilities."""
    return random_visibilities()


MASKS = {
    "disc": lambda: uvl.Mask.disc(0.8, 0.12),
    "annulus off-centre": lambda: uvl.Mask.annulus(0.25, 0.9, 0.13, center=(0.31, -0.17)),
    "odd array": lambda: uvl.Mask.from_array(np.random.default_rng(3).random((11, 14)) > 0.4, 0.11, (-0.2, 0.1)),
}


@pytest.fixture(params=list(MASKS))
def mask(request):
    """Masks of different shape, parity and centre."""
    return MASKS[request.param]()
