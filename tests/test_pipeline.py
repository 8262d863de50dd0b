"""The way of a picture, end to end, on SQLite and PostgreSQL: what is scored, what is not scored twice, and what happens when things go wrong."""

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pytest
from conftest import PEAK
from PIL import Image

from zenkai_research import open_library
from zenkai_research.core.errors import UnusableSource
from zenkai_research.core.registry import register, scorer
from zenkai_research.core.scorer import Metadata, Output, Pixels, Scorer, Scores

calls = []


@scorer("mean", Output("score", "Mean of all channels.", 0, 255, "higher"))
def mean(frame):
    calls.append("mean")
    return frame.rgb.mean()


@scorer("small", Output("score", "Mean of a small copy.", 0, 255), needs=(Pixels(32),))
def small(frame):
    return frame.rgb.mean()


@scorer("picky", Output("score", "Fails on pictures of 80 lines."))
def picky(frame):
    if frame.rgb.shape[0] == 80:
        raise ValueError("80 lines")
    return 1.0


@scorer("nan", Output("score", "Never a number."))
def nan(frame):
    return float("nan")


@register
class Doubled(Scorer):
    name = "doubled"
    outputs = (Output("score", "Twice the mean."),)
    needs = (Scores("mean"),)

    def measure(self, mean):
        return [2 * mean[0]]


@register
class OnPicky(Scorer):
    name = "on_picky"
    outputs = (Output("score", "Builds on a scorer that may fail."),)
    needs = (Scores("picky"), Pixels(32))

    def measure(self, picky, frame):
        return [picky[0]]


sizes = []


@register
class Batched(Scorer):
    "Fails as a batch when one picture of it is bad, as a network would."

    name = "batched"
    outputs = (Output("score", "Mean, in batches."), Output("lines", "Lines of the picture.", unit="px"))
    needs = (Pixels(32), Metadata())
    batch_size = 8

    def score(self, frames, records):
        sizes.append(len(frames))
        if any(f.rgb.shape[0] == 40 for f in frames):  # 80 lines at half scale
            raise RuntimeError("a bad batch")
        return np.array([[f.rgb.mean(), r.height] for f, r in zip(frames, records, strict=True)], float)


@register
class Interval(Scorer):
    name = "interval"
    outputs = (Output("score", "A score with an interval."),)
    needs = (Pixels(32),)

    def score(self, frames):
        return np.array([[[f.rgb.mean(), f.rgb.mean() - 1, f.rgb.mean() + 1]] for f in frames])


def values(library, *names):
    table = library.scores(list(names) or None)
    return {(os.path.basename(r.path), r.scorer, r.output): r.value for r in table.itertuples()}


def test_everything_is_scored_once(where, photos):
    with open_library(where) as library:
        report = library.score(photos, ["mean", "small"])
        assert (report.found, report.scored, report.new, report.failed) == (20, 20, 20, 0)
        calls.clear()
        again = library.score(photos, ["mean", "small"])
        assert (again.known, again.scored, again.new) == (20, 0, 0) and calls == []
        assert len(library.scores()) == 40 and library.scores().value.notna().all()
        more = library.score(photos, ["mean", "small", "doubled"])
        assert more.scored == 20 and calls == [], "a stored score was computed again"
        found = values(library)
        assert all(found[n, "doubled", "score"] == 2 * found[n, "mean", "score"] for n, s, _ in found if s == "mean")


def test_copies_and_new_names_cost_nothing(where, photos):
    with open_library(where) as library:
        library.score(photos, "mean")
        (photos / "00.jpg").rename(photos / "renamed.jpg")
        shutil.copy(photos / "01.jpg", photos / "copied.jpg")
        (photos / "below").mkdir()
        (photos / "02.jpg").rename(photos / "below" / "02.jpg")
        calls.clear()
        report = library.score(photos, "mean")
        assert calls == [] and report.scored == 0
        assert (report.found, report.known, report.new, report.moved, report.missing) == (21, 21, 1, 2, 0)
        assert len(library.scores()) == 21 and library.images().digest.nunique() == 20


