"""Antenna tables: where the dishes stand and how large they are."""

import dataclasses
from pathlib import Path

import numpy as np

from ..errors import InputError

_TABLES = Path(__file__).with_name("arrays")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Array:
    """A antennas in the local frame of their site.

    A table is a text file with one antenna a line, `East North Up diameter [pad]`, in metres; lines that
    begin with `#` are comments, and one of them, `# latitude: DEGREES`, says where the local frame stands.
    Longitude is of no use here: the hour angle is local.

    Args:
        name: of the array, for messages and products.
        latitude: geodetic, of the origin of the local frame [deg].
        enu: antenna positions (East, North, Up), shape (A, 3) [m].
        diameter: of the dishes, shape (A,) [m].
        pads: names of the places the antennas stand on, A of them or none.

    Raises:
        InputError: fewer than two antennas, shapes that differ, values that make no sense.
    """

    name: str
    latitude: float
    enu: np.ndarray
    diameter: np.ndarray
    pads: tuple[str, ...] = ()

    def __post_init__(self):
        enu, diameter = np.asarray(self.enu, dtype=np.float64), np.asarray(self.diameter, dtype=np.float64)
        if enu.ndim != 2 or enu.shape[1] != 3 or len(enu) < 2:
            raise InputError(f"{self.name}: enu must have shape (antennas >= 2, 3), got {enu.shape}")
        if diameter.shape != (len(enu),):
            raise InputError(f"{self.name}: diameter must have shape ({len(enu)},), got {diameter.shape}")
        if len(self.pads) not in (0, len(enu)):
            raise InputError(f"{self.name}: pads must hold {len(enu)} names or none, got {len(self.pads)}")
        if not np.isfinite(enu).all():
            raise InputError(f"{self.name}: enu has values that are NaN or infinite")
        if not (np.isfinite(diameter).all() and (diameter > 0.0).all()):
            raise InputError(f"{self.name}: diameter must be positive metres, got {diameter.min()}")
        if not -90.0 <= self.latitude <= 90.0:
            raise InputError(f"{self.name}: latitude must be within -90 to 90 degrees, got {self.latitude}")
        object.__setattr__(self, "enu", enu)
        object.__setattr__(self, "diameter", diameter)

    def __len__(self):
        return len(self.enu)

    def __repr__(self):
        shortest, longest = self.baseline_lengths.min(), self.baseline_lengths.max()
        return f"Array({self.name}: {len(self)} antennas, baselines {shortest:.1f} to {longest:.1f} m)"

    @property
    def pairs(self):
        """(antenna1, antenna2) of the B = A (A - 1) / 2 baselines, antenna1 < antenna2, each (B,)."""
        return np.triu_indices(len(self), 1)

    @property
    def baseline_lengths(self):
        """|r(antenna1) - r(antenna2)|, shape (B,) [m]."""
        first, second = self.pairs
        return np.linalg.norm(self.enu[first] - self.enu[second], axis=1)

    @staticmethod
    def available():
        """Names that `Array.named` knows."""
        return tuple(sorted(path.stem for path in _TABLES.glob("*.txt")))

    @staticmethod
    def named(name):
        """One of the arrays that come with the package, such as "alma.cycle10.5" or "sma.compact"."""
        key = str(name).lower().replace("_", ".")
        if key not in Array.available():
            raise InputError(f"array {name!r} is not known; available: {', '.join(Array.available())}")
        return Array.read(_TABLES / f"{key}.txt")

    @staticmethod
    def read(path):
        """An antenna table of your own, in the format above; its name is that of the file."""
        path = Path(path)
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: antenna table cannot be read ({error})") from None
        latitude, numbers, pads = None, [], []
        for number, line in enumerate(lines, start=1):
            text, _, comment = line.partition("#")
            key, _, value = comment.partition(":")
            if not text.strip():
                if key.strip().lower() == "latitude":
                    latitude = _floats(path, number, [value], "a latitude in degrees")[0]
                continue
            fields = text.split()
            if len(fields) < 4:
                raise InputError(f"{path} line {number}: wanted East North Up diameter [pad], got {line!r}")
            numbers.append(_floats(path, number, fields[:4], "East North Up diameter in metres"))
            pads.append(fields[4] if len(fields) > 4 else str(len(numbers)))
        if latitude is None:
            raise InputError(f"{path}: antenna table has no latitude; add a line '# latitude: DEGREES'")
        if len(numbers) < 2:
            raise InputError(f"{path}: antenna table must hold at least two antennas, got {len(numbers)}")
        table = np.array(numbers)
        return Array(path.stem, latitude, table[:, :3], table[:, 3], tuple(pads))


def _floats(path, number, fields, wanted):
    try:
        return [float(field) for field in fields]
    except ValueError:
        got = " ".join(fields).strip()
        raise InputError(f"{path} line {number}: wanted {wanted}, got {got!r}") from None
