"""The scan: what it finds and what it must not, faults that a known peer has, and that nothing is computed twice."""
import json
import shutil
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from scipy.stats import kendalltau

from zenkai_research.cli.scan import scan as command
from zenkai_research.core.errors import BadOption
from zenkai_research.core.scorer import check
from zenkai_research.core.settings import test_data
from zenkai_research.filters.scan import ISSUES, LIMITS, scan
from zenkai_research.images.decode import Frame, read_image
from zenkai_research.images.degrade import defocus, exposure, jpeg, noise
from zenkai_research.images.samples import sample_photographs
from zenkai_research.metrics.scan import BLURRED, DARK, EMPTY, GRAY, LIGHT, Brightness, Chroma, Information, Softness
from zenkai_research.scoring.library import open_library

SCORERS = [Brightness(), Softness(), Information(), Chroma()]
PHOTOS = {name: read_image(path) for name, path in sample_photographs().items()}
pytestmark = pytest.mark.filterwarnings("error")
rgb_pictures = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40).map(lambda shape: (*shape, 3)))


def measure(scorer, rgb):
    "Outputs for an array, checked against the promised ranges."
    return check(scorer, scorer.score([Frame(np.ascontiguousarray(rgb))]), 1)[0, :, 0]


def found_in(folder, tmp_path, **options):
    with open_library(tmp_path/"scan.sqlite") as library: return scan(library, folder, progress=False, **options)


def names(found, issue): return sorted(path.rpartition("/")[2] for path in found.issues.path[found.issues.issue == issue])


def save(folder, **pictures):
    folder.mkdir(exist_ok=True)
    for name, rgb in pictures.items(): Image.fromarray(rgb).save(folder/f"{name}.png")
    return folder


def color(name): return np.ptp(PHOTOS[name].astype(int), axis=2).max() > 0


# ---- the scorers

@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
@settings(deadline=None, max_examples=60)
@given(rgb=rgb_pictures)
def test_any_small_array_has_outputs_in_range(scorer, rgb): measure(scorer, rgb)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (2, 2), (7, 7), (100, 9000), (128, 128), (127, 129)])
def test_thin_and_tiny_pictures(shape):
    rng = np.random.default_rng(0)
    for rgb in (np.zeros((*shape, 3)), np.full((*shape, 3), 255), rng.integers(0, 256, (*shape, 3)), rng.integers(0, 2, (*shape, 3))*255):
        for scorer in SCORERS: measure(scorer, rgb.astype(np.uint8))


@pytest.mark.parametrize("name", ["china", "coffee", "chelsea", "flower"])
def test_numbers_follow_light_and_blur(name):
    stops = [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4]
    lights = np.array([measure(Brightness(), exposure(PHOTOS[name], s)) for s in stops])
    assert (np.diff(lights, axis=0) >= 0).all() and kendalltau(stops, lights[:, 0])[0] > 0.9
    radii = [0, 2, 4, 6, 8, 12, 16]
    widths = [measure(Softness(), defocus(PHOTOS[name], r))[0] for r in radii]
    assert kendalltau(radii, widths)[0] > 0.9 and widths[0] < BLURRED < widths[-1]


