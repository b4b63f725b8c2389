"""Damaged checkpoints, made from whole ones."""

import io
import random
import struct
import zipfile
from collections import OrderedDict

import flambeau as fb
from flambeau.serialization import writing


def state():
    """A bit of everything that checkpoints hold."""
    model = fb.nn.Sequential(fb.nn.Linear(3, 2), fb.nn.BatchNorm1d(2))
    for parameter in model.parameters():  # the same in every run
        parameter.data.fill_(0.5)
    base = fb.arange(12, dtype=fb.float32).view(3, 4)
    return {
        "model": model.state_dict(), "base": base, "tied": base.t(), "part": base[1:, ::2],
        "parameter": fb.nn.Parameter(fb.ones(2)), "half": fb.ones(3, dtype=fb.bfloat16),
        "optimizer": {"state": {0: {"step": fb.tensor(3.0)}}, "param_groups": [{"lr": 0.1}]},
        "rng": fb.zeros(4, dtype=fb.uint8), "size": fb.Size([2, 3]), "dtype": fb.float16,
        "other": (1, 2.5, True, None, "text", b"bytes", 2**70, {1, 2}, OrderedDict(a=1)),
    }


def whole(is_zip=True):
    """A valid file."""
    file = io.BytesIO()
    fb.save(state(), file, _use_new_zipfile_serialization=is_zip)
    return file.getvalue()


def archive_with(pickle, contents):
    """An archive whose pickle is another, with the checksums that belong to it."""
    file = io.BytesIO()
    writing.write_archive(file, "archive", pickle, contents)
    return file.getvalue()


def mutated(data, rng):
    """Some bytes changed, removed, inserted, repeated or moved."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        kind, at = rng.randrange(7), rng.randrange(len(data) or 1)
        if kind == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[at] = rng.choice(b"(.)]}lRbcQtqhKMJNX\x80\x85\x86\x87\x88\x89\x8a\x00\xff")
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            del data[at : at + rng.randrange(1, 9)]
        elif kind == 4:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 6)))
        elif kind == 5:
            data[at:at] = data[at : at + rng.randrange(1, 40)]
        else:
            data[at : at + 4] = struct.pack("<i", rng.choice((-1, 0, 2**31 - 1, -(2**31), 65536)))
    return bytes(data)


def mutants(count, seed=0):
    """Damaged files: of the pickle, of the archive, of the older format."""
    rng = random.Random(seed)
    pickle, contents = writing.pickled(state(), None, 2)
    archive, stream = whole(), whole(is_zip=False)
    directory = archive.index(b"PK\x01\x02")
    for i in range(count):
        kind = i % 4
        if kind < 2:
            yield archive_with(mutated(pickle, rng), contents)
        elif kind == 2:
            if rng.random() < 0.5:
                yield mutated(archive, rng)
            else:  # the list of members, of which few bytes do not matter
                yield archive[:directory] + mutated(archive[directory:], rng)
        else:
            yield mutated(stream[:2600] if rng.random() < 0.1 else stream, rng)


def rezipped(change):
    """A whole file, its members made by ``change(name, data) -> [(name, data, method)]``."""
    file, source = io.BytesIO(), zipfile.ZipFile(io.BytesIO(whole()))
    with zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            for new, data, method in change(name, source.read(name)):
                target.writestr(zipfile.ZipInfo(new), data, method)
    return file.getvalue()
