"""Merkle trees: every leaf has a path, and nothing else passes."""

import hashlib

import numpy as np
import pytest

from jaxswarm.trust.verify import merkle


def leaves(count: int) -> list[bytes]:
    return [bytes([i]) * (i + 1) for i in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9])
def test_all_leaves_have_paths_to_one_root(count):
    tree = leaves(count)
    root = merkle.root(tree)
    for i, leaf in enumerate(tree):
        path = merkle.path(tree, i)
        assert merkle.check_path(root, leaf, path)
        assert not merkle.check_path(root, leaf + b"x", path)
        assert not merkle.check_path(root, leaf, path._replace(index=(i + 1) % count or count))
        assert not merkle.check_path(root, leaf, path._replace(count=count + 1))


def test_inner_nodes_are_no_leaves_and_levels_no_trees():
    tree = leaves(4)
    hashes = [hashlib.sha256(b"\0" + leaf).digest() for leaf in tree]
    nodes = [hashlib.sha256(b"\1" + hashes[i] + hashes[i + 1]).digest() for i in (0, 2)]
    root = merkle.root(tree)
    assert merkle.root(hashes) != root
    assert merkle.root(nodes) != root
    path = merkle.Path(0, 2, (nodes[1],))
    assert not merkle.check_path(root, hashes[0] + hashes[1], path)
    assert merkle.root(tree[:3]) != merkle.root([*tree[:3], tree[2]])


def test_a_thousand_mutated_paths_are_refused():
    rng = np.random.default_rng(0)
    tree = leaves(11)
    root = merkle.root(tree)
    for _ in range(1000):
        index = int(rng.integers(11))
        path, leaf = merkle.path(tree, index), tree[index]
        kind = rng.integers(6)
        siblings = list(path.siblings)
        at = int(rng.integers(len(siblings)))
        if kind == 0:
            flipped = bytearray(siblings[at])
            flipped[rng.integers(32)] ^= 1 << rng.integers(8)
            siblings[at] = bytes(flipped)
        elif kind == 1:
            del siblings[at]
        elif kind == 2:
            siblings.insert(at, siblings[at])
        elif kind == 3:
            siblings[at] = siblings[at][: rng.integers(32)]
        elif kind == 4:
            path = path._replace(index=index + int(rng.integers(1, 30)) * rng.choice([-1, 1]))
        else:
            path = path._replace(count=int(rng.choice([0, -1, index, 2**70, 12])))
        assert not merkle.check_path(root, leaf, path._replace(siblings=tuple(siblings)))


@pytest.mark.parametrize("part", [None, 3, "x", 1.5, float("nan"), [], object()])
def test_malformed_parts_are_refused_and_raise_nothing(part):
    tree = leaves(3)
    root, path = merkle.root(tree), merkle.path(tree, 0)
    assert not merkle.check_path(part, tree[0], path)
    assert not merkle.check_path(root, part, path)
    assert not merkle.check_path(root, tree[0], part)
    assert not merkle.check_path(root, tree[0], path._replace(siblings=part))
    assert not merkle.check_path(root, tree[0], path._replace(siblings=(part, part)))
    if part != 3:
        assert not merkle.check_path(root, tree[0], path._replace(index=part))
        assert not merkle.check_path(root, tree[0], path._replace(count=part))
    assert not merkle.check_path(root, tree[0], path._replace(index=False))


def test_arrays_have_one_encoding_each():
    a = np.arange(6, dtype=np.int32).reshape(2, 3)
    codes = [
        merkle.canonical(v)
        for v in (a, a.reshape(3, 2), a.ravel(), a.astype(np.uint32), a.astype(np.float64))
    ]
    assert len(set(codes)) == 5
    assert merkle.canonical(np.asfortranarray(a)) == merkle.canonical(a.astype(">i4")) == codes[0]
    big = np.arange(5000, dtype=np.int32)
    changed = big.copy()
    changed[4999] += 1
    assert len(merkle.array_leaves(big)) == 1 + 5
    assert merkle.array_root(big) != merkle.array_root(changed)
