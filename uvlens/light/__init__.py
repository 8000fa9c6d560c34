"""Light profiles."""

from .profiles import LIGHT_PROFILES, AbstractLight, Gaussian, Sersic

__all__ = ["LIGHT_PROFILES", "AbstractLight", "Gaussian", "Sersic"]
