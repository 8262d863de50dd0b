"""Comparing with a reference: parity with scikit-image, direction, symmetry, what is too small or missing, and the command."""
import json
import math
import shutil

import numpy as np
import pytest
import typer
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import zenkai_research.metrics.reference as module
from zenkai_research.cli.compare import compare_images, matched
from zenkai_research.core.errors import BadOption, NotMeasurable, UnknownName, UnreadableImage
from zenkai_research.images.decode import Frame, read_image
from zenkai_research.images.degrade import SERIES, degrade
from zenkai_research.images.samples import sample_photographs
from zenkai_research.metrics.reference import METRICS, TRUNKS, compare, trunk_file

torch = pytest.importorskip("torch")
PHOTOS = {name: read_image(sample_photographs()[name])[:260, :300] for name in ("chelsea", "coffee", "rocket")}
SIMPLE = ["psnr", "ssim", "ms-ssim", "vif"]
pytestmark = pytest.mark.filterwarnings("error")


def better(name, one, other): return (one > other) if METRICS[name].output.better == "higher" else (one < other)


@pytest.mark.parametrize("kind", ["defocus", "noise", "jpeg", "underexposure"])
@pytest.mark.parametrize("photo", PHOTOS)
def test_parity_with_scikit_image(photo, kind):
    for other in degrade(PHOTOS[photo], kind).values():
        found = compare(PHOTOS[photo], other, ["psnr", "ssim"])
        one, two = Frame(PHOTOS[photo]).luma.astype(np.float64), Frame(other).luma.astype(np.float64)
        wanted = structural_similarity(one, two, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        assert found["psnr"] == pytest.approx(peak_signal_noise_ratio(PHOTOS[photo], other), abs=1e-5)
        assert found["ssim"] == pytest.approx(wanted, abs=2e-5)


def test_strips_do_not_matter(monkeypatch):
    one, other = PHOTOS["coffee"], degrade(PHOTOS["coffee"], "noise")[20]
    whole = compare(one, other, ["psnr", "ssim"])
    for rows in (1, 37, 255):
        monkeypatch.setattr(module, "_STRIP", rows)
        assert compare(one, other, ["psnr", "ssim"]) == pytest.approx(whole, abs=1e-6)


def test_parity_with_piq():
    piq = pytest.importorskip("piq")
    planes = lambda rgb: torch.from_numpy(Frame(rgb).luma.copy())[None, None]
    for other in degrade(PHOTOS["chelsea"], "jpeg").values():
        found, one, two = compare(PHOTOS["chelsea"], other, SIMPLE), planes(PHOTOS["chelsea"]), planes(other)
        assert found["vif"] == pytest.approx(float(piq.vif_p(two, one, data_range=255.0)), rel=1e-3)
        assert found["ms-ssim"] == pytest.approx(float(piq.multi_scale_ssim(two, one, data_range=255.0)), abs=5e-3)


@pytest.mark.parametrize("kind", SERIES)
@pytest.mark.parametrize("photo", PHOTOS)
def test_worse_pictures_are_further_away(photo, kind):
    rgb = PHOTOS[photo]
    series = [compare(rgb, other, SIMPLE) for other in degrade(rgb, kind).values()]
    names = SIMPLE if kind != "overexposure" else ["psnr"]  # more contrast is more information to VIF, and the same structure
    for name in names:
        values = [found[name] for found in series]
        assert all(better(name, one, two) for one, two in zip(values[:-1], values[1:], strict=True)), (name, values)


def test_order_matters_only_where_it_should():
    one, other = PHOTOS["rocket"], degrade(PHOTOS["rocket"], "defocus")[2]
    forth, back = compare(one, other, SIMPLE), compare(other, one, SIMPLE)
    for name in SIMPLE: assert (abs(forth[name] - back[name]) < 1e-4) == METRICS[name].symmetric, name


def test_a_picture_with_itself():
    for rgb in (*PHOTOS.values(), np.random.default_rng(0).integers(0, 256, (200, 180, 3), dtype=np.uint8)):
        found = compare(rgb, rgb.copy(), SIMPLE)
        assert found["psnr"] == math.inf and all(found[name] == pytest.approx(1, abs=1e-4) for name in SIMPLE[1:])


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (10, 10), (11, 11), (40, 200), (41, 41), (175, 400), (176, 176)])
@pytest.mark.parametrize("make", ["black", "white", "noise", "half"])
def test_small_and_flat_pictures(shape, make):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    rgb = {"black": np.zeros_like(noise), "white": np.full_like(noise, 255), "noise": noise, "half": np.full_like(noise, 128)}[make]
    for other in (rgb, noise, 255 - rgb):
        found = compare(rgb, other, SIMPLE)
        for name, value in found.items():
            if isinstance(value, NotMeasurable):
                assert min(shape) < METRICS[name].smallest or (name == "vif" and make != "noise"), (name, str(value))
            else: assert not math.isnan(value) and METRICS[name].output.low <= value <= METRICS[name].output.high
        assert isinstance(found["psnr"], float)


