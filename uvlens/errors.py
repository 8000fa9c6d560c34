"""The one exception that a user's input can raise, and the warning for what they should know."""


class InputError(ValueError):
    """What the user gave cannot be used; the message is one line that names it, what it was and what is wanted.

    The command line prints the message alone and exits with status 2.
    """


class UVLensWarning(UserWarning):
    """Something that does not stop the work but that a referee would ask about."""
