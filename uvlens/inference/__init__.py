"""Searches: multi-start optimisation, NUTS, nested sampling."""

from .fit import fit

__all__ = ["fit"]
