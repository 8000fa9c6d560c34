"""Compiling with little effort: optimised code that runs once would take most of the time of tests of derivatives."""

from functools import partial

import jax


def _accepts(options):
    try:
        jax.jit(lambda x: x, compiler_options=options).lower(0.0).compile()
    except RuntimeError:  # an option that this version of XLA does not know
        return False
    return True


_WANTED = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
QUICK = {key: value for key, value in _WANTED.items() if _accepts({key: value})}
"""What this version of XLA knows of it."""

quick = partial(jax.jit, compiler_options=QUICK)
"""jax.jit, of the same numbers to round-off. Values are tested through jax.jit itself, as they are used."""
