"""Runs that are killed in the middle of a search and resumed, and disks that are full."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from conftest import assert_same_numbers, lensed_visibilities

import uvlens as uvl
from uvlens.data import write
from uvlens.files import check_room

SIE = {"theta_E": 0.5, "e1": 0.15, "e2": -0.1, "center_x": 0.02, "center_y": 0.03}
MODEL = {
    "data": [{"file": "data.npz", "weights": "file"}],
    "image_plane": {"pixel_scale": 0.11, "rays": 2, "mask": {"disc": {"radius": 0.8}}},
    "lens": {"mass": [{"profile": "SIE", **SIE, "theta_E": {"uniform": [0.35, 0.65]}, "e1": {"normal": [0.1, 0.1]}}]},
    "source": {
        "pixels": {
            "mesh": {"type": "rectangular", "shape": [6, 6], "extent": 0.3},
            "regularization": {"type": "gradient", "strength": 0.1},
        }
    },
    "positions": "none",
}
START = {"seed": 3, "n_starts": 2, "n_screen": 6}
SEARCHES = {
    "optimize": ({**START, "n_screen": 400}, "checkpoint.json"),
    "laplace": ({**START, "n_draws": 20000}, "checkpoint.laplace.weights.npz"),
    "svi": ({**START, "n_steps": 400, "n_draws": 400}, "checkpoint.svi.npz"),
    "nuts": ({**START, "n_chains": 2, "n_warmup": 40, "n_draws": 400}, "checkpoint.chain1.npz"),
    "nautilus": ({"seed": 3, "n_live": 100, "n_effective": 30000}, "checkpoint.nautilus.hdf5"),
    "auto": ({**START, "n_chains": 2, "n_steps": 50, "target_ess": 2000}, "checkpoint.chain1.npz"),
}
"""Options and the file whose appearance says that the search is in its middle."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    write(lensed_visibilities(200, 5, uvl.LensPlane([uvl.SIE(**SIE)])), folder / "data.npz")
    return folder


def command(folder, method, out, *more):
    options, _ = SEARCHES[method]
    file = folder / f"{method}.yaml"
    file.write_text(yaml.safe_dump(MODEL | {"fit": {"method": method, **options}}))
    return [sys.executable, "-m", "uvlens.cli", "fit", str(file), "--out", str(out), *more]


@pytest.mark.slow
@pytest.mark.parametrize("method", SEARCHES)
def test_a_killed_search_gives_the_same_posterior(folder, method):
    """SIGKILL in the middle, --resume, against a run that was left alone."""
    out, whole = folder / f"{method}.killed", folder / f"{method}.whole"
    running = subprocess.Popen(command(folder, method, out), stderr=subprocess.PIPE)
    began, sign = time.monotonic(), out / SEARCHES[method][1]
    while not sign.exists() and time.monotonic() - began < 300.0 and running.poll() is None:
        time.sleep(0.01)
    assert sign.exists() and running.poll() is None, running.stderr and running.stderr.read().decode()
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (out / "summary.json").exists()
    for arguments in ((out, "--resume"), (whole,)):
        done = subprocess.run(command(folder, method, *arguments), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-1000:]
    resumed, alone = (json.loads((one / "summary.json").read_text()) for one in (out, whole))
    for key in ("parameters", "log_evidence"):
        assert_same_numbers(resumed[key], alone[key], key)
    assert abs(resumed["n_evaluations"] - alone["n_evaluations"]) <= 0.02 * alone["n_evaluations"] + 20
    assert not list(out.glob("*.partial*"))


def test_a_full_disk_gives_one_clear_error(folder):
    out = folder / "full"
    limited = ["sh", "-c", 'ulimit -f 60; exec "$@"', "sh"]  # no file above 30 kB
    done = subprocess.run([*limited, *command(folder, "auto", out)], capture_output=True, text=True)
    assert done.returncode in (1, 2)
    said = [line for line in done.stderr.splitlines() if line.startswith("uvlens:")]
    assert len(said) == 1 and "cannot write" in said[0] and "File too large" in said[0]
    assert "Traceback" not in done.stderr
    assert not list(out.glob("*.partial*")) if out.exists() else True


def test_a_folder_that_cannot_be_written_is_refused_before_the_search(folder, monkeypatch):
    blocked = folder / "file" / "out"
    (folder / "file").write_text("")
    done = subprocess.run(command(folder, "auto", blocked), capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("uvlens:") == 1 and "Traceback" not in done.stderr
    room = folder / "room"
    room.mkdir()
    check_room(room)
    assert not os.listdir(room)
    with pytest.raises(uvl.InputError, match="MB are left"):
        check_room(room, n_bytes=10**18)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(uvl.InputError, match=r"cannot write to .*Permission denied"):
        check_room(room)
