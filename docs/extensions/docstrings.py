"""Docstrings of the package as reStructuredText: plain text with formulas, and the sections Args, Returns, Raises.

Nothing in a docstring is markup but `names` in backticks and paragraphs that are indented (formulas). All the rest is
text as it stands: |e|, w_k and f* mean what they say.
"""

import re

SECTIONS = {
    "Args": "Arguments",
    "Returns": "Returns",
    "Raises": "Raises",
    "Attributes": "Attributes",
    "Yields": "Yields",
}


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _process(_app, _what, _name, _object, _options, lines):
    lines[:] = to_rst(lines)


def to_rst(lines):
    """Lines of reStructuredText from the lines of a docstring, dedented."""
    found, lines = [], [line.rstrip() for line in lines]
    i = 0
    while i < len(lines):
        heading = re.fullmatch(r"(\w+):", lines[i])
        if heading and heading[1] in SECTIONS:
            end = _end(lines, i + 1)
            found += ["", f"**{SECTIONS[heading[1]]}**", "", *_entries(lines[i + 1 : end]), ""]
        elif lines[i].startswith("    "):
            end = _end(lines, i)
            found += ["", "::", "", *lines[i:end], ""]
        else:
            end = i + 1
            found.append(_text(lines[i]))
        i = end
    return [*found, ""]


def _end(lines, start):
    """Index of the first line from `start` on that is neither indented nor empty."""
    end = start
    while end < len(lines) and (not lines[end] or lines[end].startswith("    ")):
        end += 1
    return end


def _entries(lines):
    """A bullet for each entry `names: what they are`, lines that continue it joined."""
    entries = []
    for line in lines:
        if line.startswith("     ") and entries:
            entries[-1] += " " + line.strip()
        elif line.strip():
            entries.append(line.strip())
    found = []
    for entry in entries:
        name, colon, rest = entry.partition(": ")
        named = colon and re.fullmatch(r"[\w*, .`\[\]()]+", name)
        found.append(f"* ``{name.replace('`', '')}``: {_text(rest)}" if named else f"* {_text(entry)}")
    return found


def _text(line):
    """A line of text: names in backticks are literal, everything else is escaped."""
    parts = re.split(r"(`+)([^`]+)\1", line)
    found = ""
    for i in range(0, len(parts), 3):
        found += re.sub(r"([\\*|_`])", r"\\\1", parts[i])
        if i + 2 < len(parts):
            found += f"\\ ``{parts[i + 2]}``\\ "
    return found
