"""The classifier of every function here: weights, image and classes.

The weights are those that model.py writes.
"""
import re

import h5py
import numpy as np

SIDE = 64  # pixels of an image's side
RAW = 3 * SIDE * SIDE * 4  # bytes of an image as float32


def load(path):
    """Reads the whole model into memory, as frameworks do."""
    with h5py.File(path, "r") as f:
        return {name: f[name][:] for name in f}


def waves(seed):
    """A picture of smooth waves, 3 x 64 x 64, that only depends on the seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype("f4") / SIDE
    waves = [np.sin(rng.uniform(2, 20) * x + rng.uniform(2, 20) * y + rng.uniform(0, 6)) for _ in range(3)]
    return np.stack(waves).astype("f4")


def parse(data):
    """The image in data: a PPM of any size, or 3 x 64 x 64 little-endian float32.

    Raises ValueError when data is neither.
    """
    header = re.match(rb"P6\s+(\d{1,5})\s+(\d{1,5})\s+255\s", data)
    if header:
        return sample(data[header.end():], int(header[1]), int(header[2]))
    if len(data) != RAW:
        raise ValueError(f"an image is a PPM (P6, 255), or {RAW} bytes of float32; this is {len(data)} bytes")
    image = np.frombuffer(data, "<f4").reshape(3, SIDE, SIDE)
    if not np.isfinite(image).all():
        raise ValueError("the image has values that are no numbers")
    return image


def sample(pixels, width, height):
    """Picks the nearest pixel for each of 64 x 64, with values of -1 to 1."""
    if width * height == 0 or len(pixels) != 3 * width * height:
        raise ValueError(f"a PPM of {width} x {height} has not {len(pixels)} bytes of pixels")
    image = np.frombuffer(pixels, "u1").reshape(height, width, 3)
    at = np.arange(SIDE)
    image = image[at * height // SIDE][:, at * width // SIDE]
    return image.transpose(2, 0, 1).astype("f4") / np.float32(127.5) - 1


def convolve(x, weights, bias):
    """A 3x3 convolution with padding, ReLU and 2x2 max pooling."""
    channels, height, width = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    patches = patches.transpose(1, 2, 0, 3, 4).reshape(height * width, channels * 9)
    out = patches @ weights.reshape(weights.shape[0], -1).T + bias
    out = np.maximum(out, 0).reshape(height // 2, 2, width // 2, 2, -1).max(axis=(1, 3))
    return out.transpose(2, 0, 1)


def classify(w, x):
    """The probability of each class."""
    for i in range(3):
        x = convolve(x, w[f"conv{i}"], w[f"conv{i}_bias"])
    x = x.reshape(-1)
    for i in range(3):
        x = x @ w[f"dense{i}"] + w[f"dense{i}_bias"]
        if i < 2:
            x = np.maximum(x, 0)
    scores = np.exp(x - x.max())
    return scores / scores.sum()


def top(scores, count):
    """The most likely classes, as [class, probability]."""
    return [[int(c), round(float(scores[c]), 6)] for c in np.argsort(scores)[::-1][:count]]
