"""Tone, texture, monochrome, warmth, documents and tags: answers known beforehand, a second way to the same number, odd pictures, false alarms."""
import math

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import kurtosis

from zenkai_research.core.registry import get_scorer, groups, resolve
from zenkai_research.core.scorer import check
from zenkai_research.images.decode import Frame, read_image
from zenkai_research.images.degrade import exposure, jpeg, noise
from zenkai_research.images.samples import sample_photographs
from zenkai_research.metrics.document import Document, axis_edges, common_colors, flat_runs, ink_on_paper, letters, sign
from zenkai_research.metrics.style import (
    BRIGHTER,
    TAGS,
    Monochrome,
    Texture,
    Tone,
    Warmth,
    binary_patterns,
    coarseness,
    coherence,
    silhouette,
    style_tags,
    tamura_contrast,
    warmth,
)

SCORERS = [Tone(), Texture(), Monochrome(), Warmth(), Document()]
PHOTOS = ["astronaut", "chelsea", "china", "coffee", "flower", "rocket", "camera"]
rgb_pictures = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40).map(lambda shape: (*shape, 3)))
planes = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=12), elements=st.integers(0, 255).map(float))


def measure(scorer, rgb):
    "Outputs for an array, checked against the promised ranges."
    return check(scorer, scorer.score([Frame(np.ascontiguousarray(rgb))]), 1)[0, :, 0]


@pytest.fixture(scope="module")
def photos():
    return {name: read_image(sample_photographs()[name]) for name in PHOTOS}


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
@pytest.mark.parametrize("shape", [(1, 1), (1, 200_000), (200_000, 1), (2, 3), (47, 5000), (900, 700), (6000, 9000)])
def test_any_shape(scorer, shape):
    for color in ((0, 0, 0), (255, 255, 255), (250, 3, 90)): measure(scorer, np.full((*shape, 3), color, np.uint8))
    if np.prod(shape) < 1e6: measure(scorer, np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))


def test_all_are_in_the_group():
    assert {scorer.name for scorer in SCORERS} == set(groups()["style"])
    assert all(type(get_scorer(scorer.name)) is type(scorer) for scorer in SCORERS)


TOLERANCE = {"tone": [0.01, 0.01, 0.01, 2, 3, 0.1], "texture": [0.05, 1.5, 1, 0.02], "monochrome": [0.05, 0.2, 0.3, 3], "warmth": [0.02, 0.02, 0.02],
             "document": [0.05, 0.05, 0.02, 0.05]}


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
@pytest.mark.parametrize("name", PHOTOS)
def test_mirroring_and_turning_change_little(scorer, name, photos):
    values = measure(scorer, photos[name])
    for changed in (photos[name][:, ::-1], np.rot90(photos[name], 2)):
        assert np.all(np.abs(measure(scorer, changed) - values) <= TOLERANCE[scorer.name])
    if scorer.name != "document": assert np.all(np.abs(measure(scorer, np.rot90(photos[name])) - values) <= TOLERANCE[scorer.name])


# ---- tone

@pytest.mark.parametrize("level,dark,light", [(0, 1, 0), (84, 1, 0), (85, 0, 0), (170, 0, 0), (171, 0, 1), (255, 0, 1)])
def test_thirds_of_the_tones(level, dark, light):
    assert np.allclose(measure(Tone(), np.full((20, 30, 3), level, np.uint8)), [light - dark, dark, light, level, 0, 0])


@pytest.mark.parametrize("name", PHOTOS)
def test_more_light_raises_the_key(name, photos):
    keys = [measure(Tone(), exposure(photos[name], stops))[[0, 3]] for stops in (-4, -2, -1, 0, 1, 2, 3)]
    assert (np.diff(keys, axis=0) >= 0).all() and keys[0][0] < -0.8 and keys[-1][0] > keys[2][0] + 0.3


