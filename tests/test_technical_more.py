"""Banding, colour cast, haze, aberration, tilt and past JPEG quality: known strengths, turns, odd pictures, large ones."""
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.stats import kendalltau

from zenkai_research.core.registry import get_scorer, groups
from zenkai_research.core.scorer import check
from zenkai_research.core.settings import test_data
from zenkai_research.images.decode import Frame, read_image
from zenkai_research.images.degrade import exposure, jpeg, noise
from zenkai_research.images.metadata import read_metadata
from zenkai_research.images.samples import sample_photographs
from zenkai_research.metrics.aberration import Aberration, corner_shift, products, tiles
from zenkai_research.metrics.banding import Banding, _spread, lone_steps
from zenkai_research.metrics.exposure import linear_light
from zenkai_research.metrics.haze import Haze, transmission
from zenkai_research.metrics.horizon import Horizon
from zenkai_research.metrics.jpeg_quality import TABLES, JpegQuality, dct_blocks
from zenkai_research.metrics.reduced import MOST, reduced
from zenkai_research.metrics.white_balance import WhiteBalance, agreed, tint

SCORERS = [Banding(), WhiteBalance(), Haze(), Aberration(), Horizon(), JpegQuality()]
each_scorer = pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
TURNS = [lambda a: np.rot90(a), lambda a: np.rot90(a, 2), lambda a: a[:, ::-1], lambda a: a[::-1]]
rgb_pictures = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40).map(lambda shape: (*shape, 3)))
needs_kodak = pytest.mark.skipif(not (test_data() and (test_data()/"kodak24").is_dir()), reason="the clean photographs of kodak24 are not here")


def frame(rgb): return Frame(np.ascontiguousarray(rgb))


def measure(scorer, rgb):
    "Outputs by name for an array, checked against the promised ranges."
    values = check(scorer, scorer.score([frame(rgb)]), 1)[0, :, 0]
    assert isinstance(scorer.describe(values), str)
    return dict(zip((output.name for output in scorer.outputs), values, strict=True))


@pytest.fixture(scope="module", params=["astronaut", "coffee", "china"])
def photo(request):
    return read_image(sample_photographs()[request.param])


@pytest.fixture(scope="module")
def clean():
    return [read_image(path) for path in sorted((test_data()/"kodak24").glob("*.png"))]


# ---- defects of known strength

def quantized(rgb, levels):
    return np.clip((np.floor(rgb/(256/levels)) + 0.5)*(256/levels), 0, 255).astype(np.uint8)


def lit(rgb, gains):
    light = np.clip(linear_light(np.arange(256))[rgb]*np.asarray(gains), 0, 1)
    return np.rint(255*np.where(light <= 0.0031308, 12.92*light, 1.055*light**(1/2.4) - 0.055)).astype(np.uint8)


def hazy(rgb, t): return np.rint(rgb*t + np.array([215, 218, 222])*(1 - t)).astype(np.uint8)


def magnified(rgb, red, blue):
    height, width = rgb.shape[:2]
    out = rgb.copy()
    for channel, pixels in (0, red), (2, blue):
        s = 1 + 2*pixels/np.hypot(height, width)
        move = np.array([[s, 0, (1 - s)*(width - 1)/2], [0, s, (1 - s)*(height - 1)/2]])
        out[..., channel] = cv2.warpAffine(rgb[..., channel], move, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return out


def rotated(rgb, degrees):
    height, width = rgb.shape[:2]
    turn = cv2.getRotationMatrix2D((width/2, height/2), -degrees, 1)
    return cv2.warpAffine(rgb, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)[height//7:-height//7, width//7:-width//7]


def sky(height=400, width=600):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([90 + 60*y/height + 10*x/width, 130 + 60*y/height + 8*x/width, 190 + 40*y/height], axis=-1)


# ---- pictures that are hardly pictures

@each_scorer
@pytest.mark.filterwarnings("error")
@settings(deadline=None, max_examples=40)
@given(rgb=rgb_pictures)
def test_any_small_array_has_finite_outputs_in_range(scorer, rgb): measure(scorer, rgb)


@each_scorer
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (2, 2), (7, 7), (8, 8), (9, 17), (64, 64), (64, 130), (3, 4000), (127, 129)])
def test_thin_and_tiny_pictures(scorer, shape):
    rng = np.random.default_rng(0)
    for rgb in (np.zeros((*shape, 3)), np.full((*shape, 3), 255), rng.integers(0, 256, (*shape, 3)), rng.integers(0, 2, (*shape, 3))*255):
        measure(scorer, rgb.astype(np.uint8))


