"The `zenkai` command as people and programs meet it: what it prints, where, and with which exit code."

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zenkai_research.cli.main import main
from zenkai_research.images.samples import sample_photographs
from zenkai_research.scoring.library import open_library

ODD = os.fsdecode(b"caf\xe9 [red]\n.png")


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    "A folder of small photographs, one with an odd name and one broken, and the library it was scored into."
    folder = tmp_path_factory.mktemp("album")
    photos = folder / "photos"
    photos.mkdir()
    for name, path in list(sample_photographs().items())[:4]:
        with Image.open(path) as picture:
            picture.resize((120, 90)).save(photos / f"{name}.png")
    with contextlib.suppress(OSError):  # a disk that takes only text as names
        shutil.copy(photos / "coffee.png", photos / ODD)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    (photos / "notes.txt").write_text("not a picture")
    library = folder / "library.sqlite"
    assert main(["score", str(photos), "--library", str(library), "-s", "sharpness", "-s", "noise"]) == 0
    return photos, library


@pytest.fixture
def zenkai(album, capsys):
    "Runs a command in this process, against the album's library, and returns exit code, output, and messages."

    def run(*arguments, library=album[1]):
        capsys.readouterr()
        code = main([*map(str, arguments), *(["--library", str(library)] if library else [])])
        return code, *capsys.readouterr()

    return run


def command(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "zenkai_research.cli.main", *map(str, arguments)], capture_output=True, **options)


# What each command says


def test_score_counts_and_lists_what_failed(zenkai, album):
    code, out, err = zenkai("score", album[0], "--scorer", "sharpness")
    assert code == 0 and "known already" in out and "1 failed" in out and "1 other file" in out
    assert "broken.jpg: decode: " in err and "zenkai top" in err
    code, out, err = zenkai("score", album[0], "--scorer", "sharpness", "--threads", "1", "--json")
    report = json.loads(out)
    assert code == 0 and report["scored"] == 0 and report["failed"] == 1
    assert [f["stage"] for f in report["failures"]] == ["decode"] and set(report["failures"][0]) == {"path", "stage", "scorer", "reason"}


def test_score_lists_ten_failures_and_says_where_the_rest_are(zenkai, tmp_path):
    for i in range(12):
        (tmp_path / f"{i}.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken %d" % i)
    code, _, err = zenkai("score", tmp_path, "-s", "sharpness", library=tmp_path / "library.sqlite")
    assert code == 0 and err.count("failed:") == 10 and "2 more: zenkai errors" in err


def test_scorers_are_named_with_commas_or_one_by_one(zenkai, album):
    report = json.loads(zenkai("score", album[0], "--scorer", "sharpness,noise", "--json")[1])
    assert report["known"] == report["found"] - report["failed"] > 3 and report["scored"] == 0
    both, group, commas = (json.loads(zenkai("scores", "-f", "json", *names)[1]) for names in ([], ["-s", "technical"], ["-s", "noise,sharpness.score"]))
    assert both == group and {row["scorer"] for row in commas} == {"noise", "sharpness"}
    code, _, err = zenkai("score", album[0], "--scorer", "sharpness,")
    assert code == 2 and "no scorer is called ''" in err


def test_scorers(zenkai, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = zenkai("scorers", library=None)
    assert max(map(len, out.splitlines())) <= 80 and all("  " in line[2:] for line in out.splitlines() if line[:2] == "  " and line[2] != " ")
    assert code == 0 and "sharpness" in out and "higher is better" in out
    code, out, _ = zenkai("scorers", "--json", library=None)
    assert code == 0 and {"scorer", "group", "output", "range", "better", "unit", "help"} == set(json.loads(out)[0])


def test_scores_in_every_format(zenkai, album, tmp_path):
    import pandas as pd

    code, out, _ = zenkai("scores")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0 and {row["scorer"] for row in rows} == {"sharpness", "noise"}
    records = json.loads(zenkai("scores", "--format", "json", "--scorer", "noise")[1])
    assert {r["scorer"] for r in records} == {"noise"} and all(r["low"] is None for r in records)
    assert [r["value"] for r in records] == [float(row["value"]) for row in rows if row["scorer"] == "noise"]
    for name in ("a.parquet", "a.csv", "a.json"):
        code, out, err = zenkai("scores", "--output", tmp_path / name)
        assert (code, out) == (0, "") and f"{len(rows)} scores written" in err
    assert len(pd.read_parquet(tmp_path / "a.parquet")) == len(rows) == len(pd.read_csv(tmp_path / "a.csv"))
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "a.json", "a.parquet"]


