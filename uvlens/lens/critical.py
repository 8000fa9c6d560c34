"""Critical curves, caustics and the effective Einstein radius of a lens plane."""

import contourpy
import numpy as np

from .plane import LensPlane


def critical_curves(lens: LensPlane, x, y):
    """Where the magnification is infinite: det d beta / d theta = 0.

    Args:
        lens: LensPlane with numbers for parameters.
        x, y: axes of the grid that is searched, shapes (columns,), (rows,) [arcsec]; an odd spacing that keeps
            nodes off the centres of singular profiles gives clean curves.

    Returns:
        list of closed or open polylines, each of shape (points, 2) [arcsec].
    """
    grid_x, grid_y = np.meshgrid(x, y)
    determinant = np.asarray(lens.inverse_magnification(grid_x, grid_y))
    return contourpy.contour_generator(x, y, determinant).lines(0.0)


def caustics(lens: LensPlane, curves):
    """The critical curves traced to the source plane, a list of polylines of shape (points, 2) [arcsec]."""
    return [np.stack([np.asarray(b) for b in lens.ray_trace(c[:, 0], c[:, 1])], axis=1) for c in curves]


def effective_einstein_radius(lens: LensPlane, center, radius, n=200):
    """Radius of the circle with the area of the largest closed critical curve [arcsec]; NaN if there is none.

    Args:
        lens: LensPlane with numbers for parameters.
        center: (x, y) of the middle of the search box [arcsec].
        radius: half its side [arcsec].
        n: grid nodes a side.
    """
    # offset by a fraction of a cell, so that no node falls on a singular centre
    axis = np.linspace(-radius, radius, n) * (1.0 + 0.37 / n)
    areas = [_area(curve) for curve in critical_curves(lens, center[0] + axis, center[1] + axis) if _closed(curve)]
    return float(np.sqrt(max(areas) / np.pi)) if areas else float("nan")


def _closed(curve):
    return len(curve) > 3 and np.allclose(curve[0], curve[-1])


def _area(curve):
    x, y = curve[:, 0], curve[:, 1]
    return 0.5 * abs(float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])))
