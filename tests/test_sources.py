"""What a listing must survive: odd names, links, locked folders, hostile archives, remote stores."""

import bz2
import os
import socket
import sys
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from zenkai_research.core.errors import UnreadableImage, UnusableSource
from zenkai_research.core.settings import test_data
from zenkai_research.images import locations, sources
from zenkai_research.images.locations import printable, read_location
from zenkai_research.images.samples import sample_photographs
from zenkai_research.images.sources import Archive, Entry, Folder, Problem, Remote, find_sources

JPEG = b"\xff\xd8\xff\xe0" + bytes(60)


def fill(folder, *names, data=JPEG):
    for name in names:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f: f.write(data)
    return str(folder)


def paths(given): return [e.path for s in find_sources(given) for e in s.entries()]


def listed(given):
    source, = find_sources(given)
    return source, list(source.entries())


# --- names

def test_names_in_any_script_come_back_and_read(tmp_path):
    names = ["写真/夏.jpg", "café.jpg", "two\nlines.jpg", " spaces .jpg", "עברית.png", "semi;colon&'\".jpg", "emoji 👩‍👩‍👧.webp", "a:b.jpg",
             "cafe\u0301 2.jpg", "back\\slash.jpg", "#hash%20.jpg"]
    for i, name in enumerate(names): fill(tmp_path, name, data=b"%d" % i)
    entries = listed(tmp_path)[1]
    assert {e.path: e.read() for e in entries} == {name: b"%d" % i for i, name in enumerate(names)}
    assert all("\n" not in e.location for e in entries)


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="this system allows only Unicode file names")
def test_undecodable_names_survive(tmp_path):
    fill(os.fsencode(tmp_path), b"caf\xe9.jpg", b"dir\xff/b.jpg")
    entries = listed(tmp_path)[1]
    assert [os.fsencode(e.path) for e in entries] == [b"caf\xe9.jpg", b"dir\xff/b.jpg"]
    assert all(e.read() == JPEG for e in entries)
    assert entries[0].location.endswith(r"caf\xe9.jpg"); entries[1].location.encode()
    assert paths(os.fsencode(tmp_path) + b"/dir\xff") == ["b.jpg"] and paths([f"{tmp_path}/caf\udce9.jpg"]) == ["caf\udce9.jpg"]


@given(st.text())
def test_printable_text_is_one_line_of_utf8(text):
    shown = printable(text)
    shown.encode()
    assert len(shown.splitlines()) <= 1 and "\x1b" not in shown


def test_hidden_files_and_system_folders_are_skipped(tmp_path):
    fill(tmp_path, "a.jpg", ".b.jpg", "._a.jpg", ".git/c.jpg", "x/@eaDir/d.jpg", "__MACOSX/e.jpg", ".thumbnails/f.jpg", "$RECYCLE.BIN/g.jpg")
    source, entries = listed(tmp_path)
    assert [e.path for e in entries] == ["a.jpg"] and source.others == 0
    assert paths(f"{tmp_path}/.git") == ["c.jpg"] and paths(f"{tmp_path}/.b.jpg") == [".b.jpg"]  # asked for by name
    assert paths([tmp_path, f"{tmp_path}/.git", f"{tmp_path}/.b.jpg"]) == ["a.jpg", "c.jpg", ".b.jpg"]


# --- folders and links

def test_order_is_the_same_whatever_the_disk_says(tmp_path, monkeypatch):
    fill(tmp_path, "b.jpg", "a.jpg", "B.jpg", "z/1.jpg", "m/1.jpg", "m/k/2.jpg", "m-/3.jpg")
    expected = ["B.jpg", "a.jpg", "b.jpg", "m/1.jpg", "m/k/2.jpg", "m-/3.jpg", "z/1.jpg"]
    assert paths(tmp_path) == expected
    scandir = os.scandir

    class Backwards:
        def __init__(self, path): self.items = scandir(path)
        def __enter__(self): return reversed(list(self.items))
        def __exit__(self, *_): self.items.close()
    monkeypatch.setattr(os, "scandir", Backwards)
    source, = find_sources(tmp_path)
    assert [e.path for e in source.entries()] == expected == [e.path for e in source.entries()]


