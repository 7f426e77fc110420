"""What a table may look like, and what is refused: one line that names table, line and column."""

from __future__ import annotations

import pytest

from bakeoff.errors import InputError
from bakeoff.importing import rows, trials

FINE = "candidate,latency_1x1_ms,val_map50_95\npytorch/fp32/dyn,10,0.6\nopenvino/int8/dyn,5,0.59\n"


@pytest.fixture
def made(tmp_path):
    def make(content: str | bytes) -> list[trials.Made]:
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return trials.of(rows.read(path))

    return make


def figures(found):
    return [one.trial.reported for one in found]


def keys(found):
    return [one.trial.candidate.key for one in found]


# what is read


@pytest.mark.parametrize(
    "content",
    [
        FINE,
        FINE.replace("\n", "\r\n"),
        FINE.encode("utf-8-sig"),
        FINE.encode("utf-16"),
        FINE.replace(",", ";"),
        FINE.replace(",", ";").replace("0.6", "0,6").replace("0.59", "0,59"),
        FINE.replace(",", "\t").replace(".", ","),
        FINE.replace("0.6", "60%").replace("0.59", "59%"),
        FINE.replace("candidate", " Candidate ").replace("latency_1x1_ms", "Latency 1x1 ms"),
        "\n\n" + FINE + "\n,,\n",
    ],
)
def test_every_usual_way_to_write_the_same_table_reads_the_same(made, content):
    found = made(content)
    assert keys(found) == ["pytorch/fp32/dyn", "openvino/int8/dyn"]
    first, second = figures(found)
    assert first == {"latency_1x1_ms": 10, "val_map50_95": pytest.approx(0.6)}
    assert second == {"latency_1x1_ms": 5, "val_map50_95": pytest.approx(0.59)}


@pytest.mark.parametrize("cell", ["", " ", "-", "–", "n/a", "NaN", "none"])
def test_what_people_write_for_not_measured_is_no_figure(made, cell):
    found = made(f"label,latency_1x1_ms,latency_1x2_ms\nA,10,{cell}\n")
    assert figures(found) == [{"latency_1x1_ms": 10}]


