"""The contract of an algorithm: a NamedTuple of pure functions ``(init, step)``."""

from typing import Any, NamedTuple, Protocol

from jaxswarm.types import Params, PyTree, StepFn


class InitFn(Protocol):
    """``init(params, …) -> state`` for stacked parameters, leaves ``[N, ...]``."""

    def __call__(self, params: Params, *args: Any, **kwargs: Any) -> PyTree: ...


class Algorithm(NamedTuple):
    """A learner or a simulator: anything that ``jaxswarm.simulate`` can run.

    Attributes:
        init: ``init(params, …) -> state``.
        step: ``step(key, state, inputs) -> (state, info)``, one round. ``state`` is what the next
            step needs; ``info`` is only recorded. ``key`` is consumed.
    """

    init: InitFn
    step: StepFn
