"""A synthetic observation: an array looks at a sky, and thermal noise is added."""

import numpy as np

from ..data.visibilities import Visibilities
from ..errors import InputError
from .arrays import Array
from .checks import positive_integer, positive_number
from .noise import sefd_from_tsys, visibility_sigma
from .predict import predict
from .uvtracks import SIDEREAL_RATE, uv_tracks


def observe(
    sky,
    array,
    *,
    seed,
    declination=None,
    hour_angle=(-1.0, 1.0),
    integration=30.0,
    frequency=345e9,
    bandwidth=7.5e9,
    n_channels=1,
    sefd=None,
    tsys=None,
    sigma=None,
    n_polarizations=2,
    efficiency=1.0,
    aperture_efficiency=0.7,
    phase_center=None,
    primary_beam=True,
    min_elevation=20.0,
    drop_shadowed=True,
    add_noise=True,
    name="simulation",
):
    """Visibilities that an array would measure, one per integration, baseline and channel.

        V_k = sum_i A(x_i) I_i exp(+2 pi i (u_k x_i + v_k y_i)) + n_k,    Re n_k, Im n_k ~ N(0, sigma_k^2)

    Every visibility is that of the middle of its integration and channel: smearing is not simulated.

    Args:
        sky: (image, pixel_scale) or (image, pixel_scale, center): Jy/pixel [row North, column East], arcsec,
            (x, y) of the image's middle from the phase centre [arcsec]. Or a callable (u, v) -> complex Jy,
            or an object whose method `visibilities` is one.
        array: `Array`, or the name of one that comes with the package.
        seed: of the noise, an integer or a numpy.random.Generator.
        declination: of the phase centre [deg]; that of `phase_center` unless given.
        hour_angle: (start, end) of the track [hours]; equal ends make a snapshot.
        integration: length of one sample [s].
        frequency: centre of the band [Hz].
        bandwidth: total, divided equally among the channels [Hz].
        n_channels: number of channels.
        sefd: of one polarisation of the antennas, a number or shape (A,) [Jy]. Give one of sefd, tsys, sigma.
        tsys: system temperature above the atmosphere, a number or shape (A,) [K].
        sigma: of the real and of the imaginary part of every visibility [Jy].
        n_polarizations: parallel hands averaged into Stokes I, 1 or 2 (with sefd or tsys).
        efficiency: of the correlator (with sefd or tsys).
        aperture_efficiency: of the dishes (with tsys).
        phase_center: (right ascension, declination), ICRS [deg]; recorded.
        primary_beam: True, a Gaussian of FWHM 1.13 lambda / D at `frequency`, centred on the phase centre;
            or its FWHM [arcsec]; or False, none. It multiplies an image and is recorded. A callable sky is
            taken as it is: True records no beam, give the FWHM if there is one in it.
        min_elevation: samples below are left out [deg].
        drop_shadowed: leave out the baselines of antennas that others block.
        add_noise: False leaves the visibilities exact; the weights are the same.
        name: of the data.

    Returns:
        `Visibilities`, weight = 1 / sigma^2, time in seconds since transit.

    Raises:
        InputError: arguments that contradict each other or make no sense; a source that does not rise.
    """
    if isinstance(array, str):
        array = Array.named(array)
    if not isinstance(array, Array):
        raise InputError(f"array must be an Array or the name of one, got {type(array).__name__}")
    generator = _generator(seed)
    phase_center, declination = _direction(phase_center, declination)
    integration = positive_number("integration", integration)
    channels, channel_width = _channels(frequency, bandwidth, n_channels)
    tracks = uv_tracks(
        array,
        declination,
        _hour_angles(hour_angle, integration),
        channels,
        min_elevation=min_elevation,
        drop_shadowed=drop_shadowed,
    )
    sefd = _sefd(array, sefd, tsys, sigma, aperture_efficiency)
    if sefd is None:
        scatter = np.full(len(tracks), positive_number("sigma", sigma))
    else:
        geometric = np.sqrt(sefd[tracks.antenna1] * sefd[tracks.antenna2])
        scatter = visibility_sigma(geometric, channel_width, integration, n_polarizations, efficiency)
    vis, beam = predict(sky, tracks.u, tracks.v, array, frequency, primary_beam)
    if add_noise:
        noise = generator.standard_normal((2, len(vis)))
        vis = vis + scatter * (noise[0] + 1j * noise[1])
    return Visibilities(
        tracks.u,
        tracks.v,
        vis,
        scatter**-2.0,
        antenna1=tracks.antenna1,
        antenna2=tracks.antenna2,
        time=tracks.time,
        frequency=tracks.frequency,
        w=tracks.w,
        interval=np.full(len(tracks), integration),
        channel_width=np.full(len(tracks), channel_width),
        primary_beam=beam,
        phase_center=phase_center,
        name=name,
    )


