"""What is imported is what is used: the package and the help of every command come without the heavy libraries."""

import json
import resource
import subprocess
import sys

import pytest

HEAVY = (
    "jax",
    "numpy",
    "scipy",
    "astropy",
    "matplotlib",
    "numba",
    "arviz",
    "xarray",
    "numpyro",
    "dask",
    "rich",
    "yaml",
)
HELP = "import sys; from uvlens.cli import main; main({words}, standalone_mode=False)"


def heavy_ones(code):
    """([heavy modules that are imported], CPU seconds) of some code in an interpreter of its own."""
    code += f"\nimport json, sys\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.splitlines()[-1]), seconds


def test_the_package():
    """1.5 s are allowed; measured: 0.02 s of CPU."""
    found, seconds = heavy_ones("import uvlens")
    assert found == [] and seconds < 1.0


@pytest.mark.parametrize("words", [["--help"], ["fit", "--help"], ["simulate", "--help"], ["convert", "--help"]])
def test_help(words):
    """0.5 s are allowed; measured: 0.07 s of CPU."""
    found, seconds = heavy_ones(HELP.format(words=words))
    assert found == [] and seconds < 0.5


def test_public_names_are_found_when_they_are_used():
    """Every name of __all__ has a home; looking for one loads no other."""
    found, _ = heavy_ones("import uvlens\nuvlens.InputError\nassert 'fit' in dir(uvlens)")
    assert found == []
    import uvlens

    assert all(getattr(uvlens, name) is not None for name in uvlens.__all__)
