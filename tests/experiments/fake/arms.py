"""The two arms: a rising line and a flat one, with a little noise for each seed."""

import time

import numpy as np


def run(config, progress):
    """Curves of both arms, ``[seeds, rounds]``."""
    progress("rising arm")
    time.sleep(config.wait)
    noise = np.random.default_rng(config.seed).normal(size=(config.seeds, 1)) * 0.01
    rounds = np.arange(10)
    progress("flat arm")
    if config.fail:
        raise RuntimeError("this arm broke")
    return {
        "rounds": rounds,
        "curves": {"rising": config.gain * rounds / 9 + noise, "flat": 0 * rounds + noise / 2},
    }
