"""The object cache: round trips, damage, bounds, concurrent writers."""

import os
import subprocess
import sys

import pytest

from gemel.runtime import object_cache


@pytest.fixture(autouse=True)
def own_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMEL_CACHE", str(tmp_path))
    monkeypatch.delenv("GEMEL_CACHE_LIMIT", raising=False)
    return tmp_path


def entry_files(place):
    return sorted(place.glob("??/*.gemel"))


def test_round_trip_keeps_meta_and_bytes():
    image = bytes(range(256)) * 5 + b"\n\n"
    assert object_cache.lookup("k") is None
    object_cache.store("k", {"arena": 64, "names": ["a"]}, image)
    assert object_cache.lookup("k") == ({"arena": 64, "names": ["a"]}, image)
    assert object_cache.lookup("other") is None


@pytest.mark.parametrize("damage", [b"", b"garbage", b'{"meta": 1}\n', b"[]\nxx"])
def test_damaged_entry_is_missing_and_removed(own_directory, damage):
    object_cache.store("k", {}, b"object")
    (path,) = entry_files(own_directory)
    path.write_bytes(damage)
    assert object_cache.lookup("k") is None
    assert not path.exists()


def test_flipped_bit_is_found(own_directory):
    object_cache.store("k", {}, b"object bytes")
    (path,) = entry_files(own_directory)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    assert object_cache.lookup("k") is None


def test_off_stores_nothing(monkeypatch):
    monkeypatch.setenv("GEMEL_CACHE", "off")
    object_cache.store("k", {}, b"object")
    assert object_cache.lookup("k") is None
    assert object_cache.stats()["entries"] == 0


def test_size_stays_below_the_limit_and_the_oldest_go(own_directory, monkeypatch):
    monkeypatch.setenv("GEMEL_CACHE_LIMIT", "20000")
    for number in range(40):
        object_cache.store(f"k{number}", {}, bytes(1000))
        for age, path in enumerate(sorted(entry_files(own_directory), key=os.path.getmtime)):
            os.utime(path, (1_000_000 + age, 1_000_000 + age))
    assert object_cache.stats()["bytes"] <= 21_500
    assert object_cache.lookup("k39") is not None
    assert object_cache.lookup("k0") is None


def test_bad_limit_is_named(monkeypatch):
    monkeypatch.setenv("GEMEL_CACHE_LIMIT", "big")
    with pytest.raises(ValueError, match="GEMEL_CACHE_LIMIT"):
        object_cache.limit()


def test_clear_deletes_all():
    object_cache.store("a", {}, b"1")
    object_cache.store("b", {}, b"2")
    assert object_cache.clear() == 2
    assert object_cache.stats()["entries"] == 0


def test_unwritable_directory_warns(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    monkeypatch.setenv("GEMEL_CACHE", str(blocked))
    with pytest.warns(RuntimeWarning, match="GEMEL_CACHE"):
        object_cache.store("k", {}, b"object")


WRITER = """
import sys
from gemel.runtime import object_cache
for turn in range(40):
    for key in range(5):
        found = object_cache.lookup(f"k{key}")
        assert found is None or found[1] == bytes([key]) * 5000, key
        object_cache.store(f"k{key}", {"key": key}, bytes([key]) * 5000)
"""


def test_many_processes_share_one_directory(own_directory):
    children = [subprocess.Popen([sys.executable, "-c", WRITER]) for _ in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert len(entry_files(own_directory)) == 5
    assert not list(own_directory.glob("??/.new-*"))
