from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bakeoff.data.dataset import check_sizes, open_dataset
from bakeoff.data.images import decode
from bakeoff.errors import InputError
from tests import tiny
from tests.data import coco_files
from tests.data.coco_files import document, image, write

NAMES = ("x", "y")


def test_the_same_dataset_as_yaml_and_as_json_holds_the_same(tmp_path):
    yaml = tiny.write_dataset(tmp_path)
    for split in ("val", "train"):
        path = tmp_path / "annotations" / f"instances_{split}.json"
        coco_files.from_yolo(yaml, path, split, [(3, "green"), (8, "red")])
    ours = open_dataset(tmp_path / "annotations" / "instances_val.json", tiny.NAMES)
    theirs = open_dataset(yaml, tiny.NAMES)
    assert ours.class_names == theirs.class_names == ("red", "green")
    for mine, other in ((ours.validation, theirs.validation), (ours.training, theirs.training)):
        assert [path.resolve() for path in mine] == [path.resolve() for path in other]
    for mine, other in zip(ours.validation, theirs.validation, strict=True):
        assert ours.labels(mine).classes.tolist() == theirs.labels(other).classes.tolist()
        assert ours.labels(mine).xywhn == pytest.approx(theirs.labels(other).xywhn, abs=1e-12)


def test_a_folder_of_images_is_a_dataset_where_no_labels_are_wanted(tmp_path):
    image(tmp_path / "deep" / "b.jpg")
    image(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("0 0 0 0 0")
    dataset = open_dataset(tmp_path, NAMES, labels=False)
    assert [path.name for path in dataset.validation] == ["a.png", "b.jpg"]
    assert dataset.class_names == NAMES
    assert dataset.training == ()
    assert len(dataset.labels(dataset.validation[0]).classes) == 0


def test_hidden_files_are_no_images(tmp_path):
    image(tmp_path / "a.png")
    (tmp_path / "._a.png").write_bytes(b"a resource fork")
    image(tmp_path / ".thumbnails" / "a.png")
    assert len(open_dataset(tmp_path, NAMES, labels=False).validation) == 1


def test_a_folder_where_labels_are_wanted_is_refused_with_the_cure(tmp_path):
    image(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"is a folder: give its data\.yaml or its COCO json, or add --no-labels"):
        open_dataset(tmp_path, NAMES)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="without images"):
        open_dataset(tmp_path, NAMES, labels=False)


def test_without_labels_no_label_is_read_so_a_broken_one_does_not_matter(tmp_path):
    yaml = tiny.write_dataset(tmp_path)
    (tmp_path / "labels" / "val" / "0.txt").write_text("rubbish")
    dataset = open_dataset(yaml, tiny.NAMES, labels=False)
    assert dataset.class_names == tiny.NAMES
    assert len(dataset.validation) == 6
    assert len(dataset.training) == 4
    assert len(dataset.labels(dataset.validation[0]).classes) == 0


def test_without_labels_only_the_images_of_a_json_are_read(tmp_path):
    path = write(tmp_path / "set.json", document(annotations="rubbish", categories=None))
    dataset = open_dataset(path, NAMES, labels=False)
    assert len(dataset.validation) == 2
    assert dataset.class_names == NAMES


def test_a_json_made_for_images_of_another_size_is_refused(tmp_path):
    path = write(tmp_path / "set.json", document())
    dataset = open_dataset(path, ("cat", "cow", "dog"))
    labels = [dataset.labels(file) for file in dataset.validation]
    check_sizes(dataset, dataset.validation, labels, [(40, 20), (40, 20)])
    with pytest.raises(InputError, match=r"b\.png is 80 x 40 pixels, but dataset .*set\.json says 40 x 20"):
        check_sizes(dataset, dataset.validation, labels, [(40, 20), (80, 40)])


def test_a_json_made_before_the_exif_rotation_was_applied_is_refused(tmp_path):
    path = write(tmp_path / "set.json", document(images=[{"id": 7, "file_name": "b.jpg", "width": 40, "height": 20}],
                                                 annotations=document()["annotations"][:1]))  # fmt: skip
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(tmp_path / "b.jpg", exif=exif)
    dataset = open_dataset(path, ("cat", "cow", "dog"))
    frame = decode(dataset.validation[0])
    with pytest.raises(InputError, match=r"b\.jpg is 20 x 40 pixels once its EXIF rotation is applied, but .* 40 x 20"):
        check_sizes(
            dataset, dataset.validation, [dataset.labels(dataset.validation[0])], [(frame.shape[1], frame.shape[0])]
        )
