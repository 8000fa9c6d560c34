"""The code blocks of README.md and docs/, and what they take for granted."""

import ast
import dataclasses
import importlib.util
import re
from pathlib import Path

import yaml

from uvlens.lens import MASS_PROFILES
from uvlens.light import LINEAR_PROFILES
from uvlens.schema import load_yaml

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^(?:<!-- not run: (?P<why>[^\n]+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block; `why` is the reason stated above it for not being run, or None."""

    page: Path
    line: int
    language: str
    text: str
    why: str | None


def blocks(language):
    """{name of a page: its blocks in a language, in order} of the pages that have any."""
    found = {}
    for page in PAGES:
        content = page.read_text()
        for match in _FENCE.finditer(content):
            if match["language"] == language:
                line = content.count("\n", 0, match.start("text")) + 1
                block = Block(page, line, language, match["text"], match["why"])
                found.setdefault(page.name, []).append(block)
    return found


GIVEN = {
    "calibration.md": "model = one_sky",
    "images.md": "image_files()",
    "interchange.md": """
result, mask, data = fitted.result, fitted.mask, fitted.data
lens = result.model.lens(result.best_vector)
source = uvl.Sersic(0.01, 0.1, 1.0)
""",
    "mass_halos.md": "from astropy.cosmology import Planck18 as cosmology\ndeflection_files()",
    "meshes_points.md": "mask = uvl.Mask.disc(1.0, 0.05)\nadapt_image = np.exp(-((mask.x - 0.5) ** 2 + mask.y**2))",
    "nuisances.md": """
data, mask = observed, uvl.Mask.annulus(0.3, 1.3, 0.1)
lens = [uvl.SIE(uvl.Normal(0.8, 0.05), 0.1, -0.06, 0.03, -0.02)]
source = uvl.Gaussian(uvl.LogUniform(0.1, 1e3), sigma=0.12, center_x=0.06, center_y=0.03)
""",
    "pipelines.md": """
normal, lens = uvl.normal_operator(observed, uvl.Mask.annulus(0.3, 1.3, 0.1)), fitted.lens
sersic = uvl.Sersic("linear", R_sersic=uvl.LogUniform(0.05, 0.5), n_sersic=1.0, center_x=0.06, center_y=0.03)
""",
    "quadrature.md": """
mask = uvl.Mask.disc(0.5, 0.1)
lens = uvl.LensPlane([uvl.SIE(0.6, 0.1, 0.0)])
""",
    "results.md": "result = fitted.result",
    "sources.md": """
normal, lens = uvl.normal_operator(observed, uvl.Mask.annulus(0.3, 1.3, 0.1)), fitted.lens
simple_source = uvl.PixelSource(uvl.RectangularMesh(8, 8, extent=0.5), uvl.Gradient(1.0))
""",
    "substructure.md": "result, mask = fitted.result, fitted.mask",
}
"""Python that comes before the first block of a page: what its blocks speak of as given."""

SMALLER = {
    "calibration.md": [("range(100)", "range(1)"), ("sbc.Refit(model)", "sbc.Refit(model, 10, 24)")],
    "pipelines.md": [
        ("RectangularMesh(30, 30", "RectangularMesh(8, 8"),
        ('"nuts", seed=2, options={"n_draws": 500}', '"optimize"'),
    ],
    "README.md": [("RectangularMesh(30, 30", "RectangularMesh(8, 8"), ("radius=2.0", "radius=1.5")],
    "sources.md": [("AdaptiveMesh(30, 30", "AdaptiveMesh(10, 10")],
    "substructure.md": [("position_grid(mask, 15)", "position_grid(mask, 2)"), ("[8.5, 9.0, 9.5, 10.0]", "[9.5]")],
}
"""Sizes that are changed so that the blocks run in seconds."""


def python_of(block):
    """What is run of a block: its text with smaller sizes."""
    text = block.text
    for stated, smaller in SMALLER.get(block.page.name, ()):
        text = text.replace(stated, smaller)
    return text


PIXELS = {"mesh": {"type": "rectangular", "shape": [10, 10]}, "regularization": {"type": "gradient"}}
ELIDED = {
    "data": {"file": "target.npz"},
    "image_plane": {"mask": {"disc": {"radius": 2.0}}},
    "lens": {"mass": [{"profile": "SIE", "theta_E": 1.0, "e1": 0.1, "e2": 0.0}]},
    "mass": [{"profile": "SIE", "theta_E": 1.0, "e1": 0.1, "e2": 0.0}],
    "light": [],
    "mesh": PIXELS["mesh"],
    "pixels": PIXELS,
    "source": {"pixels": PIXELS},
}
"""What stands for `[...]` and `{...}` under a key."""

_WHOLE = {"data", "image_plane", "cosmology", "lens", "source", "positions", "constraints", "joint_priors", "nuisances"}
SECTIONS = _WHOLE | {"derived", "fit", "pipeline"}


def documents(block, folder):
    """The YAML of a block as mappings or lists; a key that stands twice begins an alternative of its own."""
    keys = re.findall(r"^(\w+):", block.text, re.M)
    parts = re.split(r"^(?=\w+:)", block.text, flags=re.M) if len(set(keys)) < len(keys) else [block.text]
    found = []
    for part in parts:
        if not part.strip():
            continue
        if isinstance(yaml.safe_load(part), dict):  # by the loader of model files, which is stricter
            (folder / "part.yaml").write_text(part)
            found.append(load_yaml(folder / "part.yaml"))
        else:
            found.append(yaml.safe_load(part))
    return [filled(one) for one in found]


def filled(value, key=None):
    """The value with something in the place of every `...`."""
    if value in (["..."], {"...": None}):
        return ELIDED[key]
    if isinstance(value, list):
        return [filled(one, key) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {name: filled(one, name) for name, one in value.items() if name != "..." and one != "..."}
    if "..." in value:
        kind = (MASS_PROFILES | LINEAR_PROFILES)[value["profile"]]
        needed = [one.name for one in dataclasses.fields(kind) if one.default is dataclasses.MISSING]
        stated = {"e1", "e2"} if "ellipticity" in value else set()
        kept |= {name: 1.5 for name in needed if name not in kept and name not in stated}
    return kept


def model_content(value):
    """The mapping of a model file around a fragment of one; None if the fragment is parameters of a component."""
    base = {key: ELIDED[key] for key in ("data", "lens", "source")}
    if isinstance(value, list):
        borrowed = importlib.util.find_spec("jaxtronomy") is not None
        value = [one for one in value if borrowed or one["profile"] != "JAXtronomyMass"]
        kind = "mass" if value[0]["profile"] not in LINEAR_PROFILES else "light"
        lights = [{"profile": "Sersic", "R_sersic": 0.5, "flux": 1.0}]
        return base | {"lens": {"redshift": 0.5, "mass": ELIDED["mass"], "light": lights, kind: value}}
    if set(value) <= SECTIONS:
        return base | value
    if set(value) <= {"mass", "light", "joint_priors"}:
        lens = {"redshift": 0.5, "mass": ELIDED["mass"]} | {k: v for k, v in value.items() if k != "joint_priors"}
        return base | {"lens": lens} | {k: v for k, v in value.items() if k == "joint_priors"}
    (key,) = value if len(value) == 1 else (None,)
    if key == "regularization":
        return base | {"source": {"pixels": PIXELS | value}}
    if key == "mask":
        return base | {"image_plane": value}
    if key == "noise":
        return base | {"data": {"file": "image.fits", "psf": "psf.fits"} | value}
    return None


def messages():
    """What troubleshooting.md quotes: the first column of its tables that is code."""
    return re.findall(r"^\| `(.+?)` \|", (ROOT / "docs" / "troubleshooting.md").read_text(), re.M)


def texts_of_the_package():
    """A pattern for every text of some length in the source, anything in the place of what is filled in."""
    found = set()
    for path in (ROOT / "uvlens").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            written = "".join(one.value for one in parts if _is_text(one))
            if len(written) >= 12 and all(isinstance(one, ast.FormattedValue) or _is_text(one) for one in parts):
                pieces = (re.escape(one.value.replace("`", "")) if _is_text(one) else ".*" for one in parts)
                found.add("".join(pieces))
    return found


def _is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