def test_sizes_that_differ_are_refused_until_asked():
    rgb = PHOTOS["coffee"]
    with pytest.raises(BadOption, match="300 x 260.*150 x 130"): compare(rgb, rgb[::2, ::2])
    assert compare(rgb, np.repeat(np.repeat(rgb, 2, 0), 2, 1), SIMPLE, resize=True)["psnr"] == math.inf
    for wrong in (rgb[..., 0], rgb.astype(float), rgb[:0]):
        with pytest.raises(BadOption): compare(rgb, wrong)
    with pytest.raises(UnknownName, match="ms-ssim"): compare(rgb, rgb, "msssim")


def test_files_and_arrays(tmp_path):
    rgb = PHOTOS["coffee"]
    Image.fromarray(rgb).save(tmp_path/"a.png")
    Image.fromarray(rgb).save(tmp_path/"b.jpg", quality=60)
    assert compare(tmp_path/"a.png", str(tmp_path/"b.jpg"), SIMPLE) == compare(rgb, read_image(tmp_path/"b.jpg"), SIMPLE)
    (tmp_path/"c.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UnreadableImage): compare(tmp_path/"a.png", tmp_path/"c.jpg")


# ---- networks

@pytest.fixture
def hub(tmp_path):
    "A folder of torch's own, with nothing in it."
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path))
    (tmp_path/"checkpoints").mkdir()
    yield tmp_path/"checkpoints"
    torch.hub.set_dir(before)


def test_missing_weights_are_named_and_never_fetched(hub, monkeypatch):
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("it went to the network"))
    found = compare(PHOTOS["coffee"], PHOTOS["coffee"])
    for name, trunk in (("lpips", "alexnet"), ("lpips-vgg", "vgg16"), ("dists", "vgg16")):
        assert isinstance(found[name], NotMeasurable)
        assert TRUNKS[trunk].file in str(found[name]) and str(hub) in str(found[name])
    assert all(isinstance(found[name], float) for name in SIMPLE)


def test_a_download_is_checked(hub, tmp_path, monkeypatch):
    import hashlib
    (tmp_path/"there").write_bytes(b"weights")
    monkeypatch.setattr(module.Trunk, "url", f"file://{tmp_path/'there'}")
    monkeypatch.setitem(TRUNKS, "alexnet", module.Trunk("x.pth", "00000000", 0))
    with pytest.raises(NotMeasurable, match="cannot be fetched"): trunk_file("alexnet", download=True)
    assert not list(hub.iterdir())
    monkeypatch.setitem(TRUNKS, "alexnet", module.Trunk("x.pth", hashlib.sha256(b"weights").hexdigest()[:8], 0))
    assert trunk_file("alexnet", download=True).read_bytes() == b"weights"
    (hub/"x.pth").write_bytes(b"other")
    with pytest.raises(NotMeasurable, match="not what its name says"): trunk_file("alexnet", download=True)


@pytest.mark.parametrize(("trunk", "names"), [("alexnet", ["lpips"]), ("vgg16", ["lpips-vgg", "dists"])])
def test_networks_of_the_true_architecture(hub, trunk, names, monkeypatch):
    "Random weights see less than trained ones, but distance zero, symmetry and direction hold."
    import hashlib

    import torchvision
    torch.manual_seed(0)
    with torch.device("meta"): shapes = {key: value.shape for key, value in getattr(torchvision.models, trunk)(weights=None).state_dict().items()}
    weights = {key: torch.zeros(shape) if key.startswith("classifier") or len(shape) == 1 else torch.randn(shape)*(2/math.prod(shape[1:]))**0.5
               for key, shape in shapes.items()}
    torch.save(weights, hub/TRUNKS[trunk].file)
    with open(hub/TRUNKS[trunk].file, "rb") as file: digits = hashlib.file_digest(file, "sha256").hexdigest()[:8]
    monkeypatch.setitem(TRUNKS, trunk, module.Trunk(TRUNKS[trunk].file, digits, 0))
    rgb = PHOTOS["coffee"][:96, :128]
    same, (mild, *_, harsh) = compare(rgb, rgb, names), degrade(rgb, "jpeg").values()
    near, far, back = compare(rgb, mild, names), compare(rgb, harsh, names), compare(harsh, rgb, names)
    for name in names:
        assert same[name] == pytest.approx(0, abs=1e-5) and 0 < near[name] < far[name], (name, near, far)
        assert back[name] == pytest.approx(far[name], rel=1e-4) and compare(rgb, harsh, name)[name] == far[name]
    assert isinstance(compare(rgb[:9], rgb[:9], names)[names[0]], NotMeasurable)
    module._network.cache_clear()
    (hub/TRUNKS[trunk].file).unlink()


# ---- the command

