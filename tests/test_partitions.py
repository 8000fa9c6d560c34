"""Reductions in partitions: no cut, no number of workers and no interruption shows in them."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from measurement_sets import WINDOWS, point_source, write_measurement_set

import uvlens as uvl
from uvlens.cli import main
from uvlens.data import files, rows
from uvlens.data.stream import Flagged, VisibilityStream
from uvlens.normal import Reduction, partitions
from uvlens.normal.partial import is_partial, load_partial, save_partial
from uvlens.primarybeam import GaussianBeam

NAMES = [f"DV{i:02d}" for i in range(6)]
HERE = Path(__file__).parent


def mask():
    return uvl.Mask.disc(1.6, 0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With a.ms (11,160 visibilities) and b.ms (other noise)."""
    pytest.importorskip("arcae")
    folder = tmp_path_factory.mktemp("partitions")
    for name, seed in (("a.ms", 0), ("b.ms", 1)):
        write_measurement_set(folder / name, point_source(times=62, seed=seed), WINDOWS, ("LENS",), NAMES)
    return folder


@pytest.fixture
def small(monkeypatch):
    """Blocks of about 600 visibilities, partitions of about 1,800, as if the files were large."""
    monkeypatch.setattr(rows, "BLOCK", 600)
    monkeypatch.setattr(rows, "PARTITION", 1800)


@pytest.fixture
def counted(monkeypatch):
    """A list that grows with every partition that is reduced."""
    done = []

    def reduce_partition(partition, task, original=partitions.reduce_partition):
        done.append(partition)
        return original(partition, task)

    monkeypatch.setattr(partitions, "reduce_partition", reduce_partition)
    return done


def assert_same(a, b, tolerance=1e-10):
    assert len(a.terms) == len(b.terms)
    for one, other in zip(a.terms, b.terms):
        assert np.abs(one.kernel - other.kernel).max() <= tolerance * np.abs(one.kernel).max()
        if one.primary_beam is not None:
            assert np.allclose(one.primary_beam, other.primary_beam, rtol=tolerance)
    assert np.abs(a.dirty_image - b.dirty_image).max() <= tolerance * np.abs(a.dirty_image).max()
    assert abs(a.log_evidence_null - b.log_evidence_null) <= tolerance * abs(a.log_evidence_null)
    assert np.allclose(a.histogram.weight, b.histogram.weight, rtol=tolerance)
    for one, other in zip(a.observations, b.observations, strict=True):
        facts, others = (dataclasses.asdict(x) for x in (one, other))
        for key in facts:
            if isinstance(facts[key], float):
                assert np.isclose(facts[key], others[key], rtol=1e-12), key
            elif "sha256" not in key:
                assert facts[key] == others[key], key


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("size", [500, 1800, 10_000, 10**6])
def test_no_cut_and_no_number_of_workers_shows(folder, monkeypatch, workers, size):
    whole = uvl.normal_operator(uvl.read(folder / "a.ms"), mask(), "fft").reduction
    monkeypatch.setattr(rows, "BLOCK", 300)
    monkeypatch.setattr(rows, "PARTITION", size)
    for chunk in (170, 2**20):
        stream = uvl.stream(folder / "a.ms", chunk=chunk)
        assert (len(stream.partitions) > 1) == (size < 10**6)
        assert_same(uvl.reduce_partitions(stream, mask(), workers=workers, chunk=1000), whole)


def test_a_single_partition_leaves_the_bits(folder):
    whole = uvl.normal_operator(uvl.read(folder / "a.ms"), mask(), "fft").reduction
    stream = uvl.stream(folder / "a.ms")
    again = uvl.normal_operator(stream, mask(), "fft").reduction
    assert len(stream.partitions) == 1 and again.hashes == whole.hashes and again.observations == whole.observations
    assert np.array_equal(again.terms[0].kernel, whole.terms[0].kernel)


