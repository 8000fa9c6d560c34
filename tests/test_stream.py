"""Data that come in parts: the cut leaves no trace, memory stays flat, and every check on whole data is still made."""

import dataclasses
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest
from conftest import MASKS, random_visibilities

import uvlens as uvl
from uvlens.data import apply_weights, cells
from uvlens.data.stream import VisibilityStream


def cut(data, size):
    """Parts of `size` visibilities, as a generator."""
    return (data.select(slice(i, i + size)) for i in range(0, len(data), size))


def assert_equal(a, b, tolerance=0.0):
    """Two reductions agree to `tolerance` of their largest numbers, 0: bit for bit."""
    for one, other in [(a.terms[0].kernel, b.terms[0].kernel), (a.dirty_image, b.dirty_image)]:
        assert np.abs(one - other).max() <= tolerance * np.abs(one).max()
    assert abs(a.log_evidence_null - b.log_evidence_null) <= max(tolerance, 1e-15) * abs(a.log_evidence_null)
    assert a.n_visibilities == b.n_visibilities
    assert np.allclose(a.histogram.weight, b.histogram.weight, rtol=1e-12)
    assert a.hashes == b.hashes


@pytest.fixture(scope="module")
def data():
    data = random_visibilities(1000, 4, primary_beam=15.0, phase_center=(10.0, -20.0), name="data")
    weight = np.where(np.arange(1000) % 7 == 0, 0.0, data.weight)
    antennas = np.arange(1000) % 5, 5 + np.arange(1000) % 3
    extra = {"time": np.arange(1000.0) // 15, "frequency": np.full(1000, 1e11), "field": np.full(1000, 2)}
    return dataclasses.replace(data, weight=weight, antenna1=antennas[0], antenna2=antennas[1], **extra)


@pytest.mark.parametrize("size", [2, 13, 250, 999, 5000])
@pytest.mark.parametrize("window", [False, True])
def test_parts_of_any_length_give_the_same_bits(data, size, window):
    mask = MASKS["disc"]()
    whole = uvl.normal_operator(data, mask, "fft", pixel_window=window).reduction
    parts = uvl.normal_operator(cut(data, size), mask, "fft", pixel_window=window).reduction
    assert_equal(whole, parts)
    assert whole.observations == parts.observations
    assert np.array_equal(whole.terms[0].cells.vis, parts.terms[0].cells.vis)


@pytest.mark.parametrize("chunk", [1, 97, 500, 10_000])
def test_blocks_of_any_length_give_the_same_kernel(data, mask, chunk):
    whole = uvl.normal_operator(data, mask, "fft").reduction
    blocks = uvl.normal_operator(VisibilityStream(cut(data, 110)), mask, "fft", chunk=chunk).reduction
    assert_equal(whole, blocks, 1e-10)
    for key in cells.CELL_ARRAYS:
        assert np.allclose(getattr(whole.terms[0].cells, key), getattr(blocks.terms[0].cells, key), rtol=1e-9)


def test_streams_and_data_sets_add(data):
    mask, other = MASKS["disc"](), random_visibilities(200, 5)
    both = uvl.normal_operator([VisibilityStream(cut(data, 300)), other], mask, "fft").reduction
    assert_equal(both, uvl.normal_operator([data, other], mask, "fft").reduction)


def test_cells_are_bounded_and_keep_the_weight(monkeypatch):
    data = random_visibilities(5000, 6)
    monkeypatch.setattr(cells, "MAXIMUM_CELLS", 300)
    whole = cells.UVCells.of(data.u, data.v, data.vis, data.weight, 1e3)
    monkeypatch.setattr(cells, "_DENSE", 1)
    sparse = cells.UVCells.of(data.u, data.v, data.vis, data.weight, 1e3)
    assert len(whole.u) <= 300 and whole.size == sparse.size > 1e3
    assert np.isclose(whole.weight.sum(), data.weight.sum())
    for key in cells.CELL_ARRAYS:
        assert np.allclose(getattr(whole, key), getattr(sparse, key), rtol=1e-12)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("chunk", [7, 400, 10**6])
def test_npz_is_read_in_parts(data, save, chunk, tmp_path):
    data.write(tmp_path / "data.npz")
    with np.load(tmp_path / "data.npz") as archive:
        arrays = dict(archive)
    # others' arrays are not looked at, and rows flagged in a row do not stop the stream
    arrays["weight"][100:140] = 0.0
    save(tmp_path / "again.npz", picture=np.zeros((3, 3)), **arrays)
    stream = uvl.stream(tmp_path / "again.npz", chunk=chunk)
    whole = uvl.read(tmp_path / "again.npz")
    for _ in range(2):
        parts = list(stream)
        for key in ("u", "v", "vis", "weight", "antenna1", "time", "field"):
            assert np.array_equal(np.concatenate([getattr(part, key) for part in parts]), getattr(whole, key))
        assert {part.phase_center for part in parts} == {(10.0, -20.0)} and parts[0].primary_beam_fwhm == 15.0
    assert np.isclose(stream.suggested_pixel_scale(), whole.suggested_pixel_scale(), rtol=1e-12)
    mask = MASKS["disc"]()
    assert_equal(uvl.normal_operator(stream, mask, "fft").reduction, uvl.normal_operator(whole, mask, "fft").reduction)


def test_npz_of_others_is_read_in_parts(data, tmp_path):
    names = {"u": data.u, "v": data.v, "re": data.vis.real, "im": data.vis.imag, "freq": np.array(1e11)}
    flag = np.arange(1000) < 333
    np.savez(tmp_path / "x.npz", sigma=np.ones(1000, "f4"), flag=flag, **names)
    whole, parts = uvl.read(tmp_path / "x.npz"), list(uvl.stream(tmp_path / "x.npz", chunk=100))
    for key in ("vis", "weight", "frequency"):
        assert np.array_equal(np.concatenate([getattr(part, key) for part in parts]), getattr(whole, key))
    assert parts[0].name == whole.name == "x.npz"


def test_other_formats_make_one_part(data, tmp_path):
    data.write(tmp_path / "data.txt")
    (part,) = uvl.stream(tmp_path / "data.txt")
    assert np.allclose(part.vis, data.vis)


BAD_FILES = {
    "lengths": ({"v": np.ones(9)}, "v has 9 values"),
    "shape": ({"v": np.ones((10, 2))}, "one-dimensional"),
    "NaN in the last part": ({"u": np.r_[np.ones(9), np.nan]}, "NaN"),
    "negative weight": ({"weight": np.r_[np.ones(9), -1.0]}, "negative"),
    "flagged": ({"weight": np.zeros(10)}, "flagged"),
    "missing": ({"u": None}, "no array u"),
    "empty": (dict.fromkeys(("u", "v", "vis", "weight"), np.zeros(0)), "no visibilities"),
    "objects": ({"u": np.array([None] * 10)}, "damaged"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_named_in_one_line(name, tmp_path):
    change, message = BAD_FILES[name]
    arrays = {"u": np.full(10, 1e5), "v": np.ones(10), "vis": np.ones(10) + 0j, "weight": np.ones(10)} | change
    np.savez(tmp_path / "bad.npz", **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(uvl.InputError, match=message) as caught:
        list(uvl.stream(tmp_path / "bad.npz", chunk=4))
    assert str(tmp_path / "bad.npz") in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_cut_short(data, tmp_path):
    data.write(tmp_path / "data.npz")
    whole = (tmp_path / "data.npz").read_bytes()
    # the directory at the end is intact, the numbers are not
    (tmp_path / "cut.npz").write_bytes(whole[:5000] + bytes(2000) + whole[7000:])
    (tmp_path / "short.npz").write_bytes(whole[:5000])
    for name in ("cut.npz", "short.npz"):
        with pytest.raises(uvl.InputError, match=name):
            list(uvl.stream(tmp_path / name, chunk=100))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phase_center": (10.0, -21.0)}, "phase_center"),
        ({"primary_beam": 3.0}, "primary_beam"),
        ({"field": np.full(1000, 3)}, "fields 2, 3"),
    ],
)
def test_parts_that_are_not_one_observation(data, change, message):
    with pytest.raises(uvl.InputError, match=message):
        uvl.normal_operator(iter([data, dataclasses.replace(data, **change)]), MASKS["disc"]())


def test_checks_of_whole_data_are_made_on_streams(data):
    far, bare = uvl.Mask.disc(1.0, 0.1, (900.0, 0.0)), dataclasses.replace(data, primary_beam=None)
    for whole in (data, bare):
        with pytest.raises(uvl.InputError, match="outside the field"):
            uvl.normal_operator(cut(whole, 100), far)
    with pytest.raises(uvl.InputError, match="finer pixels"):
        uvl.normal_operator(cut(data, 100), uvl.Mask.disc(1.0, 0.5), pixel_window=True)
    with pytest.raises(uvl.InputError, match="twice"):
        uvl.normal_operator([VisibilityStream(cut(data, 100)), data.with_weights_scaled(2.0)], MASKS["disc"]())


def test_what_is_no_stream(data):
    mask = MASKS["disc"]()
    with pytest.raises(uvl.InputError, match="no part"):
        uvl.normal_operator(iter([]), mask)
    with pytest.raises(uvl.InputError, match="gives Visibilities, got ndarray"):
        uvl.normal_operator(iter([data.u]), mask)
    with pytest.raises(uvl.InputError, match="iterable"):
        VisibilityStream(data)
    stream = VisibilityStream(cut(data, 100))
    list(stream)
    with pytest.raises(uvl.InputError, match="read once"):
        list(stream)
    with pytest.raises(uvl.InputError, match="read once"):
        stream.suggested_pixel_scale()


def test_weights_of_a_stream(data):
    stream = VisibilityStream([data.select(slice(0, 500)), data.select(slice(500, None))], "named")
    scaled, sentence = apply_weights(stream, "rescale")
    expected, _ = apply_weights(data, "rescale")
    assert np.allclose(np.concatenate([part.weight for part in scaled]), expected.weight)
    assert "first 1,000 visibilities" in sentence and stream.name == "named"
    assert apply_weights(stream, "file")[0] is stream
    with pytest.raises(uvl.InputError, match="differences"):
        apply_weights(stream, "differences")


def test_npz_does_not_enter_memory_as_a_whole(tmp_path):
    n = 500_000
    rng = np.random.default_rng(1)
    u, v = rng.normal(0.0, 1e5, (2, n))
    np.savez(tmp_path / "x.npz", u=u, v=v, vis=np.ones(n) + 0j, weight=np.ones(n))
    tracemalloc.start()
    total = sum(len(part) for part in uvl.stream(tmp_path / "x.npz", chunk=20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 20 MB in the file, 0.8 MB a part
    assert total == n and peak < 6e6


def test_memory_does_not_grow_with_the_number_of_visibilities():
    """Peak of the process for 1 and for 6 parts of a million: 200 MB more if they were kept."""
    code = """
        import resource, sys
        import numpy as np
        import uvlens as uvl

        def parts(count, n=1_000_000):
            for i in range(count):
                rng = np.random.default_rng(i)
                u, v = rng.normal(0.0, 1e5, (2, n))
                yield uvl.Visibilities(u, v, rng.normal(size=n) + 0j, np.ones(n))

        mask = uvl.Mask.disc(2.0, 0.1)
        for count in (2, 6):
            normal = uvl.normal_operator(parts(count), mask, "fft", chunk=2**18)
            assert normal.reduction.n_visibilities == count * 1_000_000
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    ).stdout
    few, many = map(float, out.split())
    assert many - few < 60.0
