"""Checked reading of nested settings: every error names the key, and the nearest valid one when it is unknown."""

import difflib
import functools
import math
import os
import re

from .errors import InputError


class Section:
    """A mapping of a settings file, read key by key; `finish` refuses the keys nobody asked for.

    Args:
        value: the mapping.
        path: its dotted name, "" for the whole file.
    """

    def __init__(self, value, path=""):
        if not isinstance(value, dict):
            raise InputError(f"{path or 'file'}: expected keys and values, got {_show(value)}")
        self.value = value
        self.path = path
        self._known = []

    def name(self, key):
        """Dotted name of a key."""
        return f"{self.path}.{key}" if self.path else str(key)

    def get(self, key, default=None):
        """The value as it is."""
        self._known.append(key)
        return self.value.get(key, default)

    def require(self, key):
        """The value; an error if it is missing, with the nearest key that is there."""
        self._known.append(key)
        if key not in self.value:
            near = difflib.get_close_matches(key, [str(k) for k in self.value], 1)
            hint = f" (did you mean it by {near[0]!r}?)" if near else ""
            raise InputError(f"{self.name(key)}: missing{hint}")
        return self.value[key]

    def section(self, key, default=None):
        """The value as a Section; `default` {} makes it optional."""
        value = self.require(key) if default is None else self.get(key, default)
        return Section({} if value is None else value, self.name(key))

    def number(self, key, default=None, *, positive=False):
        """The value as a float."""
        value = self.require(key) if default is None else self.get(key, default)
        return as_number(value, self.name(key), positive=positive)

    def integer(self, key, default=None, *, lowest=1):
        """The value as a whole number of at least `lowest`."""
        value = self.require(key) if default is None else self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
            raise InputError(f"{self.name(key)}: expected a whole number >= {lowest}, got {_show(value)}")
        return value

    def boolean(self, key, default):
        """The value as true or false."""
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise InputError(f"{self.name(key)}: expected true or false, got {_show(value)}")
        return value

    def choice(self, key, options, default=None):
        """One of `options`."""
        value = self.require(key) if default is None else self.get(key, default)
        if value not in options:
            near = difflib.get_close_matches(str(value), options, 1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise InputError(f"{self.name(key)}: expected {' | '.join(options)}, got {_show(value)}{hint}")
        return value

    def numbers(self, key, length, default=None):
        """A tuple of `length` floats."""
        value = self.require(key) if default is None else self.get(key, default)
        if not isinstance(value, list | tuple) or len(value) != length:
            raise InputError(f"{self.name(key)}: expected {length} numbers, got {_show(value)}")
        return tuple(as_number(item, f"{self.name(key)}.{i}") for i, item in enumerate(value))

    def text(self, key, default=None):
        """The value as a string."""
        value = self.require(key) if default is None else self.get(key, default)
        if not isinstance(value, str):
            raise InputError(f"{self.name(key)}: expected text, got {_show(value)}")
        return value

    def finish(self):
        """Refuse unknown keys."""
        known = [str(key) for key in self._known]
        for key in self.value:
            if str(key) not in known:
                near = difflib.get_close_matches(str(key), known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
                raise InputError(f"{self.name(key)}: unknown key ({hint})")


def as_number(value, name, *, positive=False):
    """A finite float."""
    if isinstance(value, str):
        # YAML 1.1 reads 1e-6 (no dot) as text
        try:
            value = float(value)
        except ValueError:
            raise InputError(f"{name}: expected a number, got {_show(value)}") from None
    if isinstance(value, int) and abs(value) > 10**300:
        raise InputError(f"{name}: expected a number, got one of {len(str(value))} digits")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name}: expected a number, got {_show(value)}")
    if positive and not value > 0.0:
        raise InputError(f"{name}: expected a positive number, got {value}")
    return float(value)


def as_list(value, name):
    """A list; a single mapping counts as a list of one."""
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise InputError(f"{name}: expected a list, got {_show(value)}")
    return value


def load_yaml(path):
    """The mapping in a YAML file, ${VARIABLES} expanded."""
    import yaml

    try:
        with open(path, encoding="utf-8") as stream:
            value = yaml.load(stream, Loader=_strict_loader())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid YAML: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}: not valid YAML{where}: {getattr(error, 'problem', error)}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected keys and values, got {_show(value)}")
    return _expand(value)


@functools.cache
def _strict_loader():
    """PyYAML's safe loader, refusing a key that stands twice."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def mapping(loader, node):
        keys = [loader.construct_object(key) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", node.start_mark)
        return yaml.SafeLoader.construct_mapping(loader, node, deep=True)

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    return Loader


def _expand(value, depth=0):
    if depth > 50:
        raise InputError("settings are nested more than 50 deep; does an anchor refer to itself?")
    if isinstance(value, dict):
        return {key: _expand(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, depth + 1) for item in value]
    return re.sub(r"\$\{(\w+)\}", _variable, value) if isinstance(value, str) else value


def _variable(match):
    if match[1] not in os.environ:
        raise InputError(f"environment variable {match[1]} is not set, and the file uses ${{{match[1]}}}")
    return os.environ[match[1]]


def _show(value):
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
