"""What the parts of a reconstruction are called in results, files and pictures."""


def by_sky(found):
    """{name of the sky: its [Reconstruction]}, the channels of a cube together."""
    groups = {}
    for one in found:
        groups.setdefault(one.of_sky.name, []).append(one)
    return groups


def part_labels(found):
    """{(name of the sky, number of the part in it): label}, "" where there is nothing to tell apart.

    The sky's name where there are several, then the numbers of source and part where a sky has several. A source that
    skies share stands under the first of them alone.
    """
    groups, labels, seen = by_sky(found), {}, set()
    for name, members in groups.items():
        parts = members[0].parts
        numbers = [part.block.source for part in parts]
        for i, part in enumerate(parts):
            key = (id(members[0].inversion), part.block.first)
            if key in seen and len(part.block.skies) > 1:
                continue
            seen.add(key)
            words = [name or "sky"] if len(groups) > 1 else []
            words += [str(part.block.source)] if len(set(numbers)) > 1 else []
            words += [str(part.block.part)] if numbers.count(part.block.source) > 1 else []
            labels[name, i] = ".".join(words)
    return labels


def file_suffix(label):
    """ ".label" of a file name, "" for an empty one."""
    return f".{label}" if label else ""


def light_name(amplitudes):
    """Path of a light profile: lens.light.0, source.light.1, source.2.light.0, or background."""
    if amplitudes.place == "sky":
        return "background"
    place = "lens" if amplitudes.place == "lens" else "source"
    number = "" if amplitudes.plane is None else f"{amplitudes.plane}."
    return f"{place}.{number}light.{amplitudes.number}"
