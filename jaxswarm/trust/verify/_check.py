"""Verification of claims without executing the model's products."""

import dataclasses
import functools
import hmac
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.trust.verify import field, merkle
from jaxswarm.trust.verify._claims import Claim, sealed
from jaxswarm.trust.verify._freivalds import Product
from jaxswarm.trust.verify._model import (
    QuantizedModel,
    check_model,
    check_modulus,
    check_products,
    plan,
)
from jaxswarm.trust.verify._transcript import (
    NONCE_SIZE,
    Nonces,
    Transcript,
    secret_challenge,
)
from jaxswarm.types import ArrayLike


@dataclasses.dataclass(frozen=True, eq=False)
class Verdict:
    """Result of a check; true if the claim is accepted.

    Attributes:
        accepted: whether all checks passed.
        reason: empty, or why the claim is refused.
        multiply_adds: of the verifier in the field, all repetitions; 0 if it came to none.
        reexecution_multiply_adds: what computing the products takes; 0 if it came to no check.
        output: verified outputs ``float32``, as ``model(x)`` gives them; ``None`` if refused.
    """

    accepted: bool
    reason: str = ""
    multiply_adds: int = 0
    reexecution_multiply_adds: int = 0
    output: np.ndarray | None = dataclasses.field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.accepted


def check(
    commitment: QuantizedModel | bytes,
    claim: Claim | bytes,
    repetitions: int = 1,
    *,
    modulus: int = field.MERSENNE,
    x: ArrayLike | None = None,
    model: QuantizedModel | None = None,
    nonces: Nonces | None = None,
    private: bool = False,
) -> Verdict:
    """Check a claim: commitments first, then each product by Freivalds, the rest recomputed.

    A wrong claim is accepted with probability ``modulus ** -repetitions`` at most, for each time
    that a prover tries. Challenges are drawn from the claim's own hash, so that anyone can repeat
    the check; a prover can therefore try tamperings offline, about ``2**31`` hashes for one that
    passes a single repetition. Against such a prover take 4 repetitions or more, or ``private``
    challenges, which it cannot know when it commits.

    Args:
        commitment: the public model, or its 32-byte ``model.root`` from a trusted source together
            with ``model``.
        claim: of :func:`prove`, or its bytes. Nothing of it is trusted: whatever is wrong or
            malformed is refused and named in ``reason``, and nothing raises.
        repetitions: of the check with independent challenges, in ``[1, 64]``.
        modulus: that the verifier demands.
        x: inputs that the claim must be about; without them the caller compares ``claim.inputs``.
        model: a copy from any source, whose root must equal the commitment.
        nonces: that this verifier issued; the claim must carry one that was not accepted before.
        private: whether challenges come from the system's cryptographic source instead.

    Returns:
        The verdict, with the work of the verifier and of a re-execution. Hashing and elementwise
        steps, linear in the size of the claim, are not in these numbers.

    Raises:
        ValueError: for wrong arguments of the caller's own: a modulus that is not prime or too
            small for the model, repetitions out of range, inputs that the model refuses, or a
            commitment without a model.

    Example:
        >>> import numpy as np
        >>> from jaxswarm.trust import verify
        >>> rng = np.random.default_rng(0)
        >>> layers = [(rng.normal(size=(16, 16)), np.zeros(16))] * 2
        >>> x = rng.normal(size=(40, 16))
        >>> model = verify.quantize(layers, x)
        >>> packet = verify.prove(model, x).to_bytes()
        >>> verdict = verify.check(model, packet, x=x)
        >>> verdict.accepted, verdict.multiply_adds, verdict.reexecution_multiply_adds
        (True, 3072, 20480)
        >>> verify.check(model, packet[:-1], x=x).reason
        'malformed claim'
    """
    trusted, root = _trusted(commitment, model)
    wanted = _Wanted(trusted, root, repetitions, modulus, x, nonces, private)
    reason, found = _admitted(claim, wanted)
    if found is None:
        return Verdict(False, reason)
    return _verdicts([found], wanted)[0]


