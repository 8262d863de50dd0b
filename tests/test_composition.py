"""Saliency, subject, composition and lines: answers known beforehand, a second way to the same number, odd pictures, and what mirroring does."""
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from zenkai_research.core.registry import get_scorer, groups
from zenkai_research.core.scorer import check
from zenkai_research.images.decode import Frame, read_image
from zenkai_research.images.samples import sample_photographs
from zenkai_research.metrics.composition import (
    Balance,
    Diagonal,
    Simplicity,
    Symmetry,
    Thirds,
    along_diagonals,
    background_colors,
    centroid,
    edge_box,
    symmetry,
)
from zenkai_research.metrics.lines import LEADING, Lines, crossings, pointing, segments, vanishing_point
from zenkai_research.metrics.saliency import CLEAR, Subject, barrier, edge_contrast, focus, isolation, saliency, subject, subject_box

SCORERS = [Subject(), Thirds(), Symmetry(), Balance(), Diagonal(), Simplicity(), Lines()]
PHOTOS = ["astronaut", "chelsea", "china", "coffee", "flower", "rocket", "camera", "clock"]
rgb_pictures = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40).map(lambda shape: (*shape, 3)))
grays = arrays(np.int8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 9)).map(lambda a: a.astype(np.float32))


def measure(scorer, rgb):
    "Outputs for an array, checked against the promised ranges."
    return check(scorer, scorer.score([Frame(np.ascontiguousarray(rgb))]), 1)[0, :, 0]


@pytest.fixture(scope="module")
def photos():
    return {name: read_image(sample_photographs()[name]) for name in PHOTOS}


def disk(x, y, r, color=(220, 60, 40), ground=(90, 120, 90), height=300, width=400, noise=10, seed=0):
    picture = np.full((height, width, 3), ground, np.uint8)
    cv2.circle(picture, (round(x * width), round(y * height)), round(r * height), tuple(int(c) for c in color), -1)
    return np.clip(picture + np.random.default_rng(seed).normal(0, noise, picture.shape), 0, 255).astype(np.uint8)


def overlap(one, other):
    width, height = (max(min(one[i + 2], other[i + 2]) - max(one[i], other[i]), 0) for i in (0, 1))
    return width * height / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - width * height)


# ---- pictures that are hardly pictures

@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
@pytest.mark.filterwarnings("error")
@settings(deadline=None, max_examples=40)
@given(rgb=rgb_pictures)
def test_any_small_array_has_finite_outputs_in_range(scorer, rgb):
    values = measure(scorer, rgb)
    assert isinstance(scorer.describe(values), str)
    where = scorer.map(Frame(rgb))
    assert where is None or (where.ndim == 2 and where.dtype == np.float32 and np.isfinite(where).all())


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(1, 1), (1, 200_000), (200_000, 1), (2, 3), (7, 5000), (900, 700)])
def test_one_colour_says_nothing(scorer, shape):
    first = None
    for color in ((0, 0, 0), (255, 255, 255), (128, 128, 128), (250, 3, 90)):
        values = measure(scorer, np.full((*shape, 3), color, np.uint8))
        first = values if first is None else first
        assert np.allclose(values, first, atol=1e-6)
        assert scorer.describe(values) in ("no clear subject", "plain: hardly any detail", "")
        assert np.isfinite(measure(scorer, np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))).all()


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
def test_a_hundred_megapixels(scorer):
    flat = np.broadcast_to(np.uint8(90), (10_000, 10_000, 3))
    assert np.isfinite(measure(scorer, flat.copy())).all()


def test_threads_and_batches_do_not_matter(photos):
    frames = lambda: [Frame(rgb) for rgb in photos.values()]
    for scorer in SCORERS:
        alone = [np.asarray(scorer.measure(frame)) for frame in frames()]
        with ThreadPoolExecutor(4) as pool: assert np.array_equal(alone, list(pool.map(lambda f, s=scorer: np.asarray(s.measure(f)), frames())))
        assert np.array_equal(alone, scorer.score(frames()))


def test_all_are_in_the_group():
    assert {scorer.name for scorer in SCORERS} == set(groups()["composition"])
    assert all(type(get_scorer(scorer.name)) is type(scorer) for scorer in SCORERS)


# ---- mirroring, turning, scaling

