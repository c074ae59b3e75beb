"""Data of a round of KNEXA-FL and their checks.

Shapes: ``N`` agents, ``M`` private questions, ``X`` of the transfer set, ``W`` of the validation
set.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.data import verifiable
from jaxswarm.systems.knexa_fl._distillation import check_disjoint
from jaxswarm.systems.knexa_fl._profiles import NUM_BINS, NUM_SCORES, make_profiles
from jaxswarm.systems.knexa_fl._team import Team, check_team


class KnexaData(NamedTuple):
    """Data of a round, tokens in the vocabulary of the texts.

    Attributes:
        private: demonstrations, leaves ``[N, M, ...]``.
        histogram: ``float32[N, 12]``, shares of the private data by category.
        prompts: ``int32[X, P]``, public transfer set, questions only.
        prompt_mask: ``bool[X, P]``.
        validation: ``W`` public questions with solutions, none of them in the transfer set.
        category: ``int32[W]`` of the validation questions, in ``[0, 12)``.
    """

    private: verifiable.Problems
    histogram: Any
    prompts: Any
    prompt_mask: Any
    validation: verifiable.Problems
    category: Any


def check_data(data: KnexaData, team: Team) -> None:
    """Check the data of a team; traced parts are only checked for their shapes.

    Raises:
        ValueError: for other shapes, a histogram whose sum is not 1, or a transfer set that is
            empty or shares a question with the validation set.
    """
    check_team(team)
    checks.instance("data", data, KnexaData, "knexa_fl.KnexaData(private, …)")
    for name, problems in (("private", data.private), ("validation", data.validation)):
        checks.instance(name, problems, verifiable.Problems, "verifiable.to_arrays(items, …)")
    n = team.num_agents
    agents.check_leading_axis(data.private, n, "private")
    make_profiles(team.families, jnp.zeros((n, NUM_SCORES)), data.histogram)
    count = jnp.shape(data.validation.prompts)[0]
    checks.wholes("category", data.category, 0, NUM_BINS - 1, shape=(count,))
    if not jnp.size(data.prompts):
        raise ValueError("prompts: expected at least one question of the transfer set, got none")
    known = (data.prompts, data.prompt_mask, *data.validation)
    if not any(checks.is_traced(leaf) for leaf in known):
        check_disjoint(data.prompts, data.prompt_mask, data.validation, "prompts")
