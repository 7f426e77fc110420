from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from bakeoff.data import coco
from bakeoff.errors import InputError
from tests.data.coco_files import document, image, write

NAMES = ("cat", "cow", "dog")


def read(path: Path, names=NAMES):
    return coco.read_dataset(path, names)


def changed(tmp_path: Path, entry: int = 0, **changes) -> Path:
    """A json with one annotation changed; `None` leaves a key out."""
    whole = document()
    one = whole["annotations"][entry] | changes
    whole["annotations"][entry] = {key: value for key, value in one.items() if value is not None}
    return write(tmp_path / "set.json", whole)


# --- what is read


def test_boxes_are_normalised_and_images_stand_in_the_order_of_their_paths(tmp_path):
    dataset = read(write(tmp_path / "set.json", document()))
    assert [path.name for path in dataset.validation] == ["a.png", "b.png"]
    labels = dataset.labels(dataset.validation[1])
    assert labels.xywhn.tolist() == [[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 1, 1]]
    assert labels.frame_wh == (40, 20)


def test_a_crowd_is_an_ignore_region_and_no_box(tmp_path):
    dataset = read(write(tmp_path / "set.json", document()))
    labels = dataset.labels(dataset.validation[1])
    assert labels.true.tolist() == [True, False]
    assert labels.boxes == 1
    assert dataset.labels(dataset.validation[0]).boxes == 1


def test_an_image_without_annotations_is_background(tmp_path):
    whole = document()
    whole["images"].append({"id": 8, "file_name": "c.png", "width": 40, "height": 20})
    dataset = read(write(tmp_path / "set.json", whole))
    assert len(dataset.labels(dataset.validation[2]).classes) == 0


def test_the_same_box_twice_counts_once_but_a_crowd_of_the_same_shape_stays(tmp_path):
    whole = document()
    first = whole["annotations"][0]
    whole["annotations"] += [first | {"id": 8}, first | {"id": 9, "iscrowd": 1}]
    dataset = read(write(tmp_path / "set.json", whole))
    labels = dataset.labels(dataset.validation[1])
    assert (labels.boxes, len(labels.classes), labels.duplicates) == (1, 3, 1)


def test_boxes_of_no_size_and_outside_the_image_are_kept_as_pycocotools_keeps_them(tmp_path):
    dataset = read(changed(tmp_path, bbox=[100, 5, 0, 10]))
    labels = dataset.labels(dataset.validation[1])
    assert labels.xywhn[0].tolist() == [2.5, 0.5, 0, 0.5]


def test_ids_may_be_text_or_written_as_floats_and_a_byte_order_mark_may_precede(tmp_path):
    whole = document()
    for one in whole["images"]:
        one["id"], one["width"] = f"image {one['id']}", 40.0
    for one in whole["annotations"]:
        one["image_id"], one["category_id"] = f"image {one['image_id']}", float(one["category_id"])
    image(tmp_path / "a.png")
    dataset = read(write(tmp_path / "set.json", "\ufeff" + json.dumps(whole)))
    assert dataset.labels(dataset.validation[1]).boxes == 1


# --- classes


def test_classes_are_matched_by_name_whatever_their_ids(tmp_path):
    path = write(tmp_path / "set.json", document())
    for names in (("dog", "cat", "cow"), ("cow", "dog", "cat")):
        dataset = read(path, names)
        assert dataset.class_names == names
        assert names[dataset.labels(dataset.validation[1]).classes[0]] == "dog"


def test_other_names_are_taken_in_the_order_of_ids(tmp_path):
    path = write(tmp_path / "set.json", document())
    assert read(path, ("x", "y", "z")).class_names == ("cat", "cow", "dog")
    dataset = read(path, None)
    assert dataset.class_names == ("cat", "cow", "dog")
    assert dataset.labels(dataset.validation[1]).classes.tolist() == [2, 1]


def roboflow() -> dict:
    """As Roboflow exports: category 0 is the project, has no boxes, and stands above all others."""
    whole = document()
    above = [one | {"supercategory": "farm"} for one in whole["categories"]]
    return whole | {"categories": [{"id": 0, "name": "farm", "supercategory": "none"}, *above]}