def test_the_hash_depends_on_the_data_not_on_the_workers(folder, small):
    one = uvl.reduce_partitions(uvl.stream(folder / "a.ms"), mask(), workers=1)
    assert one.hashes == uvl.reduce_partitions(uvl.stream(folder / "a.ms"), mask(), workers=3).hashes
    assert one.hashes != uvl.reduce_partitions(uvl.stream(folder / "b.ms"), mask()).hashes
    both = uvl.reduce_partitions([uvl.stream(folder / "a.ms"), uvl.stream(folder / "b.ms")], mask())
    assert len(both.observations) == 2 and both.n_visibilities > 1.9 * one.n_visibilities
    with pytest.raises(uvl.InputError, match="twice"):
        uvl.reduce_partitions([uvl.stream(folder / "a.ms"), uvl.stream(folder / "a.ms")], mask())


def test_beams_of_two_kinds_of_dishes_and_their_frequency_steps(tmp_path, small):
    """Partitions that begin at other frequencies and with other antennas group them alike."""
    pytest.importorskip("arcae")
    windows = [("a", np.array([8.5e10]), 1e9), ("b", np.array([1.1e11]), 1e9)]
    diameters = np.array([12.0, 12.0, 12.0, 7.0, 7.0, 7.0])
    write_measurement_set(tmp_path / "x.ms", point_source(80, windows=windows), windows, ("L",), NAMES, diameters)
    wide = uvl.Mask.disc(25.0, 1.0)
    whole = uvl.normal_operator(uvl.read(tmp_path / "x.ms"), wide, "fft").reduction
    stream = uvl.stream(tmp_path / "x.ms")
    cut = uvl.reduce_partitions(stream, wide, checkpoint=tmp_path / "parts")
    assert len(whole.terms) == 6 and len(stream.partitions) > 1
    assert_same(cut, whole)
    assert_same(uvl.reduce_partitions(stream, wide, checkpoint=tmp_path / "parts"), whole)  # beams come back from files


def test_partitions_without_anything_count_what_they_flag(folder, small):
    """Scan 2 alone: most partitions have no rows; antenna 3 in scan 1: none unflagged."""
    for options in ({"scan": 2}, {"scan": "1~2", "baseline": 3, "stokes": "XX"}, {"uvrange": [1e5, 2e5]}):
        whole = uvl.normal_operator(uvl.read(folder / "a.ms", **options), mask(), "fft").reduction
        assert_same(uvl.reduce_partitions(uvl.stream(folder / "a.ms", **options), mask()), whole)
    with pytest.raises(uvl.InputError, match="no visibilities left"):
        uvl.reduce_partitions(uvl.stream(folder / "a.ms", uvrange=[1, 2]), mask())


def test_flagged_parts_are_numbers(folder, small):
    source = files.measurement_set.source(folder / "a.ms")

    def flag_some(block):
        flagged = block["time"] < np.quantile(whole.time, 0.4)
        return block | {"weight": np.where(flagged, 0.0, block["weight"])}

    whole = uvl.read(folder / "a.ms")

    class Masked:
        def __getattr__(self, name):
            return getattr(source, name)

        def blocks(self, start, stop):
            return map(flag_some, source.blocks(start, stop))

    found = list(rows.parts(Masked(), 0, source.n_rows, 700))
    assert any(isinstance(part, Flagged) for part in found)
    assert sum(part.count if isinstance(part, Flagged) else len(part) for part in found) == len(whole)


def test_maps_reach_the_partitions(folder, small):
    stream = uvl.stream(folder / "a.ms")
    scaled = stream.with_weights_scaled(3.0)
    assert [p.identity for p in scaled.partitions] != [p.identity for p in stream.partitions]
    assert scaled.partitions[0].identity == stream.with_weights_scaled(3.0).partitions[0].identity
    assert stream.map(lambda part: part).partitions[0].identity is None
    whole = uvl.normal_operator(uvl.read(folder / "a.ms").with_weights_scaled(3.0), mask(), "fft").reduction
    assert_same(uvl.reduce_partitions(scaled, mask()), whole)


def test_what_is_done_is_not_done_again(folder, small, counted, tmp_path):
    stream, parts = uvl.stream(folder / "a.ms"), tmp_path / "parts"
    first = uvl.reduce_partitions(stream, mask(), checkpoint=parts)
    n = len(stream.partitions)
    assert len(counted) == n == len(list(parts.iterdir()))
    again = uvl.reduce_partitions(uvl.stream(folder / "a.ms"), mask(), checkpoint=parts)
    assert len(counted) == n
    assert_same(first, again, 0.0)
    for one in list(parts.iterdir())[:2]:  # one is gone, one is damaged
        one.unlink() if one == next(parts.iterdir()) else one.write_bytes(one.read_bytes()[:1000])
    assert_same(first, uvl.reduce_partitions(stream, mask(), checkpoint=parts), 0.0)
    assert n < len(counted) <= n + 2