def _sefd(array, sefd, tsys, sigma, aperture_efficiency):
    """SEFD of each antenna, shape (A,) [Jy]; None where sigma is given."""
    given = [key for key, value in (("sefd", sefd), ("tsys", tsys), ("sigma", sigma)) if value is not None]
    if len(given) != 1:
        raise InputError(f"give exactly one of sefd, tsys and sigma, got {' and '.join(given) or 'none'}")
    if sigma is not None:
        return None
    value = sefd if tsys is None else tsys
    if np.shape(value) not in ((), (len(array),)):
        raise InputError(f"{given[0]} must be a number or of shape ({len(array)},), got {np.shape(value)}")
    if tsys is not None:
        value = sefd_from_tsys(tsys, array.diameter, aperture_efficiency)
    return np.broadcast_to(np.asarray(value, dtype=np.float64), (len(array),))


def _direction(phase_center, declination):
    """(phase_center or None, declination to observe at [deg])."""
    if phase_center is None and declination is None:
        raise InputError("give declination, or phase_center=(right ascension, declination), in degrees")
    if phase_center is None:
        return None, float(declination)
    if np.shape(phase_center) != (2,) or not np.isfinite(phase_center).all():
        raise InputError(f"phase_center must be (right ascension, declination) [deg], got {phase_center}")
    phase_center = (float(phase_center[0]), float(phase_center[1]))
    if declination is not None and not abs(declination - phase_center[1]) < 1.0:
        raise InputError(f"declination {declination} is a degree or more from phase_center {phase_center}")
    return phase_center, phase_center[1] if declination is None else float(declination)


def _hour_angles(hour_angle, integration):
    """Middles of the integrations that fill (start, end), at least one [hours]."""
    if np.shape(hour_angle) != (2,) or not np.isfinite(hour_angle).all() or hour_angle[1] < hour_angle[0]:
        raise InputError(f"hour_angle must be (start, end) in hours with start <= end, got {hour_angle}")
    step = integration * SIDEREAL_RATE / 3600.0
    n = max(1, round((hour_angle[1] - hour_angle[0]) / step))
    return 0.5 * (hour_angle[0] + hour_angle[1]) + (np.arange(n) - 0.5 * (n - 1)) * step


def _channels(frequency, bandwidth, n_channels):
    """(channel centres, shape (n_channels,); channel width) [Hz]."""
    frequency, bandwidth = positive_number("frequency", frequency), positive_number("bandwidth", bandwidth)
    n_channels = positive_integer("n_channels", n_channels)
    if bandwidth >= 2.0 * frequency:
        raise InputError(f"bandwidth {bandwidth:g} Hz does not fit around frequency {frequency:g} Hz")
    width = bandwidth / n_channels
    return frequency + (np.arange(n_channels) - 0.5 * (n_channels - 1)) * width, width


def _generator(seed):
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool) and seed >= 0:
        return np.random.default_rng(seed)
    raise InputError(f"seed must be a whole number >= 0 or a numpy.random.Generator, got {seed!r}")