MIRRORED = { # scorer -> what becomes of its outputs when left and right are swapped
    "subject": lambda v: [v[0], v[1], 1 - v[4], v[3], 1 - v[2], v[5], v[6], v[7]],
    "thirds": lambda v: v,
    "symmetry": lambda v: [v[0], 1 - v[1], v[2], v[3]],
    "balance": lambda v: [v[0], -v[1], v[2]],
    "diagonal": lambda v: [v[0], v[2], v[1]],
    "simplicity": lambda v: v,
    "lines": lambda v: [v[0], 1 - v[1], *v[2:]],
}
TURNED = { # and by a quarter turn against the clock
    "subject": lambda v: [v[0], v[1], v[3], 1 - v[4], v[5], 1 - v[2], v[6], v[7]],
    "symmetry": lambda v: [v[2], v[3], v[0], 1 - v[1]],
    "balance": lambda v: [v[0], v[2], -v[1]],
    "simplicity": lambda v: v,
}
TOLERANCE = {"subject": 0.08, "thirds": 0.04, "symmetry": 0.03, "balance": 0.01, "diagonal": [0.1, 0.4, 0.4], "simplicity": [0.01, 0.02, 5]}


@pytest.mark.parametrize("scorer", SCORERS[:-1], ids=lambda s: s.name)
@pytest.mark.parametrize("name", PHOTOS)
def test_mirroring_and_turning(scorer, name, photos):
    values = measure(scorer, photos[name])
    assert np.all(np.abs(measure(scorer, photos[name][:, ::-1]) - MIRRORED[scorer.name](values)) <= TOLERANCE[scorer.name])
    if scorer.name in TURNED:
        assert np.all(np.abs(measure(scorer, np.rot90(photos[name])) - TURNED[scorer.name](values)) <= TOLERANCE[scorer.name])


