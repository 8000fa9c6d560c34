"""How well rules integrate steep light over pixels, and at how many evaluations: the tables of docs/quadrature.md.

    python benchmarks/quadrature.py [--figure docs/figures/quadrature.svg]

Unlensed: 101 x 101 pixels, a Sersic profile whose centre lies off the pixels' centres. Lensed: SIE and shear, a source
of R_sersic = 2.4 pixels, four images. The reference has 8 x 8 Gauss-Legendre nodes, 12 levels and many squares (tests
compare such values with geometric refinement about known centres). Errors: of the worst pixel in units of the
brightest; in brackets relative to its own value, among pixels above 1e-4 of the brightest; and of the total.
"""

import argparse
import pathlib

import jax
import numpy as np

import uvlens as uvl
from uvlens.quadrature import AdaptiveSampling

SCALE = 0.05
CENTER = {"center_x": 0.0137, "center_y": -0.0181}
FLAT = {"axis_ratio": 0.3, "position_angle": 63.4}
MILD = {"axis_ratio": 0.8, "position_angle": 103.3}
CASES = {
    "n 0.5, R 4, q 0.3": uvl.Sersic(1.0, 4 * SCALE, 0.5, **CENTER, **FLAT),
    "n 1, R 12, q 0.8": uvl.Sersic(1.0, 12 * SCALE, 1.0, **CENTER, **MILD),
    "n 4, R 12, q 0.8": uvl.Sersic(1.0, 12 * SCALE, 4.0, **CENTER, **MILD),
    "n 4, R 4, q 0.3": uvl.Sersic(1.0, 4 * SCALE, 4.0, **CENTER, **FLAT),
    "n 10, R 4, q 0.3": uvl.Sersic(1.0, 4 * SCALE, 10.0, **CENTER, **FLAT),
}
SETTINGS = {
    "one ray": AdaptiveSampling(1, 0, rule="uniform"),
    "uniform 4 x 4": AdaptiveSampling(4, 0, rule="uniform"),
    "uniform 16 x 16": AdaptiveSampling(16, 0, rule="uniform"),
    "Gauss-Legendre 3": AdaptiveSampling(3, 0),
    "Gauss-Legendre 9": AdaptiveSampling(9, 0),
    "Clenshaw-Curtis 9": AdaptiveSampling(9, 0, rule="clenshaw-curtis"),
    "Gauss-Kronrod 9": AdaptiveSampling(9, 0, rule="gauss-kronrod"),
    "**adaptive, default** (GL 3, 8 x 20)": AdaptiveSampling(),
    "adaptive, GL 3, 5 x 30": AdaptiveSampling(3, 5, 30),
    "adaptive, GL 3, 8 x 20, both estimates": AdaptiveSampling(estimate="both"),
    "adaptive, GL 4, 8 x 20": AdaptiveSampling(4),
    "adaptive, CC 5, 8 x 20": AdaptiveSampling(5, rule="clenshaw-curtis"),
    "adaptive, GK 5, 8 x 20": AdaptiveSampling(5, rule="gauss-kronrod"),
    "adaptive, GL 6, 9 x 40": AdaptiveSampling(6, 9, 40),
}
LENSED_SETTINGS = {
    "uniform 4 x 4": AdaptiveSampling(4, 0, rule="uniform"),
    "uniform 16 x 16": AdaptiveSampling(16, 0, rule="uniform"),
    "adaptive, GL 3, 8 x 20": AdaptiveSampling(),
    "adaptive, GL 3, 8 x 80": AdaptiveSampling(n_refine=80),
    "adaptive, GL 3, 8 x 80, both estimates": AdaptiveSampling(n_refine=80, estimate="both"),
    "adaptive, GL 4, 8 x 40": AdaptiveSampling(4, n_refine=40),
    "**adaptive, GL 4, 8 x 80**": AdaptiveSampling(4, n_refine=80),
    "adaptive, GL 4, 8 x 160": AdaptiveSampling(4, n_refine=160),
}