@pytest.mark.parametrize("name", [name for name in PHOTOS if color(name)])
def test_the_size_of_the_file_hardly_matters(name):
    rgb = PHOTOS[name]
    small = cv2.resize(rgb, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    for scorer, near in zip(SCORERS, ((6, 12, 6), (0.25,), (0.6, 2), (12,)), strict=True):
        assert (np.abs(measure(scorer, rgb) - measure(scorer, small)) <= near).all(), scorer.name


def test_grain_is_no_colour_and_no_issue():
    for name in ("camera", "coins", "brick"):
        for sigma, quality in ((0, 30), (3, 95), (5, 85)):
            assert measure(Chroma(), jpeg(noise(PHOTOS[name], sigma), quality))[0] < GRAY
    for name in filter(color, PHOTOS): assert measure(Chroma(), jpeg(PHOTOS[name], 30))[0] > 3*GRAY


def test_a_page_full_of_writing_is_not_too_light_and_an_empty_one_is():
    page = np.full((1100, 850, 3), 250, np.uint8)
    assert measure(Brightness(), page)[2] > LIGHT
    rng = np.random.default_rng(0)
    for line in range(80, 1060, 25): cv2.putText(page, "".join(rng.choice(list("abcdefghijk lmnop"), 60)), (60, line), 0, 0.6, (20, 20, 20), 1, cv2.LINE_AA)
    values = measure(Brightness(), page)
    assert DARK < values[1] and values[2] < LIGHT and measure(Information(), page)[0] > EMPTY and measure(Softness(), page)[0] < BLURRED


def test_phrases_speak_of_issues_only():
    for name, rgb in PHOTOS.items():
        said = {scorer.name: scorer.describe(measure(scorer, rgb)) for scorer in SCORERS}
        assert not said["softness"] and not said["information"] and bool(said["chroma"]) != color(name)
    flat = np.zeros((50, 50, 3), np.uint8)
    assert all(scorer.describe(measure(scorer, flat)) for scorer in SCORERS)


@pytest.mark.skipif(test_data() is None, reason="the shared test data is not here")
def test_clean_photographs_have_no_issues_and_spoilt_ones_have_theirs():
    photos = [read_image(path) for path in sorted((test_data()/"kodak24").glob("*.png"))[::3]]
    for rgb in photos:
        (_, high, low), (width,), (bits, _), (chroma,) = (measure(scorer, rgb) for scorer in SCORERS)
        assert high > DARK and low < LIGHT and width < BLURRED and bits > EMPTY and chroma > GRAY
        assert measure(Brightness(), exposure(rgb, -5))[1] < DARK and measure(Softness(), defocus(rgb, 14))[0] > BLURRED


# ---- the scan

def test_flat_pictures_are_no_duplicates_unless_they_are_the_same_file(tmp_path):
    levels = {f"flat{v}": np.full((80, 60 + v, 3), v, np.uint8) for v in (0, 1, 90, 255)}
    faint = {f"faint{i}": np.random.default_rng(i).integers(100, 103, (200, 200, 3), dtype=np.uint8) for i in range(6)}
    folder = save(tmp_path/"flat", **levels, **faint, rocket=PHOTOS["rocket"])
    shutil.copy(folder/"flat0.png", folder/"flat0 again.png")
    found = found_in(folder, tmp_path)
    assert found.near == [] and names(found, "near duplicate") == []
    assert [[path.rpartition("/")[2] for path in group] for group in found.exact] == [["flat0 again.png", "flat0.png"]]
    assert set(names(found, "low information")) == {f"{name}.png" for name in levels} | {"flat0 again.png"} | {
        f"{name}.png" for name, rgb in faint.items() if measure(Information(), rgb)[0] < EMPTY}
    assert names(found, "blurred") == [] or not set(names(found, "blurred")) & set(names(found, "low information"))


def test_faults_of_a_known_peer_are_not_repeated(tmp_path):
    wide = np.zeros((60, 90, 3), np.uint8)
    folder = save(tmp_path/"photos", astronaut=PHOTOS["astronaut"], rocket=PHOTOS["rocket"], wide=wide, high=wide.transpose(1, 0, 2))
    whole = (sample_photographs()["flower"]).read_bytes()
    (folder/"cut.jpg").write_bytes(whole[:len(whole)//2])                       # one truncated file ended its run
    deep = cv2.cvtColor(PHOTOS["camera"], cv2.COLOR_RGB2GRAY).astype(np.uint16)*257
    Image.fromarray(deep).save(folder/"deep.png")                               # 16 bits were dark
    few = Image.fromarray(PHOTOS["coffee"]).quantize(64)
    few.save(folder/"palette.png"); few.convert("RGB").save(folder/"full.png")  # a palette changed the numbers
    found = found_in(folder, tmp_path)
    assert found.report.failed == 1 and found.pictures == 7 and "deep.png" not in names(found, "dark")
    assert found.exact == [] and names(found, "gray") == ["deep.png", "high.png", "wide.png"]  # of two black pictures of different shape none is a copy
    with open_library(tmp_path/"scan.sqlite") as library: scores = library.scores("scan").set_index(["scorer", "output"])
    of = lambda name: scores[scores.path.str.endswith("/" + name)].value.sort_index()
    assert of("palette.png").equals(of("full.png"))


def test_odd_shapes_beside_the_others(tmp_path):
    rng = np.random.default_rng(0)
    picture = lambda h, w: cv2.resize(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8), (w, h), interpolation=cv2.INTER_CUBIC)
    folder = save(tmp_path/"photos", **{f"p{i}": picture(200 + i, 300) for i in range(8)}, strip=picture(50, 400), tall=picture(420, 130), icon=picture(20, 30),
                  poster=picture(900, 1200), other=picture(150, 220))
    found = found_in(folder, tmp_path)
    assert names(found, "odd aspect") == ["strip.png", "tall.png"] and names(found, "odd size") == ["icon.png", "poster.png"]
    assert "30 x 20 px" in found.issues.reason[found.issues.issue == "odd size"].iloc[0]
    few = save(tmp_path/"few", a=picture(200, 300), b=picture(20, 30))
    assert names(found_in(few, tmp_path), "odd size") == []  # nothing to be odd beside


def test_copies_are_found_and_others_are_not(tmp_path):
    copies = {"halved": cv2.resize(PHOTOS["coffee"], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), "poor": jpeg(PHOTOS["coffee"], 20),
              "gray": np.repeat(cv2.cvtColor(PHOTOS["coffee"], cv2.COLOR_RGB2GRAY)[..., None], 3, 2)}
    found = found_in(save(tmp_path/"photos", **PHOTOS, **copies), tmp_path)
    assert [sorted(path.rpartition("/")[2] for path in group) for group in found.near] == [["coffee.png", "gray.png", "halved.png", "poor.png"]]
    assert found_in(tmp_path/"photos", tmp_path, radius=0).report.scored == 0
    with pytest.raises(BadOption): found_in(tmp_path/"photos", tmp_path, radius=40)


def test_a_rerun_computes_nothing_and_an_interrupted_one_goes_on(tmp_path, monkeypatch, photos):
    first = found_in(photos, tmp_path)
    assert first.report.scored == first.pictures == 20
    calls = []
    monkeypatch.setattr(Information, "measure", lambda self, frame: calls.append(1))
    again = found_in(photos, tmp_path)
    assert not calls and again.report.scored == 0 and again.issues.equals(first.issues) and again.near == first.near
    assert list(again.counts) == list(ISSUES) and set(again.issues.columns) == {"path", "issue", "value", "limit", "reason"}


def test_moved_and_edited_files_are_reported_where_they_are(tmp_path):
    folder = save(tmp_path/"photos", a=PHOTOS["coffee"], b=PHOTOS["rocket"], c=np.zeros((60, 60, 3), np.uint8))
    assert names(found_in(folder, tmp_path), "dark") == ["c.png"]
    (folder/"c.png").rename(folder/"d.png")
    time.sleep(0.01)
    save(folder, a=np.zeros((70, 60, 3), np.uint8))
    assert names(found_in(folder, tmp_path), "dark") == ["a.png", "d.png"]


def test_either_database_holds_the_same_scan(where, tmp_path):
    folder = save(tmp_path/"photos", a=PHOTOS["coffee"], b=PHOTOS["coffee"][::2, ::2], black=np.zeros((60, 60, 3), np.uint8))
    with open_library(where) as library: found = [scan(library, folder, progress=False) for _ in range(2)]
    assert found[0].issues.equals(found[1].issues) and found[1].report.scored == 0
    assert names(found[0], "near duplicate") == ["a.png", "b.png"] and names(found[0], "dark") == ["black.png"]


def test_limits_name_outputs_that_exist():
    known = {f"{scorer.name}.{output.name}" for scorer in SCORERS for output in scorer.outputs}
    assert {one.output for one in LIMITS.values()} <= known and "information.layout" in known


@pytest.mark.skipif(test_data() is None, reason="the shared test data is not here")
def test_phone_photographs_have_few_issues_and_one_copy(tmp_path):
    found = found_in(test_data()/"clive"/"images", tmp_path)
    assert found.pictures == 812
    assert names(found, "exact duplicate") == ["246.jpg", "333.jpg"] and found.near == []
    assert 4 <= found.counts["dark"] <= 12 and found.counts["light"] <= 2 and 4 <= found.counts["blurred"] <= 10
    assert found.counts["low information"] == found.counts["gray"] == 0


# ---- the command

def test_the_command_prints_and_writes(tmp_path, capsys):
    folder = save(tmp_path/"photos", a=PHOTOS["coffee"], b=PHOTOS["coffee"][::2, ::2], black=np.zeros((60, 60, 3), np.uint8))
    (folder/"broken.jpg").write_bytes(b"\xff\xd8\xff")
    where = str(tmp_path/"library.sqlite")
    command([str(folder)], library=where, json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["counts"]["near duplicate"] == 2 and told["counts"]["dark"] == 1 and len(told["near"]) == 1
    assert [failure["path"].rpartition("/")[2] for failure in told["failures"]] == ["broken.jpg"]
    command([str(folder)], library=where, output=str(tmp_path/"issues.json"))
    out, err = capsys.readouterr()
    assert "near duplicate" in out and "broken.jpg" in err and json.loads((tmp_path/"issues.json").read_text()) == told["issues"]
    command([str(folder)], library=where)
    assert "hardly anything in it is brighter than 0 of 255" in capsys.readouterr().out
    (tmp_path/"empty").mkdir()
    command([str(tmp_path/"empty")], library=str(tmp_path/"none.sqlite"))
    assert not (tmp_path/"none.sqlite").exists() and "No pictures" in capsys.readouterr().err