def test_edited_and_deleted_files(where, photos):
    with open_library(where) as library:
        library.score(photos, "mean")
        old = values(library)
        shutil.copy(photos / "03.jpg", photos / "02.jpg")  # 02 now shows what 03 does
        Image.new("RGB", (90, 70), (200, 10, 10)).save(photos / "04.jpg")
        (photos / "05.jpg").unlink()
        report = library.score(photos, "mean")
        assert (report.edited, report.missing, report.scored, report.new) == (2, 1, 1, 0)
        new = values(library)
        assert new["02.jpg", "mean", "score"] == old["03.jpg", "mean", "score"]
        assert ("05.jpg", "mean", "score") not in new and len(library.images(missing=True)) == 20
        assert "05.jpg" not in {os.path.basename(p) for p in library.top("mean", 50).path}


def test_a_part_of_the_collection_marks_nothing_else_as_gone(where, photos):
    (photos / "a").mkdir()
    (photos / "b").mkdir()
    for n in (0, 1):
        (photos / f"0{n}.jpg").rename(photos / "a" / f"0{n}.jpg")
        (photos / f"0{n + 2}.jpg").rename(photos / "b" / f"0{n}.jpg")
    with open_library(where) as library:
        library.score(photos / "a", "mean")
        report = library.score(photos, "mean")
        assert (report.found, report.known, report.new) == (20, 2, 18), "a wider folder is the same files"
        (photos / "a" / "00.jpg").unlink()
        (photos / "b" / "00.jpg").unlink()
        assert library.score(photos / "a", "mean").missing == 1
        assert library.score([photos / "04.jpg", photos / "05.jpg"], "mean").missing == 0
        assert library.info()["roots"] == [{"here": str(photos)}]
        assert library.score(photos, "mean").missing == 1