@pytest.mark.parametrize("change", ["mask", "selection", "weights", "window", "beam", "file"])
def test_what_depends_on_something_else_is_done_again(folder, small, counted, tmp_path, change):
    path = folder / "b.ms"
    uvl.reduce_partitions(uvl.stream(path), mask(), checkpoint=tmp_path)
    n, stream, where, options = len(counted), uvl.stream(path), mask(), {}
    if change == "mask":
        where = uvl.Mask.disc(1.7, 0.1)
    elif change == "selection":
        stream = uvl.stream(path, channel="0~2")
    elif change == "weights":
        stream = stream.with_weights_scaled(2.0)
    elif change == "window":
        options = {"pixel_window": True}
    elif change == "beam":
        options = {"primary_beam": "none"}
    else:
        os.utime(path / "table.dat")
        stream = uvl.stream(path)
    uvl.reduce_partitions(stream, where, checkpoint=tmp_path, **options)
    assert len(counted) == n + len(stream.partitions)


def test_partial_sums_survive_a_file(folder, tmp_path):
    (partition,) = uvl.stream(folder / "a.ms").partitions
    task = partitions.Task(mask(), "auto", False, {}, 3.4e11)
    partial = partitions.reduce_partition(partition, task)
    save_partial(partial, tmp_path / "p.npz", "key")
    again = load_partial(tmp_path / "p.npz", "key")
    assert again is not None and again.counts == partial.counts and list(again.groups) == list(partial.groups)
    assert again.chi_squared == partial.chi_squared and again.pointing == partial.pointing
    for key, sums in partial.groups.items():
        assert np.array_equal(again.groups[key].images, sums.images)
    assert not is_partial(tmp_path / "p.npz", "other") and load_partial(tmp_path / "p.npz", "other") is None


CHILD = """
    import sys, time
    import uvlens as uvl
    from uvlens.data import rows
    from uvlens.normal import partitions

    rows.BLOCK, rows.PARTITION = 600, 1800
    original = partitions.reduce_partition

    def slowly(partition, task):
        result = original(partition, task)
        time.sleep(0.7)
        return result

    partitions.reduce_partition = slowly
    uvl.reduce_partitions(uvl.stream(sys.argv[1]), uvl.Mask.disc(1.6, 0.1), checkpoint=sys.argv[2])
"""


def test_a_killed_run_goes_on_from_its_last_partial_sum(folder, small, counted, tmp_path):
    code = [sys.executable, "-c", textwrap.dedent(CHILD), str(folder / "a.ms"), str(tmp_path)]
    with subprocess.Popen(code, env=os.environ | {"PYTHONPATH": str(HERE.parent)}) as child:
        for _ in range(1200):
            if len(list(tmp_path.glob("partial-*.npz"))) >= 2 or child.poll() is not None:
                break
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    kept = len(list(tmp_path.glob("partial-*.npz")))
    stream = uvl.stream(folder / "a.ms")
    reduction = uvl.reduce_partitions(stream, mask(), checkpoint=tmp_path)
    assert kept >= 2 and len(counted) == len(stream.partitions) - kept
    assert_same(reduction, uvl.normal_operator(uvl.read(folder / "a.ms"), mask(), "fft").reduction)


def test_an_error_in_a_partition_is_one_line(folder, small):
    def broken(part):
        if part.time[0] > 4.9758964e9:
            raise uvl.InputError("a.ms: something is wrong here")
        return part

    with pytest.raises(uvl.InputError, match="something is wrong here"):
        uvl.reduce_partitions(uvl.stream(folder / "a.ms").map(broken), mask())


