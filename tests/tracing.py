"""A ``jax.jit`` that counts its tracings: every compilation of a function begins with one."""

import jax


class Counted:
    """Compile ``function``; ``traces`` says how often it was traced so far.

    Unlike ``_cache_size()`` of a jitted function the count does not fall when jax's cache is full.
    """

    def __init__(self, function):
        self.traces = 0

        def traced(*args, **kwargs):
            self.traces += 1
            return function(*args, **kwargs)

        self._call = jax.jit(traced)

    def __call__(self, *args, **kwargs):
        return self._call(*args, **kwargs)
