"""Names of parameters: where they stand in the tree of components."""


def path_name(key):
    """Dotted name of a JAX key path: lens.mass.0.theta_E."""
    return ".".join(str(getattr(part, "name", getattr(part, "key", getattr(part, "idx", part)))) for part in key)