def test_entries_carry_size_and_time(tmp_path):
    fill(tmp_path, "a.jpg")
    os.utime(tmp_path/"a.jpg", ns=(1, 1234567890123456789))
    entry, = listed(tmp_path)[1]
    assert entry == Entry(str(tmp_path), "a.jpg", len(JPEG), 1234567890123456789)


def test_link_loops_end_and_real_paths_win(tmp_path):
    photos, elsewhere = tmp_path/"photos", tmp_path/"elsewhere"
    fill(photos, "z/real/1.jpg"); fill(elsewhere, "2.jpg", "deep/3.jpg")
    os.symlink(photos, photos/"z"/"up")
    os.symlink(photos/"z"/"real", photos/"a link")          # inside the root: known by its real path
    os.symlink(elsewhere, photos/"b")                        # outside: followed, once
    os.symlink(elsewhere, photos/"c")
    os.symlink(elsewhere/"2.jpg", photos/"file link.jpg")    # a file of its own
    os.symlink("self", photos/"self"); os.symlink("nowhere", photos/"dangling.jpg")
    source, entries = listed(photos)
    assert [e.path for e in entries] == ["dangling.jpg", "file link.jpg", "z/real/1.jpg", "b/2.jpg", "b/deep/3.jpg"]
    assert source.problems == [] and source.others == 1  # `self` points at itself and has no name of a picture
    with pytest.raises(UnreadableImage, match="no such file"): entries[0].read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_are_never_opened(tmp_path):
    os.mkfifo(tmp_path/"pipe.jpg"); os.mkfifo(tmp_path/"pipe")
    source, entries = listed(tmp_path)
    assert entries == [] and source.others == 2
    with pytest.raises(UnusableSource, match="neither a file nor a folder"): find_sources(tmp_path/"pipe")


def test_a_locked_folder_is_a_problem_not_an_end(tmp_path, monkeypatch):
    fill(tmp_path, "a/1.jpg", "locked/2.jpg", "z/3.jpg")
    scandir = os.scandir
    def guarded(path):
        if str(path).endswith("/locked/"): raise PermissionError(13, "Permission denied", path)
        return scandir(path)
    monkeypatch.setattr(os, "scandir", guarded)
    source, entries = listed(tmp_path)
    assert [e.path for e in entries] == ["a/1.jpg", "z/3.jpg"] and source.whole
    assert source.problems == [Problem("locked", "cannot be listed: Permission denied")]
    part = Folder(str(tmp_path), "locked")
    assert list(part.entries()) == [] and [p.path for p in part.problems] == ["locked"]
    monkeypatch.undo()
    assert len(list(source.entries())) == 3 and source.problems == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is locked to root")
def test_a_really_locked_folder(tmp_path):
    fill(tmp_path, "locked/2.jpg", "z/3.jpg")
    os.chmod(tmp_path/"locked", 0)
    try: source, entries = listed(tmp_path)
    finally: os.chmod(tmp_path/"locked", 0o755)
    assert [e.path for e in entries] == ["z/3.jpg"] and len(source.problems) == 1


def test_a_folder_deleted_while_listing_does_not_end_the_run(tmp_path):
    fill(tmp_path, "a/1.jpg", "b/2.jpg", "c/3.jpg")
    source, = find_sources(tmp_path)
    entries = source.entries()
    assert next(entries).path == "a/1.jpg"
    (tmp_path/"b"/"2.jpg").unlink(); (tmp_path/"b").rmdir()
    assert [e.path for e in entries] == ["c/3.jpg"] and source.problems == [Problem("b", "cannot be listed: no such file or folder")]


@pytest.mark.parametrize("make", ["folder", "archive"])
def test_a_root_that_vanishes_is_a_problem_of_the_root(tmp_path, make):
    gone = fill(tmp_path/"photos", "a.jpg") if make == "folder" else make_zip(tmp_path/"photos.zip", {"a.jpg": JPEG})
    source, = find_sources(gone)
    os.rename(gone, gone + " elsewhere")
    assert list(source.entries()) == [] and [p.path for p in source.problems] == [""] and "no such file" in source.problems[0].reason
    assert source.exists("a.jpg") is False


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="this system allows only Unicode file names")
def test_problems_name_folders_as_the_disk_does(tmp_path, monkeypatch):
    fill(os.fsencode(tmp_path), b"dir\xff\n/b.jpg")
    scandir = os.scandir
    def guarded(path):
        if path.endswith("\n/"): raise PermissionError(13, "Permission denied", path)
        return scandir(path)
    monkeypatch.setattr(os, "scandir", guarded)
    source, entries = listed(tmp_path)
    assert entries == [] and [os.fsencode(p.path) for p in source.problems] == [b"dir\xff\n"]