def test_bad_pictures_cost_only_themselves(where, photos):
    (photos / "empty.jpg").write_bytes(b"")
    whole = (photos / "00.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "lies.png").write_text("I am no PNG")
    (photos / "notes.txt").write_text("no picture")
    with open_library(where) as library:
        report = library.score(photos, ["mean", "picky", "nan"])
        assert (report.found, report.others) == (23, 1)
        errors = library.errors()
        assert set(errors[errors.stage == "decode"].path.map(os.path.basename)) == {"empty.jpg", "cut.jpg", "lies.png"}
        scored = errors[errors.stage == "score"]
        assert len(scored[scored.scorer == "nan"]) == 20 and "not a finite number" in scored[scored.scorer == "nan"].reason.iloc[0]
        assert 0 < len(scored[scored.scorer == "picky"]) < 20 and set(scored[scored.scorer == "picky"].reason) == {"ValueError: 80 lines"}
        assert set(library.scores().scorer) == {"mean", "picky"} and len(library.scores("mean")) == 20
        (photos / "cut.jpg").write_bytes(whole + b" ")
        library.score(photos, ["mean"])
        assert "cut.jpg" not in set(library.errors().path.map(os.path.basename)), "a mended file has no error any more"


def test_a_batch_fails_alone_and_does_not_matter(where, photos):
    with open_library(where) as library:
        library.score(photos, ["batched", "mean", "small"])
        bad = {os.path.basename(p) for p in library.errors().path}
        assert bad == {f"{i:02}.jpg" for i in range(20) if i % 3 == 2} and max(sizes) == 8
        found = values(library)
        assert all(found[n, "batched", "score"] == found[n, "small", "score"] for n, s, _ in found if s == "batched")
        alone = open_library(os.fspath(photos.parent / "alone.sqlite"))
        for i in (0, 1, 3):
            alone.score(photos / f"{i:02}.jpg", ["batched"])
        assert all(found[key] == value for key, value in values(alone).items()), "a score depended on its batch"
        alone.close()


def test_what_builds_on_a_failed_scorer_says_so(where, photos):
    with open_library(where) as library:
        library.score(photos, ["on_picky"])
        errors = library.errors()
        reasons = set(errors[errors.scorer == "on_picky"].reason)
        assert reasons == {"it builds on picky, which failed"}
        assert len(library.scores("on_picky")) == 20 - (errors.scorer == "on_picky").sum()


def test_intervals_are_kept(where, photos):
    with open_library(where) as library:
        library.score(photos, ["interval", "small"])
        table = library.scores("interval")
        assert np.allclose(table.high - table.low, 2) and library.scores("small").low.isna().all()


def test_new_settings_are_new_scores(where, photos):
    @register
    class Scaled(Scorer):
        name = "scaled"
        outputs = (Output("score", "Scaled mean."),)
        needs = (Pixels(32),)

        def __init__(self, by=1.0):
            self.by = by

        def identity(self):
            return {"by": self.by}

        def measure(self, frame):
            return [self.by * frame.rgb.mean()]

    with open_library(where) as library:
        library.score(photos, Scaled(1.0))
        library.score(photos, Scaled(3.0))
        assert len(library.scores()) == 20 and len(library.scores(every_version=True)) == 40
        every = library.scores(every_version=True).groupby("fingerprint").value.mean()
        assert np.isclose(every.max(), 3 * every.min()) and np.isclose(library.scores().value.mean(), every.max())
        assert library.score(photos, Scaled(1.0)).known == 20, "the first ones are still there"
        assert np.isclose(library.scores().value.mean(), every.min())


def test_threads_and_order_change_nothing(photos, tmp_path):
    tables = []
    for threads in (1, 2, 5):
        with open_library(tmp_path / f"{threads}.sqlite") as library:
            library.score(photos, ["technical", "color", "batched"], threads=threads)
            tables.append(values(library))
    assert tables[0] == tables[1] == tables[2] and len(tables[0]) > 200


def test_zip_and_memory(where, photos):
    import fsspec

    archive = photos.parent / "archive.zip"
    with zipfile.ZipFile(archive, "w") as z:
        for path in photos.iterdir():
            z.write(path, f"inside/{path.name}")
    memory = fsspec.filesystem("memory")
    for path in photos.iterdir():
        memory.pipe(f"/bucket{photos.parent.name}/{path.name}", path.read_bytes())
    with open_library(where) as library:
        first = library.score(photos, "mean")
        calls.clear()
        packed, remote = library.score(archive, "mean"), library.score(f"memory://bucket{photos.parent.name}", "mean")
        assert first.scored == 20 and (packed.known, remote.known, packed.new, remote.new) == (20, 20, 20, 20) and calls == []
        assert library.score(photos.parent, "mean").found == 20  # an archive in a folder is no folder
        assert library.images().digest.nunique() == 20 and len(library.images()) == 60
        digest = library.images().digest[0]
        for path in photos.iterdir():
            path.unlink()
        assert len(library.read(digest)) > 100, "the archive still has it"


def test_nothing_to_do_and_nothing_there(where, tmp_path):
    with open_library(where) as library:
        (tmp_path / "nothing").mkdir()
        assert library.score(tmp_path / "nothing").found == 0
        assert len(library.scores()) == len(library.images()) == len(library.errors()) == 0
        assert list(library.scores().columns) == ["path", "digest", "scorer", "output", "value", "low", "high"]
        with pytest.raises(UnusableSource, match="nowhere"):
            library.score(tmp_path / "nowhere")
        assert "0 pictures" in repr(library) and "0 pictures" in library._repr_html_()


def test_a_folder_that_cannot_be_listed_hides_nothing(where, photos, monkeypatch):
    (photos / "closed").mkdir()
    (photos / "00.jpg").rename(photos / "closed" / "00.jpg")
    with open_library(where) as library:
        library.score(photos, "mean")
        real = os.scandir

        def scandir(path):
            if str(path).rstrip("/").endswith("closed"):
                raise PermissionError(13, "Permission denied")
            return real(path)

        monkeypatch.setattr(os, "scandir", scandir)
        report = library.score(photos, "mean")
        assert (report.missing, report.failed, report.found) == (0, 1, 19)
        assert library.errors().iloc[0].stage == "list" and library.errors().iloc[0].path.endswith("closed")
        monkeypatch.undo()
        library.score(photos, "mean")
        assert len(library.errors()) == 0


def test_interrupt_is_clean(where, photos):
    class Interrupting(Scorer):
        name = "interrupting"
        outputs = (Output("score", "Stops the run."),)
        needs = (Pixels(32),)
        batch_size = 4

        def score(self, frames):
            raise KeyboardInterrupt

    with open_library(where) as library:
        with pytest.raises(KeyboardInterrupt):
            library.score(photos, [Interrupting(), "mean"])
        assert library.runs().state.iloc[-1] == "interrupted"
        assert library.score(photos, "mean").found == 20 and library.runs().state.iloc[-1] == "finished"


def test_two_runs_at_once_lose_and_double_nothing(where, photos):
    libraries = [open_library(where) for _ in range(3)]
    failures = []

    def work(library):
        try:
            library.score(photos, ["mean", "small"], threads=1)
        except BaseException as e:
            failures.append(e)

    workers = [threading.Thread(target=work, args=(one,)) for one in libraries]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert failures == []
    assert len(libraries[0].scores()) == 40 and len(libraries[0].images()) == 20
    for one in libraries:
        one.close()


def test_raw_and_jpeg_are_one_picture(where, photos):
    (photos / "00.CR2").write_bytes(b"II*\0\x10\0\0\0CR\2\0" + b"\0" * 100)
    with open_library(where) as library:
        report = library.score(photos, "mean")
        assert report.found == 20 and report.failed == 0
        assert library.images().set_index("path").raw[str(photos / "00.jpg")] == str(photos / "00.CR2")


def test_metadata_and_facts_are_stored(where, data):
    with open_library(where) as library:
        library.score(data / "exif_orientation" / "Landscape_6.jpg", "mean")
        library.score(data / "metadata" / "jpg" / "Canon EOS 7D.jpg", "mean")
        table = library.images().set_index(library.images().path.map(os.path.basename))
        assert table.camera["Canon EOS 7D.jpg"] == "Canon EOS 7D" and table.format["Canon EOS 7D.jpg"] == "jpeg"
        assert table.width["Landscape_6.jpg"] > table.height["Landscape_6.jpg"], "sizes are of the upright picture"
        assert library.picture(data / "metadata" / "jpg" / "Canon EOS 7D.jpg")["metadata"].camera_make == "Canon"


MEMORY = PEAK + """
import sys
import numpy as np
from zenkai_research import open_library
from zenkai_research.core.scorer import Output, Pixels, Scorer
class Whole(Scorer):
    name, outputs, needs = "whole", (Output("score", ""),), (Pixels(),)
    def measure(self, frame): return [frame.rgb[::9, ::9].mean()]
class InBatches(Whole):
    name, needs, batch_size = "in_batches", (Pixels(224),), 32
    def score(self, frames): return np.array([self.measure(frame) for frame in frames])
import cv2, scipy, pandas, blake3, pi_heif, PIL.Image, zenkai_research.scoring.pipeline
before = peak()
with open_library(sys.argv[1]) as library:
    report = library.score(sys.argv[2], [dict(whole=Whole, in_batches=InBatches)[sys.argv[3]]()], threads=2, progress=False)
assert (report.scored, report.failed) == (24, 0)
print(before, peak())
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    "24 PNGs of 12 megapixels, of which a decoder can leave out nothing; together 864 MB of pixels."
    folder = tmp_path_factory.mktemp("large")
    gray = np.broadcast_to(np.arange(3000, dtype=np.uint16)[:, None, None] // 12, (3000, 4000, 3)).astype(np.uint8)
    for i in range(24):
        Image.fromarray(gray + np.uint8(i)).save(folder / f"{i}.png", compress_level=1)
    return folder


@pytest.mark.parametrize("kind", ["whole", "in_batches"])
def test_memory_is_bounded(large, tmp_path, kind):
    "Pixels are let go picture by picture, or, where a scorer wants batches, before they come to more than a few hundred megabytes."
    done = subprocess.run([sys.executable, "-c", MEMORY, tmp_path / "l.sqlite", large, kind], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, peak = map(int, done.stdout.split())
    assert peak < 1200 and peak - before < {"whole": 500, "in_batches": 800}[kind], (before, peak)


# A kill at any instant

KILLED = """
import sys
from zenkai_research import open_library
library = open_library(sys.argv[1])
print("ready", flush=True)
library.score(sys.argv[2], ["technical", "color"], threads=2, progress=False)
"""


def content(where):
    "All that a run leaves behind, without the numbers of runs and rows."
    with open_library(where) as library:
        scores = library.scores(every_version=True)
        errors = library.errors().drop(columns="run")
        images = library.images()
        with library.database.read() as c:
            import sqlalchemy as sa

            counts = {t: c.execute(sa.text(f"SELECT COUNT(*) FROM {t}")).scalar() for t in ("pictures", "files", "scores", "errors", "metadata", "outputs")}
        rows = [sorted(map(str, table.itertuples(index=False, name=None))) for table in (scores, errors, images)]
        return counts, rows


@pytest.mark.slow
def test_kill_at_any_instant_then_rerun(where, tmp_path):
    "Killed again and again, each time at a random instant in the middle of a run, a library ends as if nothing had happened."
    rng = np.random.default_rng(1)
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(420):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((320, 240), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        coarse.save(buffer, "JPEG")
        (folder / f"{i:03}.jpg").write_bytes(buffer.getvalue() if i % 40 else buffer.getvalue()[:300])
    undisturbed = str(tmp_path / "undisturbed.sqlite")
    start = time.perf_counter()
    with open_library(undisturbed) as library:
        library.score(folder, ["technical", "color"], threads=2)
    whole, landed, tried = time.perf_counter() - start, 0, 0
    while landed < 12 and tried < 40:
        tried += 1
        child = subprocess.Popen([sys.executable, "-c", KILLED, where, folder], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(rng.uniform(0, 0.5 * whole))
        mid_run = child.poll() is None
        child.send_signal(signal.SIGKILL)
        child.wait()
        with open_library(where) as library:
            runs = library.runs()
            if mid_run and len(runs) and runs.state.iloc[-1] == "running":
                landed += 1
            if len(runs) and runs.state.iloc[-1] == "finished":  # all done: take the scores of some away, so that there is work again
                import sqlalchemy as sa

                with library.database.write() as c:
                    for table in ("scores", "errors", "files", "metadata", "pictures"):
                        c.execute(sa.text(f"DELETE FROM {table}"))
    assert landed >= 12, f"only {landed} of {tried} kills came in the middle of a run"
    with open_library(where) as library:
        library.score(folder, ["technical", "color"], threads=2)
        assert set(library.runs().state.iloc[:-1]) <= {"interrupted", "finished"}
    assert content(where) == content(undisturbed)


def test_a_picture_without_a_value_is_noted_once_and_not_tried_again(where, photos):
    "A scorer may say that it has no value for a picture: no error, no score, no second try; what builds on it has none either."
    from zenkai_research.core.errors import NotMeasurable

    tried = []

    @scorer("choosy", needs=(Pixels(64),))
    def choosy(frame):
        tried.append(frame)
        if frame.rgb.shape[0] > 64: raise NotMeasurable(f"it is {frame.rgb.shape[0]} px high, and choosy takes 64")
        return 1.0

    @scorer("builder", needs=(Scores("choosy"),))
    def builder(values): return values[0]

    with open_library(where) as library:
        report = library.score(photos, ["choosy", "builder"])
        few = len(library.scores("choosy"))
        assert (report.scored, report.unmeasured, report.failed, len(tried)) == (few, 20 - few, 0, 20) and 0 < few < 20 and len(library.errors()) == 0
        told = library.unmeasured()
        assert len(told) == 2 * (20 - few) and set(told.scorer) == {"choosy", "builder"} and "choosy takes 64" in told.reason[0]
        assert "which has no value" in told.reason[told.scorer == "builder"].iloc[0]
        again = library.score(photos, ["choosy", "builder"])
        assert (again.known, again.scored, len(tried)) == (20, 0, 20)
        for path in photos.iterdir(): path.rename(path.with_name(f"moved {path.name}"))
        assert library.score(photos, ["choosy", "builder"]).known == 20 and len(tried) == 20
