"""The pictures of a report that show the skies, with their captions and headings."""

import html

from .labels import by_sky, file_suffix, part_labels


def sky_figures(found, lenses):
    """name -> (figure, caption) for every sky, the names of several after a dot.

    Args:
        found: [Reconstruction].
        lenses: Lens as each source sees it.
    """
    figures, groups, labels = {}, by_sky(found), part_labels(found)
    for name, members in groups.items():
        lens = lenses[members[0].of_sky.sources[0]]
        if len(members) > 1:
            own = _cube_figures(members, lens)
        elif members[0].of_sky.is_image:
            own = _image_figures(members[0], lens)
        else:
            own = _figures(members[0], lens)
        suffix = file_suffix((name or "sky") if len(groups) > 1 else "")
        figures |= {f"{key}{suffix}": value for key, value in own.items()}
        if len(members) == 1:
            figures |= _source_figures(members[0], lenses, {i: label for (n, i), label in labels.items() if n == name})
            figures |= _profile_figures(members[0], lenses, suffix)
    return figures


def _source_figures(one, lenses, labels):
    from .plot import plot_source

    caption = "Reconstructed source and its signal to noise, with the caustics; the white contour is S/N = 3."
    figures = {}
    for i, label in labels.items():
        part = one.parts[i]
        figures[f"source{file_suffix(label)}"] = plot_source(one, part, lenses[part.block.source]), caption
    return figures


def _profile_figures(one, lenses, suffix):
    """Of each source whose light is made of profiles."""
    from .plot_profiles import plot_profiles

    numbers = sorted({light.of.place for light in one.lights if light.is_lensed})
    figures = {}
    for number in numbers:
        lights = [light for light in one.lights if light.of.place == number]
        own = f".{number}" if len(numbers) > 1 else ""
        figures[f"source_light{own}{suffix}"] = (
            plot_profiles(one, lights, lenses[number]),
            "Light profiles of the source, on a logarithmic scale at the right, with the caustics.",
        )
    return figures


def _cube_figures(members, lens):
    from .plot_cube import plot_channels, plot_moments

    return {
        "channels": (
            plot_channels(members, lens),
            "Channels: naturally weighted dirty image and residual on the mask, in units of the noise, and the "
            "reconstructed source with the caustics, on one scale.",
        ),
        "moments": (
            plot_moments(members, lens),
            "The source integrated over the channels, and its mean velocity (radio convention, about the mean "
            "frequency) where a channel has S/N > 3.",
        ),
    }


def _image_figures(one, lens):
    from .plot import plot_image_plane
    from .plot_image import plot_image
    from .plot_uv import plot_residual_histogram

    return {
        "image": (
            plot_image(one, lens),
            "The data, the model through the PSF, the data without the light in front of the lens (or the model of "
            "the sky), and the residual in units of the noise. Grey pixels carry no weight.",
        ),
        "image_plane": (
            plot_image_plane(one, lens),
            "Model of the sky before the PSF, with the critical curves, and the magnification.",
        ),
        "residuals": (plot_residual_histogram(one), "Residuals of the fitted pixels in units of their errors."),
    }


def _figures(one, lens):
    """Of visibilities with one channel."""
    from . import plot, plot_uv

    return {
        "dirty": (
            plot.plot_dirty(one, lens),
            "Naturally weighted dirty images of the data, of the model and of their difference. White contours at "
            "5, 10, 20, ... times the noise, black ones at 3, 4, 5 (negative dashed). Critical curves in cyan; the "
            "ellipse is the synthesised beam.",
        ),
        "image_plane": (
            plot.plot_image_plane(one, lens),
            "Model of the sky before the interferometer, with the critical curves, and the magnification.",
        ),
        "uv_distance": (
            plot_uv.plot_uv_distance(one),
            "Amplitudes against uv distance (rms in bins of equal weight, noise power removed), phases of the mean "
            "visibility of each bin about the centroid of the model (rings: the model), and the weighted mean of the "
            "residual visibilities.",
        ),
        "residuals": (
            plot_uv.plot_residual_histogram(one),
            "Residual visibilities averaged in uv cells, in units of their errors.",
        ),
    }


_SECTIONS = {
    "Data, model, residual": ("dirty", "image"),
    "Channels": ("channels", "moments"),
    "Source": ("source", "source_light"),
    "Image plane": ("image_plane",),
    "Residuals": ("uv_distance", "residuals"),
}


def sky_sections(pictures):
    """Headings with the pictures of every sky."""
    skies = dict.fromkeys(key.partition(".")[2] for key in pictures if key not in ("corner", "prior", "traces"))
    for sky in skies:
        for heading, kinds in _SECTIONS.items():
            shown = [pictures[key] for kind in kinds if (key := f"{kind}.{sky}" if sky else kind) in pictures]
            if shown:
                yield f"<h2>{heading}{html.escape(f': {sky}' if sky else '')}</h2>{''.join(shown)}"
