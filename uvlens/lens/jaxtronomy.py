"""Any lens profile of JAXtronomy as a component.

Its x, y are taken to be (East, North) offsets, so ellipticities and shears are uvlens's own numbers. JAXtronomy needs
the extra `uvlens[jaxtronomy]`. Its functions may have NaN gradients at their centres.
"""

from typing import Any, ClassVar

import equinox as eqx

from ..errors import InputError
from .mass import AbstractMass


class JAXtronomyMass(AbstractMass):
    """A profile of JAXtronomy by name.

    Args:
        name: in its list of lens models, "EPL_MULTIPOLE_M1M3M4".
        arguments: its keyword arguments, each a number or a prior.

    Raises:
        InputError: JAXtronomy is not installed, has no such profile, or the profile other arguments.
    """

    profile: ClassVar[Any] = None
    name: str = eqx.field(static=True)
    arguments: dict[str, Any]

    def __check_init__(self):
        names = _profile(self.name).param_names
        if set(self.arguments) != set(names):
            given = ", ".join(self.arguments)
            raise InputError(f"JAXtronomyMass {self.name}: arguments are {', '.join(names)}; got {given}")

    def parameters(self):
        return tuple(self.arguments.values())

    def deflection(self, x, y):
        """(alpha_x, alpha_y) [arcsec]."""
        return _profile(self.name).derivatives(x, y, **self.arguments)

    def convergence(self, x, y):
        """kappa."""
        f_xx, _, _, f_yy = _profile(self.name).hessian(x, y, **self.arguments)
        return 0.5 * (f_xx + f_yy)

    def potential(self, x, y):
        """psi [arcsec^2]."""
        return _profile(self.name).function(x, y, **self.arguments)


def _profile(name):
    try:
        from jaxtronomy.LensModel.profile_list_base import lens_class
    except ImportError:
        raise InputError("JAXtronomyMass needs JAXtronomy: pip install jaxtronomy") from None
    try:
        return lens_class(name)
    except ValueError as error:  # not one of theirs, or one of lenstronomy that they do not have
        raise InputError(f"JAXtronomyMass: JAXtronomy has no lens profile {name!r}: {error}") from None


JAXTRONOMY_PROFILES = {"JAXtronomyMass": JAXtronomyMass}
"""Names in a model file."""
