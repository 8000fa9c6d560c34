"""Elliptical coordinates of light, free of angles: e = 0 is an ordinary point, and the area is kept.

    p = M x,    M = [[1 - e1, -e2], [-e2, 1 + e1]] / sqrt(1 - |e|^2),    det M = 1,    R = |p|

is R = sqrt(q X^2 + Y^2 / q) with X along the major axis. A round profile f(|p|) of transform F(kappa) has in an
elliptical form the transform F(|M^-1 k|), since the map keeps areas.
"""


def squared_radius(x, y, e1, e2, center_x, center_y):
    """R^2 [arcsec^2] at positions of any shape [arcsec]: smooth, 0 at the centre."""
    dx, dy = x - center_x, y - center_y
    along, across = dx - (e1 * dx + e2 * dy), dy - (e2 * dx - e1 * dy)
    return (along**2 + across**2) / (1.0 - e1**2 - e2**2)


def squared_frequency(u, v, e1, e2):
    """kappa^2 = |M^-1 k|^2 of frequencies k = (u, v), in their unit squared."""
    along, across = u + (e1 * u + e2 * v), v + (e2 * u - e1 * v)
    return (along**2 + across**2) / (1.0 - e1**2 - e2**2)
