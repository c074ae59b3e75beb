"""Sum guessing: in one step, each agent observes one number and guesses the sum of all."""

from jaxswarm.envs.sum_guessing.environment import (
    SumGuessing,
    SumGuessingObservation,
    SumGuessingParams,
)

__all__ = ["SumGuessing", "SumGuessingObservation", "SumGuessingParams"]