def test_what_is_not_listed_may_still_exist(tmp_path):
    photos = tmp_path/"photos"
    fill(photos, "a.jpg", ".hidden/b.jpg", "x/@eaDir/c.jpg"); os.symlink(photos/"x", photos/"y"); os.symlink("nowhere", photos/"dangling.jpg")
    source, entries = listed(photos)
    assert [e.path for e in entries] == ["a.jpg", "dangling.jpg"]
    for path in ("a.jpg", ".hidden/b.jpg", "y/@eaDir/c.jpg", "dangling.jpg"): assert source.exists(path) is True
    for path in ("b.jpg", "a.jpg/b.jpg", "a\0b"): assert source.exists(path) is False
    archive = Archive(make_zip(tmp_path/"p.zip", {"a.jpg": JPEG, ".b.jpg": JPEG, "../c.jpg": JPEG}))
    assert [archive.exists(path) for path in ("a.jpg", ".b.jpg", "../c.jpg", "d.jpg")] == [True, True, False, False]
    (tmp_path/"p.zip").write_bytes(b"no longer an archive")
    assert archive.exists("a.jpg") is None
    assert Remote("memory://t").exists("a.jpg") is None


# --- what is a picture

def test_extension_or_first_bytes(tmp_path):
    fill(tmp_path, "broken.jpg", data=b"ID3 not a picture at all"); fill(tmp_path, "empty.png", data=b"")
    fill(tmp_path, "no extension", "wrong.txt", "v1.2")
    fill(tmp_path, "notes.txt", "a.xmp", "clip.mov", "b.zip", "README", data=b"PK\3\4 text")
    source, entries = listed(tmp_path)
    assert [e.path for e in entries] == ["broken.jpg", "empty.png", "no extension", "v1.2", "wrong.txt"] and source.others == 5
    list(source.entries())
    assert source.others == 5  # counted anew


def test_known_extensions_are_not_opened(tmp_path, monkeypatch):
    fill(tmp_path, "a.jpg", "b.NEF", "c.heic")
    monkeypatch.setattr(Folder, "_head", lambda *_: pytest.fail("opened"))
    assert len(paths(tmp_path)) == 3


def test_raw_pairs(tmp_path):
    fill(tmp_path, "IMG_1.JPG", "img_1.cr2", "IMG_2.CR3", "IMG_2.heic", "IMG_3.dng", "IMG_4.jpg", "IMG_5.png", "IMG_5.nef",
         "other/IMG_4.nef", "IMG_6.jpg", "IMG_6.arw", "IMG_6.dng", "IMG_7.jpg", "IMG_7.heic", "IMG_7.raf")
    assert {e.path: e.raw for e in listed(tmp_path)[1]} == {
        "IMG_1.JPG": "img_1.cr2", "IMG_2.heic": "IMG_2.CR3", "IMG_3.dng": None, "IMG_4.jpg": None, "IMG_5.png": None, "IMG_5.nef": None,
        "other/IMG_4.nef": None, "IMG_6.jpg": "IMG_6.arw", "IMG_6.dng": None, "IMG_7.jpg": "IMG_7.raf", "IMG_7.heic": "IMG_7.raf"}
    assert [(e.path, e.raw) for e in listed(tmp_path/"IMG_1.JPG")[1]] == [("IMG_1.JPG", "img_1.cr2")]  # as when listing the folder
    assert [(e.path, e.raw) for e in listed(tmp_path/"img_1.cr2")[1]] == [("img_1.cr2", None)]
    assert [(e.path, e.raw) for e in listed([tmp_path/"img_1.cr2", tmp_path/"IMG_1.JPG"])[1]] == [("IMG_1.JPG", "img_1.cr2")]


