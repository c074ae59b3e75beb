"""Sum guessing: one step, each agent sees one number and guesses the sum of all."""

from jaxswarm.envs.sum_guessing.environment import (
    SumGuessing,
    SumGuessingObservation,
    SumGuessingParams,
)

__all__ = ["SumGuessing", "SumGuessingObservation", "SumGuessingParams"]
