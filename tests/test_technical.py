"""Noise, exposure, contrast and JPEG blocks: known levels on clean photographs, odd pictures, and what must not matter."""
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.stats import kendalltau

from zenkai_research.core.scorer import check
from zenkai_research.core.settings import test_data
from zenkai_research.images.decode import Frame, read_image
from zenkai_research.images.samples import sample_photographs
from zenkai_research.metrics.blur import Defocus, Motion
from zenkai_research.metrics.color import Colorfulness, Harmony, Saturation
from zenkai_research.metrics.contrast import Contrast
from zenkai_research.metrics.exposure import Exposure, linear_light, luma_histogram, percentile
from zenkai_research.metrics.jpeg import Jpeg, grid, steps
from zenkai_research.metrics.noise import Noise, noise_level
from zenkai_research.metrics.sharpness import Sharpness

SCORERS = [Noise(), Exposure(), Contrast(), Jpeg()]
TURNS = [lambda a: np.rot90(a), lambda a: np.rot90(a, 2), lambda a: a[:, ::-1], lambda a: a[::-1]]
rgb_pictures = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40).map(lambda shape: (*shape, 3)))
needs_kodak = pytest.mark.skipif(not (test_data() and (test_data()/"kodak24").is_dir()), reason="the clean photographs of kodak24 are not here")


def measure(scorer, rgb):
    "Outputs for an array, checked against the promised ranges."
    return check(scorer, scorer.score([Frame(np.ascontiguousarray(rgb))]), 1)[0, :, 0]


@pytest.fixture(scope="module")
def clean():
    return [read_image(path) for path in sorted((test_data()/"kodak24").glob("*.png"))]


@pytest.fixture(scope="module")
def photo():
    return read_image(sample_photographs()["coffee"])


def noisy(rgb, sigma, seed=0):
    "The same noise in all channels, so that luma has exactly `sigma`."
    noise = np.random.default_rng(seed).normal(0, sigma, rgb.shape[:2])[..., None]
    return np.clip(np.rint(rgb + noise), 0, 255).astype(np.uint8)


def compressed(rgb, quality):
    return cv2.imdecode(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def exposed(rgb, stops):
    light = np.clip(linear_light(rgb) * 2.0**stops, 0, 1)
    return np.rint(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)).astype(np.uint8)


# ---- pictures that are hardly pictures

@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
@pytest.mark.filterwarnings("error")
@settings(deadline=None, max_examples=60)
@given(rgb=rgb_pictures)
def test_any_small_array_has_finite_outputs_in_range(scorer, rgb): measure(scorer, rgb)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (2, 2), (6, 7), (7, 7), (19, 19), (20, 20), (33, 33), (64, 65), (3, 4000)])
def test_thin_and_tiny_pictures(scorer, shape):
    rng = np.random.default_rng(0)
    for rgb in (np.zeros((*shape, 3)), np.full((*shape, 3), 255), rng.integers(0, 256, (*shape, 3)), rng.integers(0, 2, (*shape, 3)) * 255):
        measure(scorer, rgb.astype(np.uint8))


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
def test_same_picture_same_numbers(scorer, photo):
    assert (measure(scorer, photo) == measure(scorer, photo.copy())).all()


def test_one_scorer_serves_many_threads(photo):
    scorers = [*SCORERS, Sharpness(), Defocus(), Motion(), Colorfulness(), Saturation(), Harmony()]
    pictures = [photo[top:top + 120 + 7 * top, left:left + 200 + 3 * left] for top in (0, 31, 64) for left in (0, 50, 99)] * 3
    def outputs(rgb):
        frame = Frame(np.ascontiguousarray(rgb))
        return np.concatenate([scorer.score([frame])[0] for scorer in scorers])
    with ThreadPoolExecutor(8) as pool: together = list(pool.map(outputs, pictures))
    for rgb, found in zip(pictures, together, strict=True): np.testing.assert_array_equal(found, outputs(rgb))
    assert not any(vars(scorer) for scorer in scorers)


