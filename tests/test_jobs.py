"""Many fits on workers that die: nothing is lost, nothing is done twice, one failure leaves the others alone."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from conftest import assert_same_numbers, is_alive, lensed_visibilities, n_drawn

import uvlens as uvl
from uvlens import jobcluster, jobs
from uvlens.cli import main

pytest.importorskip("dask.distributed")

MODEL = {
    "image_plane": {"pixel_scale": 0.12, "rays": 1, "mask": {"disc": {"radius": 0.7}}},
    "lens": {
        "mass": [
            {
                "profile": "SIE",
                "theta_E": {"uniform": [0.3, 0.6]},
                **{"e1": 0.1, "e2": 0.0, "center_x": 0.0, "center_y": 0.0},
            }
        ]
    },
    "source": {
        "pixels": {
            "mesh": {"type": "rectangular", "shape": [5, 5], "extent": 0.4},
            "regularization": {"type": "gradient", "strength": 0.01},
        }
    },
    "positions": "none",
    "fit": {"method": "nuts", "seed": 1, "n_starts": 1, "n_screen": 2, "n_chains": 1, "n_warmup": 20, "n_draws": 600},
}
STEPS = 12


def write_models(folder, n, draws=600):
    """n mock lenses of different Einstein radii, each with its data."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        sie = uvl.SIE(0.4 + 0.02 * i, 0.1, 0.0, 0.0, 0.0)
        lensed_visibilities(80, i, uvl.LensPlane([sie])).write(folder / f"lens{i}.npz")
        content = {"data": [{"file": f"lens{i}.npz", "weights": "file"}], **MODEL}
        content["fit"] = {**MODEL["fit"], "n_draws": draws}
        (folder / f"lens{i}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder


def patient(job, step=0.1):
    """Stands for a fit: a few steps, each kept; what a killed one has done is not done again."""
    job.folder.mkdir(parents=True, exist_ok=True)
    steps = job.folder / "steps"
    (job.folder / f"pid.{os.getpid()}").touch()
    if job.file.stem == "bad":
        return {"status": "failed", "error": "wrong", "seconds": 0.0}
    if job.file.stem == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    while not steps.exists() or len(steps.read_text()) < STEPS:
        time.sleep(step)
        with open(steps, "a") as stream:
            stream.write("x")
    return {"status": "finished", "error": "", "seconds": 1.0}


def names_of(folder, names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.yaml").write_text("{}")
    return folder


def kill_first_worker(job, delay=0.0, pattern="pid.*"):
    """Kill the process that works on a job, as soon as it has begun."""
    while not list(job.folder.glob(pattern)):
        time.sleep(0.01)
    time.sleep(delay)
    os.kill(int(next(job.folder.glob("pid.*")).suffix[1:]), signal.SIGKILL)


def crowded(job, n_deaths):
    """Stands for a fit whose workers die until dask gives it up, and `n_deaths` times more when it is tried alone."""
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / f"pid.{os.getpid()}").touch()
    n_before = len(list(job.folder.glob("pid.*")))
    if job.file.stem == "large" and n_before <= 4 + n_deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"status": "finished", "error": "", "seconds": 1.0}


@pytest.mark.parametrize("n_deaths, status", [(1, "finished"), (9, "failed")])
def test_a_fit_that_was_given_up_is_tried_alone(tmp_path, n_deaths, status):
    todo = jobs.find_jobs(names_of(tmp_path / "models", ["large"]), tmp_path / "out")
    with jobcluster.worker_processes(None, 1) as client:
        ((job, outcome),) = jobcluster.run_jobs(client, todo, 1, crowded, n_deaths)
    assert outcome["status"] == status
    assert len(list(job.folder.glob("pid.*"))) == min(4 + n_deaths + 1, 8)


