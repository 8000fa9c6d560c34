"""Options that several commands share."""

import click

_SELECTION = (
    ("--field", "Number or name of the field."),
    ("--spw", "Spectral windows: 0,1 or 0~3 or names."),
    ("--scan", "Scans: 1,2 or 5~9."),
    ("--channel", "Channels: 0~5, or 0:1~5,1:3~8 for those of windows 0 and 1."),
    ("--time", "START~END, in seconds of the file or as 2016/07/22/09:00:00~09:30:00."),
    ("--baseline", "Antennas A,B; pairs A&B; !A leaves out; numbers or names."),
    ("--uvrange", "SHORTEST~LONGEST in wavelengths, or 0~500klambda."),
    ("--column", "Of a measurement set: DATA, CORRECTED_DATA, ...; default: the corrected one."),
)


def selection_options(command):
    """The options that choose among the data of a file, where it has the information."""
    hands = click.Choice(["both", "any", "XX", "YY", "RR", "LL"])
    command = click.option("--stokes", type=hands, help="Hands that must be unflagged, or one alone; default: both.")(
        command
    )
    for name, help_text in reversed(_SELECTION):
        command = click.option(name, *(["--antenna", "baseline"] if name == "--baseline" else []), help=help_text)(
            command
        )
    return command


def reduction_options(command):
    """The options that say who reduces data larger than memory."""
    command = click.option("--scheduler", help="Address of a dask scheduler whose workers reduce data in partitions.")(
        command
    )
    workers = click.IntRange(min=1)
    return click.option("--workers", type=workers, help="Partitions that are reduced at once; default 2.")(command)


def averaging_options(command):
    """The options of averages."""
    for option in (
        click.option(
            "--centroid", type=click.Choice(["all", "weighted"]), help="Of bins flagged in part; default: weighted."
        ),
        click.option("--smearing", type=float, help="Largest loss of amplitude at --radius; auto: 0.001."),
        click.option("--baseline-average", is_flag=True, help="Each baseline as long as --smearing lets it."),
        click.option("--channel-average", metavar="N|WIDTH|spw|auto", help='Channels in a bin, or "10 MHz".'),
        click.option("--time-average", metavar="SECONDS|auto", help="Length of a bin."),
    ):
        command = option(command)
    return command


def selection_keys():
    return [name.removeprefix("--") for name, _ in _SELECTION]


def read_options(sign, uv_unit, **selection):
    from .data.selection import KEYS, Selection

    Selection.of(**{key: value for key, value in selection.items() if key in KEYS})
    options = {"sign": sign, "uv_unit": uv_unit, **selection}
    return {key: value for key, value in options.items() if value is not None}
