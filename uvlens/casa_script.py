"""`uvlens casa-script`: the exporter for people inside CASA, as one file."""

from pathlib import Path

from .errors import InputError

SCRIPT = Path(__file__).with_name("casa_script_export.py")


def script_text():
    """The text of the script."""
    return SCRIPT.read_text(encoding="utf-8")


def write_script(path):
    """Save it.

    Raises:
        InputError: a file that cannot be written.
    """
    try:
        Path(path).write_text(script_text(), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
