"""docs/profiles.md: its lines make what they say, and no component is missing from it."""

import pathlib
import re

import pytest
import yaml

from uvlens.lens import MASS_PROFILES
from uvlens.light import LINEAR_PROFILES
from uvlens.parse import parse_component
from uvlens.parse_light import parse_light
from uvlens.schema import Section

PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "profiles.md").read_text()
MASS, LIGHT = PAGE.split("## Light")
E = {"e1": 0.1, "e2": -0.05}


def lines(text):
    """(mapping, whether it may be elliptical) of the rows of a table."""
    rows = re.findall(r"^\|[^|]*\| `(\{profile.*\})` \| ([^|]*)\|", text, re.MULTILINE)
    return [(yaml.safe_load(line), word.strip() == "yes") for line, word in rows]


@pytest.mark.parametrize("text, registry", [(MASS, MASS_PROFILES), (LIGHT, LINEAR_PROFILES)], ids=["mass", "light"])
def test_lines_make_what_they_name(text, registry):
    for line, elliptical in lines(text):
        kind = registry[line["profile"]]
        assert elliptical == ("e1" in kind.__dataclass_fields__), line
        for given in (line, {**line, **E}) if elliptical else (line,):
            if registry is MASS_PROFILES:
                made = parse_component(Section(dict(given), "lens.mass.0"), registry)
            else:
                made = parse_light(dict(given), "lens.light")[0]
            assert type(made) is kind


def test_every_component_is_there():
    for name in MASS_PROFILES:
        assert f"profile: {name}," in MASS or f"`{name}" in MASS, name
    assert {line["profile"] for line, _ in lines(LIGHT)} == set(LINEAR_PROFILES)