def test_raw_pairs_below_the_root_and_in_archives(tmp_path):
    fill(tmp_path/"p", "day/A.jpg", "day/A.NEF")
    assert [(e.path, e.raw) for e in listed(tmp_path/"p")[1]] == [("day/A.jpg", "day/A.NEF")]
    make_zip(tmp_path/"p.zip", {"day/A.jpg": JPEG, "day/A.NEF": JPEG})
    assert [(e.path, e.raw) for e in listed(tmp_path/"p.zip")[1]] == [("day/A.jpg", "day/A.NEF")]


# --- what people point at

def test_list_of_files_becomes_a_source_a_folder(tmp_path):
    fill(tmp_path, "a/1.jpg", "a/2.jpg", "a/3.jpg", "b/1.jpg"); fill(tmp_path, "a/notes.txt", data=b"text")
    found = find_sources([f"{tmp_path}/{n}" for n in ["a/3.jpg", "b/1.jpg", "a/1.jpg", "a/3.jpg", "a/notes.txt"]])
    assert [(s.root, s.whole, [e.path for e in s.entries()]) for s in found] == [
        (f"{tmp_path}/a", False, ["1.jpg", "3.jpg"]), (f"{tmp_path}/b", False, ["1.jpg"])]
    assert [s.others for s in found] == [1, 0] and [s.estimate() for s in found] == [3, 1]
    assert find_sources([]) == []


def test_nested_and_repeated_folders_appear_once(tmp_path):
    fill(tmp_path, "a/1.jpg", "a/b/2.jpg", "ab/3.jpg")
    os.symlink(tmp_path/"a", tmp_path/"alias")
    given = ["a/b", "a/", "a", "a/1.jpg", "ab", "alias", "ab/../a"]
    assert paths([f"{tmp_path}/{path}" for path in given]) == ["1.jpg", "b/2.jpg", "3.jpg"]


def test_dots_after_a_link_lead_where_the_system_leads(tmp_path):
    fill(tmp_path, "here/1.jpg", "far/away/2.jpg", "far/3.jpg")
    os.symlink(tmp_path/"far"/"away", tmp_path/"here"/"link")
    assert paths(f"{tmp_path}/here/link/..") == ["3.jpg", "away/2.jpg"]


def test_relative_paths_and_parts_of_a_root(tmp_path, monkeypatch):
    fill(tmp_path, "a/b/2.jpg", "a/b/3.jpg", "a/b/3.nef")
    monkeypatch.chdir(tmp_path)
    source, = find_sources("a")
    assert (source.root, source.prefix) == (f"{tmp_path}/a", "")
    entries = list(Folder(f"{tmp_path}/a", "b").entries())
    assert [(e.path, e.raw) for e in entries] == [("b/2.jpg", None), ("b/3.jpg", "b/3.nef")] and entries[0].read() == JPEG


def test_sources_pass_as_they_are(tmp_path):
    fill(tmp_path, "a/1.jpg", "a/b/2.jpg", "c/3.jpg")
    part, archive = Folder(str(tmp_path), "a/b"), Archive(make_zip(tmp_path/"x.zip", {"4.jpg": JPEG}))
    found = find_sources([f"{tmp_path}/a", part, archive, tmp_path/"c"])
    assert found[1] is part and found[2] is archive and len(found) == 4
    assert [e.path for s in found for e in s.entries()] == ["1.jpg", "b/2.jpg", "a/b/2.jpg", "4.jpg", "3.jpg"]
    assert find_sources(part)[0] is part and len(find_sources([part, part])) == 1 and len(find_sources(s for s in (part, archive))) == 2


@pytest.mark.parametrize("path", ["nowhere", "nowhere/a.jpg", "a.jpg/b.jpg", "", "a\0b", "file:///nowhere", "memory://nowhere", "nosuch://x"])
def test_missing_paths_are_named(tmp_path, monkeypatch, path):
    fill(tmp_path, "a.jpg"); monkeypatch.chdir(tmp_path)
    with pytest.raises(UnusableSource) as caught: find_sources(path)
    assert printable(path).removeprefix("file://") in str(caught.value) and "\n" not in str(caught.value)


