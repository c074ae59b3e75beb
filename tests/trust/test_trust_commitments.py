"""Canonical bytes, claims and commitments: they come back, nothing else does, nothing leaks."""

import ast
import hashlib
import random
import secrets
import traceback
from pathlib import Path

import numpy as np
import pytest

from jaxswarm.trust import consensus

ROOT = Path(__file__).resolve().parents[2]
SAMPLER = {"steps": 30, "guidance": 1.5, "method": "euler", "churn": False}
CLAIM = {
    "model": "flow-1",
    "prompt": "a cat",
    "seed": 7,
    "sampler": SAMPLER,
    "hash": np.array([1, 2**31], np.uint32),
}
SECRET = "xyzzy-the-secret"
NONCE = bytes(range(32))
VALUES = [
    None, True, False, 0, 1, -1, 127, 128, -128, -129, 2**80, 0.0, -0.0, 1.5, 1e300, "", "a", "é",
    "n", b"", b"a", b"n", (), (1,), ("a", "b"), (("a",), "b"), ("a", ("b",)), {}, {"a": 1},
    {"a": (1, {"b": None})}, ("ab", "c"), ("a", "bc"), {"a": "b", "c": "d"}, ("a", "b", "c", "d"),
]  # fmt: skip


def claim(**changes):
    return consensus.Claim(**(CLAIM | changes))


def test_values_come_back_and_different_ones_have_different_bytes():
    packets = [consensus.canonical(value) for value in VALUES]
    for value, packet in zip(VALUES, packets, strict=True):
        found = consensus.decode(packet)
        assert repr(found) == repr(value)
        assert type(found) is type(value)
    assert len(set(packets)) == len(VALUES)
    assert consensus.canonical([1, 2]) == consensus.canonical((1, 2))
    assert consensus.canonical({"a": 1, "b": 2}) == consensus.canonical({"b": 2, "a": 1})
    assert consensus.canonical(np.float32(0.5)) == consensus.canonical(0.5)
    assert consensus.canonical(np.int64(3)) == consensus.canonical(3)


def test_no_packet_is_the_beginning_of_another():
    packets = [consensus.canonical(value) for value in VALUES]
    for a in packets:
        for b in packets:
            assert a == b or not b.startswith(a)


@pytest.mark.parametrize(
    "packet",
    [
        b"i" + (2).to_bytes(8, "big") + b"\0\1",  # 1 with a byte too many
        b"i" + bytes(8),
        b"s" + (1).to_bytes(8, "big") + b"\xff",
        b"s" + (2**64 - 1).to_bytes(8, "big") + b"a",
        b"d" + b"\x7f\xf0" + bytes(6),  # infinity
        b"d" + bytes(3),
        b"nn",
        b"z",
        b"l" + (1).to_bytes(8, "big"),
        (b"l" + (9).to_bytes(8, "big")) * 40,
        b"m" + (2).to_bytes(8, "big") + b"nn",
        b"m" + (40).to_bytes(8, "big") + (b"s" + (1).to_bytes(8, "big") + b"a") * 4,
        consensus.canonical({"a": 1})[:-1],
    ],
)
def test_other_bytes_are_refused(packet):
    with pytest.raises(ValueError, match="packet: expected the canonical bytes"):
        consensus.decode(packet)


def test_nesting_without_end_is_refused():
    loop: list = []
    loop.append(loop)
    with pytest.raises(ValueError, match="levels of nesting"):
        consensus.canonical(loop)


@pytest.mark.parametrize("prompt", ["a cat", b"\0\1", 3, (3, 1, 4)])
def test_claims_come_back(prompt):
    found = claim(prompt=prompt)
    assert consensus.decode_claim(consensus.encode_claim(found)) == found
    assert found.words.tolist() == [1, 2**31]
    assert found.hash.hex() == "0000000180000000"
    assert claim(prompt=[3, 1]) == claim(prompt=np.array([3, 1]))


def test_every_field_counts():
    changes = {
        "model": "flow-2",
        "prompt": "a dog",
        "seed": 8,
        "sampler": SAMPLER | {"steps": 29},
        "hash": np.array([1, 3], np.uint32),
    }
    packets = {consensus.encode_claim(claim(**{name: x})) for name, x in changes.items()}
    assert len(packets | {consensus.encode_claim(claim())}) == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": None}, "seed"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.0}, "seed"),
        ({"seed": True}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"sampler": None}, "sampler"),
        ({"sampler": {}}, "sampler"),
        ({"sampler": {"steps": None}}, "sampler.*steps"),
        ({"sampler": {"steps": float("nan")}}, "sampler.*steps"),
        ({"sampler": {1: 2}}, "claim"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"model": "\ud800"}, "claim"),
        ({"prompt": None}, "prompt"),
        ({"prompt": 1.5}, "prompt"),
        ({"prompt": ["a"]}, "prompt"),
        ({"hash": None}, "hash"),
        ({"hash": b""}, "hash"),
        ({"hash": b"abc"}, "hash"),
        ({"hash": np.array([1, 2])}, "hash"),
        ({"hash": np.zeros((1, 2), np.uint32)}, "hash"),
    ],
)
def test_incomplete_claims_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        claim(**changes)


def test_packets_of_incomplete_claims_are_refused():
    names = ("model", "prompt", "seed", "sampler", "hash")
    good = {name: getattr(claim(), name) for name in names}
    for change in ({"seed": None}, {"sampler": {}}, {"hash": b"abc"}, {"prompt": None}):
        packet = consensus.canonical(["jaxswarm claim 1", *(good | change).values()])
        with pytest.raises(ValueError, match="packet: expected a claim"):
            consensus.decode_claim(packet)
    for head in ("jaxswarm claim 2", 1):
        with pytest.raises(ValueError, match="packet: expected a claim"):
            consensus.decode_claim(consensus.canonical([head, *good.values()]))