def test_an_unknown_column_is_named_with_the_nearest_and_left_out(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("label,latency_1x1,gpu\nA,10,H100\n")
    table = rows.read(path)
    assert len(table.notes) == 2
    assert "'latency_1x1' is none of table.csv's; did you mean 'latency_1x1_" in table.notes[0]
    assert figures(trials.of(table)) == [{}]


def test_other_workloads_have_columns_too(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("label,latency_4x1_ms,frames_per_s_1x8\nA,10,70\n")
    table = rows.read(path)
    assert [str(one) for one in table.workloads] == ["4x1", "1x8"]
    assert not table.notes


# who a row is about


@pytest.mark.parametrize(
    ("content", "key", "label"),
    [
        ("candidate\nopenvino/int8/dyn/entropy", "openvino/int8/dyn/entropy", "openvino INT8 (dynamic, entropy)"),
        ("candidate,label\nopenvino/int8/dyn,Ours", "openvino/int8/dyn", "Ours"),
        ("label\nTensorRT FP16", "tensorrt/fp16/unknown", "TensorRT FP16"),
        ("label\nTensorRT FP32 with a batch-1 profile", "tensorrt/fp32/b1", "TensorRT FP32 with a batch-1 profile"),
        ("label\nONNX Runtime half dynamic", "onnxruntime/fp16/dyn", "ONNX Runtime half dynamic"),
        ("label\nOpenVINO INT8 (dynamic)", "openvino/int8/dyn", "OpenVINO INT8 (dynamic)"),
        ("label,backend,precision,shape\nA,TensorRT,FP16,dynamic", "tensorrt/fp16/dyn", "A"),
        ("label,backend\nFP16 thing,My NPU", "my-npu/fp16/unknown", "FP16 thing"),
        ("label\nSomething <b>else</b>|x", "something-b-else-b-x/unknown/unknown", "Something <b>else</b>|x"),
        ("label\n模型", "unknown/unknown/unknown", "模型"),
        ("candidate\na/b", "a-b/unknown/unknown", "a/b"),
        ("candidate,precision\ntensorrt/fp16/weird,FP16", "tensorrt/fp16/weird", "tensorrt FP16 (weird)"),
    ],
)
def test_a_rows_key_is_made_of_what_it_says(made, content, key, label):
    head, _, row = content.partition("\n")
    (one,) = made(f"{head},latency_1x1_ms\n{row},1\n")
    assert (one.trial.candidate.key, one.trial.candidate.label) == (key, label)


def test_two_labels_that_read_alike_get_keys_of_their_own_whatever_their_order(made):
    lines = ["TensorRT FP16 A,1", "TensorRT FP16 B,2"]
    expected = {"tensorrt/fp16/unknown/tensorrt-fp16-a", "tensorrt/fp16/unknown/tensorrt-fp16-b"}
    for order in (lines, lines[::-1]):
        assert set(keys(made("label,latency_1x1_ms\n" + "\n".join(order)))) == expected


# what a row that is not ok says


def test_status_and_reason_become_what_a_trial_has_for_them(made):
    content = """label,status,reason,latency_1x1_ms
A,,1x2 not measured: takes no batch of 2; odd,10
B,failed,load: out of memory,
C,failed,it broke,
D,skipped,no GPU; get one,
E,built,cannot run here,
"""
    a, b, c, d, e = (one.trial for one in made(content))
    assert (a.status, a.not_measured) == ("ok", {"1x2": "takes no batch of 2"})
    assert (b.status, b.reason) == ("failed", "load: out of memory")
    assert (c.status, c.reason) == ("failed", "reported: it broke")
    assert (d.status, d.reason) == ("skipped", "no GPU; get one")
    assert (e.status, e.reason) == ("built", "cannot run here")
    assert "'odd'" in made(content)[0].notes[0]


# what is refused


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "no column candidate or label"),
        ("hello world\nthis is text\n", "no column candidate or label"),
        (b"\x89PNG\r\n\x1a\n\xff\xd8", "not UTF-8 text"),
        ("label,latency_1x1_ms\nB\u00e4r,1\n".encode("latin-1"), "not UTF-8 text .byte 22.; save it as CSV in UTF-8"),
        (b"label\0,x", "zero byte"),
        ('label,latency_1x1_ms\n"A,1\n', "not CSV"),
        ("label,latency_1x1_ms\n", "no rows"),
        ("label,label\nA,B\n", "two columns 'label'"),
        ("label,latency_1x1_ms\nA,1,5\n", "line 2: 3 cells under 2 columns"),
        ("label,latency_1x1_ms\n,1\n", "line 2: neither candidate nor label"),
        ("label,latency_1x1_ms\nA,1\nB,2\nA,3\n", "line 4: 'A' stands in line 2 already"),
        ("label,latency_1x1_ms\nA,fast\n", "line 2, column latency_1x1_ms: 'fast' is not a number"),
        ("label,latency_1x1_ms\nA,10 ms\n", "'10 ms' is not a number"),
        ("label,latency_1x1_ms\nA,inf\n", "'inf' is not a number"),
        ("label,latency_1x1_ms\nA,1e999\n", "too large"),
        ("label,latency_1x1_ms\nA,-3\n", "line 2, column latency_1x1_ms: -3 is negative"),
        ("label,latency_1x1_ms\nA,0\n", "0 is not above 0"),
        ("label,latency_1x1_ms\nA,5%\n", "is a percentage"),
        ("label,val_map50\nA,94.6\n", "94.6 is not a share from 0 to 1; give 0.946 or 94.6%"),
        ('label,latency_1x1_ms\nA,"1,234"\n', "line 2, column latency_1x1_ms: '1,234' may mean two numbers"),
        ("label;latency_1x1_ms;val_map50\nA;1,234;0.9\n", "may mean two numbers"),
        ("label,status\nA,great\n", "column status: 'great' is none of ok, built, failed, skipped"),
        ("candidate,precision\na/fp32/dyn,fp16\n", "precision 'fp16' is not that of its candidate a/fp32/dyn"),
        (
            "candidate,label\ntensorrt/fp16/dyn,A\nTensorRT FP16 dynamic,B\n",
            "line 3: 'TensorRT FP16 dynamic' is the same Candidate as line 2, tensorrt/fp16/dyn",
        ),
    ],
)
def test_a_table_that_means_nothing_is_refused_by_line_and_column(made, content, says):
    with pytest.raises(InputError, match=says) as raised:
        made(content)
    assert "\n" not in str(raised.value)


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        rows.read(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("map_delta", "-1.5%", -0.015),
        ("map_delta", "−0.01", -0.01),
        ("score_shift", "-0.1", -0.1),
        ("pre_1x1_ms", "0", 0),
    ],
)
def test_differences_may_be_negative_and_times_of_parts_nothing(made, column, cell, value):
    assert figures(made(f"label,{column}\nA,{cell}\n")) == [{column: pytest.approx(value)}]