def test_file_urls(tmp_path):
    fill(tmp_path, "with space/é.jpg", "with%20space/b.jpg")
    assert paths(f"file://{tmp_path}/with space") == ["é.jpg"]
    assert paths(f"file://{tmp_path}/with%20space") == ["b.jpg"]
    assert paths(f"file://{tmp_path}/with%20space/%C3%A9.jpg") == ["é.jpg"]
    assert find_sources(f"file://{tmp_path}") == find_sources(tmp_path)


# --- reading

def test_reading_says_why_not(tmp_path):
    fill(tmp_path, "a.jpg")
    for path, reason in [("b.jpg", "no such file"), ("../x", "leads out"), ("/etc/passwd", "leads out"), ("", "directory"), ("a\0b", "null"),
                         ("a.jpg/b.jpg", "zip")]:
        with pytest.raises(UnreadableImage, match=reason): read_location(str(tmp_path), path)
    with pytest.raises(UnreadableImage, match="is its disk connected"): read_location(f"{tmp_path}/gone", "a.jpg")


def test_giants_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(locations, "MAX_BYTES", 1000)
    with open(tmp_path/"a.jpg", "wb") as f: f.truncate(1001)
    with zipfile.ZipFile(tmp_path/"a.zip", "w", zipfile.ZIP_DEFLATED) as z: z.writestr("bomb.jpg", bytes(1001))
    for entry in [*listed(tmp_path/"a.jpg")[1], *listed(tmp_path/"a.zip")[1]]:
        with pytest.raises(UnreadableImage, match="GiB are read"): entry.read()
        with pytest.raises(UnreadableImage, match="GiB are read"): read_location(entry.root, entry.path)


# --- archives

