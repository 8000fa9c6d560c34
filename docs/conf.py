"""Settings of Sphinx: Markdown pages through MyST, docstrings of the package, formulas as MathML, no network."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "extensions")]

import uvlens  # noqa: E402

project = "uvlens"
author = "The uvlens developers"
copyright = author
release = version = uvlens.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "docstrings", "mathml"]
exclude_patterns = ["development", "extensions", "figures", "static"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
highlight_language = "none"

autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_title = f"uvlens {version}"
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
