"""Every scorer of ours on pictures that are hardly pictures: a finite number in its range or a reason, no warnings, bounded memory, the same each time."""
import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from conftest import PEAK
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zenkai_research.core.errors import BadOption
from zenkai_research.core.registry import get_scorer, resolve, scorer_class, scorers
from zenkai_research.core.scorer import Pixels, Scores
from zenkai_research.images.decode import decode_frames, read_image
from zenkai_research.images.samples import sample_photographs
from zenkai_research.scoring.examine import Finding, examine, measure_batch

pytestmark = pytest.mark.filterwarnings("error")


@cache
def ours():
    "Our scorers by name, in the order of their needs."
    return resolve([name for name in scorers().scorer.unique() if scorer_class(name).__module__.startswith("zenkai_research.") and usable(name)])


def usable(name):
    "Some want a detector that is not installed."
    try: get_scorer(name)
    except BadOption: return False
    return True


def look(data, name="x.png", chosen=None):
    "The finding of the scorers (all of them) for the content of a file, as the pipeline comes to it."
    chosen = ours() if chosen is None else chosen
    finding = examine(data, name, [], list(chosen.values()), facts=False)
    assert not finding.undecoded, finding.problems
    for scorer in chosen.values():
        lacking = [need.scorer for need in scorer.needs if isinstance(need, Scores) and need.scorer not in finding.values]
        if lacking: finding.unmeasured[scorer.name] = f"it builds on {lacking[0]}"; continue
        inputs = finding.inputs | {need: finding.values[need.scorer][:, 0] for need in scorer.needs if isinstance(need, Scores)}
        measure_batch(scorer, [finding], [inputs])
    return finding


def sound(finding, chosen=None):
    "Nobody failed: each has values (`check` saw that they are finite and in range) or a reason."
    assert not finding.problems, "\n".join(map(str, finding.problems))
    for name in ours() if chosen is None else chosen:
        assert (name in finding.values) != (name in finding.unmeasured), name
        if name in finding.unmeasured: assert len(finding.unmeasured[name]) > 10, name
    for name, values in finding.values.items():
        said = ours()[name].describe(values[:, 0])
        assert isinstance(said, str) and "nan" not in said and "inf " not in said, name


def encoded(rgb, format="png", **options):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(file, format, **options)
    return file.getvalue()


def plain(value, *shape): return np.full((*shape, 3), value, np.uint8)


def noise(*shape, seed=0): return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def checkerboard(cell, *shape): return np.repeat(((np.indices(shape)//cell).sum(axis=0) % 2*255).astype(np.uint8)[..., None], 3, 2)


PICTURES = {
    "black": plain(0, 300, 400), "white": plain(255, 300, 400), "gray": plain(128, 300, 400), "red": plain(0, 300, 400) + np.uint8([255, 0, 0]),
    "black pixel": plain(0, 1, 1), "white pixel": plain(255, 1, 1), "two pixels": noise(1, 2), "4 pixels": noise(2, 2), "3 x 3": noise(3, 3),
    "7 x 8": noise(7, 8), "16 x 16": noise(16, 16), "31 x 33": noise(31, 33), "64 x 64": noise(64, 64), "95 x 97": noise(95, 97),
    "1 x 700": noise(1, 700), "700 x 1": noise(700, 1),
    "plain line": plain(9, 1, 700), "2 x 900": noise(2, 900), "5 x 2000": noise(5, 2000), "noise": noise(300, 400), "two levels": noise(300, 400) // 128 * 255,
    "checkerboard of pixels": checkerboard(1, 300, 400), "checkerboard": checkerboard(16, 300, 400),
    "half": np.concatenate([plain(0, 150, 400), plain(255, 150, 400)]), "one white pixel": np.pad(plain(255, 1, 1), ((150, 149), (200, 199), (0, 0))),
    "ramp": np.repeat(np.repeat(np.linspace(0, 255, 400).astype(np.uint8)[None, :, None], 300, 0), 3, 2),
    "faint": 127 + noise(300, 400) // 128, "grid": checkerboard(1, 300, 400)*(np.indices((300, 400))[0] % 8 == 0)[..., None].astype(np.uint8)}


def test_there_are_scorers(): assert len(ours()) >= 10


@pytest.mark.parametrize("name", PICTURES)
def test_hardly_pictures(name): sound(look(encoded(PICTURES[name])))


@pytest.mark.parametrize("name", ["coffee", "camera", "hubble"])
def test_every_scorer_has_numbers_for_photographs(name):
    finding = look(sample_photographs()[name].read_bytes(), sample_photographs()[name].name)
    sound(finding)
    assert not {one: why for one, why in finding.unmeasured.items() if "it builds on" in why}


def odd_files():
    rng = np.random.default_rng(0)
    small, deep = read_image(sample_photographs()["coffee"])[::2, ::2], rng.integers(0, 65536, (200, 250), dtype=np.uint16)
    clear = np.dstack([small, np.linspace(0, 255, small.shape[1]).astype(np.uint8)[None].repeat(len(small), 0)])
    file = io.BytesIO(); Image.fromarray(small).quantize(7).save(file, "png"); palette = file.getvalue()
    file = io.BytesIO(); Image.fromarray(small).convert("CMYK").save(file, "jpeg"); cmyk = file.getvalue()
    file = io.BytesIO(); Image.fromarray(small).convert("1").save(file, "png"); bits = file.getvalue()
    file = io.BytesIO(); Image.fromarray(small).convert("L").save(file, "jpeg", quality=5); poor = file.getvalue()
    return {"16-bit.png": encoded(deep), "16-bit black.png": encoded(deep*0), "palette.png": palette, "alpha.png": encoded(clear),
            "clear.png": encoded(clear*np.uint8([1, 1, 1, 0])), "cmyk.jpg": cmyk, "bits.png": bits, "poor.jpg": poor,
            "float.tif": encoded(rng.normal(0, 1, (100, 120)).astype(np.float32), "tiff")}


@pytest.mark.parametrize("name", odd_files())
def test_odd_files(name): sound(look(odd_files()[name], name))


# ---- what must not matter

def only_pixels(): return {name: one for name, one in ours().items() if all(isinstance(need, (Pixels, Scores)) for need in one.needs)}


def near(one, other):
    "Sums of floats may differ in their last digits by where in memory the pixels lie, and by nothing else."
    return np.allclose(one, other, rtol=1e-6, atol=1e-7, equal_nan=True)


def same(one, other, what):
    different = [name for name in ours() if (name in one.values) != (name in other.values)
                 or name in one.values and not near(one.values[name], other.values[name])]
    assert not different, (what, [(name, one.values.get(name), other.values.get(name)) for name in different])


@pytest.mark.parametrize("format", ["tiff", "bmp", "webp"])
@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**32), height=st.integers(1, 120), width=st.integers(1, 160), coarse=st.booleans())
def test_the_file_format_does_not_matter(format, seed, height, width, coarse):
    rgb = noise(height, width, seed=seed)
    if coarse: rgb = np.asarray(Image.fromarray(rgb[:9, :9]).resize((width, height)))
    options = {"lossless": True} if format == "webp" else {}
    same(look(encoded(rgb), "x.png", only_pixels()), look(encoded(rgb, format, **options), f"x.{format}", only_pixels()), format)


@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**32), sizes=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 120)), min_size=2, max_size=4))
def test_company_does_not_matter(seed, sizes):
    "Each picture alone, by each scorer alone, and all pictures at once by scorers that share what they find out."
    datas = [encoded(noise(*size, seed=seed + i)) for i, size in enumerate(sizes)]
    sized = lambda one: {need.size for need in one.needs if isinstance(need, Pixels)}
    chosen = {name: one for name, one in ours().items() if all(isinstance(need, Pixels) for need in one.needs)}
    together = [decode_frames(data, set().union(*map(sized, chosen.values()))) for data in datas]
    for one in chosen.values():
        batch = [Finding() for _ in datas]
        measure_batch(one, batch, [{need: frames[need.size] for need in one.needs} for frames in together])
        for finding, data in zip(batch, datas, strict=True): same_of(one, finding, look(data, chosen={one.name: one}))