def make_zip(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as z:
        for name, data in members.items(): z.writestr(name, data)
    return str(path)


def test_archive_members_are_confined(tmp_path):
    bad = ["/etc/abs.jpg", "../up.jpg", "a/../../up2.jpg", "C:\\win.jpg", "c:/win2.jpg", "\\\\server\\share.jpg", "a\\..\\..\\b.jpg"]
    archive = make_zip(tmp_path/"x.zip", {**dict.fromkeys(bad, JPEG), "fine.jpg": JPEG, "./dot.jpg": JPEG, "a..b/..c..jpg": JPEG})
    data = (tmp_path/"x.zip").read_bytes()
    (tmp_path/"x.zip").write_bytes(data.replace(b"fine.jpg", b"fin\0.jpg"))
    source, entries = listed(archive)
    assert [e.path for e in entries] == ["dot.jpg"] and len(source.problems) == len(bad) + 1
    assert {"/etc/abs.jpg", "../up.jpg", r"fin\x00.jpg"} <= {p.path for p in source.problems} and all("leads out" in p.reason for p in source.problems)
    for name in bad:
        with pytest.raises(UnreadableImage): read_location(archive, name)


def test_archive_names_and_folders(tmp_path):
    archive = make_zip(tmp_path/"写真 été.zip", {
        "夏/café.jpg": b"1", "夏/b.jpg": b"2", "a.jpg": b"3", "x/.hidden.jpg": b"", "__MACOSX/a.jpg": b"", "notes.txt": b"", "bare": JPEG,
        "inner.zip": b"PK\3\4", "new\nline.jpg": b"4"})
    source, entries = listed(archive)
    assert {e.path: e.read() for e in entries} == {"a.jpg": b"3", "bare": JPEG, "new\nline.jpg": b"4", "夏/b.jpg": b"2", "夏/café.jpg": b"1"}
    assert [e.path for e in entries] == sorted(e.path for e in entries) and source.others == 2 and source.whole and source.root == archive
    assert entries[-1].location == f"{archive}/夏/café.jpg"
    assert read_location(str(tmp_path), "写真 été.zip/a.jpg") == b"3"  # seen from a root around it
    assert source.estimate() >= 5
    inside, = find_sources(f"{archive}/夏")
    assert (inside.root, inside.prefix, [e.path for e in inside.entries()]) == (archive, "夏", ["夏/b.jpg", "夏/café.jpg"])
    assert paths([f"{archive}/a.jpg", f"{archive}/夏/b.jpg"]) == ["a.jpg", "夏/b.jpg"]
    assert paths([archive, f"{archive}/夏", f"{archive}/a.jpg"]) == [e.path for e in entries]
    with pytest.raises(UnusableSource, match="no such member"): find_sources(f"{archive}/c.jpg")


def test_archive_names_that_are_utf8_without_saying_so(tmp_path):
    archive = make_zip(tmp_path/"mac.zip", {"cafXX.jpg": b"1"})
    (tmp_path/"mac.zip").write_bytes((tmp_path/"mac.zip").read_bytes().replace(b"cafXX", "café".encode()))
    entry, = listed(archive)[1]
    assert entry.path == "café.jpg" and entry.read() == b"1"


def test_a_changed_member_has_another_time(tmp_path):
    def time(data): return listed(make_zip(tmp_path/"x.zip", {}))[1] or [e.mtime_ns for e in listed(make_zip(
        tmp_path/"x.zip", {zipfile.ZipInfo("a.jpg", (2024, 5, 1, 12, 0, 0)): data}))[1]]
    assert time(b"1234") == time(b"1234") != time(b"5678")
    entry, = listed(make_zip(tmp_path/"odd.zip", {zipfile.ZipInfo("a.jpg", (1980, 0, 0, 0, 0, 0)): b""}))[1]
    assert isinstance(entry.mtime_ns, int)


def test_broken_archives_and_members(tmp_path):
    (tmp_path/"no.zip").write_bytes(b"nothing of the kind")
    with pytest.raises(UnusableSource, match="zip archive"): find_sources(tmp_path/"no.zip")
    archive = make_zip(tmp_path/"x.zip", {"a.jpg": JPEG * 100}, zipfile.ZIP_STORED)
    data = bytearray((tmp_path/"x.zip").read_bytes()); data[200] ^= 1
    (tmp_path/"x.zip").write_bytes(data)
    with pytest.raises(UnreadableImage, match="CRC"): listed(archive)[1][0].read()
    data = bytearray((tmp_path/"x.zip").read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)): data[data.index(signature) + offset] |= 1
    (tmp_path/"y.zip").write_bytes(data)
    with pytest.raises(UnreadableImage, match="encrypted"): listed(tmp_path/"y.zip")[1][0].read()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_all_compressions_are_read_whole(tmp_path, method):
    data = os.urandom(100_000) + bytes(300_000)
    assert listed(make_zip(tmp_path/"x.zip", {"a.jpg": data}, method))[1][0].read() == data


