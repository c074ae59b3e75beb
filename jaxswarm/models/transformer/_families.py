"""Agents of different architectures: families of equal ones, mapped over inside each family.

Shapes: ``N`` agents, ``F`` of one family.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.models.transformer._model import LanguageModel, check_model
from jaxswarm.types import Key, Params, PyTree


class Families(NamedTuple):
    """Agents that are grouped by the model they have.

    Attributes:
        models: the model of each family by its name.
        members: ids ``int32[F]`` of the agents of each family, ascending; together ``0 .. N - 1``.
    """

    models: dict[str, LanguageModel]
    members: dict[str, np.ndarray]

    @property
    def num_agents(self) -> int:
        """Number of agents ``N``."""
        return sum(len(ids) for ids in self.members.values())

    def init(self, key: Key) -> dict[str, Params]:
        """Initialise all agents; agent ``i`` from ``fold_in(key, i)``.

        Returns:
            A dict from family to stacked parameters, leaves ``[F, ...]``.
        """
        keys = agents.keys(key, self.num_agents)
        return {name: jax.vmap(m.init)(keys[self.members[name]]) for name, m in self.models.items()}

    def map(
        self, function: Callable[..., PyTree], params: Mapping[str, Params], *inputs: PyTree
    ) -> PyTree:
        """Call ``function(model, params, *inputs)`` for every agent, vectorized in each family.

        Args:
            function: of one agent.
            params: a dict from family to stacked trees, leaves ``[F, ...]``.
            *inputs: trees with leaves ``[N, ...]`` in the order of the agents' ids.

        Returns:
            Results with leaves ``[N, ...]`` in the order of the ids; they must have equal shapes in
            all families.
        """
        return self.join(self.map_apart(function, params, *inputs))

    def map_apart(
        self, function: Callable[..., PyTree], params: Mapping[str, Params], *inputs: PyTree
    ) -> dict[str, PyTree]:
        """As :meth:`map`, but results stay apart: a dict from family to leaves ``[F, ...]``."""
        checks.function("function", function)
        self._check(params)
        for i, tree in enumerate(inputs):
            agents.check_leading_axis(tree, self.num_agents, f"inputs[{i}]")
        results = {}
        for name, model in self.models.items():
            own = jax.tree.map(lambda x, ids=self.members[name]: x[ids], inputs)
            one = jax.vmap(lambda p, *args, m=model: function(m, p, *args))
            results[name] = one(params[name], *own)
        return results

    def join(self, results: Mapping[str, PyTree]) -> PyTree:
        """Leaves ``[F, ...]`` of all families as leaves ``[N, ...]`` in the order of the ids."""
        order = np.argsort(np.concatenate([self.members[name] for name in self.models]))
        parts = [results[name] for name in self.models]
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[order], *parts)

    def _check(self, params: Mapping[str, Params]) -> None:
        if not isinstance(params, Mapping) or set(params) != set(self.models):
            raise ValueError(
                f"params: expected a dict of the families {sorted(self.models)}, got "
                f"{sorted(params) if isinstance(params, Mapping) else checks.shown(params)}"
            )
        for name in self.models:
            agents.check_leading_axis(params[name], len(self.members[name]), f"params[{name!r}]")


def families(models: Mapping[str, LanguageModel], assignment: Sequence[str]) -> Families:
    """Group agents by the name of their model.

    Args:
        models: the model of each family by its name.
        assignment: the family of agent ``0, 1, …``; each family must have an agent.

    Raises:
        ValueError: for an unknown family, or one without agents.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.models import transformer
        >>> small = transformer.from_config(transformer.Config(vocab_size=12, width=8))
        >>> large = transformer.from_config(transformer.Config(vocab_size=12, width=16))
        >>> swarm = transformer.families({"s": small, "l": large}, ["s", "l", "s"])
        >>> params = swarm.init(jax.random.key(0))
        >>> prompts = jnp.ones((3, 2, 4), int)  # of three agents, two each
        >>> logits = swarm.map(lambda m, p, x: m.apply(p, x).logits, params, prompts)
        >>> logits.shape
        (3, 2, 4, 12)
    """
    if not isinstance(models, Mapping) or not models:
        raise ValueError(f"models: expected a dict from name to model, got {checks.shown(models)}")
    for model in models.values():
        check_model(model)
    if isinstance(assignment, str) or not isinstance(assignment, Sequence):
        raise ValueError(
            f"assignment: expected the family of each agent, got {checks.shown(assignment)}"
        )
    for name in assignment:
        checks.choice("family in assignment", name, models)
    members = {
        name: np.flatnonzero([other == name for other in assignment]).astype(np.int32)
        for name in models
    }
    for name, ids in members.items():
        if not len(ids):
            raise ValueError(f"assignment: expected at least one agent of family {name!r}, got 0")
    return Families(dict(models), members)