# ---- what must not matter

@pytest.mark.parametrize("turn", TURNS)
def test_turning_and_mirroring(photo, turn):
    rgb = noisy(photo, 5)
    assert np.allclose(measure(Exposure(), turn(rgb)), measure(Exposure(), rgb), atol=1e-6)
    assert np.allclose(measure(Contrast(), turn(rgb)), measure(Contrast(), rgb), rtol=0.02)
    assert abs(measure(Noise(), turn(rgb)) - measure(Noise(), rgb)) < 0.3  # another set of patches
    blocky = compressed(photo, 30)
    assert abs(measure(Jpeg(), turn(blocky)) - measure(Jpeg(), blocky)) < 0.02


# ---- noise

@needs_kodak
def test_noise_is_near_the_noise_that_was_added(clean):
    for sigma, mean, worst in ((2, 0.35, 1), (5, 0.25, 0.7), (10, 0.4, 0.8), (20, 1.0, 1.6)):
        errors = np.array([measure(Noise(), noisy(rgb, sigma, i))[0] - sigma for i, rgb in enumerate(clean[::2])])
        assert np.abs(errors).mean() < mean and np.abs(errors).max() < worst, (sigma, errors)


@needs_kodak
def test_noise_rises_with_noise(clean):
    sigmas = [0, 1, 2, 3, 5, 8, 12, 18, 25]
    taus = [kendalltau(sigmas, [measure(Noise(), noisy(rgb, sigma))[0] for sigma in sigmas])[0] for rgb in clean[::3]]
    assert min(taus) > 0.95


def test_noise_alone_is_measured_exactly():
    for sigma in (1, 4, 16):
        luma = 128 + np.random.default_rng(0).normal(0, sigma, (512, 512)).astype(np.float32)
        assert abs(noise_level(luma) - sigma) < 0.06 * sigma


@pytest.mark.parametrize("name", ["gravel", "grass", "coins"])
def test_texture_is_as_noisy_either_way_up(name):
    "Hardly a patch is weak there."
    texture = read_image(sample_photographs()[name])
    found = [measure(Noise(), turn(texture))[0] for turn in (lambda a: a, *TURNS)]
    assert max(found) - min(found) < 0.05*max(found) and max(found) < 2


def test_noise_survives_borders_and_clipped_sky(photo):
    bordered = cv2.copyMakeBorder(noisy(photo, 8), 80, 80, 0, 0, cv2.BORDER_CONSTANT, value=(90, 90, 90))
    sky = noisy(photo, 8); sky[:200] = 255
    for rgb in (bordered, sky): assert abs(measure(Noise(), rgb)[0] - 8) < 1


def test_jpeg_hides_noise_weaker_than_a_quarter_of_its_coarsest_step(photo):
    def found(sigma, quality): return measure(Noise(), compressed(noisy(photo, sigma), quality))[0]
    for sigma, quality in ((5, 95), (10, 90), (20, 75)): assert abs(found(sigma, quality) - sigma) < 0.15 * sigma
    for sigma, quality in ((5, 90), (5, 75), (10, 75)): assert found(sigma, quality) < 0.3 * sigma


# ---- exposure

@needs_kodak
def test_exposure_follows_the_gain_in_linear_light(clean):
    stops = [-5, -4, -3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 4]
    for rgb in clean[::4]:
        score, key, highlights, shadows, _, clipped, blown, brightest = np.array([measure(Exposure(), exposed(rgb, s)) for s in stops]).T
        assert kendalltau(stops, key)[0] > 0.99
        assert (np.diff([highlights, clipped, blown, brightest]) >= 0).all() and (np.diff(shadows) <= 0).all()
        peak = score.argmax()
        assert (np.diff(score[:peak + 1]) > 0).all() and (np.diff(score[peak:]) < 0).all()  # one best exposure