def test_errors(zenkai):
    code, out, _ = zenkai("errors")
    assert code == 0 and out.count("\n") == 1 and "broken.jpg: decode: " in out
    [error] = json.loads(zenkai("errors", "--json")[1])
    assert set(error) == {"path", "stage", "scorer", "reason"} and error["stage"] == "decode"


def test_top(zenkai, album):
    best, worst = (json.loads(zenkai("top", "--by", "sharpness", "-n", 2, "--json", *end)[1]) for end in ([], ["--worst"]))
    assert best[0]["value"] > best[1]["value"] > worst[1]["value"] > worst[0]["value"]
    below = json.loads(zenkai("top", "--by", "sharpness", "--where", f"sharpness<{best[0]['value']!r}", "--json")[1])
    assert below[0]["digest"] == best[1]["digest"]
    code, out, _ = zenkai("top")
    assert code == 0 and out.startswith("Best by ") and len(out.splitlines()) == 5
    assert zenkai("top", "--by", "sharpness", "--where", "noise<-5")[1].endswith("no pictures\n")
    code, _, err = zenkai("top", "--where", "noise=4")
    assert code == 2 and err.startswith("Error: --where: ")


def test_top_knows_no_best_where_there_is_none(zenkai, album, tmp_path):
    library = tmp_path / "library.sqlite"
    assert zenkai("score", album[0] / "china.png", "-s", "saturation", library=library)[0] == 0
    assert zenkai("top", library=library)[1].startswith("Highest by saturation\n")
    assert zenkai("top", "--worst", library=library)[1].startswith("Lowest by saturation\n")


def test_stats(zenkai):
    code, out, _ = zenkai("stats")
    assert code == 0 and "sharpness" in out and "median" in out and "┬" not in out
    assert "┬" in zenkai("stats", "--scorer", "sharpness")[1]
    [row] = json.loads(zenkai("stats", "--scorer", "noise", "--json")[1])
    assert row["count"] == sum(row["shape"]) == 4 and row["min"] <= row["median"] <= row["max"]  # the copy is no picture of its own
    assert len(json.loads(zenkai("scores", "--unique", "-s", "noise", "-f", "json")[1])) == row["count"]
    assert zenkai("stats", "--scorer", "harmony")[1] == "There are no scores of harmony yet.\n"


def test_info(zenkai, album, tmp_path):
    photo = album[0] / "chelsea.png"
    code, out, err = zenkai("info", photo)
    assert code == 0 and "120 x 90" in out and "sharpness" in out and not err
    known = json.loads(zenkai("info", photo, "--json")[1])
    assert {s["scorer"] for s in known["scores"]} == {"sharpness", "noise"} and known["metadata"]["width"] == 120
    assert json.loads(zenkai("info", known["digest"][:12], "--json")[1])["paths"] == [str(photo)]
    stranger = shutil.copy(sample_photographs()["china"], tmp_path)
    for library in (album[1], None):  # the one of the settings, which is not there yet
        code, out, err = zenkai("info", stranger, library=library)
        assert code == 0 and "640 x 427" in out and "zenkai score" in err
    assert json.loads(zenkai("info", stranger, "--json")[1])["scores"] == []


def test_info_of_a_copy_shows_what_is_known_of_its_content(zenkai, album, tmp_path):
    copy = shutil.copy(album[0] / "chelsea.png", tmp_path / "copy.png")
    code, out, err = zenkai("info", copy)
    assert code == 0 and "sharpness" in out and f"also at      {album[0] / 'chelsea.png'}" in out and not err
    copied = json.loads(zenkai("info", copy, "--json")[1])
    assert copied["path"] == str(copy) and copied["paths"] == [str(album[0] / "chelsea.png")] and len(copied["scores"]) == 2


def test_info_of_a_broken_picture_says_why(zenkai, album):
    code, out, err = zenkai("info", album[0] / "broken.jpg")
    assert code == 0 and "error        decode: " in out and "value" not in out and not err
    [error] = json.loads(zenkai("info", album[0] / "broken.jpg", "--json")[1])["errors"]
    assert error["stage"] == "decode" and error["reason"]


