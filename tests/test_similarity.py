"""Near pairs of hashes: exactly what comparing all with all finds, whatever the hashes are like, in bounded memory."""
import subprocess
import sys

import numpy as np
import pytest
from conftest import PEAK
from hypothesis import given, settings
from hypothesis import strategies as st

import zenkai_research.similarity.hamming as module
from zenkai_research.core.errors import BadOption
from zenkai_research.core.settings import test_data
from zenkai_research.images.decode import read_image
from zenkai_research.images.hashing import perceptual_hash
from zenkai_research.similarity.hamming import banding, bit_count, groups, pairs

words = st.integers(0, 2**64 - 1)


@st.composite
def crowds(draw):
    "Some hashes, copies of them with a few bits changed, and exact copies."
    found = draw(st.lists(words, max_size=12))
    for _ in range(draw(st.integers(0, 25)) if found else 0):
        one = draw(st.sampled_from(found))
        for bit in draw(st.lists(st.integers(0, 63), max_size=9)): one ^= 1 << bit
        found.append(one)
    return draw(st.permutations(found))


def by_brute_force(hashes, radius):
    first = {}
    for i, h in enumerate(hashes): first.setdefault(h, i)
    found = [(first[h], i, 0) for i, h in enumerate(hashes) if first[h] != i]
    places = sorted(first.values())
    found += [(i, j, d) for a, i in enumerate(places) for j in places[a + 1:] if (d := (hashes[i] ^ hashes[j]).bit_count()) <= radius]
    return sorted(found)


@settings(deadline=None, max_examples=150)
@given(hashes=crowds(), radius=st.integers(0, 32))
def test_exactly_the_near_pairs(hashes, radius):
    assert [tuple(map(int, one)) for one in zip(*pairs(hashes, radius), strict=True)] == by_brute_force(hashes, radius)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), radius=st.integers(0, 12), shared=st.integers(0, 40))
def test_exact_among_a_thousand_with_many_shared_bits(seed, radius, shared):
    rng = np.random.default_rng(seed)
    hashes = np.unique(rng.integers(0, 2**(64 - shared), 1000, dtype=np.uint64))
    apart = bit_count((hashes[:, None] ^ hashes[None]).ravel()).reshape(len(hashes), -1)
    i, j, distance = pairs(hashes, radius)
    wanted = np.argwhere(np.triu(apart <= radius, 1))
    assert (wanted == np.stack([i, j], 1)).all() and (apart[i, j] == distance).all()


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_the_size_of_pieces_does_not_matter(piece, monkeypatch):
    hashes = np.random.default_rng(0).integers(0, 2**14, 300, dtype=np.uint64)
    whole = pairs(hashes, 3)
    monkeypatch.setattr(module, "PIECE", piece)
    for one, other in zip(whole, pairs(hashes, 3), strict=True): np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("radius", range(33))
@pytest.mark.parametrize("n", [2, 1000, 10**7])
def test_bands_cover_all_bits_and_the_pigeonhole_holds(radius, n):
    bands, spare = banding(radius, n)
    assert [low for low, _ in bands] == [sum(width for _, width in bands[:k]) for k in range(len(bands))] and sum(width for _, width in bands) == 64
    assert len(bands)*(spare + 1) > radius


@given(st.lists(words, min_size=1))
def test_bits_are_counted_without_numpy_2(numbers):
    assert module._counted(np.array(numbers, np.uint64)).tolist() == [n.bit_count() for n in numbers]


def test_signed_and_unsigned_hashes_are_the_same():
    signed = np.array([-1, -2, 5, 4], np.int64)
    for one, other in zip(pairs(signed, 1), pairs(signed.view(np.uint64), 1), strict=True): np.testing.assert_array_equal(one, other)
    for one, other in zip(pairs(signed, 1), pairs([int(h) for h in signed], 1), strict=True): np.testing.assert_array_equal(one, other)


def test_nothing_and_one():
    for hashes in ([], [3], np.array([], np.int64)):
        found = pairs(hashes, 4)
        assert [len(one) for one in found] == [0, 0, 0] and groups(found, len(hashes)) == []
    for radius in (-1, 33):
        with pytest.raises(BadOption): pairs([1, 2], radius)


@settings(deadline=None)
@given(n=st.integers(2, 30), data=st.data())
def test_groups_are_the_connected_components(n, data):
    links = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] != p[1])))
    parent = list(range(n))
    def root(k):
        while parent[k] != k: k = parent[k]
        return k
    for i, j in links: parent[root(i)] = root(j)
    wanted = {}
    for k in range(n): wanted.setdefault(root(k), []).append(k)
    i, j = np.array(links, int).reshape(-1, 2).T
    assert groups((i, j, None), n) == sorted(group for group in wanted.values() if len(group) > 1)


def test_memory_is_bounded_where_most_hashes_share_their_bands():
    code = PEAK + """
import numpy as np
from zenkai_research.similarity.hamming import groups, pairs
before = peak()
same = pairs(np.zeros(1_000_000, np.int64), 4)
assert len(same[0]) == 999_999 and len(groups(same, 1_000_000)) == 1
rng = np.random.default_rng(0)
pairs(rng.integers(0, 2**50, 20_000, dtype=np.uint64), 4)  # 200 million meetings in the first band
print(peak() - before)
"""
    grown = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert grown < 400, f"{grown:.0f} MB"


@pytest.mark.skipif(test_data() is None, reason="the shared test data is not here")
def test_different_photographs_are_not_near():
    hashes = [perceptual_hash(read_image(path, 128)) for path in sorted((test_data()/"kodak24").glob("*.png"))]
    assert not len(pairs(hashes, 8)[0])