@each_scorer
@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (128, 128, 128)])
def test_plain_pictures_have_none_of_these_defects(scorer, color):
    values = measure(scorer, np.full((200, 300, 3), color, np.uint8))
    none = {"jpeg_quality": 100, "haze": 0 if color[0] == 0 else values["score"]}.get(scorer.name, 0)
    assert values["score"] == pytest.approx(none, abs=1e-6)


@each_scorer
def test_same_picture_same_numbers_whatever_was_asked_before(scorer, photo):
    shared = frame(photo)
    for other in SCORERS: other.score([shared])
    again = dict(zip((output.name for output in scorer.outputs), scorer.score([shared])[0], strict=True))
    assert measure(scorer, photo) == again


@each_scorer
def test_gray_pictures_are_neutral(scorer):
    gray = read_image(sample_photographs()["camera"])
    if scorer.name in ("white_balance", "aberration"): assert abs(np.array(list(measure(scorer, gray).values()))).max() < 0.02


@each_scorer
def test_installed_under_its_name(scorer):
    assert type(get_scorer(scorer.name)) is type(scorer) and scorer.name in groups()["technical"]


@each_scorer
def test_maps_cover_the_picture_and_stay_in_range(scorer, photo):
    found = scorer.map(frame(photo))
    if found is not None: assert found.dtype == np.float32 and found.ndim == 2 and 0 <= found.min() <= found.max() <= 1
    assert (found is None) == (scorer.name not in ("banding", "haze"))


@each_scorer
def test_a_hundred_megapixels_take_little_memory(scorer):
    big = Frame(np.zeros((10_000, 10_000, 3), np.uint8))
    big.luma = np.zeros(big.rgb.shape[:2], np.float32)  # belongs to the frame, not to the scorer
    tracemalloc.start()
    try: scorer.measure(big)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 200e6


# ---- turning

@each_scorer
@pytest.mark.parametrize("turn", TURNS)
def test_turns_and_mirrors(scorer, turn):
    photo = read_image(sample_photographs()["coffee"])
    spoiled = {"banding": quantized(photo, 24), "white_balance": lit(photo, (1, 0.8, 0.6)), "haze": hazy(photo, 0.6), "aberration": magnified(photo, 2, -2),
               "horizon": rotated(read_image(sample_photographs()["camera"]), 5), "jpeg_quality": jpeg(photo[:397, :595], 40)}[scorer.name]
    before, after = measure(scorer, spoiled)["score"], measure(scorer, turn(spoiled))["score"]
    tolerance = {"banding": 0.05, "white_balance": 0.5, "haze": 0.03, "aberration": 0.3, "horizon": 0.5, "jpeg_quality": 0}[scorer.name]
    assert after == pytest.approx(before, abs=tolerance)


def test_a_mirror_turns_the_tilt_around():
    tilted = rotated(read_image(sample_photographs()["camera"]), 6)
    there, back = measure(Horizon(), tilted)["tilt"], measure(Horizon(), tilted[:, ::-1])["tilt"]
    assert there == pytest.approx(6, abs=1) and back == pytest.approx(-there, abs=0.5)


# ---- banding

def test_a_step_is_lone_only_where_all_is_flat_around_it():
    line = np.zeros((1, 41), np.float32)
    line[:, 20:] = 4
    assert lone_steps(line)[0, 20] == 1 and lone_steps(line).sum() == 1
    assert lone_steps(line*10).sum() == 0                                              # an edge
    assert lone_steps(np.arange(41, dtype=np.float32)[None]*4)[:, 6:-6].sum() == 0     # a slope
    assert lone_steps(line/4).sum() < 0.01                                             # one gray level


