"""The diagnosis: its rule, the spectrum it builds on, spoiled photographs with known answers, and odd pictures."""
import io
import warnings
from collections import Counter

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.stats import kendalltau

from zenkai_research.core.registry import get_scorer
from zenkai_research.core.scorer import check
from zenkai_research.core.settings import test_data
from zenkai_research.images import degrade
from zenkai_research.images.decode import Frame, read_image
from zenkai_research.images.samples import sample_photographs
from zenkai_research.metrics import defects
from zenkai_research.metrics.defects import THRESHOLDS, Defects, worst
from zenkai_research.metrics.spectrum import MOST_TILES, spectrum, tile_spectra, viewing_factor
from zenkai_research.scoring.examine import measure

KINDS = list(THRESHOLDS)
DEFECTS = Defects()
NEEDED = [get_scorer(need.scorer) for need in DEFECTS.needs]
MAPPED = [get_scorer(name) for name in ("sharpness", "defocus", "exposure")]


def outputs(rgb):
    "Outputs of everything the diagnosis needs, and of itself, each checked against its promises; no warning is allowed."
    frame = Frame(np.ascontiguousarray(rgb))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs = [check(one, one.score([frame]), 1)[0, :, 0] for one in NEEDED]
        found = check(DEFECTS, DEFECTS.score(*([one] for one in inputs)), 1)[0, :, 0]
    for one, values in zip([*NEEDED, DEFECTS], [*inputs, found], strict=True): assert isinstance(one.describe(values), str)
    return dict(zip((one.name for one in [*NEEDED, DEFECTS]), [*inputs, found], strict=True))


def severities(rgb): return dict(zip(KINDS, outputs(rgb)["defects"][1:], strict=True))


def named(rgb): return worst(outputs(rgb)["defects"][1:]).name or "none"


def photograph(name): return read_image(sample_photographs()[name])


# ---- the rule

numbers = {"trace": (0, 20), "length": (0, 64), "fall": (0, 12), "radius": (0, 64), "viewed": (0, 32), "sigma": (0, 128), "brightest": (-13, 0),
           "key": (-11, 2.4), "highlights": (0, 1), "clipped": (0, 1), "blown": (0, 1), "quality": (1, 99)}


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({name: st.floats(*ends) for name, ends in numbers.items()}), st.data())
def test_severity_never_falls_when_evidence_grows(given_numbers, data):
    rules = [(defects.motion, ("trace", "length", "fall"), ()), (defects.defocus, ("fall", "radius", "viewed"), ("trace",)), (defects.noise, ("sigma",), ()),
             (defects.underexposure, (), ("brightest",)), (defects.overexposure, ("key", "clipped", "blown"), ("highlights",))]
    for rule, rising, falling in rules:
        arguments = {name: given_numbers[name] for name in (*rising, *falling)}
        before = rule(**arguments)
        assert 0 <= before <= defects.MOST
        for name in (*rising, *falling):
            end = numbers[name][1] if name in rising else numbers[name][0]
            more = data.draw(st.floats(min(arguments[name], end), max(arguments[name], end)))
            assert rule(**arguments | {name: more}) >= before - 1e-9


def test_the_one_furthest_above_its_threshold_is_named():
    assert worst(np.array(list(THRESHOLDS.values())) - 0.01) == ("", 0, "")
    for i, (name, least) in enumerate(THRESHOLDS.items()):
        assert worst(np.eye(6)[i]*least).name == name
        assert worst(np.eye(6)[i]*4 + 2).name == name


def test_severity_one_and_up_are_the_steps_of_the_series():
    for kind, one, steps in (("noise", defects.noise, (3.2, 6.4, 12.8, 25.6)), ("underexposure", defects.underexposure, (-1, -2, -3, -4)),
                             ("jpeg", lambda quality: defects.jpeg(0, quality), (50, 25, 12.5, 6.25))):
        assert np.allclose([one(step) for step in steps], [1, 2, 3, 4]), kind


# ---- the spectrum

@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut", "china", "flower"])
def test_length_and_direction_of_a_motion_are_read_off(name):
    for length in 6, 11, 19, 27:
        for angle in 0, 20, 45, 90, 160:
            trace = Frame(degrade.motion(photograph(name), length, angle)).share(spectrum).trace
            assert trace.fall > 4.5 and abs(trace.length - length) <= 2 and abs((trace.angle - angle + 90) % 180 - 90) <= 6, (length, angle, trace)


@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut", "china", "flower"])
def test_the_radius_of_defocus_is_read_off(name):
    found = [Frame(degrade.defocus(photograph(name), radius)).share(spectrum) for radius in (1.5, 2, 3, 4, 6, 9)]
    assert min(one.fall for one in found) > 3.5
    assert np.abs(np.log2([one.radius/radius for one, radius in zip(found, (1.5, 2, 3, 4, 6, 9), strict=True)])).max() < 0.6


def test_blur_at_viewing_size_does_not_hang_on_the_number_of_pixels():
    small = degrade.defocus(photograph("astronaut"), 4)
    large = cv2.resize(small, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    assert viewing_factor(small.shape) == 1 and viewing_factor(large.shape) == 2
    assert abs(np.log2(Frame(large).share(spectrum).radius/Frame(small).share(spectrum).radius/1.5)) < 0.3


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700))
def test_tiles_stay_few_and_fit(height, width):
    spectra = tile_spectra(np.zeros((height, width), np.float32))
    assert (spectra is None) == (min(height, width) < 32)
    if spectra is not None: assert 1 <= len(spectra) <= MOST_TILES and np.isfinite(spectra).all()


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["coffee", "astronaut", "china"]), st.sampled_from([lambda a: np.rot90(a), lambda a: np.rot90(a, 2), lambda a: a[:, ::-1]]),
       st.sampled_from(["none", *KINDS]))
