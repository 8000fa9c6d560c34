"""The page of `uvlens info` for people: aligned, grouped, with units."""

import datetime

from .positions import Peak, positions_line


def info_page(facts):
    """Text of several lines from the facts of `describe_data` or `describe_compressed`."""
    if facts.get("kind") == "image":
        from .describeimage import image_page

        return image_page(facts)
    title = facts.get("file", facts["name"])
    if facts["name"] not in (title, "visibilities"):
        title += f" ({facts['name']})"
    groups = [
        (title, _data_lines(facts)),
        ("Spectral windows", _window_lines(facts["spws"])),
        ("Array", _array_lines(facts)),
        ("Natural image", _image_lines(facts)),
        ("For a fit", _fit_lines(facts)),
        ("Compressed data set", _compressed_lines(facts.get("compressed"))),
        ("Warnings", [f"- {sentence}" for sentence in facts["warnings"]]),
    ]
    text = []
    for title, lines in groups:
        if lines:
            text += [title, *(f"  {line}".rstrip() for line in lines), ""]
    return "\n".join(text[:-1])


def _row(name, value):
    return f"{name:<15} {value}"


def _data_lines(facts):
    lines = []
    names, numbers = facts.get("field_names"), facts["fields"]
    if names:
        own = [f"{n} {name}" for n, name in zip(numbers, names) if n in facts["field"]]
        lines.append(_row("field", ", ".join(own)))
    elif numbers != [0]:
        lines.append(_row("field", ", ".join(map(str, numbers))))
    center = facts["phase_center"]
    if center is not None:
        lines.append(_row("phase centre", f"{_hours(center['ra'])} {_degrees(center['dec'])}"))
    x, y = facts.get("pointing_offset", (0.0, 0.0))
    if abs(x) + abs(y) > 1e-3:
        lines.append(_row("pointing", f'{x:+.2f}" East, {y:+.2f}" North of it'))
    time = facts.get("time")
    if time is not None:
        lines.append(_row("time", _interval(time["start"], time["end"])))
        said = []
        if time["on_source"] is not None:
            said.append(f"{_duration(time['on_source'])} on source")
            said.append(f"integrations of {_duration(time['integration'])}")
        if time["n_scans"] is not None:
            said.append(_count(time["n_scans"], "scan"))
        if said:
            lines.append(_row("", ", ".join(said)))
    centers = facts.get("field_centers") or {}
    others = [(n, name) for n, name in zip(numbers, names or ()) if n not in facts["field"]]
    width = max((len(name) for _, name in others), default=0)
    for i, (n, name) in enumerate(others):
        at = centers.get(str(n))
        where = f"   {_hours(at['ra'])} {_degrees(at['dec'])}" if at else ""
        lines.append(_row("" if i else "other fields", f"{n} {name:<{width}}{where}".rstrip()))
    n, flagged = facts["n_visibilities"], facts["n_flagged"]
    share = f", {flagged:,} of them flagged ({100.0 * flagged / max(n, 1):.1f} %)" if flagged else ", none flagged"
    return [*lines, _row("visibilities", f"{n:,}{share}")]


def _window_lines(windows):
    lines = []
    for one in windows:
        text = f"{one['id']:>3}"
        text += f"   {one['frequency_hz'] / 1e9:10.4f} GHz" if one["frequency_hz"] else "   frequency unknown"
        width = one.get("channel_width_hz")
        channels = _count(one["n_channels"], "channel")
        text += f"   {channels + (f' of {width / 1e6:,.4g} MHz' if width else ''):<26}"
        if one["weight_factor"] is not None:
            text += f"   true / file weight {one['weight_factor']:.4g} +- {one['weight_factor_error']:.2g}"
        elif one.get("name"):
            text += f"   {one['name']}"
        lines.append(text.rstrip())
    return lines


def _array_lines(facts):
    lines = []
    if facts["antennas"] is not None:
        dishes = facts.get("dishes") or []
        if len(dishes) == 1:
            lines.append(_row("antennas", f"{facts['antennas']} of {dishes[0]['diameter_m']:g} m"))
        else:
            kinds = " and ".join(f"{one['antennas']} of {one['diameter_m']:g} m" for one in dishes)
            lines.append(_row("antennas", f"{facts['antennas']}{f' ({kinds})' if kinds else ''}"))
    low, high = (value / 1e3 for value in facts["uv_range"])
    metres = facts.get("uv_range_m")
    lengths = f"{low:,.4g} to {high:,.4g} klambda"
    lines.append(_row("baselines", f"{metres[0]:,.4g} to {metres[1]:,.4g} m   ({lengths})" if metres else lengths))
    fwhm = facts["primary_beam_fwhm"]
    if fwhm is not None:
        kind = facts.get("primary_beam")
        lines.append(_row("primary beam", f'{fwhm:.4g}" FWHM' + (f"   ({kind})" if kind else "")))
    return lines