@pytest.mark.parametrize("turn", TURNS)
def test_a_coarse_sky_is_banded_and_a_fine_or_noisy_one_is_not(turn):
    scorer = Banding()
    plain = sky()
    rng = np.random.default_rng(0)
    bands = [measure(scorer, turn(quantized(plain, levels)))["score"] for levels in (128, 64, 32)]
    assert bands == sorted(bands) and bands[2] > 0.4
    for fine in (plain, plain + rng.uniform(-0.5, 0.5, plain.shape), plain + rng.normal(0, 4, plain.shape)):
        assert measure(scorer, turn(np.clip(np.rint(fine), 0, 255).astype(np.uint8)))["score"] < 0.01
    dithered = quantized(np.clip(plain + rng.uniform(-4, 4, plain.shape), 0, 255), 32)
    assert measure(scorer, turn(dithered))["score"] < 0.02


@pytest.mark.parametrize("shape", [(4000, 6000), (6000, 4000), (1224, 1632), (3000, 3000), (300, 9000)])
def test_a_large_picture_is_looked_at_everywhere(shape):
    luma = np.full(shape, 100, np.float32)
    rows, columns = shape[0]//128, shape[1]//128
    places = np.array(_spread(rows, columns, -(-luma.size//2**17)))
    assert len({tuple(place) for place in places}) == len(places) >= 0.9*max(1, rows*columns//-(-luma.size//2**17))
    for at, n in zip(places.T, (rows, columns), strict=True): assert abs(np.mean((at + 0.5)/n) - 0.5) < 0.1


@needs_kodak
def test_photographs_are_not_banded_until_their_levels_are_taken(clean):
    scorer = Banding()
    plain = np.array([measure(scorer, rgb)["score"] for rgb in clean[::2]])
    coarse = np.array([measure(scorer, quantized(rgb, 16))["score"] for rgb in clean[::2]])
    blocks = np.array([measure(scorer, jpeg(rgb, 25))["score"] for rgb in clean[::2]])
    assert plain.max() < 0.05 and (coarse > 0.1).mean() > 0.7 and (coarse > plain).all()
    assert (blocks > 0.1).mean() <= 0.1


# ---- colour cast

@given(st.lists(st.floats(-100, 100), min_size=3, max_size=3))
def test_agreement_is_between_zero_and_the_weakest(values):
    found = float(agreed(np.array(values)))
    assert abs(found) <= min(abs(v) for v in values) and (found == 0 or {np.sign(v) for v in values} == {np.sign(found)})


@given(arrays(np.float64, (3,), elements=st.floats(0, 1)))
def test_any_light_has_a_tint_in_range(light):
    assert np.isfinite(tint(light)).all() and abs(tint(light)).max() <= 100


@pytest.mark.parametrize("gains, output, sign", [((1.25, 1, 0.8), "temperature", 1), ((0.8, 1, 1.25), "temperature", -1),
                                                 ((0.85, 1.15, 0.85), "tint", -1), ((1.15, 0.85, 1.15), "tint", 1)])
def test_a_stronger_light_is_a_stronger_cast(photo, gains, output, sign):
    series = [sign*measure(WhiteBalance(), lit(photo, 0.6*np.array(gains)**power))[output] for power in (-1, 0, 1, 2, 3)]
    assert series == sorted(series) and series[-1] > series[0] + 10


def test_a_gray_wall_under_coloured_light_shows_it_in_full():
    wall = np.repeat(np.random.default_rng(0).integers(60, 180, (200, 300, 1), np.uint8), 3, axis=2)
    gains = np.array([1.2, 1, 0.8])
    values = measure(WhiteBalance(), lit(wall, gains))
    assert [values["tint"], values["temperature"]] == pytest.approx(list(tint(gains)), abs=2)
    assert values["score"] > 0.9*np.hypot(*tint(gains))
    assert WhiteBalance().describe(list(values.values())).startswith("warm cast")


def test_a_cast_hardly_moves_with_the_picture():
    "A width that divides the number of pixels looked at once made them all fall into a few columns."
    rng = np.random.default_rng(0)
    picture = np.repeat(rng.integers(60, 180, (512, 512, 1)), 3, axis=2)*np.where(np.arange(512)//64 % 2, 1, [[[1.3], [1], [0.7]]]).transpose(0, 2, 1)
    series = [measure(WhiteBalance(), np.roll(picture, by, axis=1).astype(np.uint8))["score"] for by in range(8)]
    assert max(series) - min(series) < 0.1*max(series)


def test_a_cast_is_the_same_wherever_the_picture_lies_in_memory(photo):
    rng, odd, kept, found = np.random.default_rng(0), photo[:-1, :-3], [], set()
    for offset in range(40):
        room = np.empty(odd.size + 64, np.uint8)[offset:offset + odd.size].reshape(odd.shape)
        room[:] = odd
        kept.append(np.empty(rng.integers(1, 100_000), np.uint8))  # so that what is computed lies elsewhere, too
        found.add(tuple(WhiteBalance().measure(Frame(room))))
    assert len(found) == 1


def test_a_blue_sky_over_gray_stones_is_no_cast():
    rng = np.random.default_rng(0)
    scene = np.repeat(rng.integers(40, 170, (300, 300, 1), np.uint8), 3, axis=2)
    scene[:180] = (70, 120, 220) + rng.integers(-3, 4, (180, 300, 1))
    assert WhiteBalance().describe(list(measure(WhiteBalance(), scene).values())) == ""


@needs_kodak
def test_casts_are_told_from_colourful_pictures(clean):
    score = lambda rgb: measure(WhiteBalance(), rgb)["score"]
    plain = np.array([score(rgb) for rgb in clean])
    cast = np.array([score(lit(rgb, gains)) for rgb in clean[::2] for gains in ((1, 0.65, 0.4), (0.45, 0.7, 1), (0.6, 1, 0.6), (1, 0.55, 1))])
    assert (plain > 10).mean() <= 0.15 and (cast > 10).mean() > 0.75


# ---- haze

def test_haze_is_measured_as_it_was_put_in(photo):
    series = [measure(Haze(), hazy(photo, t))["score"] for t in (1, 0.85, 0.7, 0.5, 0.3)]
    assert series == sorted(series) and series[0] < 0.15 and series[3:] == pytest.approx([0.5, 0.7], abs=0.12)


def test_transmission_follows_the_depth(photo):
    t = np.exp(-2*np.linspace(1, 0, photo.shape[0], dtype=np.float32))[:, None, None]
    found = transmission(frame(hazy(photo, t))).mean(axis=1)
    assert kendalltau(found, np.arange(len(found)))[0] > 0.7


@needs_kodak
def test_clear_pictures_are_not_hazy_and_hazy_ones_are(clean):
    score = lambda rgb: measure(Haze(), rgb)["score"]
    assert np.mean([score(rgb) > 0.25 for rgb in clean]) <= 0.05
    assert np.mean([score(exposure(rgb, stops)) > 0.25 for rgb in clean for stops in (-2, 1)]) <= 0.1
    assert np.mean([score(hazy(rgb, 0.6)) > 0.25 for rgb in clean]) > 0.95


# ---- chromatic aberration

def test_magnified_channels_are_measured_in_pixels(photo):
    own = measure(Aberration(), photo)
    for pixels in (-2, -1, 0.5, 1, 2):
        found = measure(Aberration(), magnified(photo, pixels, -pixels))
        assert found["red"] - own["red"] == pytest.approx(pixels, rel=0.35, abs=0.1)
        assert found["blue"] - own["blue"] == pytest.approx(-pixels, rel=0.35, abs=0.1)


def test_no_shift_is_no_negative_zero():
    ramp = np.repeat(np.tile(np.arange(200, dtype=np.uint8), (200, 1))[..., None], 3, axis=2)
    for turn in TURNS: assert not np.signbit(Aberration().measure(frame(turn(ramp)))).any()


def test_blocks_without_edges_say_nothing():
    assert corner_shift(np.zeros((4, 4, 4), np.float32), np.ones(4), 0) == 0
    cut, middles, _ = tiles(np.full((200, 200, 3), 77, np.uint8))
    assert corner_shift(products(cut, middles), np.repeat(np.hypot(*middles.T), 4), 2) == 0


@needs_kodak
def test_good_lenses_are_not_accused(clean):
    scorer = Aberration()
    assert [scorer.describe(list(measure(scorer, rgb).values())) for rgb in clean].count("") >= 23
    said = [scorer.describe(list(measure(scorer, magnified(rgb, 1.6, -1.6)).values())) for rgb in clean]
    assert said.count("") <= 1


# ---- horizon

@pytest.mark.parametrize("name", ["camera", "rocket"])
def test_a_turned_camera_is_noticed(name):
    photo = reduced(frame(read_image(sample_photographs()[name])))
    level = measure(Horizon(), rotated(photo, 0))["tilt"]
    for degrees in (-8, -4, 4, 8):
        found = measure(Horizon(), rotated(photo, degrees))
        assert found["tilt"] - level == pytest.approx(degrees, abs=1.6) and found["score"] == abs(found["tilt"]) and found["confidence"] > 0.3


def test_a_drawn_horizon_is_measured_to_a_fraction_of_a_degree():
    y, x = np.mgrid[:300, :400] - np.array([150, 200])[:, None, None]
    for degrees in (-20, -7.3, -1.25, 0, 0.6, 3, 12):
        edge = y*np.cos(np.radians(degrees)) - x*np.sin(np.radians(degrees))
        rgb = np.repeat((120 - 60*np.tanh(edge)).astype(np.uint8)[..., None], 3, axis=2)
        found = measure(Horizon(), rgb)
        assert found["tilt"] == pytest.approx(degrees, abs=0.3) and found["confidence"] > 0.5


# ---- JPEG quality

def test_tables_are_those_of_libjpeg():
    from io import BytesIO

    from PIL import Image
    for quality in (1, 10, 49, 50, 75, 93, 100):
        file = BytesIO()
        Image.new("RGB", (8, 8)).save(file, "jpeg", quality=quality)
        table = np.array(Image.open(file).quantization[0]).reshape(8, 8)
        assert list(TABLES[quality - 1]) == [table[i, j] for i in range(6) for j in range(6) if 0 < i + j <= 5]


def test_transform_keeps_energy():
    rgb = np.random.default_rng(0).integers(1, 255, (64, 64, 3), np.uint8)
    assert np.square(dct_blocks(rgb)).sum() == pytest.approx(np.square(Frame(rgb).luma).sum(), rel=1e-4)


@needs_kodak
@pytest.mark.parametrize("quality", [10, 30, 50, 70, 80, 90, 95])
def test_quality_is_read_from_pixels(clean, quality):
    for rgb in clean[::4]: assert abs(measure(JpegQuality(), jpeg(rgb, quality))["score"] - quality) <= 1


@needs_kodak
def test_pixels_that_were_never_compressed_have_100(clean):
    for rgb in clean:
        assert measure(JpegQuality(), rgb)["score"] == 100
        assert measure(JpegQuality(), noise(rgb, 3))["score"] == 100


@pytest.mark.parametrize("quality", [8, 15, 30])
def test_quality_is_read_where_the_grid_is_not_at_the_first_pixel(photo, quality):
    "Blocks askew to the grid of a strong compression have a comb of their own, another one."
    strong = jpeg(photo[:396, :500], quality)
    for changed in (*(turn(strong) for turn in TURNS), strong[4:], strong[3:, 5:], strong[4:-2, 4:-3]):
        assert measure(JpegQuality(), changed)["score"] == quality


def test_a_later_save_at_high_quality_does_not_hide_the_first(photo):
    assert measure(JpegQuality(), jpeg(jpeg(photo, 50), 95))["score"] == pytest.approx(50, abs=2)


def test_camera_files_read_like_their_tables(data):
    "Those with libjpeg's own tables; others have no quality to compare with."
    same = []
    for path in sorted((data/"metadata"/"jpg").glob("*.[jJ][pP][gG]")):
        said = read_metadata(path.read_bytes(), path.name).jpeg_quality
        if said and said <= 93: same.append(abs(measure(JpegQuality(), read_image(path))["score"] - said) <= 2)
    assert np.mean(same) > 0.7


# ---- what they share

@pytest.mark.parametrize("shape", [(1, 1), (600, 400), (1024, 1025), (3000, 4001), (2, 1_000_001)])
def test_reduced_is_small_and_keeps_the_mean(shape):
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    small = frame(rgb).share(reduced)
    assert small.shape[0]*small.shape[1] <= MOST and small.dtype == np.uint8
    assert small.mean() == pytest.approx(rgb.mean(), abs=1 if rgb.size > 100 else 0)
