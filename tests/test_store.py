from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bakeoff import store
from bakeoff.errors import StoreError
from bakeoff.records import Candidate, Host, Model, RunRecord, Settings, Trial
from bakeoff.store import RunFolder


@pytest.fixture
def run() -> RunRecord:
    return RunRecord(
        created="2026-11-01T00:00:00+00:00",
        settings=Settings(model="m.onnx", data="d.yaml"),
        bakeoff="0",
        versions={},
        host=Host(
            cpu=None,
            architecture="x",
            cores_physical=None,
            cores_usable=1,
            instruction_sets=(),
            memory_bytes=1,
            os="x",
            kernel="x",
            python="3",
            governor=None,
            container=None,
            virtual=None,
            load_1m=None,
        ),
        model=Model(
            path="m.onnx",
            sha256="0",
            size_bytes=1,
            format="onnx",
            task="detect",
            class_names=("a",),
            stride=32,
            imgsz=64,
        ),
        trials=(Trial(candidate=Candidate(backend="x", precision="fp32", shape="dyn"), load_s=0.125),),
    )


@pytest.fixture
def folder(tmp_path: Path):
    with RunFolder.create(tmp_path / "run") as folder:
        yield folder


def test_a_record_comes_back_as_it_was_saved(folder, run):
    folder.save(run)
    assert folder.load() == run
    assert RunFolder(folder.path).load() == run


def test_absent_stays_absent(folder, run):
    folder.save(run)
    (trial,) = folder.load().trials
    assert trial.convert_s is None
    assert trial.accuracy is None


@pytest.mark.parametrize("broken", ["write", "fsync", "replace"])
def test_a_save_that_fails_leaves_the_last_one_whole(folder, run, monkeypatch, broken):
    folder.save(run)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if broken == "write":
            patch.setattr(store.msgspec.json, "format", lambda *_, **__: memoryview(b"x"))
            patch.setattr(Path, "open", full)
        else:
            patch.setattr(store.os, broken, full)
        with pytest.raises(StoreError, match=r"results\.json cannot be written: No space left.*--out"):
            folder.save(msgspec.structs.replace(run, bakeoff="other"))
    assert folder.load() == run


def test_every_prefix_of_results_is_damaged_and_said_to_be(folder, run):
    folder.save(run)
    path = folder.path / "results.json"
    whole = path.read_bytes().rstrip()
    for length in range(0, len(whole), 17):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match="damaged"):
            folder.load()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[]", b"null", b'{"format": 3}', b'{"format": "\xff"}'])
def test_rubbish_in_results_is_a_store_error(folder, content):
    (folder.path / "results.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"results\.json"):
        folder.load()


def test_another_tools_json_is_no_run(folder):
    (folder.path / "results.json").write_text('{"hello": 1}')
    with pytest.raises(StoreError, match="no Run of bakeoff"):
        folder.load()


def test_a_newer_format_says_which_version_it_needs_even_if_all_else_changed(folder):
    content = {"format": store.FORMAT, "version": store.VERSION + 1, "run": ["a new shape"]}
    (folder.path / "results.json").write_text(json.dumps(content))
    with pytest.raises(StoreError, match=f"format {store.VERSION + 1}.*up to {store.VERSION}; upgrade bakeoff"):
        folder.load()


def test_fields_that_a_later_version_added_are_passed_over(folder, run):
    folder.save(run)
    path = folder.path / "results.json"
    document = json.loads(path.read_text())
    document["run"]["invented"] = 1
    path.write_text(json.dumps(document))
    assert folder.load() == run


def test_samples_come_back_before_and_after_consolidation(folder):
    first = {"timing/a:1x1/run_ns": np.arange(6).reshape(2, 3), "images/names": np.array(["ä", "b"])}
    second = {"accuracy/a/xyxy": np.zeros((0, 4), np.float32)}
    folder.put("timing", first)
    folder.put("accuracy-a", second)
    for _ in range(2):
        found = folder.samples()
        assert {name: array.tolist() for name, array in found.items()} == {
            name: array.tolist() for name, array in {**first, **second}.items()
        }
        assert found["accuracy/a/xyxy"].shape == (0, 4)
        assert folder.samples("timing/").keys() == {"timing/a:1x1/run_ns"}
        folder.consolidate()
    assert (folder.path / "samples.npz").exists()
    assert not (folder.work / "samples").exists()


def test_a_part_replaces_its_predecessor_also_across_consolidation(folder):
    folder.put("timing", {"timing/x": np.array([1])})
    folder.put("timing", {"timing/x": np.array([2])})
    assert folder.samples()["timing/x"].tolist() == [2]
    folder.consolidate()
    folder.put("timing", {"timing/x": np.array([3])})
    assert folder.samples()["timing/x"].tolist() == [3]
    folder.consolidate()
    assert folder.samples()["timing/x"].tolist() == [3]


def test_a_put_that_fails_leaves_the_last_one_whole(folder, monkeypatch):
    folder.put("timing", {"timing/x": np.array([1])})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store.np, "savez", full)
        with pytest.raises(StoreError, match="No space left"):
            folder.put("timing", {"timing/x": np.array([2])})
    assert folder.samples()["timing/x"].tolist() == [1]


def test_damaged_samples_are_a_store_error_wherever_the_damage_is(folder):
    folder.put("timing", {"timing/x": np.arange(50), "timing/y": np.ones(9)})
    folder.consolidate()
    path = folder.path / "samples.npz"
    whole = path.read_bytes()
    damaged = [whole[:length] for length in range(0, len(whole), 61)]
    damaged += [whole[:i] + bytes([whole[i] ^ 0xFF]) + whole[i + 1 :] for i in range(0, len(whole), 7)]
    silent, said = 0, set()
    for content in damaged:
        path.write_bytes(content)
        try:
            folder.samples()
            silent += 1
        except StoreError as error:
            said.add(str(error).partition(": ")[0])
    assert said == {f"{path} is damaged"}
    assert silent < len(damaged) / 4  # dates and attributes in the archive's headers change nothing


def test_a_damaged_pickle_in_samples_is_never_loaded(folder):
    np.savez(folder.path / "samples.npz", evil=np.array([object()], dtype=object))
    with pytest.raises(StoreError, match="damaged"):
        folder.samples()


def test_a_folder_in_use_names_the_process_that_uses_it(folder, run):
    folder.save(run)
    with pytest.raises(StoreError, match=f"in use by process {os.getpid()}"):
        RunFolder.resume(folder.path)


def test_a_folder_is_free_again_after_use(tmp_path, run):
    with RunFolder.create(tmp_path / "run") as folder:
        folder.save(run)
    with RunFolder.resume(tmp_path / "run") as again:
        assert again.load() == run


def test_a_folder_with_a_run_or_anything_else_is_not_taken(tmp_path, run):
    with RunFolder.create(tmp_path / "run") as folder:
        folder.save(run)
    with pytest.raises(StoreError, match="--resume"):
        RunFolder.create(tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(StoreError, match="not empty"):
        RunFolder.create(tmp_path / "other")


def test_discard_removes_only_what_create_made(tmp_path, run):
    (tmp_path / "given").mkdir()
    for name, left in (("given", True), ("made", False)):
        with RunFolder.create(tmp_path / name) as folder:
            folder.save(run)
            folder.put("timing", {"timing/x": np.array([1])})
            folder.discard()
        assert (tmp_path / name).exists() == left
    assert list((tmp_path / "given").iterdir()) == []