@given(value=st.integers(0, 255))
@settings(deadline=None, max_examples=40)
def test_exposure_of_one_value(value):
    score, key, highlights, shadows, spread, clipped, blown, brightest = measure(Exposure(), np.full((9, 9, 3), value, np.uint8))
    assert np.isclose(score, np.exp(-((value / 255 - 0.5) ** 2) / 0.08)) and spread == 0
    assert np.isclose(key, np.log2(linear_light(max(value, 0.5)) / 0.18))
    assert (highlights, shadows) == (value >= 250, value <= 5) and clipped == blown == highlights
    assert np.isclose(brightest, np.log2(linear_light(max(value, 0.5))))


def test_a_channel_may_clip_alone():
    red = np.full((40, 40, 3), 60, np.uint8); red[:10, :, 0] = 255
    _, _, highlights, _, _, clipped, blown, brightest = measure(Exposure(), red)
    assert (highlights, clipped, blown, brightest) == (0, 0.25, 0, 0)


def test_dynamic_range_of_two_grays():
    rgb = np.full((10, 10, 3), 30, np.uint8); rgb[5:] = 200
    assert np.isclose(measure(Exposure(), rgb)[4], np.log2(linear_light(200) / linear_light(30)))


def test_percentile_is_that_of_the_sorted_pixels(photo):
    frame = Frame(photo)
    for q in (0.01, 0.37, 0.5, 0.99):
        assert percentile(luma_histogram(frame), q) == np.quantile(np.rint(frame.luma), q, method="inverted_cdf")


# ---- contrast

@needs_kodak
def test_contrast_falls_when_it_is_turned_down(clean):
    factors = [1, 0.9, 0.8, 0.65, 0.5, 0.35, 0.2, 0.1]
    for rgb in clean[::4]:
        outputs = np.array([measure(Contrast(), np.rint(128 + f * (rgb.astype(float) - 128)).astype(np.uint8)) for f in factors])
        assert (np.diff(outputs, axis=0) < 0).all()


def test_rms_contrast_is_the_standard_deviation(photo):
    assert np.isclose(measure(Contrast(), photo)[0], Frame(photo).luma.std() / 255, atol=1e-4)


def test_local_contrast_does_not_hang_on_resolution(photo):
    larger = cv2.resize(photo, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    assert np.isclose(measure(Contrast(), larger)[2], measure(Contrast(), photo)[2], rtol=0.1)


# ---- JPEG blocks

@needs_kodak
def test_jpeg_falls_with_quality(clean):
    qualities = [5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90]
    taus = [kendalltau(qualities, [measure(Jpeg(), compressed(rgb, q))[0] for q in qualities])[0] for rgb in clean[::3]]
    assert max(taus) < -0.95


@needs_kodak
def test_neither_noise_nor_blur_nor_texture_is_blocks(clean):
    for rgb in clean[::3]:
        assert max(measure(Jpeg(), other)[0] for other in (rgb, noisy(rgb, 15), cv2.GaussianBlur(rgb, (0, 0), 2))) < 0.06
        assert measure(Jpeg(), compressed(rgb, 30))[0] > 0.3


@settings(deadline=None, max_examples=20)
@given(top=st.integers(0, 7), left=st.integers(0, 7))
def test_the_grid_is_found_wherever_it_starts(photo, top, left):
    blocky = compressed(photo, 40)
    luma = Frame(np.ascontiguousarray(blocky[top:, left:])).luma
    assert grid(steps(luma))[0] == (7 - left) % 8 and grid(steps(np.ascontiguousarray(luma.T)))[0] == (7 - top) % 8
    assert abs(measure(Jpeg(), blocky[top:, left:])[0] - measure(Jpeg(), blocky)[0]) < 0.03


def test_perfect_blocks_are_a_perfect_grid():
    blocks = np.kron(np.random.default_rng(0).integers(40, 200, (12, 12)), np.ones((8, 8))).astype(np.uint8)
    assert measure(Jpeg(), np.dstack([blocks] * 3))[0] == 1