def test_what_is_a_silhouette():
    sky = np.full((60, 80), 80, np.float32)
    assert silhouette(sky) == 0
    figure = sky.copy()
    figure[25:60, 30:50] = 5
    assert silhouette(figure) == 1 and silhouette(np.where(figure < 50, 35, figure)) == 0      # not dark
    assert silhouette(np.where(figure > 50, 40, figure)) == 0                                  # not before light
    lamp = np.full((60, 80), 5, np.float32)
    lamp[10:50, 10:70] = 80
    assert silhouette(lamp) == 0                                                               # light before dark
    detail = np.where(figure < 50, np.random.default_rng(0).uniform(0, 60, figure.shape), figure).astype(np.float32)
    assert silhouette(detail) < 0.5


# ---- texture

@given(plane=planes)
@settings(deadline=None, max_examples=40)
def test_binary_patterns_one_pixel_at_a_time(plane):
    count = np.zeros(10)
    for y in range(1, plane.shape[0] - 1):
        for x in range(1, plane.shape[1] - 1):
            ring = [plane[y + dy, x + dx] > plane[y, x] + BRIGHTER
                    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))]
            changes = sum(ring[i] != ring[i - 1] for i in range(8))
            count[sum(ring) if changes <= 2 else 9] += 1
    assert np.allclose(binary_patterns(plane), count / count.sum())
    assert np.allclose(binary_patterns(plane), binary_patterns(np.rot90(plane))) and np.allclose(binary_patterns(plane), binary_patterns(plane[::-1]))


@given(plane=planes)
def test_contrast_is_that_of_the_paper(plane):
    assume(plane.std() > 1)
    expected = plane.std(dtype=np.float64) / kurtosis(plane, axis=None, fisher=False) ** 0.25
    assert np.isclose(tamura_contrast(plane), expected, rtol=1e-4)
    assert np.isclose(tamura_contrast(255 - plane), expected, rtol=1e-4) and np.isclose(tamura_contrast(plane / 2), expected / 2, rtol=1e-4)


@pytest.mark.parametrize("angle", [0, 20, 45, 70, 90, 135])
def test_coherence_does_not_depend_on_the_angle(angle):
    y, x = np.mgrid[:200, :200]
    waves = np.float32(127 + 100 * np.sin((x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))) / 3))
    assert coherence(waves) > 0.97 and coherence(np.random.default_rng(0).random((200, 200), np.float32) * 255) < 0.03