@pytest.mark.parametrize("name", PHOTOS)
def test_half_the_pixels_have_the_same_layout(name, photos):
    half = cv2.resize(photos[name], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    whole, less = measure(Subject(), photos[name]), measure(Subject(), half)
    assert abs(whole[0] - less[0]) < 0.05 and overlap(whole[2:6], less[2:6]) > 0.8
    for scorer, tolerance in ((Thirds(), 0.08), (Symmetry(), 0.05), (Balance(), 0.03)):
        assert np.abs(measure(scorer, photos[name]) - measure(scorer, half)).max() < tolerance


# ---- saliency

@given(plane=grays)
@settings(deadline=None, max_examples=60)
def test_barrier_is_the_lowest_pass_less_the_highest_valley(plane):
    edge = np.zeros(plane.shape, bool)
    edge[[0, -1]] = edge[:, [0, -1]] = True
    def reached(area):
        label, _ = ndimage.label(area, np.ones((3, 3)))
        return np.isin(label, label[edge & area]) & area
    low = np.min([np.where(reached(plane <= level), level, 99) for level in range(10)], axis=0)
    high = np.max([np.where(reached(plane >= level), level, -99) for level in range(10)], axis=0)
    assert np.array_equal(barrier(plane), low - high)


@given(plane=grays)
@settings(deadline=None, max_examples=30)
def test_barrier_is_a_lower_bound_of_the_minimum_barrier_distance(plane):
    "Which is found exactly here: the narrowest range of values within which a path to the edge stays."
    edge = np.zeros(plane.shape, bool)
    edge[[0, -1]] = edge[:, [0, -1]] = True
    exact = np.full(plane.shape, 99)
    for low in range(10):
        for high in range(low, 10):
            area = (plane >= low) & (plane <= high)
            label, _ = ndimage.label(area, np.ones((3, 3)))
            exact[np.isin(label, label[edge & area]) & area] = np.minimum(exact, high - low)[np.isin(label, label[edge & area]) & area]
    assert (barrier(plane) <= exact).all() and (barrier(plane) >= 0).all()


def test_where_the_bound_is_blind_the_contrast_with_the_edges_tells():
    lab = np.zeros((60, 80, 3), np.float32)
    lab[..., 0] = 10
    lab[:25, 38:42, 0] = 90        # light falls from the upper edge onto
    lab[20:40, 30:50, 0] = 50      # a thing, which is darker than the light and lighter than all the rest
    assert barrier(np.ascontiguousarray(lab[..., 0]))[20:40, 30:50].max() == 0
    apart = edge_contrast(lab)
    assert apart[20:40, 30:50].min() > 3 and apart[40:, :].max() < 0.1


def test_thirds_speaks_of_no_subject():
    said = {Thirds().describe(values) for values in ([0.5, 0.5, 0.9], [0.9, 0.9, 0.2], [0.2, 0.97, 0.2], [0.2, 0.2, 0.2], [0.25, 0.6, 1.0])}
    assert said == {"what draws the eye is in the middle", "what draws the eye is on a power point of the thirds", "what draws the eye is on a third line", ""}


def test_edge_contrast_forgives_one_edge():
    lab = np.full((40, 60, 3), (50, 0, 0), np.float32)
    lab[15:, 20:40] = (50, 60, 0)  # cut off by the lower edge
    apart = edge_contrast(lab)
    assert apart[20:30, 25:35].min() > 3 and apart[20, 5] < 0.1
    assert np.allclose(edge_contrast(lab[:, ::-1])[:, ::-1], apart, atol=1e-3)
    ramp = np.zeros((40, 60, 3), np.float32)
    ramp[..., 0] = np.linspace(0, 100, 60)
    assert edge_contrast(ramp).max() < 3 < edge_contrast(lab).max()


@given(x=st.floats(0.25, 0.75), y=st.floats(0.3, 0.7), r=st.floats(0.1, 0.22), hue=st.integers(0, 179), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_a_coloured_disk_is_found(x, y, r, hue, seed):
    color = cv2.cvtColor(np.uint8([[[hue, 220, 230]]]), cv2.COLOR_HSV2RGB)[0, 0]
    values = measure(Subject(), disk(x, y, r, color=color, ground=(100, 100, 100), seed=seed))
    known = (x - 0.75 * r, y - r, x + 0.75 * r, y + r)
    assert overlap(known, values[2:6]) > 0.6 and values[0] > CLEAR and values[6] > 0.7
    assert abs(values[1] - np.pi * r**2 * 300 / 400) < 0.05


def test_a_subject_is_clear_where_there_is_one(photos):
    without = [measure(Subject(), read_image(sample_photographs()[name]))[0] for name in ("brick", "grass", "gravel", "hubble")]
    scores = {name: measure(Subject(), rgb)[0] for name, rgb in photos.items()}
    assert max(without) + 0.05 < min(scores.values()) and sum(score > CLEAR for score in scores.values()) >= len(scores) - 1
    assert max(without) < CLEAR
    noise = np.random.default_rng(0).integers(0, 256, (400, 500, 3), np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, 500).astype(np.uint8)[None, :, None], (400, 500, 3))
    assert measure(Subject(), noise)[0] < CLEAR and measure(Subject(), ramp)[0] < CLEAR


def test_saliency_is_not_stretched():
    strong, weak = (Frame(disk(0.5, 0.5, 0.2, color=color, noise=0)).share(saliency).max() for color in ((220, 60, 40), (100, 115, 90)))
    assert strong > 0.8 > 0.3 > weak > 0.01


def test_the_box_holds_the_subject(photos):
    for rgb in photos.values():
        mask = Frame(rgb).share(subject)
        left, top, right, bottom = np.array(subject_box(mask)) * np.tile(mask.shape[::-1], 2)
        inside = np.zeros_like(mask)
        inside[round(top):round(bottom), round(left):round(right)] = True
        assert (mask <= inside).all() and mask[round(top)].any() and mask[:, round(right) - 1].any()
    assert subject_box(np.zeros((3, 4), bool)) == (0, 0, 1, 1)


def test_isolation_and_focus_know_their_ends():
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:40] = True
    lab = np.where(mask[..., None], np.float32([80, 60, 0]), np.float32([20, -60, 0]))
    assert isolation(lab, mask) == 1 and isolation(np.zeros_like(lab), mask) == 0
    assert isolation(lab, np.zeros_like(mask)) == 0 and isolation(lab, np.ones_like(mask)) == 0
    sharp = ndimage.gaussian_filter(np.random.default_rng(0).random((400, 600)), 1).astype(np.float32)
    sharp = 255 * (sharp - sharp.min()) / np.ptp(sharp)
    large = cv2.resize(mask.astype(np.uint8), (600, 400), interpolation=cv2.INTER_NEAREST) > 0
    values = [focus(np.where(large, sharp, cv2.GaussianBlur(sharp, (0, 0), sigma)), mask) for sigma in (0.1, 0.5, 1, 2)]
    assert abs(values[0] - 0.5) < 0.02 and (np.diff(values) > 0).all()
    assert focus(np.where(large, cv2.GaussianBlur(sharp, (0, 0), 3), sharp), mask) < 0.4 and focus(sharp, np.zeros_like(mask)) == 0.5


