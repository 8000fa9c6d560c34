"""The normal operators of a result folder: `normal.npz`, and `normal.1.npz`, ... for more skies and channels."""

from .normal import Reduction, operator_from_reduction, share_curvature
from .sky import Sky

_BY_NAME = ("direct", "direct32", "fft", "lowrank")
"""Operators that were asked for by name and can be made of the sums."""


def save_skies(skies, directory, phase_center):
    """normal.npz, normal.1.npz, ...: the sums of every channel of every sky, with what a Sky is beside them."""
    parts = []
    for i, own in enumerate(skies):
        reductions = [own.reduction] if own.shared is None else own.shared.channels
        for reduction, frequency in zip(reductions, own.frequencies or [None]):
            said = {"sky": i, "name": own.name, "sources": own.sources, "frequency": frequency, "law": own.law}
            said |= {"operator": own.normal.method if own.normal.choice is None else None}
            said |= {"rays": own.rays, "background": bool(own.light), "over_sampling": _said(own.over_sampling)}
            parts.append((reduction, own.normal.method, said))
    for i, (reduction, method, said) in enumerate(parts):
        file = directory / (f"normal.{i}.npz" if i else "normal.npz")
        reduction.save(file, method=method, phase_center=phase_center, part=said, n_parts=len(parts))


def load_skies(directory):
    """([Sky], phase centre) that `save_skies` wrote."""
    from .light import Background

    first, header = Reduction.load(directory / "normal.npz")
    members = {}
    for i in range(header.get("n_parts", 1)):
        reduction, own = Reduction.load(directory / f"normal.{i}.npz") if i else (first, header)
        members.setdefault(own.get("part", {}).get("sky", 0), []).append((reduction, own.get("part", {})))
    skies = []
    for parts in members.values():
        said, frequencies = parts[0][1], [part.get("frequency") for _, part in parts]
        shared = share_curvature([reduction for reduction, _ in parts]) if len(parts) > 1 else None
        asked = said.get("operator") if said.get("operator") in _BY_NAME else "auto"
        operator = operator_from_reduction(parts[0][0] if shared is None else shared.reduction, asked)
        skies.append(
            Sky(
                operator,
                said.get("name", ""),
                said.get("sources", (0,)),
                None if frequencies[0] is None else frequencies,
                shared,
                law=said.get("law"),
                light=(Background(),) if said.get("background") else (),
                rays=said.get("rays"),
                over_sampling=_heard(said.get("over_sampling")),
            )
        )
    return skies, header["phase_center"]


def _said(over_sampling):
    import dataclasses

    return None if over_sampling is None else dataclasses.asdict(over_sampling)


def _heard(said):
    from .oversampling import OverSampling
    from .quadrature import AdaptiveSampling

    if said is None:
        return None
    if "levels" in said:
        return AdaptiveSampling(**said)
    centers = tuple(tuple(center) for center in said["centers"])
    return OverSampling(tuple(said["sizes"]), tuple(said["radii"]), centers)
