"""Lowered operations are shared by all programs of an MLIR context.

JAX lowers each sort of operation (primitive, types, parameters) once for a program, into a function
that it then copies to every place of use. Here that function stands in a module of its own, from
which the next programs copy it as well: the tests lower hundreds of similar programs, and making
these functions is half of that. What refers to other functions is made anew for each program.
"""

from typing import Any, NamedTuple

from jax._src import core
from jax._src.interpreters import mlir
from jax._src.lib.mlir import ir


class Library(NamedTuple):
    context: ir.Context
    module: ir.Module
    known: dict[Any, mlir.LoweringCacheValue | None]


_latest: list[Library] = []


def install() -> None:
    """Replace the function that lowers an operation into a function."""
    emit = mlir._emit_lowering_rule_as_fun

    def shared(rule, ctx, eqn_ctx, primitive, effects, avals_in, avals_out, **params):
        arguments = rule, eqn_ctx, primitive, effects, avals_in, avals_out
        if effects or not _is_plain(ctx, avals_in, avals_out, params):
            return emit(rule, ctx, *arguments[1:], **params)
        known = _library(ctx.context).known
        names = tuple(sorted(params.items()))
        key = primitive, eqn_ctx, tuple(avals_in), names, tuple(ctx.platforms)
        if key not in known:
            entry = emit(rule, _within(ctx), *arguments[1:], **params)
            known[key] = entry if entry.inline and _stands_alone(entry) else None
        return known[key] or emit(rule, ctx, *arguments[1:], **params)

    mlir._emit_lowering_rule_as_fun = shared


def _is_plain(ctx, avals_in, avals_out, params) -> bool:
    """Of one device, of numbers, without functions in it, and lowered as usual."""
    return (
        isinstance(ctx.axis_context, mlir.sharding_impls.ShardingContext)
        and not ctx.lowering_parameters.override_lowering_rules
        and not ctx.shape_poly_state.dim_vars
        and all(type(a) is core.ShapedArray and a.sharding.mesh.empty for a in avals_in)
        and all(type(a) is core.ShapedArray and a.sharding.mesh.empty for a in avals_out)
        and not any(True for _ in core.jaxprs_in_params(params))
    )


def _library(context) -> Library:
    if not _latest or _latest[0].context is not context:
        module = ir.Module.create(loc=ir.Location.unknown(context))
        _latest[:] = [Library(context, module, {})]
    return _latest[0]


def _within(ctx):
    """The context of a program, but that functions are written into the common module."""
    module = _library(ctx.context).module
    return ctx.replace(
        module=module,
        ip=ir.InsertionPoint(module.body),
        symbol_table=ir.SymbolTable(module.operation),
        lowering_cache={},
        cached_primitive_lowerings={},
    )


def _stands_alone(entry) -> bool:
    calls = []

    def look(operation):
        if operation.name in ("func.call", "stablehlo.custom_call"):
            calls.append(operation.name)
        return ir.WalkResult.ADVANCE

    entry.func.operation.walk(look)
    return not calls and not entry.const_args