def test_coarseness_follows_the_size_of_the_grain():
    small = np.random.default_rng(0).random((16, 16), np.float32) * 255
    values = [coarseness(np.kron(np.tile(small, (8 // side, 8 // side)), np.ones((2 * side, 2 * side), np.float32))) for side in (1, 2, 4, 8)]
    assert (np.diff(values) > 1).all()
    assert coarseness(np.zeros((1, 50), np.float32)) == 2 and coarseness(np.full((80, 80), 7, np.float32)) == 32


@pytest.mark.parametrize("name", PHOTOS)
def test_blur_takes_texture(name, photos):
    values = [measure(Texture(), cv2.GaussianBlur(photos[name], (0, 0), sigma))[0] for sigma in (0.1, 2, 4, 8, 16)]
    assert (np.diff(values) < 0).all()


def test_one_colour_has_no_texture_and_no_minus():
    for level in (0, 128, 255): assert math.copysign(1, Texture().measure(Frame(np.full((20, 30, 3), level, np.uint8)))[0]) == 1


# ---- monochrome and warmth

@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("color,kind", [((127, 127, 127), "gray"), ((150, 122, 90), "sepia"), ((70, 115, 160), "toned in one hue")])
def test_toned_prints_are_monochrome(name, color, kind, photos):
    light = (photos[name] @ [0.299, 0.587, 0.114] / 255)[..., None]
    toned = np.rint(255 * light ** (np.log(np.array(color) / 255) / np.log(0.5))).astype(np.uint8)
    values = measure(Monochrome(), jpeg(toned, 85))
    assert values[0] > (0.99 if kind == "gray" else 0.35)
    if name in ("chelsea", "china", "coffee"): assert Monochrome().describe(values) == kind  # dark pictures show little of the tone


def test_colour_pictures_are_not_monochrome(photos):
    for name in PHOTOS[:-1]:
        values = measure(Monochrome(), photos[name])
        assert values[0] < 0.2 and Monochrome().describe(values) == ""
    lightness = np.random.default_rng(0).uniform(30, 70, (40, 40))
    lab = np.dstack([lightness, np.where(np.arange(40) < 20, -30, 30) + 0 * lightness, 0 * lightness]).astype(np.float32)
    two = np.rint(255 * np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), 0, 1)).astype(np.uint8)  # two hues of the same lightnesses
    assert measure(Monochrome(), two)[0] < 0.01 and measure(Monochrome(), two[:, :20])[0] > 0.5


def test_left_over_grows_with_saturation(photos):
    gray = cv2.cvtColor(cv2.cvtColor(photos["coffee"], cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    values = [measure(Monochrome(), cv2.addWeighted(photos["coffee"], share, gray, 1 - share, 0)) for share in (0, 0.2, 0.4, 0.7, 1)]
    assert (np.diff([v[0] for v in values]) < 0).all() and (np.diff([v[1] for v in values]) > 0).all()


@pytest.mark.parametrize("chroma,hue", [(0, 0), (40, 50), (40, 230), (60, 140), (25, 300)])
def test_warmth_is_the_formula_of_the_paper(chroma, hue):
    lab = np.float32([[[50, chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))]]])
    assert np.isclose(warmth(lab)[0, 0], -0.5 + 0.02 * chroma**1.07 * np.cos(np.radians(hue - 50)), atol=1e-5)


# ---- documents

WORDS = "and so the quick grey fox has seen no end of lazy hounds that sleep in every yard of this old town".split()


def page(seed, width=900, height=1200):
    rng = np.random.default_rng(seed)
    sheet = Image.new("L", (width, height), int(rng.integers(220, 256)))
    draw, font, y = ImageDraw.Draw(sheet), ImageFont.load_default(int(rng.integers(14, 24))), 90
    while y < height - 90:
        line = ""
        while draw.textlength(line + " hounds", font) < width - 180: line += " " + str(rng.choice(WORDS))
        if rng.random() > 0.1: draw.text((90, y), line.strip(), 30, font)
        y += round(1.45 * font.size)
    return np.dstack([np.array(sheet)] * 3)


def screen(seed, width=1200, height=750):
    rng = np.random.default_rng(seed)
    back, ink = [(24, 26, 31), (230, 230, 230)] if seed % 2 else [(255, 255, 255), (20, 20, 20)]
    accents = [tuple(color) for color in rng.integers(30, 230, (3, 3)).tolist()]
    window = Image.new("RGB", (width, height), back)
    draw, font = ImageDraw.Draw(window), ImageFont.load_default(15)
    draw.rectangle((0, 0, width, 50), accents[0])
    for i in range(12):
        x, y = 40 + 380 * (i % 3), 80 + 160 * (i // 3)
        draw.rectangle((x, y, x + 340, y + 140), outline=ink)
        draw.text((x + 12, y + 10), " ".join(rng.choice(WORDS, 5)), ink, font)
        draw.rectangle((x + 12, y + 100, x + 12 + int(rng.integers(40, 200)), y + 125), accents[i % 3])
    return np.array(window)


@pytest.mark.parametrize("seed", range(8))
def test_pages_are_pages(seed):
    sheet = page(seed)
    shade = np.linspace(0.6, 1, sheet.shape[1])[None, :, None]
    for rgb in (sheet, jpeg(sheet, 60), noise(sheet, 4), (sheet * shade).astype(np.uint8), sheet[:, ::-1]):
        assert measure(Document(), rgb)[0] >= 0.5
    assert measure(Document(), 255 - sheet)[0] == 0  # white on black is no paper


@pytest.mark.parametrize("seed", range(8))
def test_screens_are_screenshots(seed):
    shot = screen(seed)
    for rgb in (shot, jpeg(shot, 80), cv2.resize(shot, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)):
        assert measure(Document(), rgb)[1] >= 0.5
    assert measure(Document(), noise(shot, 5))[1] == 0  # filmed off a screen, it has noise


def test_photographs_are_neither():
    for path in sample_photographs().values(): assert measure(Document(), read_image(path))[:2].max() < 0.5


def test_few_false_alarms_on_real_photographs(data):
    paths = sorted((data/"clive"/"images").glob("*"))[::6] + sorted((data/"kodak24").glob("*.png"))[::3]
    if len(paths) < 100: pytest.skip("needs the photographs of clive and kodak24")
    page_like, drawn = np.array([measure(Document(), read_image(path))[:2] >= 0.5 for path in paths]).sum(axis=0)
    assert page_like <= 1 and drawn <= 1


def test_signs_of_drawing():
    rows = np.zeros((4, 100, 3), np.uint8)
    assert flat_runs(rows) > 0.8 and common_colors(rows) == 1
    rows[:, ::2] = 90
    assert flat_runs(rows) == 0 and common_colors(rows) == 1 and flat_runs(rows[:, :10]) == 0
    assert common_colors(np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)) < 0.01
    square = np.zeros((100, 100), np.uint8)
    square[20:80, 20:80] = 255
    turned = cv2.warpAffine(square, cv2.getRotationMatrix2D((50, 50), 30, 1), (100, 100))
    assert axis_edges(square) > 0.9 and axis_edges(turned) < 0.2 and axis_edges(np.zeros_like(square)) == 0


@given(value=st.floats(-10, 10), absent=st.floats(-3, 3), present=st.floats(-3, 3))
def test_sign_runs_from_absent_to_present(value, absent, present):
    assume(abs(absent - present) > 1e-3)
    assert 0 <= sign(value, absent, present) <= 1 and sign(absent, absent, present) == 0 and sign(present, absent, present) == 1


def test_ink_on_paper_counts_letters():
    sheet = np.full((600, 600), 230, np.uint8)
    for x in range(50, 550, 20):
        for y in range(50, 550, 20): cv2.rectangle(sheet, (x, y), (x + 3, y + 9), 20, -1)
    paper, ink = ink_on_paper(sheet)
    assert letters(ink) == (1, 625, 0) and np.isclose(ink.mean(), 625 * 40 / 600**2) and np.isclose(paper + ink.mean(), 1)
    assert letters(np.zeros_like(ink)) == (0, 0, 1)


# ---- tags

@pytest.mark.parametrize("tag", TAGS)
def test_each_tag_can_be_had_and_missed(tag):
    outputs = {f"{s.name}.{o.name}": o for s in resolve(["style", "composition", "color"]).values() for o in s.outputs}
    holding = {c.output: [] for c in TAGS[tag]}
    for c in TAGS[tag]:
        assert c.sign in ("<", ">") and c.reason and outputs[c.output].low < c.limit < outputs[c.output].high
        holding[c.output].append(c)
    values = {}
    for name, conditions in holding.items():
        low = max([c.limit for c in conditions if c.sign == ">"], default=outputs[name].low)
        high = min([c.limit for c in conditions if c.sign == "<"], default=outputs[name].high)
        values[name] = (low + high) / 2 if math.isfinite(low + high) else low + 1
    assert tag in style_tags(values)
    for c in TAGS[tag]:
        assert tag not in style_tags(values | {c.output: c.limit}) and tag not in style_tags(values | {c.output: math.nan})
        assert tag not in style_tags({name: value for name, value in values.items() if name != c.output})


def test_tags_of_nothing(): assert style_tags({}) == []


def tags(rgb):
    frame = Frame(np.ascontiguousarray(rgb))
    return style_tags({f"{s.name}.{o.name}": v for s in resolve(["style", "composition", "color"]).values()
                       for o, v in zip(s.outputs, s.measure(frame), strict=True)})


def test_tags_of_pictures(photos):
    assert {"monochrome", "black and white"} <= set(tags(photos["camera"])) and "vivid" in tags(photos["flower"])
    assert "warm" in tags(photos["coffee"]) and "cool" in tags(photos["rocket"]) and "low key" in tags(photos["rocket"])
    assert "page" in tags(page(0)) and "screenshot" in tags(screen(0)) and "high key" in tags(exposure(photos["china"], 3))
    for name in PHOTOS:
        assert set(tags(photos[name])) == set(tags(photos[name][:, ::-1])) and not {"page", "screenshot"} & set(tags(photos[name]))
