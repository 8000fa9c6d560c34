"""A^-1 from its Cholesky factor on two cores, with three joins instead of a library's hundreds.

    A = U^T U,   U = [[U11, U12], [0, U22]],   X = U^-1 = [[X11, X12], [0, X22]],   X12 = -X11 U12 X22
    A^-1 = X X^T = [[X11 X11^T + X12 X12^T, X12 X22^T], [., X22 X22^T]]

LAPACK and BLAS are called through the pointers that SciPy exports for Cython; a call through `ctypes` releases the
interpreter's lock, which SciPy's own wrappers of these routines hold.
"""

import ctypes
import functools

import numpy as np
from scipy.linalg import cython_blas, cython_lapack

from ..threads import pool

_SMALLEST = 512
"""Size from which halves pay."""


def inverse_of(factor):
    """Upper triangle of A^-1 in place of the upper factor U, float64 in Fortran's order, shape (S, S)."""
    n = len(factor)
    if n < _SMALLEST:
        _inverse_of_triangle(factor, 0, n)
        _lapack("dlauum", factor, 0, n)
        return factor
    h = n // 2
    rest, middle, half = n - h, (h + n) // 2, h // 2
    _both(lambda: _inverse_of_triangle(factor, 0, h), lambda: _inverse_of_triangle(factor, h, rest))
    # X12 = -X11 U12 X22: from the left by columns, from the right by rows
    _both(
        lambda: _times(factor, b"L", b"N", 0, h, (0, h), (h, middle - h), 1.0),
        lambda: _times(factor, b"L", b"N", 0, h, (0, middle), (h, n - middle), 1.0),
    )
    _both(
        lambda: _times(factor, b"R", b"N", h, rest, (0, h), (half, rest), -1.0),
        lambda: _times(factor, b"R", b"N", h, rest, (half, h), (h - half, rest), -1.0),
    )
    corner = np.asfortranarray(factor[:h, h:])

    def first():
        _lapack("dlauum", factor, 0, h)
        _add_square(factor, corner)

    def second():
        _times(factor, b"R", b"T", h, rest, (0, h), (h, rest), 1.0)
        _lapack("dlauum", factor, h, rest)

    _both(first, second)
    return factor


def _both(first, second):
    """Both functions, one on another thread."""
    future = pool()[0].submit(second)
    first()
    future.result()


def _inverse_of_triangle(matrix, start, size):
    _lapack("dtrtri", matrix, start, size, diagonal=True)


@functools.cache
def _function(module, name, n_arguments):
    """A Fortran routine, every argument a pointer."""
    capsule = (cython_blas if module == "blas" else cython_lapack).__pyx_capi__[name]
    get_name, get_pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = get_pointer(capsule, get_name(capsule))
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * n_arguments)(address)


def _at(matrix, row, column):
    """Address of an element of a matrix in Fortran's order."""
    return ctypes.c_void_p(matrix.ctypes.data + 8 * (row + column * matrix.shape[0]))


def _pointer(value):
    kinds = {bytes: ctypes.c_char, int: ctypes.c_int, float: ctypes.c_double}
    return ctypes.byref(kinds[type(value)](value))


def _lapack(name, matrix, start, size, diagonal=False):
    """dtrtri or dlauum on the upper triangle of a diagonal block."""
    info = ctypes.c_int(0)
    arguments = [_pointer(b"U"), *([_pointer(b"N")] if diagonal else []), _pointer(size)]
    arguments += [_at(matrix, start, start), _pointer(matrix.shape[0]), ctypes.byref(info)]
    _function("lapack", name, len(arguments))(*arguments)


def _times(matrix, side, transposed, start, size, corner, shape, factor):
    """Block of `matrix` at `corner` times its upper triangle at (start, start), from one side, in place."""
    rows, columns = shape
    leading = _pointer(matrix.shape[0])
    arguments = [
        _pointer(side),
        _pointer(b"U"),
        _pointer(transposed),
        _pointer(b"N"),
        _pointer(rows),
        _pointer(columns),
    ]
    arguments += [_pointer(factor), _at(matrix, start, start), leading, _at(matrix, *corner), leading]
    _function("blas", "dtrmm", 11)(*arguments)


def _add_square(matrix, corner):
    """Leading block of `matrix` += corner corner^T, upper triangle."""
    h, k = corner.shape
    arguments = [
        _pointer(b"U"),
        _pointer(b"N"),
        _pointer(h),
        _pointer(k),
        _pointer(1.0),
        _at(corner, 0, 0),
        _pointer(h),
    ]
    arguments += [_pointer(1.0), _at(matrix, 0, 0), _pointer(matrix.shape[0])]
    _function("blas", "dsyrk", 10)(*arguments)