def lensed_cases():
    """Name -> brightness of a lensed source."""
    lens = uvl.LensPlane([uvl.SIE(1.2, 0.15, -0.1, 0.013, 0.021), uvl.Shear(0.04, -0.03)])
    found = {}
    for n in (1.0, 4.0):
        source = uvl.Sersic(1.0, 0.12, n, 0.2, 0.1, 0.05, -0.03)
        found[f"lensed, n {n:g}"] = lambda x, y, source=source: source.columns(*lens.ray_trace(x, y))[..., 0]
    return found


def errors(brightness, mask, settings, reference):
    """Name -> (evaluations per pixel, with the choice made beforehand, worst / peak, worst relative, total)."""
    exact, found = np.asarray(jax.jit(lambda: reference.integrate(brightness, mask))()), {}
    bright = exact > 1e-4 * exact.max()
    for name, one in settings.items():
        values = np.asarray(jax.jit(lambda one=one: one.integrate(brightness, mask))())
        off = np.abs(values - exact)
        counts = [one.evaluations(mask.n_pixels, chosen) / mask.n_pixels for chosen in (False, True)]
        found[name] = (
            *counts,
            off.max() / exact.max(),
            (off / exact)[bright].max(),
            abs(values.sum() / exact.sum() - 1.0),
        )
    return found


def print_table(found):
    """Markdown: a row for each of the settings, a column for each case."""
    print("| rule | evaluations per pixel (squares known) | " + " | ".join(found) + " |")
    print("|---|---:|" + "---|" * len(found))
    for name in next(iter(found.values())):
        rows = [case[name] for case in found.values()]
        cells = [f"{row[2]:.0e} ({row[3]:.0e}), {row[4]:.0e}" for row in rows]
        print(f"| {name} | {rows[0][0]:.1f} ({rows[0][1]:.1f}) | " + " | ".join(cells) + " |")
    print()


def draw(path, mask, case, brightness):
    """Worst pixel against evaluations per pixel, for families of rules."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.fonttype"] = "none"
    import matplotlib.pyplot as plt

    families = {
        "uniform": [AdaptiveSampling(k, 0, rule="uniform") for k in (1, 2, 4, 8, 16, 32)],
        "Gauss-Legendre": [AdaptiveSampling(k, 0) for k in (1, 2, 3, 5, 9, 16)],
        "Clenshaw-Curtis": [AdaptiveSampling(k, 0, rule="clenshaw-curtis") for k in (3, 5, 9, 17)],
        "Gauss-Kronrod": [AdaptiveSampling(k, 0, rule="gauss-kronrod") for k in (3, 5, 9, 15)],
        "adaptive, 3 x 3 Gauss-Legendre, 1 to 8 levels of 20": [AdaptiveSampling(levels=k) for k in range(1, 9)],
        "adaptive, 8 levels of 20, 2 x 2 to 6 x 6": [AdaptiveSampling(k) for k in range(2, 7)],
    }
    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for (name, settings), marker in zip(families.items(), "osd^*v"):
        found = errors(brightness, mask, dict(enumerate(settings)), AdaptiveSampling(8, 12, 60))
        points = np.array([row[:4] for row in found.values()])
        axes.loglog(points[:, 0], points[:, 3], marker=marker, markersize=4, linewidth=1, label=name)
    axes.set(
        xlabel="evaluations per pixel",
        ylabel="relative error of the worst pixel",
        title=f"Sersic, {case} (R in pixels)",
    )
    axes.legend(fontsize=7, frameon=False)
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if str(path).endswith(".svg") else None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", help="also draw the errors of one case to this file")
    arguments = parser.parse_args()
    mask = uvl.Mask.from_array(np.ones((101, 101), bool), SCALE)
    images = {name: lambda x, y, one=one: one.columns(x, y)[..., 0] for name, one in CASES.items()}
    deep = AdaptiveSampling(8, 12, 60)
    print_table({name: errors(brightness, mask, SETTINGS, deep) for name, brightness in images.items()})
    ring = uvl.Mask.disc(2.2, SCALE)
    deep = AdaptiveSampling(8, 12, 400)
    print_table({name: errors(one, ring, LENSED_SETTINGS, deep) for name, one in lensed_cases().items()})
    if arguments.figure:
        case = "n 4, R 4, q 0.3"
        draw(arguments.figure, mask, case, images[case])


if __name__ == "__main__":
    main()