def test_turned_and_mirrored_pictures_have_the_same_diagnosis(name, turn, kind):
    photo = photograph(name) if kind == "none" else list(degrade.degrade(photograph(name), kind).values())[2]
    plain, turned = severities(photo), severities(turn(photo))
    for one in KINDS: assert abs(plain[one] - turned[one]) < 0.25, one
    assert worst(plain.values()).name == worst(turned.values()).name


# ---- known answers

def saved(rgb, quality):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "jpeg", quality=quality)
    return np.array(Image.open(file))


def along(rgb, length, angle):
    "Moved in sRGB, by a kernel that OpenCV turns: another motion than that of `images.degrade`."
    kernel = np.zeros((length, length), np.float32); kernel[length//2] = 1
    kernel = cv2.warpAffine(kernel, cv2.getRotationMatrix2D(((length - 1)/2,)*2, angle, 1), (length, length))
    return cv2.filter2D(rgb, -1, kernel/kernel.sum(), borderType=cv2.BORDER_REFLECT)


def test_defects_made_in_other_ways_are_named_too():
    rng, right = np.random.default_rng(0), Counter()
    for name in "chelsea", "coffee", "astronaut", "china", "flower":
        photo = photograph(name)
        cases = [("none", photo), ("none", saved(photo, 92)), ("none", photo[::-1])]
        cases += [("defocus", cv2.GaussianBlur(photo, (0, 0), sigma)) for sigma in (1.2, 2, 4)]
        cases += [("defocus", saved(degrade.noise(cv2.GaussianBlur(photo, (0, 0), 2), 1.5), 92))]
        cases += [("motion", along(photo, length, angle)) for length, angle in ((7, 15), (13, 70), (21, 120))]
        cases += [("noise", np.clip(photo + rng.normal(0, sigma, photo.shape[:2])[..., None], 0, 255).astype(np.uint8)) for sigma in (5, 10, 20)]
        cases += [("underexposure", (photo*factor).astype(np.uint8)) for factor in (0.5, 0.3)]
        cases += [("overexposure", np.clip(photo*factor, 0, 255).astype(np.uint8)) for factor in (2.2, 3)]
        cases += [("jpeg", saved(photo, quality)) for quality in (40, 20, 8)]
        for kind, picture in cases: right[named(picture) == kind] += 1
    assert right[True]/right.total() > 0.93, right


def test_kodak_photographs():
    if test_data() is None or not (test_data()/"kodak24").is_dir(): pytest.skip("needs kodak24, see ZENKAI_TEST_DATA")
    right, taus = Counter(), []
    for i, path in enumerate(sorted((test_data()/"kodak24").glob("*.png"))[::3]):
        photo = read_image(path)
        right[named(photo) == "none"] += 1
        for kind, (function, strengths) in degrade.SERIES.items():
            extra = ((0, 30, 60, 90, 135)[i % 5],) if kind == "motion" else ()
            found = [severities(function(photo, strength, *extra)) for strength in strengths]
            for one in found[1:]: right[worst(one.values()).name == kind] += 1
            taus.append(kendalltau(range(4), [one[kind] for one in found]).statistic)
    assert right[True]/right.total() > 0.93, right
    assert np.mean(taus) > 0.97


def test_a_picture_is_diagnosed_from_its_file(tmp_path):
    Image.fromarray(degrade.motion(photograph("coffee"), 16, 30)).save(tmp_path/"moved.png")
    found = measure(tmp_path/"moved.png", "defects")
    assert abs(found["defects.score"] - 3) < 0.3 and found["defects.score"] == found["defects.motion"] and abs(found["motion.angle"] - 30) <= 3
    assert DEFECTS.describe([found[f"defects.{o.name}"] for o in DEFECTS.outputs]).startswith("strongly blurred by motion")


# ---- odd pictures

@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 90), st.integers(1, 90), st.just(3)), elements=st.integers(0, 255)))
def test_any_picture_has_a_diagnosis(picture): outputs(picture)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (2, 2), (31, 31), (32, 32), (33, 400), (64, 64), (129, 127)])
def test_thin_tiny_and_plain_pictures(shape):
    rng = np.random.default_rng(0)
    assert [named(np.full((*shape, 3), value, np.uint8)) for value in (0, 235, 255)] == ["underexposure", "none", "overexposure"]
    for picture in rng.integers(0, 256, (*shape, 3)), rng.integers(0, 2, (*shape, 3))*255, np.broadcast_to(np.arange(shape[1])[:, None] % 256, (*shape, 3)):
        outputs(picture.astype(np.uint8))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (40, 30), (200, 317)])
def test_maps_cover_the_picture(shape):
    frame = Frame(np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))
    for one in MAPPED:
        chart = one.map(frame)
        block = 64 if one.name == "defocus" else 16
        assert chart.dtype == np.float32 and np.isfinite(chart).all()
        assert all(-(-n//block) <= m <= 4*-(-n//64) for n, m in zip(shape, chart.shape, strict=True)), (one.name, chart.shape)
