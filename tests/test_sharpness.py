"""Sharpness, defocus and motion: odd pictures, growing blur, and what must not matter."""
import io
import tracemalloc
import warnings

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.stats import kendalltau

from zenkai_research.core.scorer import check
from zenkai_research.core.settings import test_data
from zenkai_research.images.decode import Frame, read_image
from zenkai_research.images.samples import sample_photographs
from zenkai_research.metrics.blur import WIDEST, Defocus, Motion
from zenkai_research.metrics.sharpness import Sharpness

SCORERS = Sharpness(), Defocus(), Motion()
SIGMAS = 0, 1, 1.5, 2, 3, 4, 6, 8
LENGTHS = 5, 9, 15, 21


def scores(picture):
    "sharpness.score, defocus.score, defocus.typical, motion.score, motion.angle"
    frame = Frame(np.ascontiguousarray(picture))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.concatenate([check(one, one.score([frame]), 1)[0, :, 0] for one in SCORERS])[[0, 1, 2, 6, 7]]


def photograph(name): return read_image(sample_photographs()[name])


def defocused(photo, sigma): return cv2.GaussianBlur(photo, (0, 0), sigma) if sigma else photo


def out_of_focus(photo, radius):
    "A disc, as a lens makes it."
    y, x = np.mgrid[-radius - 1:radius + 2, -radius - 1:radius + 2]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return cv2.filter2D(photo, -1, disc/disc.sum(), borderType=cv2.BORDER_REFLECT_101)


def moved(photo, length, angle):
    "A straight motion; the angle is anticlockwise as one sees it."
    side = length//2 + 2
    t = np.linspace(-1, 1, 40*length)*(length - 1)/2
    x, y = np.cos(np.radians(angle))*t + side, -np.sin(np.radians(angle))*t + side
    kernel, (i, j) = np.zeros((2*side + 1,)*2), (np.floor(x).astype(int), np.floor(y).astype(int))
    for di in (0, 1):
        for dj in (0, 1): np.add.at(kernel, (j + dj, i + di), (1 - abs(x - i - di))*(1 - abs(y - j - dj)))
    return cv2.filter2D(photo, -1, kernel/kernel.sum(), borderType=cv2.BORDER_REFLECT_101)


def apart(a, b): return abs((a - b + 90) % 180 - 90)


# ---- odd pictures

@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (1, 500), (2, 2), (16, 16), (63, 65), (64, 64), (130, 3)])
@pytest.mark.parametrize("value", [0, 90, 255])
def test_without_an_edge(shape, value):
    assert scores(np.full((*shape, 3), value, np.uint8)).tolist() == [0, WIDEST, WIDEST, 0, 0]


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 90), st.integers(1, 90), st.just(3)), elements=st.integers(0, 255)))
def test_any_picture_has_scores_in_range(picture): scores(picture)


@pytest.mark.parametrize("shape", [(1, 400), (400, 1), (5, 5), (40, 300), (300, 300)])
def test_noise_alone_has_scores_in_range(shape): scores(np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))


