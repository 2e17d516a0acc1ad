#!/usr/bin/python3
"""Writes model.h5: the weights of a small image classifier, about SIZE bytes.

Three convolutions and three dense layers, He-initialised from a seed. Equal
arguments give an equal file, byte for byte, so its digest can be compared.
"""
import argparse
import math

import h5py
import numpy as np

CLASSES = 1000
CONVOLUTIONS = [(3, 64), (64, 128), (128, 256)]  # channels in, channels out
FLAT = 8 * 8 * 256  # what the convolutions leave of a 64x64 image
CHUNK = 1 << 22  # weights made at once


def layers(size):
    """Returns (name, shape) of every layer; the dense ones fill up to size."""
    shapes = [(f"conv{i}", (out, into, 3, 3)) for i, (into, out) in enumerate(CONVOLUTIONS)]
    rest = size // 4 - sum(math.prod(shape) for _, shape in shapes)
    second = max(64, min(6144, rest // (2 * FLAT)))
    first = max(64, (rest - second * CLASSES) // (FLAT + second))
    return shapes + [
        ("dense0", (FLAT, first)),
        ("dense1", (first, second)),
        ("dense2", (second, CLASSES)),
    ]


def write(path, size, seed):
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as f:
        for name, shape in layers(size):
            fan_in = math.prod(shape[1:]) if len(shape) == 4 else shape[0]
            data = f.create_dataset(name, shape, dtype="f4", track_times=False)
            fill(data, rng, math.sqrt(2.0 / fan_in))
            f.create_dataset(name + "_bias", data=np.zeros(shape[0] if len(shape) == 4 else shape[1], "f4"), track_times=False)


def fill(data, rng, scale):
    """Fills a dataset by rows, so that memory stays small."""
    row = math.prod(data.shape[1:])
    step = max(1, CHUNK // row)
    for at in range(0, data.shape[0], step):
        rows = min(step, data.shape[0] - at)
        weights = rng.standard_normal((rows,) + data.shape[1:], dtype="f4")
        weights *= np.float32(scale)
        data[at : at + rows] = weights


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("path")
    arguments.add_argument("--size", type=int, default=1_500_000_000, help="bytes (default: %(default)s)")
    arguments.add_argument("--seed", type=int, default=20)
    given = arguments.parse_args()
    write(given.path, given.size, given.seed)