def test_convert_adds_up_several_large_files(folder, small, monkeypatch, tmp_path):
    monkeypatch.setattr(files, "LARGEST_IN_MEMORY", 5000)
    out = tmp_path / "both.uvlens"
    arguments = ["convert", str(folder / "a.ms"), str(folder / "b.ms"), str(out), "--weights", "file"]
    arguments += ["--radius", "1.6", "--pixel-scale", "0.1"]
    result = CliRunner().invoke(main, [*arguments, "--workers", "2"])
    assert result.exit_code == 0, result.stderr
    assert not Path(f"{out}.parts").exists()
    data = [uvl.read(folder / name) for name in ("a.ms", "b.ms")]
    assert_same(Reduction.load(out)[0], uvl.normal_operator(data, mask(), "fft").reduction)
    for wrong in (["--workers", "0"], ["--scheduler", "tcp://127.0.0.1:1"]):
        out.unlink(missing_ok=True)
        result = CliRunner().invoke(main, [*arguments, *wrong])
        assert result.exit_code == 2 and "Traceback" not in result.stderr and not out.exists()


def test_a_large_file_is_streamed(folder, small, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_IN_MEMORY", 5000)
    assert isinstance(files.read_or_stream(folder / "a.ms"), VisibilityStream)
    for selection in ({"scan": 1}, {"channel": "0:1"}):  # what is wanted counts, not what is there
        assert isinstance(files.read_or_stream(folder / "a.ms", **selection), uvl.Visibilities)
    monkeypatch.setattr(files, "LARGEST_IN_MEMORY", 50_000)
    assert isinstance(files.read_or_stream(folder / "a.ms"), uvl.Visibilities)


def test_memory_does_not_grow_with_the_measurement_set(tmp_path):
    """Peak of the process after 0.3 and after 2.1 million visibilities: 220 MB more if they were kept."""
    pytest.importorskip("arcae")
    windows = [("w", 3.4e11 + 1e7 * np.arange(128), 1e7)]
    for name, times in (("small.ms", 80), ("large.ms", 560)):
        write_measurement_set(tmp_path / name, point_source(times, 8, windows), windows, ("L",), [*NAMES, "X", "Y"])
    code = """
        import sys
        import uvlens as uvl
        from uvlens.data import rows
        from uvlens.memory import peak_bytes

        rows.BLOCK, rows.PARTITION = 2**15, 2**18
        mask = uvl.Mask.disc(2.0, 0.1)
        for name in ("small.ms", "small.ms", "large.ms"):
            stream = uvl.stream(f"{sys.argv[1]}/{name}", chunk=2**16)
            n = uvl.reduce_partitions(stream, mask, chunk=2**16).n_visibilities
            print(n, len(stream.partitions), peak_bytes() / 2**20)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    _, few, many = ([float(word) for word in line.split()] for line in out.splitlines())
    assert many[0] > 1.5e6 and many[0] > 5 * few[0] and many[1] > few[1]
    assert many[2] - few[2] < 60.0


def test_without_dask_the_line_says_what_to_install(folder, small, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(uvl.InputError, match=r"pip install dask distributed"):
        uvl.reduce_partitions(uvl.stream(folder / "a.ms"), mask(), scheduler="tcp://127.0.0.1:8786")


def test_a_cluster_gives_the_same(folder, small, tmp_path):
    distributed = pytest.importorskip("dask.distributed")
    stream = uvl.stream(folder / "a.ms").map(lambda part: dataclasses.replace(part, primary_beam=GaussianBeam(12.0)))
    alone = uvl.reduce_partitions(stream, mask(), workers=1)
    with (
        distributed.LocalCluster(1, threads_per_worker=3, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert_same(uvl.reduce_partitions(stream, mask(), scheduler=client), alone, 1e-12)
        assert_same(uvl.reduce_partitions(stream, mask(), scheduler=cluster.scheduler_address), alone, 1e-12)


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(folder, small):
    distributed = pytest.importorskip("dask.distributed")

    def slowly(part):
        time.sleep(0.2)
        return part

    stream = uvl.stream(folder / "a.ms")
    alone = uvl.reduce_partitions(stream, mask(), workers=1)
    with (
        distributed.LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        workers, killed = list(client.run(os.getpid).values()), []

        def kill(_message, _fraction):
            if not killed:
                os.kill(workers[0], signal.SIGKILL)
                killed.append(workers[0])

        reduction = uvl.reduce_partitions(stream.map(slowly), mask(), scheduler=client, progress=kill)
        assert killed and workers[0] not in client.run(os.getpid).values()
    assert_same(reduction, alone)  # other processes, other numbers of threads in the transforms