@pytest.fixture
def folders(tmp_path):
    "References and what was made of them, in folders with the same names but for the ending; one in a folder below."
    for name, rgb in (("a", PHOTOS["coffee"]), ("b", PHOTOS["rocket"]), ("below/c", PHOTOS["chelsea"])):
        for folder, ending in (("before", "png"), ("after", "jpg")):
            path = tmp_path/folder/f"{name}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rgb).save(path, **({"quality": 70} if ending == "jpg" else {}))
    return tmp_path/"before", tmp_path/"after"


def test_folders_are_matched_by_name(folders, tmp_path):
    before, after = folders
    shutil.copy(after/"a.jpg", after/"nobody.jpg")
    pairs, alone = matched(str(before), [str(after)])
    names = [(one.path.rpartition("before/")[2], other.path.rpartition("after/")[2]) for one, other in pairs]
    assert names == [("a.png", "a.jpg"), ("b.png", "b.jpg"), ("below/c.png", "below/c.jpg")]
    assert alone == [str(after/"nobody.jpg")]
    assert len(matched(str(before/"a.png"), [str(after), str(after/"a.jpg")])[0]) == 5  # one reference for all
    assert [other.path for _, other in matched(str(before), [str(after/"b.jpg")])[0]][0].endswith("b.jpg")
    Image.fromarray(PHOTOS["coffee"]).save(before/"a.tif")  # now two are called a
    assert str(after/"a.jpg") in matched(str(before), [str(after)])[1]
    (tmp_path/"empty").mkdir()
    for wrong in ((str(before), [str(tmp_path/"empty")]), (str(tmp_path/"empty"), [str(after)]), (str(before), [str(after/"nobody.jpg")])):
        with pytest.raises(BadOption): matched(*wrong)


def test_the_command_tells_values_and_what_failed(folders, hub, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # room for the paths
    before, after = folders
    (after/"a.jpg").write_bytes(b"\xff\xd8\xff")
    Image.fromarray(PHOTOS["rocket"][::2]).save(after/"b.jpg")
    compare_images(str(before), [str(after)], ["psnr,ssim", "lpips"], json=True)
    told = json.loads(capsys.readouterr().out)
    (pair,) = told["pairs"]
    assert pair["values"]["psnr"] > 25 and pair["values"]["lpips"] is None and "alexnet" in pair["reasons"]["lpips"]
    assert told["metrics"]["psnr"]["unit"] == "dB" and [failure["path"] for failure in told["failures"]] == [str(after/"a.jpg"), str(after/"b.jpg")]
    compare_images(str(before), [str(after)], ["psnr", "lpips"], resize=True)
    out, err = capsys.readouterr()
    assert "psnr (dB): higher is better" in out and "c.jpg" in out and "b.jpg" in out and "a.jpg" in err and "no lpips" in err and "lpips" not in out
    compare_images(str(before/"a.png"), [str(before/"a.png")], json=True)
    assert json.loads(capsys.readouterr().out)["pairs"][0]["reasons"]["psnr"] == "nothing differs: it is infinite"


def test_one_pair_that_cannot_be_compared_is_an_error(folders):
    before, after = folders
    with pytest.raises(BadOption, match="resized"): compare_images(str(before/"a.png"), [str(sample_photographs()["coffee"])])
    (after/"a.jpg").write_bytes(b"")
    with pytest.raises(UnreadableImage): compare_images(str(before/"a.png"), [str(after/"a.jpg")])
    with pytest.raises(UnknownName): compare_images(str(before/"a.png"), [str(before/"a.png")], ["sim"])


def test_the_command_is_short_about_weights_nobody_asked_for(folders, hub, capsys, monkeypatch):
    before, after = folders
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("HOME", str(hub.parent))
    compare_images(str(before/"a.png"), [str(after/"a.jpg")])
    out, err = capsys.readouterr()
    assert "\nAll: higher is better (psnr in dB)\n" in out and err.count("\n") == 1 and "dists" in err and "--download" in err and len(err) <= 81
    with pytest.raises(typer.Exit) as end: compare_images(str(before/"a.png"), [str(after/"a.jpg")], ["lpips"])  # no value at all
    err = capsys.readouterr().err
    assert end.value.exit_code == 1 and "alexnet-owt" in err and str(hub) not in err and "~" in err


def test_what_cannot_be_compared_is_named_once(folders, capsys, tmp_path):
    before, after = folders
    (after/"a.jpg").write_bytes((after/"a.jpg").read_bytes()[:300])
    Image.fromarray(PHOTOS["rocket"][::2]).save(after/"b.jpg")
    compare_images(str(before), [str(after)], ["psnr"])
    err = capsys.readouterr().err
    assert err.count(str(after/"a.jpg")) == 1 and "--resize" in err
    with pytest.raises(BadOption, match="--resize"): compare_images(str(before/"b.png"), [str(after/"b.jpg")], ["psnr"])
    (tmp_path/"empty").mkdir()
    for pair, name in (((tmp_path/"empty", tmp_path/"empty"), "REF"), ((before, tmp_path/"empty"), "DIST")):
        with pytest.raises(BadOption, match=f"^{name}: "): compare_images(str(pair[0]), [str(pair[1])], ["psnr"])
