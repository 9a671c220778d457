"""Packed exports are read as if they were not; what is inside is not trusted."""

import bz2
import gzip
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from callimport.core import errors
from callimport.extract import compression, reader

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CONTENT = "a;b\n1;é\n2;x\n".encode()


def _file(folder: Path, content: bytes, name: str) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _zip(folder: Path, *members: tuple[str, bytes], name: str = "calls.zip") -> Path:
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members:
            archive.writestr(member, content)
    return folder / name


def _message(path: Path) -> str:
    with pytest.raises(errors.SourceError) as caught:
        list(reader.read(reader.open_source(path)))
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


def _cells(path: Path) -> list[tuple[object, ...]]:
    return [row for chunk in reader.read(reader.open_source(path)) for row in chunk.frame.rows()]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("calls.csv.gz", gzip.compress(CONTENT)),
        ("calls.TXT.GZ", gzip.compress(CONTENT)),
        ("calls.gz", gzip.compress(CONTENT[:6]) + gzip.compress(CONTENT[6:])),
        ("calls.csv.zst", zstd.compress(CONTENT)),
        ("calls.tsv.zst", zstd.compress(CONTENT[:6]) + zstd.compress(CONTENT[6:])),
    ],
    # Packed bytes tell when they were packed: no name for a test.
    ids=lambda given: given if isinstance(given, str) else "packed",
)
def test_a_packed_export_is_read_as_if_it_were_not(tmp_path: Path, name: str, content: bytes) -> None:
    path = _file(tmp_path, content, name)
    assert _cells(path) == [("1", "é", 2, None), ("2", "x", 3, None)]
    assert reader.peek(reader.open_source(path)).told.endswith(", UTF-8, separated by ;")


def test_a_zip_of_one_export_is_read(tmp_path: Path) -> None:
    path = _zip(
        tmp_path, ("May/", b""), ("May/calls.csv", CONTENT), ("__MACOSX/._calls.csv", b"x"), (".DS_Store", b"x")
    )
    assert _cells(path) == [("1", "é", 2, None), ("2", "x", 3, None)]
    assert reader.peek(reader.open_source(path)).told == "zip, UTF-8, separated by ;"


def test_a_packed_file_is_known_as_it_lies_on_the_disk(tmp_path: Path) -> None:
    plain, packed = _file(tmp_path, CONTENT, "a.csv"), _file(tmp_path, gzip.compress(CONTENT), "a.csv.gz")
    assert reader.open_source(plain).sha256 != reader.open_source(packed).sha256
    assert reader.open_source(packed).size == packed.stat().st_size


def test_a_zip_of_several_exports_is_refused_by_their_names(tmp_path: Path) -> None:
    message = _message(_zip(tmp_path, ("may.csv", CONTENT), ("june.csv", CONTENT)))
    assert "holds several files (may.csv, june.csv); unpack it" in message


def test_a_zip_without_a_text_export_is_refused(tmp_path: Path) -> None:
    assert "holds no file" in _message(_zip(tmp_path, ("empty/", b"")))
    assert "holds no text export but book.xlsx" in _message(_zip(tmp_path, ("book.xlsx", b"x")))
    assert "holds no text export but a.csv.gz" in _message(_zip(tmp_path, ("a.csv.gz", b"x")))


def test_a_locked_zip_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path, ("calls.csv", CONTENT))
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag of the member, and the same in the directory at the end
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert "password" in _message(path)


@pytest.mark.parametrize("lost", [1, 9, 30])
@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.zst", ".zip"])
def test_a_packed_file_that_is_cut_off_is_refused(tmp_path: Path, suffix: str, lost: int) -> None:
    """Else the rows behind the cut would be missing and nobody would know."""
    content = b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i * 7919 % 10007) for i in range(3000))
    if suffix == ".zip":
        whole = _zip(tmp_path, ("calls.csv", content), name="whole.zip").read_bytes()
    else:
        whole = gzip.compress(content) if suffix == ".csv.gz" else zstd.compress(content)
    path = _file(tmp_path, whole[:-lost], f"calls{suffix}")
    assert "cannot be unpacked" in _message(path)


@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.zst", ".zip"])
def test_what_is_not_packed_as_its_name_says_is_refused(tmp_path: Path, suffix: str) -> None:
    assert "cannot be unpacked" in _message(_file(tmp_path, CONTENT, f"calls{suffix}"))


def test_a_damaged_member_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path, ("calls.csv", CONTENT * 50))
    content = bytearray(path.read_bytes())
    content[45] ^= 0xFF
    path.write_bytes(content)
    assert "cannot be unpacked" in _message(path)


@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.zst", ".zip"])
def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its ratio, as soon as that means anything, and without ever holding what comes out of it."""
    monkeypatch.setattr(compression, "HARMLESS_BYTES", 4 * 2**20)
    content = b"a,b\n" + b"1,2\n" * 2**24
    if suffix == ".zip":
        path = _zip(tmp_path, ("calls.csv", content))
    else:
        path = _file(tmp_path, gzip.compress(content) if suffix == ".csv.gz" else zstd.compress(content), f"b{suffix}")
    opened = reader.open_source(path)
    tracemalloc.start()
    with pytest.raises(errors.SourceError, match="times its size: that is no call log"):
        reader.header(opened)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(content)


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "MOST_BYTES", 1000)
    path = _file(tmp_path, gzip.compress(b"a,b\n" + b"1,2\n" * 300), "calls.csv.gz")
    assert "that is no call log" in _message(path)


def test_one_small_file_of_one_line_repeated_is_no_bomb(tmp_path: Path) -> None:
    """A month of calls to nobody packs a thousand times smaller, and is still a month of calls."""
    path = _file(tmp_path, gzip.compress(b"a,b\n" + b"1,2\n" * 100_000), "calls.csv.gz")
    assert len(_cells(path)) == 100_000


def test_a_zst_that_wants_a_huge_window_is_refused(tmp_path: Path) -> None:
    options = {
        int(zstd.CompressionParameter.window_log): 28,
        int(zstd.CompressionParameter.enable_long_distance_matching): 1,
    }
    compressor = zstd.ZstdCompressor(options=options)
    path = _file(tmp_path, compressor.compress(CONTENT) + compressor.flush(), "calls.csv.zst")
    assert "cannot be unpacked" in _message(path)


def test_other_packings_inside_a_zip_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "calls.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("calls.csv", CONTENT)
    assert _cells(tmp_path / "calls.zip") == [("1", "é", 2, None), ("2", "x", 3, None)]
    assert "unpack it first" in _message(_file(tmp_path, bz2.compress(CONTENT), "calls.csv.bz2"))


def test_a_stream_that_dribbles_is_read_to_its_end(tmp_path: Path) -> None:
    """Fewer bytes than asked for mean the end to whoever reads: what comes short must be asked for again."""

    class Dribble:
        left = CONTENT

        def read(self, size: int, /) -> bytes:
            given, self.left = self.left[: min(size, 3)], self.left[min(size, 3) :]
            return given

    stream = compression.Stream(reader.open_source(_file(tmp_path, CONTENT, "a.csv")), Dribble(), is_packed=False)
    assert (stream.read(8), stream.read(100), stream.read(1)) == (CONTENT[:8], CONTENT[8:], b"")