# ---- composition

@given(weight=arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.floats(0, 1, width=32)))
def test_centroid_is_the_centre_of_mass(weight):
    x, y = centroid(weight)
    assert 0 <= x <= 1 and 0 <= y <= 1
    if weight.sum() > 1e-3:
        row, column = ndimage.center_of_mass(weight.astype(np.float64))
        assert np.allclose((x, y), ((column + 0.5) / weight.shape[1], (row + 0.5) / weight.shape[0]))
    else: assert weight.sum() > 0 or (x, y) == (0.5, 0.5)


@pytest.mark.parametrize("x", [1 / 3, 2 / 3])
@pytest.mark.parametrize("y", [1 / 3, 2 / 3])
def test_power_points(x, y):
    at = measure(Thirds(), disk(x, y, 0.08))
    beside = measure(Thirds(), disk(0.5, 0.5, 0.08))
    assert at[0] > 0.98 and at[1] > 0.98 and beside[2] > 0.98 and at[0] > beside[0] and at[2] < beside[2]
    assert np.isclose(beside[0], np.exp(-(np.hypot(1, 1) / 6) ** 2 / (2 * 0.17**2)), atol=0.03)


@given(lab=arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)), elements=st.floats(0, 100, width=16)))
@settings(deadline=None, max_examples=60)
def test_symmetry_is_the_even_less_the_odd_part(lab):
    score, off = symmetry(lab)
    mirrored, back = symmetry(lab[:, ::-1])
    assert 0 <= score <= 1 and np.isclose(score, mirrored, atol=1e-4) and abs(off) == abs(back)
    free = lab - lab.mean(axis=1, keepdims=True)
    even, odd = (free + free[:, ::-1]) / 2, (free - free[:, ::-1]) / 2
    about_the_middle = ((even**2).sum() - (odd**2).sum()) / ((free**2).sum() + 25 * lab.shape[0] * lab.shape[1])
    assert score >= about_the_middle - 1e-4


@given(rgb=arrays(np.uint8, (60, 40, 3)), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=20)
def test_folded_pictures_are_symmetric(rgb, seed):
    half = cv2.resize(rgb[:6, :4], (200, 300), interpolation=cv2.INTER_LINEAR)
    folded = np.concatenate([half, half[:, ::-1]], axis=1)
    values = measure(Symmetry(), folded)
    if half.std() > 20: assert values[0] > 0.6
    assert np.isclose(values[0], 0) or abs(values[1] - 0.5) < 0.01
    assert np.allclose(measure(Symmetry(), np.rot90(folded))[2], values[0], atol=0.01)


def test_map_of_symmetry_lies_over_the_picture(photos):
    folded = np.concatenate([photos["china"][:, :300], photos["china"][:, 299::-1]], axis=1)
    folded[50:150, 30:130] = (255, 0, 255)  # spoilt on the upper left, and so opposite
    where = Symmetry().map(Frame(folded))
    height, width = where.shape
    assert (height, width) == (28, 40) and where[4:9, 4:8].mean() < 0.5 < where[height // 2:].mean()
    assert np.allclose(where, where[:, ::-1], atol=1e-4)


def test_diagonals_are_those_of_the_frame():
    found = np.float32([[0, 0.6, 0.8, 0], [0, 0, 0.4, 0.3], [0, 0.3, 0.8, 0.3], [0, 0, 0, 0.6]])
    assert np.allclose(along_diagonals(found, 400, 300), (1, 0.5))
    assert np.allclose(along_diagonals(found[:, [1, 0, 3, 2]], 300, 400), (1, 0.5))


def test_edges_and_colors_of_the_background():
    plane = np.full((100, 200), 128, np.float32)
    assert edge_box(plane) == 0
    plane[40:60, 80:120] = 255
    assert 0.03 < edge_box(plane) < 0.06
    rgb = np.zeros((20, 40, 3), np.float32)
    rgb[:, 20:] = 1
    rgb[0, 0] = (0, 1, 0)
    right = np.zeros((2, 4), bool)
    right[:, 2:] = True
    assert [background_colors(rgb, mask) for mask in (right, ~right, ~right | True, np.zeros_like(right))] == [1, 1, 2, 2]


def test_simple_and_busy(photos):
    blurred = [measure(Simplicity(), cv2.GaussianBlur(photos["coffee"], (0, 0), sigma))[0] for sigma in (0.1, 1, 2, 4, 8, 16)]
    assert (np.diff(blurred) >= 0).all() and blurred[-1] > blurred[0] + 0.4
    assert measure(Simplicity(), np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8))[0] == 0