def test_stripes_are_not_motion():
    stripes = np.tile((np.arange(512)//16 % 2*200 + 20).astype(np.uint8)[:, None], (1, 400, 3))
    for sigma in 0, 1, 3: assert scores(defocused(stripes.reshape(512, 400, 3), sigma))[3] < 0.2


def test_memory_stays_small_on_a_large_picture():
    frame = Frame(np.tile(photograph("chelsea"), (14, 14, 1))[:4000, :6000])
    frame.luma  # noqa: B018, 96 MB that are shared with every other scorer
    tracemalloc.start()
    for one in SCORERS: one.measure(frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 35e6  # a band of `blur.edges`: three rows of blocks, some 6000 x 256 pixels, in a dozen float32 planes


# ---- growing blur

@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut", "flower", "china"])
def test_more_blur_scores_worse(name):
    photo = photograph(name)
    series = np.array([scores(defocused(photo, s)) for s in SIGMAS])
    assert (np.diff(series[:, 0]) < 0).all()
    assert kendalltau(SIGMAS, series[:, 1]).statistic > 0.95
    series = np.array([scores(out_of_focus(photo, r)) for r in (1, 2, 4, 6, 9, 13)])
    assert (np.diff(series[:, 0]) < 0).all() and (np.diff(series[:, 1]) > 0).all()


@pytest.mark.parametrize("sigma", [1, 2, 3, 5])
def test_defocus_measures_pixels(sigma):
    widths = [scores(defocused(photograph(name), sigma))[1:3] for name in ("coffee", "astronaut", "china")]
    assert np.median(widths, axis=0)[0] < 1.3*sigma and np.median(widths, axis=0)[1] > 0.9*sigma


@pytest.mark.parametrize("angle", [0, 30, 60, 90, 135])
def test_longer_motion_scores_higher(angle):
    series = np.array([[scores(moved(photograph(name), n, angle)) for n in LENGTHS] for name in ("chelsea", "coffee", "astronaut", "china")])
    assert np.mean([kendalltau(LENGTHS, one).statistic for one in series[:, :, 3]]) > 0.95
    assert np.median(apart(series[:, -2:, 4], angle)) < 10


def test_motion_is_told_from_defocus_of_the_same_variance():
    names = "chelsea", "coffee", "astronaut", "flower", "china"
    for length in LENGTHS[1:]:
        motion = [scores(moved(photograph(name), length, angle))[3] for name in names for angle in (0, 45, 110)]
        defocus = [scores(defocused(photograph(name), length/12**0.5))[3] for name in names]
        assert np.mean(np.greater.outer(motion, defocus)) > 0.9


def test_a_blurred_background_is_not_defocus():
    photo = photograph("astronaut")
    y, x = np.mgrid[:512, :512]
    face = (np.hypot(x - 225, y - 130) < 110)[..., None]
    all_sharp, portrait, all_blurred = (scores(p) for p in (photo, np.where(face, photo, defocused(photo, 6)), defocused(photo, 6)))
    assert portrait[1] < (all_sharp[1] + all_blurred[1])/2 < portrait[2]


def test_a_smaller_copy_is_sharper():
    for name in "chelsea", "coffee", "astronaut", "china":
        soft = defocused(photograph(name), 4)
        full, half = scores(soft), scores(cv2.resize(soft, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        assert 1.5 < half[0]/full[0] < 2.2 and 0.4 < half[1]/full[1] < 0.7


# ---- what must not matter

@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["coffee", "astronaut", "china"]), st.integers(0, 100), st.integers(0, 100), st.sampled_from([128, 192, 256]), st.booleans())
def test_turned_and_mirrored(name, top, left, side, blurred):
    photo = photograph(name)[top:top + side, left:left + side]
    if blurred: photo = moved(photo, 9, 20)
    plain, turned, mirrored = scores(photo), scores(np.rot90(photo)), scores(photo[:, ::-1])
    np.testing.assert_allclose(turned[:4], plain[:4], rtol=0.01, atol=0.003)
    np.testing.assert_allclose(mirrored[:4], plain[:4], rtol=0.01, atol=0.003)
    if plain[3] > 0.1:
        assert apart(turned[4], plain[4] + 90) <= 2 and apart(mirrored[4], -plain[4]) <= 2


def test_the_batch_does_not_matter():
    frames = [Frame(photograph(name)) for name in ("chelsea", "coffee", "china")]
    for one in SCORERS:
        together = one.score(frames)
        alone = np.vstack([one.score([Frame(f.rgb)]) for f in reversed(frames)])[::-1]
        np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("damage", ["noise", "jpeg"])
def test_noise_and_jpeg_matter_little(damage):
    def damaged(photo):
        if damage == "noise": return np.clip(photo + np.random.default_rng(0).normal(0, 6, photo.shape), 0, 255).astype(np.uint8)
        packed = io.BytesIO()
        Image.fromarray(photo).save(packed, "jpeg", quality=50)
        return read_image(packed.getvalue())
    for name in "coffee", "astronaut", "china":
        for photo in photograph(name), defocused(photograph(name), 2), moved(photograph(name), 15, 60):
            before, after = scores(photo), scores(damaged(photo))
            np.testing.assert_allclose(after[:3], before[:3], rtol=0.25, atol=0.25)
            assert abs(after[3] - before[3]) < 0.15


def test_kodak_photographs():
    if test_data() is None or not (test_data()/"kodak24").is_dir(): pytest.skip("needs kodak24, see ZENKAI_TEST_DATA")
    taus, motion, defocus = [], [], []
    for path in sorted((test_data()/"kodak24").glob("*.png")):
        photo = read_image(path)
        series = np.array([scores(defocused(photo, s)) for s in SIGMAS])
        taus.append([-kendalltau(SIGMAS, series[:, 0]).statistic, kendalltau(SIGMAS, series[:, 1]).statistic])
        motion.append(scores(moved(photo, 15, 60))[3]); defocus.append(scores(out_of_focus(photo, 9))[3])
    assert np.mean(taus, axis=0).min() > 0.95
    assert np.mean(np.greater.outer(motion, defocus)) > 0.95
