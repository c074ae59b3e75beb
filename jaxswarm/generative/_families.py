"""Families of equal expert models, and the checks that experts fit together.

Shapes: ``K`` experts.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, cast

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.generative._router import Router
from jaxswarm.models import flow
from jaxswarm.types import Key, Params


def model_list(models: Any, num_experts: int) -> list[flow.Flow]:
    """One model for each expert.

    Raises:
        ValueError: for what is no model, or another number of them.
    """
    if isinstance(models, flow.Flow):
        return [models] * num_experts
    if not isinstance(models, Sequence) or isinstance(models, str):
        checks.instance("model", models, flow.Flow, "flow.from_network(flow.MLP(), (2,))")
    if len(models) != num_experts:
        raise ValueError(
            f"model: expected one for each of {num_experts} experts, got {len(models)}"
        )
    return [flow.check_model(each) for each in cast(Sequence[flow.Flow], models)]


def check_models(models: Sequence[flow.Flow], router: Router) -> None:
    """Check that all models and the router have the same samples, classes and path.

    Raises:
        ValueError: naming the expert that differs, or one with real-valued conditions.
    """
    for index, model in enumerate(models):
        if model.condition_shape is not None:
            raise ValueError(
                f"model: expected classes or no condition for expert {index}, got a real-valued "
                f"condition of shape {model.condition_shape}"
            )
        for name in ("shape", "num_classes"):
            if getattr(model, name) != getattr(router, name):
                raise ValueError(
                    f"router: expected {name} {getattr(model, name)} like the model of expert "
                    f"{index}, got {getattr(router, name)}"
                )
        if model.path != models[0].path:
            raise ValueError(f"model: expected the path of expert 0 for expert {index}, too")


def families(models: Sequence[flow.Flow]) -> list[tuple[flow.Flow, int]]:
    """Consecutive equal models with their number."""
    return [(model, len(list(group))) for model, group in groupby(models)]


def check_tree(name: str, init: Callable[[Key], Params], params: Params) -> None:
    """Check that parameters have the structure and shapes that ``init`` gives.

    Raises:
        ValueError: naming the leaf.
    """
    wanted = jax.eval_shape(init, jax.random.key(0))
    if jax.tree.structure(wanted) != jax.tree.structure(params):
        raise ValueError(f"{name}: expected the tree of its model's init, got another structure")
    for (path, leaf), own in zip(
        jax.tree_util.tree_leaves_with_path(wanted), jax.tree.leaves(params), strict=True
    ):
        if jnp.shape(own) != leaf.shape:
            raise ValueError(
                f"{name}: leaf {jax.tree_util.keystr(path)}: expected shape {leaf.shape} as of its "
                f"model's init, got {jnp.shape(own)}"
            )