@pytest.mark.parametrize("names", [NAMES, None], ids=["named", "numbered"])
def test_a_heading_without_boxes_is_dropped(tmp_path, names):
    assert read(write(tmp_path / "set.json", roboflow()), names).class_names == NAMES


def test_a_heading_with_boxes_is_a_class(tmp_path):
    whole = roboflow()
    whole["annotations"][0]["category_id"] = 0
    assert read(write(tmp_path / "set.json", whole)).class_names == ("farm", "cat", "cow", "dog")


def test_a_class_that_never_occurs_here_stays(tmp_path):
    whole = document()
    whole["categories"].append({"id": 2, "name": "hen", "supercategory": "hen"})  # as COCO's person
    path = write(tmp_path / "set.json", whole)
    assert read(path, (*NAMES, "hen")).class_names == (*NAMES, "hen")
    assert read(path, None).class_names == ("hen", *NAMES)
    assert read(path, ("x", "y")).class_names == ("hen", *NAMES)


def test_a_class_without_boxes_that_the_model_does_not_have_is_dropped(tmp_path):
    whole = document()
    whole["categories"].append({"id": 0, "name": "__background__"})
    assert read(write(tmp_path / "set.json", whole)).class_names == NAMES


# --- where images and the training split are


@pytest.mark.parametrize("folder", [".", "images", "../images", "../val2017", "../images/val2017"])
def test_images_are_found_beside_the_json_or_where_coco_has_them(tmp_path, folder, monkeypatch):
    path = tmp_path / "annotations" / "instances_val2017.json"
    write(path, document(), images=(path.parent / folder).resolve())
    assert all(file.is_file() for file in read(path).validation)
    monkeypatch.chdir(path.parent)
    assert all(file.is_file() for file in read(Path(path.name)).validation)


def test_images_that_are_nowhere_are_named_with_the_places(tmp_path):
    path = tmp_path / "annotations" / "instances_val2017.json"
    write(path, document(), images=tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"none of its 2 images is there, the first is b\.png; .*/images/val2017"):
        read(path)


def test_the_training_split_is_the_sibling_json(tmp_path):
    for split in ("val", "train"):
        path = tmp_path / "annotations" / f"instances_{split}2017.json"
        whole = document(images=[{"id": i, "file_name": f"{split}{i}.png", "width": 4, "height": 4} for i in (3, 7)])
        write(path, whole, images=tmp_path / f"{split}2017")
    dataset = read(tmp_path / "annotations" / "instances_val2017.json")
    assert [path.name for path in dataset.training] == ["train3.png", "train7.png"]
    assert read(tmp_path / "annotations" / "instances_train2017.json").training == ()


def test_the_training_split_is_in_the_train_folder_as_roboflow_has_it(tmp_path):
    write(tmp_path / "valid" / "_annotations.coco.json", roboflow())
    write(tmp_path / "train" / "_annotations.coco.json", document())
    dataset = read(tmp_path / "valid" / "_annotations.coco.json")
    assert [path.parent.name for path in dataset.training] == ["train", "train"]


@pytest.mark.parametrize("content", [document(images=[]), "{", None], ids=["empty", "broken", "without images"])
def test_a_training_split_that_is_not_usable_is_none(tmp_path, content):
    path = write(tmp_path / "instances_val.json", document())
    if content is None:
        content = json.dumps(document(images=[{"id": 3, "file_name": "gone.png"}]))
    write(tmp_path / "instances_train.json", content)
    assert read(path).training == ()


# --- what is wrong