def same_of(one, finding, alone):
    assert not finding.problems and not alone.problems, (one.name, finding.problems, alone.problems)
    assert (one.name in finding.values) == (one.name in alone.values), one.name
    if one.name in finding.values: assert near(finding.values[one.name], alone.values[one.name]), one.name


def test_threads_do_not_matter():
    rgb = read_image(sample_photographs()["coffee"])
    datas = [encoded(rgb[top:top + 150, left:left + 210 + left]) for top in (0, 101, 220) for left in (0, 70)]
    datas += [encoded(noise(60, 60)), encoded(plain(3, 50, 50))]
    alone = [look(data) for data in datas]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            for one, other in zip(alone, pool.map(look, datas), strict=True): same(one, other, "threads")


def test_scorers_keep_nothing_between_calls():
    before = {name: repr(sorted(vars(one))) for name, one in ours().items()}
    look(encoded(noise(40, 60)))
    assert {name: repr(sorted(vars(one))) for name, one in ours().items()} == before


# ---- too large

_HUGE = PEAK + """
import json, sys, time, warnings
import cv2, numpy as np
warnings.simplefilter("error")
cv2.setNumThreads(2)
from zenkai_research.core.errors import NotMeasurable
from zenkai_research.core.registry import get_scorer
from zenkai_research.core.scorer import check
from zenkai_research.images.decode import Frame
rgb = np.full((8000, 12500, 3), 90, np.uint8)
if sys.argv[1] == "noise":
    part = np.random.default_rng(0).integers(0, 256, (500, 12500, 3), dtype=np.uint8)
    for top in range(0, 8000, 500): rgb[top:top + 500] = np.roll(part, top, axis=1)
frame, found = Frame(rgb), {}
for name in sys.argv[2:]:
    scorer, start = get_scorer(name), time.perf_counter()
    try: check(scorer, scorer.score(*[[frame] for _ in scorer.needs]), 1); problem = ""
    except NotMeasurable as why: problem = ""
    except Exception as e: problem = f"{type(e).__name__}: {e}"
    found[name] = problem, time.perf_counter() - start, peak()
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "noise"])
def test_a_hundred_megapixels_take_bounded_memory(kind):
    names = [name for name, one in ours().items() if all(isinstance(need, Pixels) for need in one.needs)]
    done = subprocess.run([sys.executable, "-c", _HUGE, kind, *names], capture_output=True, text=True)
    assert not done.returncode, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert not {name: problem for name, (problem, *_) in found.items() if problem}
    peaks = {name: peak for name, (*_, peak) in found.items()}
    assert max(peaks.values()) < 1800, peaks  # the picture and its luma are 700 MB of it