def check_batch(
    commitment: QuantizedModel | bytes,
    claims: Sequence[Claim | bytes],
    repetitions: int = 1,
    *,
    modulus: int = field.MERSENNE,
    model: QuantizedModel | None = None,
    nonces: Nonces | None = None,
    private: bool = False,
) -> list[Verdict]:
    """Check many claims about one model as :func:`check` does, those of equal shapes in one call.

    Args:
        commitment: as :func:`check`.
        claims: each with challenges of its own.
        repetitions: as :func:`check`.
        modulus: as :func:`check`.
        model: as :func:`check`.
        nonces: as :func:`check`; of two claims with one nonce the first is accepted.
        private: as :func:`check`.

    Raises:
        ValueError: as :func:`check`.
    """
    trusted, root = _trusted(commitment, model)
    wanted = _Wanted(trusted, root, repetitions, modulus, None, nonces, private)
    if isinstance(claims, (bytes, str, Claim)) or not isinstance(claims, Sequence):
        raise ValueError(f"claims: expected a sequence of claims, got {checks.shown(claims)}")
    admitted = [_admitted(claim, wanted) for claim in claims]
    groups: dict[tuple[int, ...], list[int]] = {}
    for position, (_, found) in enumerate(admitted):
        if found is not None:
            groups.setdefault(found.inputs.shape, []).append(position)
    verdicts = [Verdict(False, reason) for reason, _ in admitted]
    for members in groups.values():
        made = _verdicts([admitted[m][1] for m in members], wanted)  # pyright: ignore
        for position, verdict in zip(members, made, strict=True):
            verdicts[position] = verdict
    return verdicts


class _Wanted:
    """What a verifier demands of claims, checked."""

    def __init__(
        self,
        model: QuantizedModel,
        root: bytes,
        repetitions: Any,
        modulus: Any,
        x: Any,
        nonces: Any,
        private: Any,
    ) -> None:
        self.model, self.root = model, root
        self.repetitions = checks.whole("repetitions", repetitions, 1, 64)
        self.modulus = check_modulus(model, modulus)
        self.inputs = None if x is None else np.asarray(model.inputs(x))
        if nonces is not None:
            checks.instance("nonces", nonces, Nonces, "verify.Nonces()")
        self.nonces: Nonces | None = nonces
        self.private = checks.flag("private", private)


def _trusted(commitment: Any, model: Any) -> tuple[QuantizedModel, bytes]:
    if isinstance(commitment, QuantizedModel):
        if model is not None:
            raise ValueError("model: expected none beside a public model as commitment, got one")
        return commitment, commitment.root
    if not isinstance(commitment, bytes) or len(commitment) != merkle.SIZE:
        raise ValueError(
            "commitment: expected a QuantizedModel or its root of 32 bytes, got "
            f"{type(commitment).__name__}"
        )
    check_model(model)
    if not hmac.compare_digest(model.root, commitment):
        raise ValueError("model: expected one with the root of the commitment, got another root")
    return model, commitment


def _admitted(claim: Any, wanted: _Wanted) -> tuple[str, Claim | None]:
    """Check form and commitments of a claim: ``(reason, None)`` or ``("", the claim)``."""
    if isinstance(claim, bytes):
        try:
            claim = Claim.from_bytes(claim)
        except ValueError:
            return "malformed claim", None
    if not _is_formed(claim):
        return "malformed claim", None
    if claim.modulus != wanted.modulus:
        return "another modulus than demanded", None
    if not hmac.compare_digest(claim.model_root, wanted.root):
        return "another model than committed", None
    try:
        products = plan(wanted.model, claim.inputs.shape)
    except ValueError:
        return "inputs do not fit the model", None
    low, high = wanted.model.input_bounds
    if (claim.inputs < low).any() or (claim.inputs > high).any():
        return "inputs do not fit the model", None
    if [product.shape for product in claim.products] != [sizes.shape for sizes in products]:
        return "products do not fit the model", None
    if len(claim.roots) != len(products):
        return "malformed claim", None
    if wanted.inputs is not None and not np.array_equal(claim.inputs, wanted.inputs):
        return "other inputs than expected", None
    for product, root in zip(claim.products, claim.roots, strict=True):
        if not hmac.compare_digest(merkle.array_root(product), root):
            return "products do not match their commitment", None
    seal = _transcript(claim).digest()
    if not hmac.compare_digest(seal, claim.seal):
        return "seal does not match the claim", None
    if wanted.nonces is not None and not wanted.nonces.is_open(claim.nonce):
        return "nonce was not issued here or was used before", None
    return "", claim


