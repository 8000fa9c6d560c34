"""Delta ln E over positions and masses of a subhalo: the maps, their files and what they say."""

import dataclasses
from pathlib import Path

import numpy as np

from .files import save_arrays
from .grid import PixelGrid

THRESHOLD = 10.0
"""Delta ln E of a detection."""


@dataclasses.dataclass(frozen=True, eq=False)
class SubhaloMaps:
    """Delta ln E over positions and masses.

    Attributes:
        kind: "scan" or "sensitivity".
        grid: PixelGrid of the positions.
        sizes: of the perturber, shape (Q,): log10 mass, or Einstein radii [arcsec].
        size_name: "log10_mass" or "theta_E".
        delta_log_evidence: shape (Q, rows, columns), NaN where it was not computed (outside the mask).
        delta_log_posterior: the same with ln prior of the macro model's parameters.
        macro: physical parameters of the macro model with the perturber, shape (Q, rows, columns, n).
        best: x, y, size, delta_log_evidence of the best position, refined between the nodes of the grid.
        threshold: Delta ln E of a detection.
        settings: what was asked for.
    """

    kind: str
    grid: PixelGrid
    sizes: np.ndarray
    size_name: str
    delta_log_evidence: np.ndarray
    delta_log_posterior: np.ndarray
    macro: np.ndarray
    best: dict
    threshold: float
    settings: dict

    @property
    def best_map(self):
        """Largest Delta ln E of all masses at every position, shape (rows, columns)."""
        return np.max(np.where(np.isfinite(self.delta_log_evidence), self.delta_log_evidence, -np.inf), axis=0)

    @property
    def smallest_size(self):
        """The mass (or radius) at which Delta ln E passes the threshold, at every position; NaN where none does.

        Linear in Delta ln E between the masses of the scan, the first crossing; not below the smallest of them.
        """
        found = np.full(self.grid.shape, np.nan)
        for place in np.ndindex(*self.grid.shape):
            delta = self.delta_log_evidence[(slice(None), *place)]
            above = np.flatnonzero(delta >= self.threshold)
            if above.size:
                i = above[0]
                share = 0.0 if i == 0 else (self.threshold - delta[i - 1]) / (delta[i] - delta[i - 1])
                found[place] = (
                    self.sizes[i] if i == 0 else self.sizes[i - 1] + share * (self.sizes[i] - self.sizes[i - 1])
                )
        return found

    def facts(self):
        """What the command line prints."""
        computed = np.isfinite(self.delta_log_evidence)
        facts = {"kind": self.kind, "n_evaluated": int(computed.sum()), "threshold": self.threshold, "best": self.best}
        facts["detected"] = bool(self.best["delta_log_evidence"] > self.threshold)
        if self.kind == "sensitivity":
            smallest = self.smallest_size
            known = smallest[np.isfinite(smallest)]
            facts[f"smallest_{self.size_name}"] = float(known.min()) if known.size else None
            facts["detectable_positions"] = int(known.size)
        return facts | {"settings": self.settings}

    def save(self, directory, phase_center=None):
        """subhalo_KIND.npz, .fits (the best map, or the smallest mass), .json and .png in a folder."""
        from .files import save_json
        from .plot_substructure import plot_subhalo_maps
        from .wcs import write_image

        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        name = directory / f"subhalo_{self.kind}"
        arrays = {key: getattr(self, key) for key in ("sizes", "delta_log_evidence", "delta_log_posterior", "macro")}
        x, y = self.grid.coordinates()
        save_arrays(f"{name}.npz", {**arrays, "x": x, "y": y, "smallest": self.smallest_size})
        save_json(f"{name}.json", self.facts())
        drawn = self.best_map if self.kind == "scan" else self.smallest_size
        image = np.where(np.isfinite(drawn), drawn, np.nan)
        unit = "nat" if self.kind == "scan" else self.size_name
        write_image(f"{name}.fits", image, self.grid, phase_center=phase_center, unit=unit)
        figure, caption = plot_subhalo_maps(self)
        figure.savefig(f"{name}.png")
        (directory / f"subhalo_{self.kind}.txt").write_text(caption + "\n")
        return Path(f"{name}.npz")
