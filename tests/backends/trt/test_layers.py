"""The layer report, read from the JSON that TensorRT's engine inspector documents. It was never made by a GPU here."""

from __future__ import annotations

import json

import pytest

from bakeoff.backends.trt import layers

# after docs.nvidia.com/deeplearning/tensorrt: "Engine Inspector", and the migration page on it for 11.x
DETAILED = {
    "Layers": [
        {
            "Name": "Reformatting CopyNode for Input Tensor 0 to /model.0/conv/Conv",
            "LayerType": "Reformat",
            "Inputs": [{"Name": "images", "Dimensions": [1, 3, 64, 64], "Format/Datatype": "Row major linear FP32"}],
            "Outputs": [{"Name": "x", "Dimensions": [1, 3, 64, 64], "Format/Datatype": "Row major Int8 format"}],
            "ParameterType": "Reformat",
            "Origin": "QDQ",
        },
        {
            "Name": "/model.0/conv/Conv",
            "LayerType": "CaskConvolution",
            "Inputs": [{"Name": "x", "Format/Datatype": "N/A due to dynamic shapes"}],
            "Outputs": [{"Name": "y", "Format/Datatype": "N/A due to dynamic shapes"}],
            "ParameterType": "Convolution",
            "Weights": {"Type": "Int8", "Count": 432},
            "Bias": {"Type": "Float", "Count": 16},
            "TacticName": "sm80_xmma_fprop_implicit_gemm_interleaved_i8i8_i8i32_f32",
        },
        {
            "Name": "/model.1/conv/Conv",
            "LayerType": "CaskConvolution",
            "Inputs": [{"Name": "y", "Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}],
            "Outputs": [{"Name": "z", "Format/Datatype": "Row major linear FP32"}],
            "Weights": {"Type": "Half", "Count": 4608},
        },
        {
            "Name": "/model.22/Sigmoid",
            "LayerType": "PointWiseV2",
            "Inputs": [{"Name": "z", "DataType": "Float", "Format": "Row major linear FP32 format (kLINEAR)"}],
            "Outputs": [{"Name": "output0", "DataType": "Float"}],
        },
        {"Name": "{ForeignNode[a...b]}", "LayerType": "Myelin", "Inputs": [], "Outputs": []},
    ],
    "Bindings": ["images", "output0"],
}


def test_each_layer_gets_the_precision_of_its_weights_or_else_of_its_tensors():
    found = layers.parse(json.dumps(DETAILED))
    assert [layer.precision for layer in found] == ["fp32", "int8", "fp16", "fp32", "unknown"]
    assert [layer.copies for layer in found] == [True, False, False, False, False]


def test_the_sum_leaves_copies_out_of_the_precisions():
    found = layers.summary(layers.parse(json.dumps(DETAILED)))
    by_precision = {"fp16": 1, "fp32": 1, "int8": 1, "unknown": 1}
    assert found == {"layers": 5, "by_precision": by_precision, "reformat_copies": 1}


def test_an_engine_without_details_has_layers_of_unknown_precision():
    found = layers.parse(json.dumps({"Layers": ["a + b", "c"], "Bindings": []}))
    assert [(layer.name, layer.precision) for layer in found] == [("a + b", "unknown"), ("c", "unknown")]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Layers": 3}', "nonsense"])
def test_what_is_no_answer_of_the_inspector_is_refused(text):
    with pytest.raises(ValueError):
        layers.parse(text)


def test_an_engine_called_int8_that_computes_nothing_in_int8_is_refused():
    plain = {"Layers": [layer for layer in DETAILED["Layers"] if layer["LayerType"] != "CaskConvolution"]}
    with pytest.raises(RuntimeError, match="no layer of this engine computes in int8; they compute in fp32"):
        layers.check("int8", layers.parse(json.dumps(plain)))
    layers.check("int8", layers.parse(json.dumps(DETAILED)))
    layers.check("int8", layers.parse(json.dumps({"Layers": ["names", "alone"]})))


def test_the_report_is_written_as_told_and_as_a_table(tmp_path):
    text = json.dumps(DETAILED)
    layers.write(tmp_path, text, layers.parse(text))
    assert json.loads((tmp_path / "layers.json").read_text()) == DETAILED
    table = (tmp_path / "layers.txt").read_text().splitlines()
    assert table[0] == "5 layers: 1 in fp16, 1 in fp32, 1 in int8, 1 in unknown; 1 reformat copies"
    assert table[2].startswith("int8  CaskConvolution  /model.0/conv/Conv  sm80_")