def test_a_killed_worker_loses_nothing_and_a_failure_is_one_line(tmp_path):
    """Of four jobs on two processes one loses its worker, one fails, one kills every worker that it is given to."""
    todo = jobs.find_jobs(names_of(tmp_path / "models", ["a", "b", "bad", "deadly"]), tmp_path / "out")
    assert [job.name for job in todo] == ["a", "b", "bad", "deadly"]
    killer = threading.Thread(target=kill_first_worker, args=(todo[0], 0.4))
    killer.start()
    with jobcluster.worker_processes(None, 2) as client:
        ended = {job.name: outcome for job, outcome in jobcluster.run_jobs(client, todo, 2, patient)}
    killer.join()
    assert {name: one["status"] for name, one in ended.items()} == {
        "a": "finished",
        "b": "finished",
        "bad": "failed",
        "deadly": "failed",
    }
    assert ended["bad"]["error"] == "wrong" and ended["deadly"]["error"].startswith("its workers died")
    # the work of the killed one was taken up by another process (which "deadly" may have ended), where it was left
    assert len(list(todo[0].folder.glob("pid.*"))) >= 2
    assert len((todo[0].folder / "steps").read_text()) == STEPS
    # dask tries four times (it may blame the deaths of others on this job), and what it gave up is tried alone
    assert 4 < len(list(todo[3].folder.glob("pid.*"))) <= 8 and list(ended)[-1] == "deadly"


def test_ctrl_c_ends_the_workers(tmp_path):
    """SIGINT to the main process alone: it ends at once, and the workers with it."""
    folder = names_of(tmp_path / "models", ["a", "b"])
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_jobs\n"
        "from uvlens import jobs\n"
        "from uvlens.cli import main\n"
        "def slow(job, *_):\n"
        "    return test_jobs.patient(job, 60.0)\n"
        "if __name__ == '__main__':\n"
        "    jobs.fit_one = slow\n"
        f"    main(['fit', {str(folder)!r}, '--jobs', '2', '--out', {str(tmp_path / 'out')!r}])\n"
    )
    process = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, text=True)
    pids = []
    while len(pids) < 2:
        assert process.poll() is None
        pids = [int(file.suffix[1:]) for file in (tmp_path / "out").glob("*/pid.*")]
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=200)
    assert process.returncode == 1 and said.strip().splitlines()[-1] == "uvlens: interrupted"
    until = time.monotonic() + 60.0
    while any(is_alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(is_alive(pid) for pid in pids)


def test_files_folders_and_globs(tmp_path):
    folder = names_of(tmp_path / "models", ["b", "a"])
    (folder / "notes.txt").touch()
    for given in (folder, [folder / "a.yaml", folder / "b.yaml"], str(folder / "*.yaml"), [folder, folder / "a.yaml"]):
        found = jobs.find_jobs(given, tmp_path / "out")
        assert [(job.file.name, job.folder) for job in found] == [
            ("a.yaml", tmp_path / "out" / "a"),
            ("b.yaml", tmp_path / "out" / "b"),
        ]
    other = names_of(tmp_path / "others", ["a"])
    (tmp_path / "empty").mkdir()
    for given, words in (
        ([folder, other], "would both be fitted"),
        (tmp_path / "empty", "no model files"),
        (folder / "c.yaml", "no such file"),
        (str(folder / "c*.yaml"), "no such file"),
        ([], "no model files"),
    ):
        with pytest.raises(uvl.InputError, match=words):
            jobs.find_jobs(given, tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--scheduler", "tcp://127.0.0.1:1", "--jobs", "2"], "no dask scheduler"), (["--jobs", "0"], "jobs")],
)
def test_bad_input_gets_one_line(tmp_path, arguments, words):
    folder = names_of(tmp_path / "models", ["a"])
    result = CliRunner().invoke(main, ["fit", str(folder), "--out", str(tmp_path / "out"), *arguments])
    assert result.exit_code == 2 and words in result.stderr.splitlines()[-1] and "Traceback" not in result.output


@pytest.mark.slow
def test_what_is_skipped_failed_and_finished(tmp_path, monkeypatch):
    """Two fits and a model file with a mistake in this process, then --resume: only the failed one is tried again."""
    folder = write_models(tmp_path / "models", 2, draws=20)
    text = (folder / "lens0.yaml").read_text()
    (folder / "wrong.yaml").write_text(text.replace("theta_E", "thetaE"))
    monkeypatch.setattr("uvlens.results.source_parameters", lambda *_: {})
    monkeypatch.setattr("uvlens.commands.report_if_possible", lambda folder: "none")
    tried = []

    def in_this_process(client, todo, n_at_once, work, *arguments):
        tried.append([job.name for job in todo])
        return [(job, work(job)) for job in todo]

    import contextlib

    monkeypatch.setattr(jobs, "_cluster", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(jobs, "_run", in_this_process)
    out = tmp_path / "out"
    run = ["fit", str(folder), "--jobs", "2", "--out", str(out)]
    first = CliRunner().invoke(main, run, catch_exceptions=False)
    assert first.exit_code == 1
    rows = json.loads((out / "jobs.json").read_text())["jobs"]
    assert [(row["name"], row["status"]) for row in rows] == [
        ("lens0", "finished"),
        ("lens1", "finished"),
        ("wrong", "failed"),
    ]
    assert "lens.mass.0.theta_E: missing" in rows[2]["error"] and "failed" in (out / "wrong" / jobs.LOG).read_text()
    assert "[3 of 3] wrong: failed" in first.stderr and "[1 of 3] lens0: finished" in first.stderr
    from astropy.table import Table

    table = Table.read(out / "results.csv", format="ascii.csv")
    assert len(table) == 2
    for i, row in enumerate(table):
        assert abs(row["lens.mass.0.theta_E"] - 0.4 - 0.02 * i) < 0.02
    assert len(uvl.load_results(out / "*")) == 2
    again = CliRunner().invoke(main, [*run, "--resume"], catch_exceptions=False)
    assert again.exit_code == 1 and tried == [["lens0", "lens1", "wrong"], ["wrong"]]
    # a model file that was changed is not skipped, and its checkpoints do not pass for those of the new one
    (folder / "lens1.yaml").write_text(text.replace("seed: 1", "seed: 2").replace("lens0.npz", "lens1.npz"))
    rows = uvl.fit_many(folder, out, resume=True)
    assert tried[-1] == ["lens1", "wrong"] and "belong to another" in rows[1]["error"]


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 8])
def test_fits_whose_worker_is_killed_equal_those_of_a_quiet_run(tmp_path, n):
    """n mock lenses on two processes; the one that samples the third is killed in the middle of its chain."""
    folder = write_models(tmp_path / "models", n)
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    command = [sys.executable, "-m", "uvlens.cli", "fit", str(folder), "--jobs", "2", "--out"]
    subprocess.run([*command, str(quiet)], check=True)
    process = subprocess.Popen([*command, str(killed)])
    chain = killed / "lens2" / "checkpoint.chain0.npz"
    while not n_drawn(chain):
        assert process.poll() is None
        time.sleep(0.01)
    said = (killed / "lens2" / jobs.LOG).read_text()
    os.kill(int(said.split("process ")[-1].split()[0]), signal.SIGKILL)
    assert n_drawn(chain) < 600
    assert process.wait() == 0
    said = (killed / "lens2" / jobs.LOG).read_text()
    assert said.count("process ") == 2
    for i in range(n):
        one, other = (json.loads((run / f"lens{i}" / "summary.json").read_text()) for run in (quiet, killed))
        for key in ("parameters", "derived", "max_log_evidence", "terms", "n_evaluations"):
            assert_same_numbers(one[key], other[key], f"{i} {key}")
    assert len(uvl.load_results(killed / "*")) == n