def _image_lines(facts):
    beam = facts["beam"]
    lines = [
        _row("beam", f'{beam["bmaj"]:.4g}" x {beam["bmin"]:.4g}", PA {beam["bpa"]:.1f} deg'),
        _row("largest scale", f'{facts["largest_scale"]:.3g}"'),
        _row("sensitivity", _flux(facts["sensitivity_jy_beam"])),
    ]
    rescaled = facts.get("rescaled_sensitivity_jy_beam")
    if rescaled is not None and abs(rescaled / facts["sensitivity_jy_beam"] - 1.0) > 0.02:
        lines[-1] += f" by the weights in the file, {_flux(rescaled)} by the scatter of the data"
    if "peak_snr" in facts:
        lines.append(_row("peak", f"{_flux(facts['peak_jy_beam'])}, signal to noise {facts['peak_snr']:.1f}"))
        lines.append(_row("in all data", f"signal to noise {facts['total_snr']:.0f}"))
    return lines


def _fit_lines(facts):
    lines = [_row("pixel scale", f'{facts["suggested_pixel_scale"]:.3g}"')]
    if "suggested_mask_radius" not in facts:
        return lines
    radius = facts["suggested_mask_radius"]
    why = (
        "holds the emission that a quick CLEAN finds" if facts["emission_found"] else "no emission above 5 sigma found"
    )
    lines.append(_row("mask radius", f'{radius:.2g}"   ({why})'))
    smearing = facts["smearing"]
    parts = [
        f"{what} {_percent(smearing[key]['mean'])} (longest baseline {_percent(smearing[key]['worst'])})"
        for key, what in (("channel", "channels"), ("time", "integrations"))
        if smearing[key] is not None
    ]
    if parts:
        lines.append(_row("smearing there", ", ".join(parts)))
    if facts["w_term_rad"] is not None:
        lines.append(_row("w term there", f"{facts['w_term_rad']:.2g} rad"))
    if facts["positions"] is not None:
        found = [Peak(x, y, 0.0) for x, y in facts["positions"]["xy"]]
        lines += ["", "image positions, a proposal from the peaks of a quick CLEAN: look before you use it"]
        lines.append(positions_line(found, facts["positions"]["threshold"]))
    return lines


def _compressed_lines(facts):
    if facts is None:
        return []
    lines = [_row("pixels", f'{facts["n_image_pixels"]:,} of {facts["pixel_scale"]:.4g}"')]
    x, y = facts["center"]
    lines.append(_row("centre", f'{x:+.3f}" East, {y:+.3f}" North'))
    if facts["pixel_window"]:
        lines.append(_row("pixel window", "divided out"))
    lines.append(_row("ln E of no sky", f"{facts['log_evidence_null']:.6f}"))
    lines.append(_row("made by", f"uvlens {facts['version']}"))
    lines += [_row("from" if i == 0 else "", source) for i, source in enumerate(facts["sources"])]
    return lines + [_row("remarks" if i == 0 else "", note) for i, note in enumerate(facts["notes"])]


def _count(n, noun):
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def _flux(value):
    scales = ((1.0, "Jy"), (1e3, "mJy"), (1e6, "uJy"))
    factor, unit = next((one for one in scales if abs(value) * one[0] >= 0.9995), scales[-1])
    return f"{value * factor:.4g} {unit}/beam"


def _percent(share):
    return f"{100.0 * share:.2g} %" if share >= 1e-5 else "< 0.001 %"


def _duration(seconds):
    if seconds < 120.0:
        return f"{seconds:.3g} s"
    return f"{seconds / 60.0:.1f} min" if seconds < 7200.0 else f"{seconds / 3600.0:.2f} h"


def _interval(start, end):
    """Dates where the times are MJD (measurement sets) or JD (UVFITS) in seconds, else the length alone."""
    days = start / 86400.0
    if 2_430_000.0 < days < 2_500_000.0:
        days -= 2_400_000.5
    elif not 30_000.0 < days < 100_000.0:
        return f"over {_duration(end - start)}"
    first = datetime.datetime(1858, 11, 17) + datetime.timedelta(days=days)
    last = first + datetime.timedelta(seconds=end - start)
    shown = f"{last:%H:%M:%S}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M:%S}"
    return f"{first:%Y-%m-%d %H:%M:%S} to {shown} UTC"


def _hours(ra):
    total = round(ra % 360.0 / 15.0 * 3.6e6) % 86_400_000  # ms of time
    return f"{total // 3_600_000:02d}h{total // 60_000 % 60:02d}m{total % 60_000 / 1e3:06.3f}s"


def _degrees(dec):
    total = round(abs(dec) * 3.6e5)  # hundredths of arcsec
    return f"{'-' if dec < 0 else '+'}{total // 360_000:02d}d{total // 6000 % 60:02d}m{total % 6000 / 100:05.2f}s"