def test_info_shows_no_scores_of_what_a_picture_was_before(zenkai, tmp_path):
    photo, library = tmp_path / "a.png", tmp_path / "library.sqlite"
    Image.new("RGB", (64, 64), "red").save(photo)
    assert zenkai("score", photo, "-s", "sharpness", library=library)[0] == 0
    Image.new("RGB", (64, 64), "blue").save(photo)
    code, out, err = zenkai("info", photo, library=library)
    assert code == 0 and "sharpness" not in out and "changed since it was scored" in err


def test_tags(zenkai, album):
    photos = [album[0] / "chelsea.png", album[0] / "china.png"]
    assert zenkai("tag", *photos, "--add", "keep", "--add", "print")[:2] == (0, "keep: 2 pictures\nprint: 2 pictures\n")
    assert zenkai("tag", photos[0], "--remove", "keep")[:2] == (0, "keep: 1 picture\n")
    [kept] = json.loads(zenkai("top", "--by", "noise", "--tag", "keep", "--json")[1])
    assert kept["path"] == str(photos[1])
    assert zenkai("tag", "--list")[:2] == (0, "keep: 1 picture\nprint: 2 pictures\n")
    assert zenkai("tag", photos[0], "--remove", "kep")[:2] == (0, "kep: no picture has this tag\n")
    assert zenkai("tag", *photos, "--remove", "keep", "--remove", "print")[:2] == (0, "keep: 0 pictures\nprint: 0 pictures\n")
    assert zenkai("tag", "--list")[:2] == (0, "No picture has a tag.\n")
    code, _, err = zenkai("tag", photos[0], "--add", "two\nlines")
    assert code == 2 and err.startswith("Error: --add: ")


def test_library_commands(zenkai, album, tmp_path):
    info = json.loads(zenkai("library", "info", "--json")[1])
    assert info["pictures"] == 5 and info["scorers"] == ["noise", "sharpness"]
    assert "pictures" in zenkai("library", "info")[1]
    copy = tmp_path / "copy.sqlite"
    assert zenkai("library", "backup", copy)[0] == 0
    assert json.loads(zenkai("library", "info", "--json", library=copy)[1])["scores"] == info["scores"]
    assert zenkai("library", "upgrade", library=copy)[0] == 0
    assert info["roots"] == [{"here": str(album[0])}] and f"roots      {album[0]}\n" in zenkai("library", "info")[1]


def test_mounting_photographs_that_moved_and_mounting_them_back(zenkai, album, tmp_path):
    library, here, there = tmp_path / "library.sqlite", tmp_path / "photos", tmp_path / "moved"
    shutil.copytree(album[0], here)
    scored = json.loads(zenkai("score", here, "-s", "sharpness", "--json", library=library)[1])
    code, _, err = zenkai("library", "mount", here, there, library=library)
    assert code == 1 and f"{there} is not there" in err
    for old, new in [(here, there), (there, here)]:
        old.rename(new)
        assert zenkai("library", "mount", old, new, library=library)[:2] == (0, f"{old} is at {new} on this machine\n")
        report = json.loads(zenkai("score", new, "-s", "sharpness", "--json", library=library)[1])
        assert report["known"] == scored["found"] - scored["failed"] and report["scored"] == report["new"] == report["missing"] == 0
        assert f"roots      {new}\n" in zenkai("library", "info", library=library)[1]
        [row] = json.loads(zenkai("top", "-n", 1, "--json", library=library)[1])
        assert row["path"].startswith(str(new))


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_root_is_mounted_by_the_name_that_is_shown(zenkai, album, tmp_path):
    library, here, there = tmp_path / "library.sqlite", tmp_path / "two\nlines", tmp_path / "photos"
    shutil.copytree(album[0], here)
    assert zenkai("score", here, "-s", "sharpness", library=library)[0] == 0
    there.mkdir()
    code, _, err = zenkai("library", "mount", here, there, library=library)
    assert code == 1 and "none of the photographs" in err
    shutil.copytree(album[0], there, dirs_exist_ok=True)
    assert rf"{tmp_path}/two\nlines" in zenkai("library", "info", library=library)[1]
    assert zenkai("library", "mount", rf"{tmp_path}/two\nlines", there, library=library)[0] == 0


