"""Where the calibration loop is, kept in a file from pass to pass."""

import dataclasses
import json
import os

import numpy as np

from .errors import InputError
from .files import load_arrays, save_arrays


@dataclasses.dataclass(frozen=True, eq=False)
class LoopState:
    """Where the loop is: `images` and `values` are what the next (or, when done, the last) operators are about."""

    vector: np.ndarray
    images: list
    values: list
    passes: tuple
    chi_squared_without: float
    done: bool = False
    converged: bool = False
    steps: tuple = ()

    def save(self, file, identity):
        if file is None:
            return
        os.makedirs(os.path.dirname(file), exist_ok=True)
        values = [[[[*key, float(value)] for key, value in one.items()] for one in sky] for sky in self.values]
        header = {
            "identity": identity,
            "values": values,
            "passes": self.passes,
            "chi_squared_without": self.chi_squared_without,
            "done": self.done,
            "converged": self.converged,
        }
        images = {f"image_{i}": image for i, image in enumerate(self.images)}
        steps = {f"step_{i}_{j}": array for i, step in enumerate(self.steps) for j, array in enumerate(step)}
        save_arrays(file, {"vector": self.vector, "header": np.array(json.dumps(header)), **images, **steps})

    @staticmethod
    def load(file, identity):
        """The saved state, None where there is none.

        Raises:
            InputError: one that belongs to another identity, and what sets them apart.
        """
        from .inference.identity import difference

        saved = load_arrays(file)
        if saved is None:
            return None
        try:
            header = json.loads(str(saved["header"]))
            images = [saved[f"image_{i}"] for i in range(len(header["values"]))]
            n_steps = sum(key.startswith("step_") for key in saved) // 3
            steps = tuple(tuple(saved[f"step_{i}_{j}"] for j in range(3)) for i in range(n_steps))
            values = [
                [{(kind, antenna, interval): value for kind, antenna, interval, value in one} for one in sky]
                for sky in header["values"]
            ]
            own = header["identity"]
            rest = tuple(header["passes"]), header["chi_squared_without"], header["done"], header["converged"], steps
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{file}: not a state of calibration ({error}); fit without --resume") from None
        if found := difference(own, identity):
            raise InputError(f"{file}: its calibration belongs to another model: {found}; fit without --resume")
        return LoopState(saved["vector"], images, values, *rest)