def test_a_member_that_unpacks_to_more_than_it_declares(tmp_path):
    archive = make_zip(tmp_path/"x.zip", {"a.jpg": bytes(50_000_000)}, zipfile.ZIP_BZIP2)
    data = (tmp_path/"x.zip").read_bytes().replace((50_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    (tmp_path/"x.zip").write_bytes(data)
    assert len(bz2.compress(bytes(50_000_000))) < 4096
    with pytest.raises(UnreadableImage): listed(archive)[1][0].read()


def test_threads_share_an_open_archive(tmp_path):
    members = {f"{i:03}.jpg": os.urandom(20_000) for i in range(60)}
    entries = listed(make_zip(tmp_path/"x.zip", members))[1]
    wrong = []
    def work():
        for e in entries:
            if e.read() != members[e.path]: wrong.append(e)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert not wrong


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_damage_to_an_archive_raises_anything_else(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damage")
    make_zip(folder/"x.zip", {"a.jpg": JPEG * 3, "d/b": JPEG})
    raw = bytearray((folder/"x.zip").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))): raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    (folder/"x.zip").write_bytes(raw)
    try:
        for source in find_sources(folder/"x.zip"):
            for entry in source.entries():
                entry.location.encode()
                entry.read()
    except UnreadableImage: pass  # UnusableSource is one


# --- remote

@pytest.fixture
def memory():
    store = fsspec.filesystem("memory")
    store.pipe({"/t/a.jpg": b"1", "/t/d/夏 1.JPG": b"2", "/t/d/夏 1.nef": b"3", "/t/.h.jpg": b"", "/t/n.txt": JPEG, "/t/bare": JPEG,
                "/t2/x.jpg": b"4"})
    yield store
    store.rm("/t", recursive=True); store.rm("/t2", recursive=True)


def test_memory_url(memory):
    source, entries = listed("memory://t/")
    assert (source.root, source.prefix, source.whole) == ("memory://t", "", True)
    assert [(e.path, e.raw) for e in entries] == [("a.jpg", None), ("bare", None), ("d/夏 1.JPG", "d/夏 1.nef")] and source.others == 1
    assert [e.read() for e in entries] == [b"1", JPEG, b"2"] and entries[2].location == "memory://t/d/夏 1.JPG"
    assert all(isinstance(e.mtime_ns, int) for e in entries) and entries[0].size == 1
    assert paths(["memory://t/d", "memory://t", "memory://t/a.jpg", "memory://t2/x.jpg"]) == ["a.jpg", "bare", "d/夏 1.JPG", "x.jpg"]
    assert [e.path for e in Remote("memory://t", "d").entries()] == ["d/夏 1.JPG"]
    before = entries[0].mtime_ns
    memory.pipe("/t/a.jpg", b"9")
    assert listed("memory://t/a.jpg")[1][0].mtime_ns != before and not find_sources("memory://t/a.jpg")[0].whole
    with pytest.raises(UnreadableImage, match="no such"): read_location("memory://t", "gone.jpg")


@pytest.mark.parametrize("given, kept", [
    (1.5, 1_500_000_000), (-(2**63) / 1e9, None), (2.0**63, None), (1e200, None), (float("-inf"), True), (float("nan"), True), ("yesterday", True)])
def test_times_fit_a_database(memory, monkeypatch, given, kept):
    real = MemoryFileSystem.ls
    monkeypatch.setattr(MemoryFileSystem, "ls", lambda *args, **options: [i | {"created": None, "mtime": given} for i in real(*args, **options)])
    for entry in Remote("memory://t").entries():
        assert entry.mtime_ns == kept or kept is True and 0 <= entry.mtime_ns < 2**63


def test_times_of_a_disk_fit_a_database(tmp_path, monkeypatch):
    fill(tmp_path, "a.jpg")
    for time, kept in [(2**63 - 1, 2**63 - 1), (1 - 2**63, 1 - 2**63), (2**63, None), (-(2**63), None), (1.5, None)]:
        monkeypatch.setattr(sources, "_scan", lambda folder, time=time: ([("a.jpg", 1, time)], [], [], 0))
        assert listed(tmp_path)[1][0].mtime_ns == kept


def test_memory_root(memory):
    assert {"t/a.jpg", "t2/x.jpg"} <= set(paths("memory://"))
    assert read_location("memory://", "t/a.jpg") == b"1" and [e.path for e in Remote("memory://", "t2").entries()] == ["t2/x.jpg"]
    assert paths(["memory://t2", "memory://"]) == paths("memory://")


class Locked(MemoryFileSystem):
    "A store that lets some things be seen and not opened."
    protocol = "lockedstore"

    @classmethod
    def _strip_protocol(cls, path): return super()._strip_protocol(path.replace("lockedstore://", "memory://"))

    def ls(self, path, detail=True, **options):
        if "locked" in path: raise PermissionError("Access Denied")
        items = super().ls(path, detail=detail, **options)
        marker = {"name": self._strip_protocol(path), "size": 0, "type": "file"}  # as S3 does for a folder made by hand
        twin = {"name": self._strip_protocol(path) + "/z", "size": 9, "type": "file"}  # there a file may have a folder's name
        return [marker, twin, *({**i, "created": None, "ETag": '"etag of ' + i["name"]} for i in items)]

    def info(self, path, **options):
        if "forbidden" in path: raise PermissionError("Forbidden")
        return super().info(path, **options)


def test_a_store_that_refuses(memory):
    fsspec.register_implementation("lockedstore", Locked, clobber=True)
    memory.pipe({"/t/locked/x.jpg": b"1", "/t/z/y.jpg": b"2"})
    source, entries = listed("lockedstore://t")
    assert [e.path for e in entries] == ["a.jpg", "bare", "d/夏 1.JPG", "z/y.jpg"]
    assert source.problems == [Problem("locked", "cannot be listed: Access Denied")]
    assert source.others == 4 and len({e.mtime_ns for e in entries}) == 4 and 0 <= min(e.mtime_ns for e in entries) and max(e.mtime_ns for e in entries) < 2**63
    with pytest.raises(UnusableSource, match="Forbidden.*credentials"): find_sources("lockedstore://forbidden")


def test_a_missing_client_says_what_to_install():
    fsspec.register_implementation("notinstalled", "no_such_module.Files", clobber=True)
    with pytest.raises(UnusableSource, match=r"pip install 'zenkai_research\[cloud\]'"): find_sources("notinstalled://bucket/photos")


@pytest.fixture
def server(tmp_path):
    pytest.importorskip("aiohttp", reason="the http client is in the cloud extra")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args): super().__init__(*args, directory=str(tmp_path/"www"))
        def log_message(self, *_): pass
        def send_head(self): return self.send_error(403) if "secret" in self.path else super().send_head()
    fill(tmp_path/"www", "d/a.jpg", "d/two words.jpg", "d/bare"); fill(tmp_path/"www", "notes.txt", "x.zip", "page.html", data=b"text")
    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown(); thread.join()