IMAGES, CATEGORIES, ANNOTATIONS = (document()[name] for name in ("images", "categories", "annotations"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", r"is broken json"),
        ('{"images": [', r"is broken json: Expecting value: line 1 column 13"),
        ("[1, 2]", r"is not in COCO's form: it needs the lists 'images', 'categories', 'annotations'"),
        ({"images": IMAGES, "categories": CATEGORIES}, r"needs the lists"),
        (document(annotations={}), r"needs the lists"),
        (document(images=[]), r"names no images"),
        (document(images=IMAGES + IMAGES[:1]), r"two entries of image file 'b\.png'"),
        (document(images=[*IMAGES, IMAGES[0] | {"file_name": "./b.png"}]), r"two entries of image file 'b\.png'"),
        (document(images=[*IMAGES, IMAGES[0] | {"file_name": "c.png"}]), r"two entries of image 7"),
        (document(images=[{"id": 3, "file_name": "a.png", "height": 20}]), r"image 3: .*`width`"),
        (document(images=[IMAGES[0], IMAGES[1] | {"width": 0}]), r"image 3: its size is 0 x 20"),
        (document(images=[IMAGES[0], IMAGES[1] | {"height": 20.5}]), r"image 3: its size is 40 x 20\.5"),
        (document(images=[IMAGES[0], IMAGES[1] | {"height": float("inf")}]), r"image 3: its size is 40 x inf"),
        (document(images=[1], annotations=[]), r"image number 0 \(without id\): Expected `object`, got `int`"),
        (document(categories=CATEGORIES * 2), r"two entries of category 5"),
        (document(categories=[{"id": 5, "name": 9}]), r"category 5: Expected `str`, got `int`"),
    ],
)  # fmt: skip
def test_a_broken_json_is_named_with_what_is_wrong(tmp_path, content, says):
    text = content if isinstance(content, str) else json.dumps(content)
    path = write(tmp_path / "set.json", text)
    for name in ("a.png", "b.png"):
        image(tmp_path / name)
    with pytest.raises(InputError, match=says) as caught:
        read(path)
    assert re.search(r"dataset .*set\.json", str(caught.value))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"bbox": None}, "missing required field `bbox`"),
        ({"bbox": [1, 2, 3]}, "Expected `array` of length 4"),
        ({"bbox": [1, 2, "3", 4]}, "Expected `float`, got `str`"),
        ({"bbox": [1, 2, -3, 4]}, "negative width or height .*bbox .*-3"),
        ({"bbox": [1, 2, float("nan"), 4]}, "not all numbers .*nan"),
        ({"bbox": [1, float("inf"), 3, 4]}, "not all numbers .*inf"),
        ({"category_id": 6}, "of a category that the file does not have .*category_id 6"),
        ({"category_id": None}, "missing required field `category_id`"),
        ({"image_id": 99}, "of an image that the file does not have .*image_id 99"),
        ({"image_id": None}, "missing required field `image_id`"),
        ({"iscrowd": "yes"}, "iscrowd"),
    ],
)
def test_a_broken_annotation_is_named_by_its_id(tmp_path, changes, says):
    with pytest.raises(InputError, match=rf"set\.json, annotation 2[ :].*{says}"):
        read(changed(tmp_path, 1, **changes))


def test_a_number_too_large_for_a_float_is_named_by_its_annotation(tmp_path):
    text = json.dumps(document()).replace("[0, 0, 8, 4]", "[0, 0, 1e999, 4]")
    image(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"annotation 2 has a bbox that is not all numbers"):
        read(write(tmp_path / "set.json", text))


def test_an_annotation_without_id_is_named_by_its_number(tmp_path):
    with pytest.raises(InputError, match=r"annotation number 1 \(without id\) has a bbox of negative"):
        read(changed(tmp_path, 1, id=None, bbox=[1, 2, -3, 4]))


def test_a_missing_json_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.json cannot be read: No such file"):
        read(tmp_path / "gone.json")


@pytest.mark.slow
def test_segmentations_cost_no_memory(tmp_path):
    """A file of 40 MB, nearly all of it outlines, needs a small part of that to be read."""
    import tracemalloc

    whole = document()
    outline = np.random.default_rng(0).uniform(0, 40, 2000).round(2).tolist()
    whole["annotations"] = [
        {"id": i, "image_id": 7, "category_id": 5, "bbox": [i % 20, 0, 1 + i / 4000, 5], "segmentation": [outline]}
        for i in range(3000)
    ]
    path = write(tmp_path / "set.json", whole)
    size = path.stat().st_size
    del whole
    tracemalloc.start()
    dataset = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert dataset.labels(dataset.validation[1]).boxes == 3000
    assert size > 30e6
    assert peak < size / 8
