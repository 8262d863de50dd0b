"""Digests, perceptual hashes and thumbnails on many pictures and from many threads."""
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from zenkai_research.core.errors import BadOption, UnreadableImage
from zenkai_research.core.settings import cache_dir, test_data
from zenkai_research.images.decode import read_image
from zenkai_research.images.hashing import content_digest, hamming, perceptual_hash
from zenkai_research.images.samples import credit, sample_photographs
from zenkai_research.images.thumbnails import thumbnail, thumbnail_path

SAMPLES = {name: read_image(path) for name, path in sample_photographs().items()}


def test_samples_are_named_with_their_licence():
    assert len(SAMPLES) >= 14
    for name, rgb in SAMPLES.items(): assert rgb.dtype == np.uint8 and min(rgb.shape[:2]) >= 300 and credit(name).count(",") >= 2


def test_digest_is_that_of_the_bytes():
    assert content_digest(b"abc") == content_digest(bytearray(b"abc")) != content_digest(b"abd")
    assert len(content_digest(b"abc")) == 64


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_hamming(a, b): assert hamming(a, b) == bin(a ^ b).count("1") == hamming(b, a)


@pytest.mark.parametrize("change", [
    lambda image: image.resize((image.width // 2, image.height // 2)), lambda image: image.resize((image.width * 2, image.height * 2)),
    lambda image: image.resize((300, 300)), lambda image: image.point(lambda v: min(255, int(v * 1.1) + 5)), lambda image: image.convert("L").convert("RGB")])
@pytest.mark.parametrize("quality", [95, 30])
def test_copies_are_near_and_others_far(change, quality):
    hashes = {name: perceptual_hash(rgb) for name, rgb in SAMPLES.items()}
    for name, rgb in SAMPLES.items():
        file = io.BytesIO()
        change(Image.fromarray(rgb)).save(file, "JPEG", quality=quality)
        copy = perceptual_hash(read_image(file.getvalue()))
        assert hamming(hashes[name], copy) <= 8, name
        assert all(hamming(other, copy) >= 12 for their, other in hashes.items() if their != name), name


def test_hash_hardly_depends_on_the_decoded_scale():
    for rgb in SAMPLES.values():
        file = io.BytesIO()
        Image.fromarray(rgb).resize((1600, 1200)).save(file, "JPEG", quality=92)
        assert hamming(*(perceptual_hash(read_image(file.getvalue(), size)) for size in (None, 128))) <= 4


def test_hash_agrees_with_imagehash():
    imagehash = pytest.importorskip("imagehash")
    distances = [hamming(perceptual_hash(rgb), int(str(imagehash.phash(Image.fromarray(rgb))), 16)) for rgb in SAMPLES.values()]
    assert np.median(distances) <= 1 and max(distances) <= 12, distances  # fine texture (the brick wall) depends on how it is shrunk


@pytest.mark.skipif(test_data() is None, reason="the shared test data is not here")
def test_orientations_share_a_hash():
    hashes = [perceptual_hash(read_image(path, 128)) for path in sorted((test_data()/"exif_orientation").glob("Landscape_*.jpg"))]
    assert max(hamming(hashes[1], h) for h in hashes) <= 8


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZENKAI_CACHE", str(tmp_path/"cache"))
    return cache_dir()


def test_thumbnail_from_many_threads_and_processes(cache):
    source = sample_photographs()["rocket"]
    digest = content_digest(source.read_bytes())
    code = f"from zenkai_research.images.thumbnails import thumbnail; thumbnail({str(source)!r}, {digest!r})"
    others = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool: paths = set(pool.map(lambda _: thumbnail(source, digest), range(32)))
    assert [p.wait() for p in others] == [0, 0]
    (path,) = paths
    assert path == thumbnail_path(digest) and [p.name for p in path.parent.iterdir()] == [path.name]
    with Image.open(path) as image: assert image.size == (256, 171)


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (700, 3), (100, 150)])
def test_thumbnail_is_never_enlarged(cache, shape):
    file = io.BytesIO()
    Image.new("RGB", shape, "red").save(file, "PNG")
    with Image.open(thumbnail(file.getvalue(), content_digest(file.getvalue()))) as image:
        assert max(image.size) == min(256, max(shape)) and min(image.size) >= 1


def test_failures_leave_nothing_behind(cache):
    with pytest.raises(UnreadableImage): thumbnail(b"no picture", "ab" * 32)
    assert not list(cache.rglob("*.*"))
    for digest in ("../up", "", "ABCDEF0123", "ab"):
        with pytest.raises(BadOption): thumbnail(b"", digest)
    with pytest.raises(BadOption): thumbnail(b"", "ab" * 32, 0)
