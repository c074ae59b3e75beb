"""The contract of an algorithm: a NamedTuple of pure functions ``(init, step)``."""

from typing import Any, NamedTuple, Protocol

import jax


class StepFn(Protocol):
    """``step(key, state, inputs) -> (state, info)``: one round.

    ``state`` is what the next step needs; ``info`` is only looked at. ``key`` is consumed.
    """

    def __call__(self, key: jax.Array, state: Any, inputs: Any) -> tuple[Any, Any]: ...


class InitFn(Protocol):
    """``init(params, …) -> state`` for stacked parameters, leaves ``[N, ...]``."""

    def __call__(self, params: Any, *args: Any, **kwargs: Any) -> Any: ...


class Algorithm(NamedTuple):
    """A learner, a simulator, an experiment's loop body: anything ``simulate`` can drive."""

    init: InitFn
    step: StepFn