def _is_formed(claim: Any) -> bool:
    if not isinstance(claim, Claim):
        return False
    sizes = ((claim.model_root, 32), (claim.nonce, NONCE_SIZE), (claim.seal, 32))
    if any(not isinstance(part, bytes) or len(part) != size for part, size in sizes):
        return False
    if type(claim.modulus) is not int or not 0 < claim.modulus < 2**31:
        return False
    if not isinstance(claim.products, tuple) or not isinstance(claim.roots, tuple):
        return False
    if any(not isinstance(root, bytes) or len(root) != merkle.SIZE for root in claim.roots):
        return False
    arrays = (claim.inputs, *claim.products)
    return all(isinstance(a, np.ndarray) and a.dtype == np.int32 and a.size for a in arrays)


def _transcript(claim: Claim) -> Transcript:
    return sealed(claim.model_root, claim.nonce, claim.modulus, claim.inputs, claim.roots)


def _challenges(claim: Claim, sizes: Sequence[Product], wanted: _Wanted) -> list[np.ndarray]:
    """Residues ``uint32[R, n]`` for each product."""
    r = wanted.repetitions
    columns = [product.columns for product in sizes]
    if wanted.private:
        drawn = secret_challenge(r * sum(columns), wanted.modulus)
    else:
        drawn = _transcript(claim).challenge("products", r * sum(columns), wanted.modulus)
    ends = np.cumsum([r * n for n in columns])[:-1]
    return [v.reshape(r, n) for v, n in zip(np.split(drawn, ends), columns, strict=True)]


def _verdicts(claims: Sequence[Claim], wanted: _Wanted) -> list[Verdict]:
    """Check the products of admitted claims of equal shapes."""
    sizes = plan(wanted.model, claims[0].inputs.shape)
    challenges = [_challenges(claim, sizes, wanted) for claim in claims]
    outputs, right, in_range = _checked_in_parts(wanted, claims, challenges)
    scale = np.float32(wanted.model.params["output_scale"])
    work = wanted.repetitions * sum(product.check_multiply_adds for product in sizes)
    reexecution = sum(product.multiply_adds for product in sizes)
    verdicts = []
    for i, claim in enumerate(claims):
        reason, output = "", None
        if not in_range[i].all():
            reason = f"product {int(np.argmin(in_range[i]))} is out of range"
        elif not right[i].all():
            reason = f"product {int(np.argmin(right[i]))} is wrong"
        elif wanted.nonces is not None and not wanted.nonces.spend(claim.nonce):
            reason = "nonce was not issued here or was used before"
        else:
            output = outputs[i].astype(np.float32) * scale
        verdicts.append(Verdict(not reason, reason, work, reexecution, output))
    return verdicts


def _checked_in_parts(
    wanted: _Wanted, claims: Sequence[Claim], challenges: Sequence[list[np.ndarray]]
) -> tuple[np.ndarray, ...]:
    """Check the products of claims in padded parts of few sizes, which are compiled once each."""
    found, start = [], 0
    while start < len(claims):
        left = len(claims) - start
        size = 1 if left == 1 else 16 if left < 128 else 256
        part = range(start, start + min(size, left))
        padded = [*part, *[part[-1]] * (size - len(part))]
        inputs = np.stack([claims[i].inputs for i in padded])
        products = zip(*(claims[i].products for i in padded), strict=True)
        drawn = zip(*(challenges[i] for i in padded), strict=True)
        result = _checked(
            wanted.model,
            inputs,
            tuple(map(np.stack, products)),
            tuple(map(np.stack, drawn)),
            wanted.modulus,
        )
        found.append([leaf[: len(part)] for leaf in jax.device_get(result)])
        start += len(part)
    return tuple(np.concatenate(leaves) for leaves in zip(*found, strict=True))


@functools.partial(jax.jit, static_argnums=4)
def _checked(model: Any, inputs: Any, products: Any, challenges: Any, modulus: int) -> Any:
    one = functools.partial(check_products, modulus=modulus)
    return jax.vmap(one, in_axes=(None, 0, 0, 0))(model, inputs, products, challenges)
