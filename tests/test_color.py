"""Colourfulness, saturation, harmony and palette: answers worked out by hand, odd pictures, and what must not matter."""
import colorsys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.stats import kendalltau

from zenkai_research.core.scorer import check
from zenkai_research.images.decode import Frame, read_image
from zenkai_research.images.samples import sample_photographs
from zenkai_research.metrics.color import TEMPLATES, Colorfulness, Harmony, Saturation, best_template, hue_histogram, palette, small

SCORERS = [Colorfulness(), Saturation(), Harmony()]
COLORED = ["astronaut", "chelsea", "china", "coffee", "flower", "rocket"]
rgb_pictures = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=30).map(lambda shape: (*shape, 3)))


def measure(scorer, rgb):
    "Outputs for an array, checked against the promised ranges."
    return check(scorer, scorer.score([Frame(np.ascontiguousarray(rgb))]), 1)[0, :, 0]


def of_hues(*degrees):
    "A picture with one pixel of pure colour at each hue."
    return np.array([[[round(255 * c) for c in colorsys.hsv_to_rgb(d / 360, 1, 1)] for d in degrees]], np.uint8)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
@pytest.mark.filterwarnings("error")
@settings(deadline=None, max_examples=60)
@given(rgb=rgb_pictures)
def test_any_small_array_has_finite_outputs_in_range(scorer, rgb): measure(scorer, rgb)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(1, 1), (1, 200_000), (200_000, 1), (2, 3), (700, 700)])
def test_gray_pictures_have_no_colour(scorer, shape):
    for value in (0, 1, 128, 255):
        assert np.allclose(measure(scorer, np.full((*shape, 3), value, np.uint8)), 0, atol=1e-3)
    gray = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert np.allclose(measure(scorer, np.dstack([gray] * 3)), 0, atol=1e-3)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
