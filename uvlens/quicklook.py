"""Pictures of the best model so far while a search runs: `quick_look.html`, drawn again every N likelihoods."""

import base64
import html
import io
from pathlib import Path

import jax.numpy as jnp

from .files import write_atomically
from .labels import by_sky, part_labels

FILE = "quick_look.html"
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2733;max-width:1080px;margin:1rem auto;padding:0 1rem}
h1{font-size:1.3rem}img{max-width:100%;height:auto}table{border-collapse:collapse;font-size:.88rem}
td{padding:.15rem .8rem;border-bottom:1px solid #e6ebf0}td:first-child{font-family:ui-monospace,monospace}
"""


class QuickLook:
    """A progress callback that draws the best model so far every N likelihoods.

    Args:
        density: Density of the search.
        every: N likelihoods.
        directory: where `quick_look.html` goes; the page loads itself anew.
        progress: called with (message, fraction done) before, or None.
    """

    def __init__(self, density, every, directory, progress=None):
        self._density, self._every = density, every
        self._file = Path(directory) / FILE
        self._progress = progress or (lambda *_: None)
        self._drawn = density.n_evaluations

    def __call__(self, message, fraction):
        self._progress(message, fraction)
        density = self._density
        if density.best_vector is None or density.n_evaluations - self._drawn < self._every:
            return
        self._drawn = density.n_evaluations
        try:
            self.draw(message)
        except Exception as error:  # whatever a picture meets, the search goes on
            self._progress(f"quick look: {type(error).__name__}: {error}", fraction)

    def draw(self, message=""):
        """Write the page."""
        density, vector = self._density, jnp.asarray(self._density.best_vector)
        model = density.model
        pictures = "".join(map(_embedded, _figures(model.inversions(vector), model.lenses(vector))))
        seconds = density.seconds
        facts = [
            ("stage", message),
            ("likelihoods", f"{density.n_evaluations:,} in {seconds:,.0f} s, {density.n_evaluations / seconds:.1f} /s"),
            ("ln E at the best so far", f"{density.best_log_likelihood + model.log_evidence_null:,.2f}"),
            *((path, f"{value:.6g}") for path, value in zip(model.parameters.paths, density.best_vector)),
        ]
        rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{html.escape(text)}</td></tr>" for name, text in facts)
        page = (
            "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta http-equiv='refresh' content='10'>"
            f"<title>uvlens: quick look</title><style>{_STYLE}</style></head><body>"
            f"<h1>Best model so far</h1><table>{rows}</table>{pictures}</body></html>"
        )
        write_atomically(self._file, lambda stream: stream.write(page.encode()))


def _figures(found, lenses):
    """Data, model and residual of each sky, then its sources."""
    from .plot import plot_dirty, plot_source
    from .plot_cube import plot_channels
    from .plot_image import plot_image

    labels = part_labels(found)
    for name, members in by_sky(found).items():
        first, lens = members[0], lenses[members[0].of_sky.sources[0]]
        if len(members) > 1:
            yield plot_channels(members, lens)
            continue
        yield (plot_image if first.of_sky.is_image else plot_dirty)(first, lens)
        for i, part in enumerate(first.parts):
            if (name, i) in labels:
                yield plot_source(first, part, lenses[part.block.source])


def _embedded(figure):
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return f'<p><img alt="" src="data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"></p>'
