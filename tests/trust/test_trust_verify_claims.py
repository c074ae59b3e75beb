"""Claims: honest ones are accepted, everything else is refused and nothing crashes."""

import dataclasses
import struct

import numpy as np
import pytest
from scipy import stats
from verified_models import inputs, language_model, layers, perceptron

from jaxswarm.trust import verify
from jaxswarm.trust.verify import merkle

NONCE = bytes(16)


@pytest.fixture(scope="module")
def honest() -> verify.Claim:
    return verify.prove(perceptron(), inputs(), nonce=NONCE)


def claims_with(claim: verify.Claim, changes) -> list[verify.Claim]:
    """Claims of changed products, committed anew as a cheating prover would."""
    made = []
    for change in changes:
        products = [product.copy() for product in claim.products]
        change(products)
        made.append(verify.commit(perceptron(), claim.inputs, products))
    return made


def reasons(claims, **kwargs) -> list[str]:
    return [verdict.reason for verdict in verify.check_batch(perceptron(), claims, **kwargs)]


def test_honest_claims_are_accepted_with_the_outputs_of_the_model(honest):
    x = inputs()
    for claim in (honest, honest.to_bytes()):
        verdict = verify.check(perceptron(), claim, x=x)
        assert verdict
        assert (verdict.output == np.asarray(perceptron()(x))).all()
        assert verdict.reexecution_multiply_adds == 3 * (6 * 5 + 5 * 4)
        assert verdict.multiply_adds == 6 * 5 + 3 * (6 + 5) + 5 * 4 + 3 * (5 + 4)
    batch = [verify.prove(perceptron(), inputs(seed=seed)) for seed in range(150)]
    assert reasons(batch) == [""] * 150


def test_transformers_are_accepted_and_their_wrong_products_refused():
    model, _ = language_model()
    tokens = np.random.default_rng(1).integers(0, 7, (4, 5))
    claim = verify.prove(model, tokens)
    verdict = verify.check(model, claim.to_bytes(), x=tokens)
    assert verdict, verdict.reason
    assert (verdict.output == np.asarray(model(tokens))).all()
    bad = []
    for position in range(7):
        products = [product.copy() for product in claim.products]
        products[position].flat[position] += 1
        bad.append(verify.commit(model, claim.inputs, products))
    for position, one in enumerate(bad):
        assert verify.check(model, one).reason == f"product {position} is wrong"


def test_wrong_products_are_refused(honest):
    rng = np.random.default_rng(0)

    def one_element(products):
        product = products[rng.integers(2)]
        product.flat[rng.integers(product.size)] += rng.choice([-1, 1])

    def other_weights(products):
        products[:] = verify.run(perceptron(1), honest.inputs)[1]

    def swapped_rows(products):
        products[1] = products[1][::-1].copy()

    def shifted_by_the_modulus(products):
        products[0][0, 0] -= np.sign(products[0][0, 0]) * (2**31 - 1)

    found = reasons(claims_with(honest, [one_element] * 300 + [other_weights, swapped_rows]))
    assert all("is wrong" in reason for reason in found)
    found = reasons(claims_with(honest, [shifted_by_the_modulus]))
    assert found == ["product 0 is out of range"]


def test_a_small_field_accepts_some_wrong_products():
    """Freivalds and not equality: at p = 251, one wrong element in about 251 passes."""
    model = verify.quantize(layers(), np.ones((1, 6)), bits=2)
    claim = verify.prove(model, np.ones((1, 6)), modulus=251)
    products = [product.copy() for product in claim.products]
    products[1][0, 0] += 1
    nonces = [i.to_bytes(16, "big") for i in range(1280)]
    bad = [
        verify.commit(model, claim.inputs, products, modulus=251, nonce=nonce) for nonce in nonces
    ]
    verdicts = verify.check_batch(model, bad, modulus=251)
    accepted = sum(map(bool, verdicts))
    low, high = stats.binom.interval(0.99, len(bad), 1 / 251)
    assert low <= accepted <= high
    again = verify.check_batch(model, bad[:256], 4, modulus=251)
    assert sum(map(bool, again)) == 0
    assert again[0].multiply_adds == 4 * verdicts[0].multiply_adds