# ---- lines

def test_crossings_and_pointing():
    found = np.float32([[0, 0, 0.1, 0.1], [0, 1, 0.1, 0.9], [0.7, 0, 0.7, 0.2], [0.8, 0, 0.8, 0.2]])
    places = crossings(found)
    assert len(places) == 5 and np.allclose(sorted(places.tolist())[0], (0.5, 0.5), atol=1e-6)
    assert pointing(found, np.array([[0.5, 0.5]]))[0].tolist() == [True, True, False, False]
    assert len(crossings(found[:0])) == 0 and vanishing_point(found[:0], (0.8, 0.6)) == (0.4, 0.3, 0.0)


@given(x=st.floats(0.25, 0.75), y=st.floats(0.25, 0.75), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=25)
def test_a_vanishing_point_is_found(x, y, seed):
    picture = np.full((300, 400, 3), 200, np.uint8)
    for angle in 2 * np.pi * (np.arange(9) + np.random.default_rng(seed).uniform(-0.2, 0.2, 9)) / 9:
        ends = [(round(400 * x + r * np.cos(angle)), round(300 * y + r * np.sin(angle))) for r in (30, 500)]
        cv2.line(picture, *ends, (30, 30, 30), 3, cv2.LINE_AA)
    score, u, v, *_ = measure(Lines(), picture)
    assert score > LEADING and abs(u - x) < 0.04 and abs(v - y) < 0.04


def test_what_leads_nowhere():
    rng = np.random.default_rng(0)
    for _ in range(10):
        picture = np.full((300, 400, 3), 200, np.uint8)
        for x, y, u, v in rng.integers(0, [400, 300, 400, 300], (12, 4)).tolist(): cv2.line(picture, (x, y), (u, v), (30, 30, 30), 3, cv2.LINE_AA)
        assert measure(Lines(), picture)[0] < LEADING
    parallel = np.full((300, 400, 3), 200, np.uint8)
    parallel[30::60], parallel[31::60] = 20, 20
    values = measure(Lines(), parallel)
    assert values[0] == 0 and values[5] == 1 and values[4] > 5
    for name in ("brick", "grass", "gravel", "coins", "hubble"): assert measure(Lines(), read_image(sample_photographs()[name]))[0] < LEADING


def test_lines_at_the_subject():
    picture = disk(0.6, 0.5, 0.1, noise=0)
    plain = measure(Lines(), picture)
    for angle in np.radians([0, 50, 130, 180, 230, 310]):
        ends = [(round(240 + r * np.cos(angle)), round(150 + r * np.sin(angle))) for r in (60, 130)]
        cv2.line(picture, *ends, (60, 60, 60), 2, cv2.LINE_AA)
    assert measure(Lines(), picture)[3] > 0.6 > plain[3] + 0.3


def test_segments_are_mirrored_with_the_picture(photos):
    found, mirrored = segments(Frame(photos["coffee"])), segments(Frame(np.ascontiguousarray(photos["coffee"][:, ::-1])))
    assert abs(np.hypot(*(found[:, 2:] - found[:, :2]).T).sum() - np.hypot(*(mirrored[:, 2:] - mirrored[:, :2]).T).sum()) < 1
    assert found.min() >= -0.02 and found[:, ::2].max() <= 0.85 and found[:, 1::2].max() <= 0.58