@given(rgb=rgb_pictures, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_arrangement_does_not_matter(scorer, rgb, seed):
    shuffled = np.random.default_rng(seed).permutation(rgb.reshape(-1, 3)).reshape(rgb.shape)
    assert np.allclose(measure(scorer, rgb), measure(scorer, shuffled), atol=1e-2, rtol=1e-4)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
@pytest.mark.parametrize("name", COLORED)
def test_turning_and_mirroring(scorer, name):
    rgb = read_image(sample_photographs()[name])
    for turned in (np.rot90(rgb), np.rot90(rgb, 2), rgb[:, ::-1]):
        assert np.allclose(measure(scorer, turned), measure(scorer, rgb), rtol=0.01, atol=0.02)


# ---- colourfulness

@given(rgb=rgb_pictures)
@settings(deadline=None, max_examples=60)
def test_colorfulness_is_the_formula_of_the_paper(rgb):
    r, g, b = rgb.astype(np.float64).reshape(-1, 3).T
    rg, yb = r - g, (r + g) / 2 - b
    expected = np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
    assert np.isclose(measure(Colorfulness(), rgb)[0], expected, atol=1e-2)


def test_colorfulness_of_one_colour():
    assert np.isclose(measure(Colorfulness(), np.full((3, 3, 3), (0, 0, 255), np.uint8))[0], 0.3 * 255)
    assert np.isclose(measure(Colorfulness(), np.full((3, 3, 3), (255, 0, 0), np.uint8))[0], 0.3 * np.hypot(255, 127.5))


@pytest.mark.parametrize("name", COLORED)
def test_less_colour_is_less_colourful(name):
    rgb = read_image(sample_photographs()[name]).astype(np.float64)
    gray = (rgb @ [0.299, 0.587, 0.114])[..., None]
    factors = [0, 0.2, 0.4, 0.6, 0.8, 1]
    faded = [np.rint(gray + f * (rgb - gray)).astype(np.uint8) for f in factors]
    for scorer, output in ((Colorfulness(), 0), (Saturation(), 0), (Saturation(), 1)):
        assert kendalltau(factors, [measure(scorer, other)[output] for other in faded])[0] > 0.95


# ---- saturation

@given(rgb=rgb_pictures)
@settings(deadline=None, max_examples=30)
def test_saturation_is_that_of_hsv(rgb):
    expected = np.mean([colorsys.rgb_to_hsv(*pixel)[1] for pixel in rgb.reshape(-1, 3).astype(float) / 255])
    assert np.isclose(measure(Saturation(), rgb)[0], expected, atol=1e-4)


def test_chroma_is_that_of_cielab():
    from skimage.color import rgb2lab
    rgb = read_image(sample_photographs()["coffee"])[::4, ::4]
    assert abs(measure(Saturation(), rgb)[1] - np.hypot(*rgb2lab(rgb)[..., 1:].T).mean()) < 0.1


# ---- harmony

@given(turn=st.integers(0, 359), name=st.sampled_from(sorted(TEMPLATES)))
@settings(deadline=None, max_examples=40)
def test_hues_inside_a_template_are_in_harmony(turn, name):
    hues = np.zeros(360)
    for centre, width in TEMPLATES[name]:
        hues[(np.arange(np.ceil(centre - width / 2), centre + width / 2).astype(int) + turn) % 360] = 1
    assert best_template(hues / hues.sum())[2] < 1e-6


@given(hues=st.lists(st.integers(0, 359), min_size=1, max_size=6), turn=st.integers(0, 359))
@settings(deadline=None, max_examples=40)
def test_harmony_does_not_hang_on_the_hue_it_starts_from(hues, turn):
    counts = np.bincount(hues, minlength=360) / len(hues)
    assert np.isclose(best_template(counts)[2], best_template(np.roll(counts, turn))[2], atol=1e-4)


def test_harmony_known_by_hand():
    assert measure(Harmony(), of_hues(0, 180))[0] == 0                              # I
    assert np.isclose(measure(Harmony(), of_hues(0, 120, 240))[0], 2 / 3 * 13.2)    # Y: the wide sector misses two by 13.2 each
    assert measure(Harmony(), of_hues(*range(0, 360, 20)))[0] > 5                   # a rainbow


def test_dark_pixels_have_little_say():
    rgb = np.vstack([of_hues(0, 0, 0), of_hues(60, 120, 240) // 100])
    assert hue_histogram(Frame(rgb))[0] > 0.97 and measure(Harmony(), rgb)[0] < 1


# ---- palette

def test_palette_of_known_colours():
    rgb = np.zeros((10, 10, 3), np.uint8)
    rgb[:5], rgb[5:8], rgb[8:] = (200, 30, 30), (20, 120, 220), (245, 245, 240)
    colors, shares = palette(Frame(rgb), 3)
    assert np.abs(colors.astype(int) - [(200, 30, 30), (20, 120, 220), (245, 245, 240)]).max() <= 1
    assert np.allclose(shares, [0.5, 0.3, 0.2])
    assert len(palette(Frame(rgb), 8)[0]) == 3


@pytest.mark.parametrize("name", COLORED)
def test_palette_is_the_same_after_a_turn(name):
    rgb = read_image(sample_photographs()[name])[:256, :256]
    (colors, shares), (turned, turned_shares) = palette(Frame(rgb)), palette(Frame(np.ascontiguousarray(np.rot90(rgb))))
    assert np.abs(colors.astype(int) - turned).max() <= 2 and np.allclose(shares, turned_shares, atol=0.01)
    assert np.isclose(shares.sum(), 1) and (np.diff(shares) <= 0).all()


# ---- reduced decode

@pytest.mark.parametrize("name", COLORED)
def test_a_reduced_picture_says_the_same(name):
    rgb = read_image(sample_photographs()[name])
    half = cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for scorer, tolerance in ((Colorfulness(), 3), (Saturation(), (0.03, 1)), (Harmony(), 0.5)):
        assert (np.abs(measure(scorer, rgb) - measure(scorer, half)) <= tolerance).all()


def test_the_small_copy_is_bounded():
    assert small(Frame(np.zeros((3000, 4000, 3), np.uint8))).shape[:2] == (314, 418)
    assert small(Frame(np.zeros((1, 400_000, 3), np.uint8))).shape[0] == 1
