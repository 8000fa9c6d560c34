"""What made a result: the command, the versions, the machine."""

import contextlib
import platform

from . import __version__

COMMAND_LINE = "uvlens.command"
"""Under which the command line keeps itself in click's context."""
_PACKAGES = ("jax", "numpy", "scipy", "numba", "numpyro", "equinox", "jax-finufft", "nautilus-sampler", "astropy")


def provenance():
    """{command, versions, platform} of this process; no command where it was not started by the command line."""
    return {"command": command_line(), "versions": versions(), "platform": platform.platform()}


def command_line():
    """The command, as a shell takes it, or None."""
    import click

    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(COMMAND_LINE)


@contextlib.contextmanager
def as_command(text):
    """Inside it results say that this command made them: processes that the command line started; None: as before."""
    import click

    if text is None:
        yield
        return
    context = click.Context(click.Command("uvlens"))
    context.meta[COMMAND_LINE] = text
    with context:
        yield


def versions():
    """Versions of uvlens, Python and the packages that numbers depend on, by name."""
    import importlib.metadata

    found = {"uvlens": __version__, "Python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