def test_demo_ranks_what_was_spoiled_and_knows_it_the_second_time(zenkai, tmp_path, monkeypatch):
    from zenkai_research.cli import demo

    monkeypatch.setattr(demo, "_SPOILED", ("chelsea",))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = zenkai("demo", "--output", tmp_path / "demo", library=None)
    assert code == 0 and "0 known already" in out and "chelsea noise 4.png" in out and str(tmp_path) in err
    assert max(map(len, out.partition("Next:")[0].partition("Does each")[2].splitlines())) <= 80
    before = sorted((tmp_path / "demo").rglob("*.*g"))
    code, out, _ = zenkai("demo", "--output", tmp_path / "demo", library=None)
    assert code == 0 and " 0 scored" in out and sorted((tmp_path / "demo").rglob("*.*g")) == before
    assert "\n  " + str(Path(sys.executable).with_name("zenkai")) + " stats" in out
    code, _, err = zenkai("demo", "--output", tmp_path, library=None)
    assert code == 2 and "holds other files" in err and os.listdir(tmp_path) == ["demo"]


# What goes wrong


WRONG = {
    "missing path": ["score", "/no/such/folder"],
    "unknown scorer": ["score", ".", "--scorer", "sharpnes"],
    "unknown command": ["scor"],
    "no threads": ["score", ".", "--threads", "0"],
    "a setting it does not have": ["score", ".", "--scorer", "sharpness:x"],
    "unknown output": ["top", "--by", "sharpness.blur"],
    "unknown scorer asked": ["scores", "--scorer", "nique"],
    "unknown format": ["scores", "--format", "xlsx"],
    "unknown extension": ["scores", "--output", "/tmp/scores.xlsx"],
    "no folder for the output": ["scores", "--output", "/no/such/folder/a.csv"],
    "a folder as the output": ["scores", "--output", "/", "--format", "csv"],
    "no condition": ["top", "--by", "noise", "--where", "noise=4"],
    "no tag": ["tag", "a.png"],
    "no picture to tag": ["tag", "--add", "x"],
    "a picture and a list": ["tag", "a.png", "--list"],
    "a missing file": ["info", "/no/such/file.jpg"],
    "a folder as a file": ["info", "/"],
    "no picture": ["info", __file__],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_wrong_usage(zenkai, arguments):
    code, out, err = zenkai(*arguments)
    assert (code, out) == (2, "") and "Error: " in err and "Traceback" not in err


def test_options_are_called_as_they_are_spelt(zenkai):
    for arguments, words in [(["scores", "--output", "a.xlsx"], "--output: a.xlsx ends in .xlsx"), (["scores", "-f", "xlsx"], "--format: 'xlsx'")]:
        assert zenkai(*arguments)[2].startswith(f"Error: {words}")


def test_a_plug_in_that_ends_the_program_is_an_error(zenkai, album, monkeypatch):
    from zenkai_research.metrics.sharpness import Sharpness

    monkeypatch.setattr(Sharpness, "identity", lambda self: sys.exit(0))
    code, out, err = zenkai("score", album[0], "-s", "sharpness")
    assert (code, out) == (1, "") and err.startswith("Error: a scorer wanted to end the program")


def broken(path):
    path.write_bytes(b"this is no database, but it is long enough to be one" * 100)


def newer(path):
    assert main(["score", str(sample_photographs()["coffee"]), "--library", str(path), "-s", "noise"]) == 0
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")


def others(path):
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE pictures (id)")


def folder(path):
    path.mkdir()


@pytest.mark.parametrize("make", [broken, newer, others, folder])
@pytest.mark.parametrize("arguments", [["score", "."], ["scores"], ["top"], ["library", "info"], ["library", "upgrade"], ["errors", "--json"]], ids=" ".join)
def test_a_library_that_cannot_be_used(zenkai, tmp_path, make, arguments):
    library = tmp_path / "library.sqlite"
    make(library)
    code, out, err = zenkai(*arguments, library=library)
    assert (code, out) == (1, "") and err.startswith("Error: ") and str(library) in err and "Traceback" not in err


def test_a_library_where_none_can_be(zenkai, album):
    code, _, err = zenkai("score", album[0], library=album[0] / "notes.txt" / "library.sqlite")
    assert code == 1 and err.startswith("Error: ")
    code, _, err = zenkai("library", "backup", "/no/such/folder/copy.sqlite")
    assert code == 1 and err.startswith("Error: ")
    code, _, err = zenkai("library", "mount", "/nowhere", "/tmp")
    assert code == 1 and "no root" in err
    code, _, err = zenkai("tag", "/nowhere.jpg", "--add", "x")
    assert code == 1 and "/nowhere.jpg" in err


def test_asking_and_mistakes_make_no_library(zenkai, tmp_path):
    library = tmp_path / "library.sqlite"
    for arguments in (["errors"], ["stats"], ["tag", "a.jpg", "--add", "x"], ["library", "info"], ["score", "/no/such/folder"], ["score", ".", "-s", "x"]):
        assert zenkai(*arguments, library=library)[0] == 2
    assert os.listdir(tmp_path) == []


def test_a_library_without_scores(zenkai, tmp_path):
    library = tmp_path / "library.sqlite"
    open_library(library).close()
    (tmp_path / "photos").mkdir()
    code, out, err = zenkai("score", tmp_path / "photos", library=library)
    assert code == 0 and out.startswith("0 pictures") and "No pictures were found" in err
    assert zenkai("stats", library=library)[:2] == (0, "No scores yet.\n")
    assert zenkai("stats", "--json", library=library)[:2] == (0, "[]\n")
    assert zenkai("errors", "--json", library=library)[:2] == (0, "[]\n")
    code, out, err = zenkai("top", library=library)
    assert (code, out) == (1, "") and "has no scores yet" in err


def test_nothing_to_score_makes_no_library(zenkai, tmp_path):
    empty, notes, library = tmp_path / "empty", tmp_path / "notes.txt", tmp_path / "library.sqlite"
    empty.mkdir()
    notes.write_text("no picture")
    for place in (empty, notes, tmp_path):
        assert zenkai("score", place, library=library) == (0, "", "No pictures were found there.\n")
    report = json.loads(zenkai("score", tmp_path, "--json", library=library)[1])
    assert report["found"] == 0 and report["others"] == 1 and report["library"] is None
    assert not library.exists()


def test_a_bug_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("zenkai_research.cli.options.library_exists", lambda library: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["errors"])


# What only a process of its own shows


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_odd_names_print_on_any_terminal(album):
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = command("top", "--by", "sharpness", "--library", album[1], env=env)
    assert done.returncode == 0 and rb"caf\xe9 [red]\n.png" in done.stdout and done.stdout.isascii()
    done = command("info", album[0] / ODD, "--library", album[1], "--json", env=env)
    assert done.returncode == 0 and len(json.loads(done.stdout.decode("utf-8"))["scores"]) == 2
    done = command("score", "/no/such/\x1b[2J" + ODD, env=env)
    assert done.returncode == 2 and rb"\x1b[2Jcaf\xe9" in done.stderr and done.stderr.count(b"\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="no such pipes there")
def test_a_reader_that_leaves_is_no_error(album):
    reader, writer = os.pipe()
    os.close(reader)
    for arguments in (["scores"], ["top", "--by", "noise"], ["errors", "--json"]):
        done = subprocess.run([sys.executable, "-m", "zenkai_research.cli.main", *arguments, "--library", album[1]], stdout=writer, stderr=subprocess.PIPE)
        assert done.stderr == b"" and done.returncode != 2
    os.close(writer)


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_interrupted_it_says_so_and_goes_on_the_next_time(tmp_path):
    photos, library = tmp_path / "photos", tmp_path / "library.sqlite"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for i in range(260):
        Image.fromarray(rng.integers(0, 256, (128, 128, 3), np.uint8)).save(photos / f"{i:03}.png", compress_level=0)
    arguments = ["score", str(photos), "--library", str(library), "-s", "technical", "--threads", "1", "--json"]
    run = subprocess.Popen([sys.executable, "-m", "zenkai_research.cli.main", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stored():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(f"file:{library}?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(DISTINCT picture_id) FROM scores").fetchone()[0]
        return 0

    while not stored() and run.poll() is None:
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130 and out == "" and "goes on from here" in err and "Traceback" not in err
    kept = stored()
    assert 0 < kept < 260
    again = command(*arguments, text=True)
    report = json.loads(again.stdout)
    assert again.returncode == 0 and report["known"] == kept and report["scored"] == 260 - kept and stored() == 260


def test_a_picture_without_a_value_is_said_to_be_none(zenkai, tmp_path):
    from PIL import Image

    Image.new("RGB", (60, 50)).save(tmp_path / "small.png")
    code, out, err = zenkai("score", tmp_path / "small.png", "-s", "niqe")
    assert code == 0 and "0 scored" in out and "1 without some value" in out
    assert "niqe: its shorter side is 50 px" in zenkai("errors")[1] and "niqe" not in zenkai("errors", "--json")[1]
    code, out, err = zenkai("info", tmp_path / "small.png")
    assert "no value     niqe: its shorter side is 50 px" in out and "make them" not in err
    assert "NIQE needs 96" in json.loads(zenkai("info", tmp_path / "small.png", "--json")[1])["unmeasured"]["niqe"]