def test_commitments_open_to_what_was_committed_to():
    for value in (claim(), {"answer": 42}, "heads"):
        commitment, opening = consensus.commit(value)
        packet = opening.packet()
        assert consensus.reveal(commitment, opening)
        assert consensus.reveal(commitment, packet)
        assert consensus.opened_value(packet) == value
        assert consensus.commit(value, opening.nonce)[0] == commitment
        other, _ = consensus.commit(value)
        assert other != commitment  # a fresh nonce hides that the value is the same
        assert not consensus.reveal(other, opening)
    assert len({consensus.commit("heads")[1].nonce for _ in range(20)}) == 20


def test_a_commitment_is_sha256_of_all_of_it():
    commitment, _ = consensus.commit("heads", NONCE, context=["node 3", 7])
    content = NONCE + b"P" + consensus.canonical("heads")
    whole = consensus.canonical(["jaxswarm commitment 1", ["node 3", 7], content])
    assert commitment == hashlib.sha256(whole).digest()


def test_a_copied_commitment_does_not_open_in_another_name():
    commitment, opening = consensus.commit("heads", context=["node 3", 7])
    assert consensus.reveal(commitment, opening, context=["node 3", 7])
    for context in (["node 4", 7], ["node 3", 8], "node 3", ""):
        assert not consensus.reveal(commitment, opening, context=context)


def test_another_value_does_not_open_it():
    commitment, opening = consensus.commit("heads", NONCE)
    assert not consensus.reveal(commitment, consensus.Opening("tails", opening.nonce))
    assert not consensus.reveal(commitment, consensus.Opening("heads", bytes(32)))
    assert not consensus.reveal(commitment, consensus.Opening(object(), NONCE))
    assert not consensus.reveal(commitment, consensus.Opening("heads", "x" * 32))


@pytest.mark.parametrize("odd", [None, 3, "x", b"", b"x" * 31, b"x" * 33, [], object()])
def test_malformed_openings_and_commitments_do_not_open(odd):
    commitment, opening = consensus.commit("heads")
    assert not consensus.reveal(odd, opening)
    assert not consensus.reveal(commitment, odd)
    assert not consensus.reveal(commitment, opening, context=odd)


def mutated(rng, packet):
    """A packet with flipped, lost, added or exchanged bytes; never the same."""
    data = bytearray(packet)
    while bytes(data) == packet:
        at = rng.randrange(len(packet))
        kind = rng.randrange(6)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data = data[:at]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 3:
            data = bytearray(rng.randbytes(rng.randrange(2 * len(packet))))
        elif kind == 4:
            del data[at : at + rng.randrange(1, 9)]
        else:
            data[at : at + 8] = rng.choice([bytes(8), b"\xff" * 8])
    return bytes(data)


def test_a_thousand_mutated_packets_are_all_refused():
    rng = random.Random(0)
    for value in (claim(), {"answer": [1, 2.5, "x"]}):
        commitment, opening = consensus.commit(value, NONCE)
        packet = opening.packet()
        for _ in range(1000):
            assert not consensus.reveal(commitment, mutated(rng, packet))
            assert not consensus.reveal(mutated(rng, commitment), packet)


def test_a_thousand_mutated_claims_never_pass_for_the_claim():
    rng = random.Random(0)
    packet = consensus.encode_claim(claim())
    refused = 0
    for _ in range(1000):
        other = mutated(rng, packet)
        try:  # a changed letter of the prompt is a claim, but another one
            assert consensus.encode_claim(consensus.decode_claim(other)) == other
        except ValueError:
            refused += 1
    assert refused > 700


def test_no_secret_is_shown():
    value = {"key": SECRET, "claim": [SECRET]}
    commitment, opening = consensus.commit(value)
    shown = f"{opening!r} {opening} {commitment!r}"
    assert SECRET not in shown
    assert opening.nonce.hex() not in shown
    assert repr(opening.nonce) not in shown
    for call in (
        lambda: consensus.commit([SECRET, object()]),
        lambda: consensus.commit({SECRET: {1: SECRET}}),
        lambda: consensus.commit(SECRET + "\ud800"),
        lambda: consensus.commit(SECRET, SECRET.encode()),
        lambda: consensus.commit(SECRET, SECRET),
        lambda: consensus.decode(SECRET.encode()),
        lambda: consensus.decode(b"s" + (99).to_bytes(8, "big") + SECRET.encode() + b"\xff"),
        lambda: consensus.decode_claim(consensus.canonical(SECRET)),
        lambda: consensus.opened_value(NONCE + SECRET.encode()),
        lambda: claim(prompt=[SECRET]),
    ):
        with pytest.raises(ValueError, match="expected") as caught:
            call()
        error = caught.value
        assert SECRET not in f"{error} {error.__context__} {error.__cause__}"


def test_nonces_come_from_the_cryptographic_source_and_nothing_is_unpickled(monkeypatch):
    monkeypatch.setattr(secrets, "token_bytes", lambda n: b"\7" * n)
    assert consensus.commit("heads")[1].nonce == b"\7" * 32
    for path in (ROOT / "jaxswarm" / "trust").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [x.name for x in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {x.partition(".")[0] for x in names} & {"pickle", "marshal", "shelve"}, path


def test_errors_print_without_the_packet():
    packet = b"s" + (99).to_bytes(8, "big") + SECRET.encode()
    with pytest.raises(ValueError, match="packet") as caught:
        consensus.decode(packet)
    lines = traceback.format_exception_only(caught.value)
    assert SECRET not in "".join(lines)