def test_http(server):
    source, = find_sources([f"{server}/d/a.jpg", f"{server}/d/a.jpg?size=full/2", f"{server}/d/bare", f"{server}/d/two%20words.jpg"])
    entries = list(source.entries())
    assert source.root == f"{server}/d" and not source.whole
    assert [e.path for e in entries] == ["a.jpg", "a.jpg?size=full/2", "bare", "two%20words.jpg"]
    assert all(e.read() == JPEG and e.size == len(JPEG) and isinstance(e.mtime_ns, int) for e in entries)
    assert paths(f"{server}/notes.txt") == []


@pytest.mark.parametrize("path,reason", [("/d/", "web page"), ("/d", "web page"), ("", "web page"), ("/page.html", "web page"),
                                         ("/none.jpg", "no such file"), ("/secret.jpg", "403"), ("/x.zip", "fetch it first")])
def test_http_refusals(server, path, reason):
    with pytest.raises(UnusableSource, match=reason): find_sources(server + path)


def test_http_server_gone():
    pytest.importorskip("aiohttp", reason="the http client is in the cloud extra")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, but nobody listens
        root = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(UnusableSource, match="[Cc]onnect.*check the address") as refused: find_sources(f"{root}/a.jpg")
        with pytest.raises(UnreadableImage, match="[Cc]onnect") as unread: read_location(root, "a.jpg")
    assert "no such file" not in str(refused.value) + str(unread.value)


# --- real folders

def test_sample_photographs_are_all_found():
    samples = [str(p) for p in sample_photographs().values()]
    entries = [e for s in find_sources(samples) for e in s.entries()]
    assert sorted(e.location for e in entries) == sorted(samples)


@pytest.mark.skipif(test_data() is None, reason="the shared test pictures are not on this machine")
def test_shared_pictures():
    source, entries = listed(test_data()/"clive")
    assert len(entries) == 812 and source.problems == [] and source.others > 0
    assert source.estimate() == 812
    tags, found = listed(test_data()/"metadata")
    assert {os.path.splitext(e.path)[1].lower() for e in found} >= {".jpg", ".png", ".heic", ".avif", ".webp"}
    assert not any(e.path.endswith(".xmp") for e in found)


def test_listing_is_fast(tmp_path):
    "Far below what is measured (over 100,000 files a second), so that only a change of kind fails it."
    import time
    for i in range(5000): (tmp_path/f"{i}.jpg").touch()
    source, = find_sources(tmp_path)
    start = time.perf_counter()
    assert sum(1 for _ in source.entries()) == 5000
    assert time.perf_counter() - start < 1


def test_entries_come_lazily(tmp_path, monkeypatch):
    fill(tmp_path, *(f"{i}/a.jpg" for i in range(5)))
    visited, scandir = [], os.scandir
    monkeypatch.setattr(sources.os, "scandir", lambda path: visited.append(path) or scandir(path))
    entries = find_sources(tmp_path)[0].entries()
    next(entries)
    assert len(visited) == 2
