#!/usr/bin/python3
"""A function: loads model.h5, classifies a generated image, prints JSON.

The times are seconds since the process began to run this script.
"""
import hashlib
import json
import sys
import time

START = time.monotonic()

import classifier  # noqa: E402


def main(path, digest):
    opened = time.monotonic() - START
    weights = classifier.load(path)
    loaded = time.monotonic() - START
    scores = classifier.classify(weights, classifier.waves(7))
    answered = time.monotonic() - START
    result = {
        "top": classifier.top(scores, 3),
        "opened": opened, "loaded": loaded, "answered": answered,
    }
    if digest:
        with open(path, "rb") as f:
            result["sha256"] = hashlib.file_digest(f, "sha256").hexdigest()
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], "--digest" in sys.argv[2:])
