def write_dirty_image(path, out, cell, size, center, options, note, weighting=None):
    """Dirty image, beam and picture of `uvlens image`."""
    from .plot import plot_data_image
    from .wcs import write_image

    if not Path(out).stem or not out.endswith(".fits"):
        raise InputError(f"--out must end in .fits, got {out}")
    if not Path(out).resolve().parent.is_dir():
        raise InputError(f"--out: there is no folder {Path(out).parent}")
    if cell is not None and not 0.0 < cell < np.inf:
        raise InputError(f"--cell must be a positive number of arcsec, got {cell}")
    if size is not None and not 8 <= size <= MAXIMUM_SIDE:
        raise InputError(f"--size must lie between 8 and {MAXIMUM_SIDE}, got {size}")
    data = read(path, **options).unflagged()
    cell = data.suggested_pixel_scale() if cell is None else cell
    if size is None:
        width = data.primary_beam_fwhm or 256 * cell
        size = int(np.clip(np.ceil(1.2 * width / cell), 64, 512))
    dirty = make_image(data, PixelGrid((size, size), cell, center), **(weighting or {}))
    base = out[: -len(".fits")]
    extra = {"phase_center": data.phase_center, "unit": "Jy/beam", "beam": dirty.beam}
    write_image(out, dirty.image, dirty.grid, **extra)
    write_image(f"{base}.psf.fits", dirty.psf, dirty.psf_grid, **extra)
    plot_data_image(dirty).savefig(f"{base}.png")
    beam = dirty.beam
    note(f'beam {beam.major:.3f}" x {beam.minor:.3f}", PA {beam.position_angle:.1f} deg')
    note(f"noise {1e6 * dirty.noise:.1f} uJy/beam, peak S/N {dirty.image.max() / dirty.noise:.1f}")
    note(f"written {out}, {base}.psf.fits, {base}.png")
    return {
        "beam": {"bmaj": beam.major, "bmin": beam.minor, "bpa": beam.position_angle},
        "noise_jy_beam": dirty.noise,
        "peak_jy_beam": float(dirty.image.max()),
        "pixel_scale": cell,
        "size": size,
    }