def test_a_job_is_stamped_by_all_files_that_it_names(tmp_path):
    """Folders, files that other sections name, and maps that are named by the beginning of their names."""
    (tmp_path / "target.ms" / "sub").mkdir(parents=True)
    (tmp_path / "triplet").mkdir()
    files = ["target.ms/sub/table.f0", "triplet/data.fits", "mask.fits", "maps.alpha_x.fits", "lens0.yaml"]
    for name in files:
        (tmp_path / name).write_text("0")
    content = {
        "data": [{"file": "target.ms"}, {"file": "triplet"}],
        "image_plane": {"mask": {"file": "mask.fits"}},
        "lens": {"mass": [{"profile": "DeflectionMap", "file": "./maps"}, {"profile": "SIE", "center_x": "1.0 / 3"}]},
    }
    job = jobs.Job(tmp_path / "lens0.yaml", tmp_path / "out")
    job.file.write_text(yaml.safe_dump(content))
    known = {jobs._stamp(job)}
    assert known == {jobs._stamp(job)}
    for n, name in enumerate(files[:-1], 2):
        (tmp_path / name).write_text("changed")
        known.add(jobs._stamp(job))
        assert len(known) == n, name


def test_what_is_fitted_afresh_finds_nothing_of_an_earlier_fit(tmp_path):
    for folder in (tmp_path, tmp_path / "1_simple"):
        for name in ("calibration/first", "reduction"):
            (folder / name).mkdir(parents=True)
        for name in ("checkpoint.json", "summary.json", "calibration/state.npz", "reduction/partial-1.npz", "mine.txt"):
            (folder / name).write_text("0")
    jobs._clear(tmp_path)
    left = sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*"))
    assert left == ["1_simple", "1_simple/mine.txt", "mine.txt"]