def test_commitments_are_compared(honest):
    model = perceptron()
    changed = honest.products[0] + 1
    mixed = dataclasses.replace(honest, products=(changed, honest.products[1]))
    assert verify.check(model, mixed).reason == "products do not match their commitment"
    resealed = verify.commit(model, honest.inputs, mixed.products)
    old_seal = dataclasses.replace(resealed, seal=honest.seal)
    assert verify.check(model, old_seal).reason == "seal does not match the claim"
    assert verify.check(perceptron(1), honest).reason == "another model than committed"
    renamed = dataclasses.replace(honest, model_root=perceptron(1).root)
    assert verify.check(perceptron(1), renamed).reason == "seal does not match the claim"
    stolen = verify.commit(perceptron(1), honest.inputs, honest.products)
    assert "is wrong" in verify.check(perceptron(1), stolen).reason
    assert verify.check(model, honest, x=inputs(seed=1)).reason == "other inputs than expected"


def test_a_weaker_modulus_of_the_prover_is_refused():
    model = verify.quantize(layers(), np.ones((1, 6)), bits=2)
    claim = verify.prove(model, np.ones((1, 6)), modulus=251)
    assert verify.check(model, claim).reason == "another modulus than demanded"


def test_a_root_with_a_copy_of_the_model_is_enough(honest):
    model = perceptron()
    assert verify.check(model.root, honest, model=model)
    with pytest.raises(ValueError, match="model: expected one with the root"):
        verify.check(model.root, honest, model=perceptron(1))


def test_nonces_are_accepted_once(honest):
    model, nonces = perceptron(), verify.Nonces()
    claim = verify.prove(model, inputs(), nonce=nonces.issue())
    wrong = claims_with(claim, [lambda products: products[0].__iadd__(1)])[0]
    assert not verify.check(model, dataclasses.replace(wrong, nonce=claim.nonce), nonces=nonces)
    assert verify.check(model, claim, nonces=nonces)
    used = "nonce was not issued here or was used before"
    assert verify.check(model, claim, nonces=nonces).reason == used
    assert verify.check(model, honest, nonces=nonces).reason == used
    twice = verify.prove(model, inputs(), nonce=nonces.issue())
    assert reasons([twice] * 2, nonces=nonces) == ["", used]


def test_private_challenges_come_anew(honest):
    assert verify.check(perceptron(), honest, private=True)
    wrong = claims_with(honest, [lambda products: products[1].__iadd__(1)])[0]
    assert not verify.check(perceptron(), wrong, private=True)


def test_a_thousand_mutated_packets_are_refused(honest):
    rng = np.random.default_rng(0)
    packet = honest.to_bytes()
    mutated = []
    for _ in range(1000):
        data, kind = bytearray(packet), rng.integers(5)
        at = int(rng.integers(len(data)))
        if kind == 0:
            data[at] ^= 1 << rng.integers(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data += rng.bytes(rng.integers(1, 50))
        elif kind == 3:
            del data[at : at + rng.integers(1, 9)]
        else:
            size = int(rng.integers(1, 40))
            data[at : at + size] = rng.bytes(size)
        mutated.append(bytes(data))
    assert packet not in mutated
    assert all(reasons(mutated))


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(verify.Claim)])
@pytest.mark.parametrize(
    "value", [None, 0, -1, b"", "x", float("nan"), (), (b"x", None), np.zeros((2, 2)), [1]]
)
def test_malformed_claims_are_refused(honest, field, value):
    verdict = verify.check(perceptron(), dataclasses.replace(honest, **{field: value}))
    assert not verdict
    assert verdict.reason


def test_packets_are_canonical(honest):
    assert verify.Claim.from_bytes(honest.to_bytes()).to_bytes() == honest.to_bytes()
    for data in (b"", b"x" * 100, None, honest.to_bytes() + b"\0"):
        with pytest.raises(ValueError, match="data"):
            verify.Claim.from_bytes(data)


def test_packets_with_impossible_shapes_are_malformed(honest):
    head, tail = honest.to_bytes().split(merkle.canonical(honest.inputs))
    for shape in ((2**64 - 1, 0), (0, 2**63), (2**40, 2**40), (0, 0)):
        array = b"i4" + struct.pack(">B2Q", 2, *shape)
        packet = head[:-8] + struct.pack(">Q", len(array)) + array + tail
        assert verify.check(perceptron(), packet).reason == "malformed claim"


def test_challenges_follow_commitments():
    transcript = verify.Transcript("test")
    with pytest.raises(ValueError, match="expected a commitment before the challenge 'r'"):
        transcript.challenge("r", 2)
    transcript.commit("a", b"1")
    first = transcript.challenge("r", 100, 251)
    assert (first < 251).all()
    assert (transcript.challenge("r", 100, 251) == first).all()
    with pytest.raises(ValueError, match="expected all commitments before"):
        transcript.commit("b", b"2")
    others = [("ab", b""), ("a", b"2"), ("", b"a1")]
    for label, data in others:
        other = verify.Transcript("test")
        other.commit(label, data)
        assert (other.challenge("r", 100, 251) != first).any()
