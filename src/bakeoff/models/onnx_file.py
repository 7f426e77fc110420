"""ONNX files: detection networks with raw YOLO output (batch, 4 + classes, anchors)."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from bakeoff.backend import ultralytics_metadata
from bakeoff.errors import InputError, one_line
from bakeoff.models import check_imgsz, file_facts
from bakeoff.records import Model

DEFAULT_STRIDE = 32


class OnnxFile:
    """A detection network as ONNX; class names, stride and imgsz come from Ultralytics' metadata where it is there."""

    def __init__(self, path: Path, *, imgsz: int | None = None, inspect: bool = False) -> None:
        try:
            import onnx
        except ImportError as error:
            raise InputError(f"{path.name} needs onnx to be read; pip install 'bakeoff[onnx]'") from error
        try:
            self._document = onnx.load(str(path))
            onnx.checker.check_model(self._document)
        except Exception as error:  # protobuf and the checker each have errors of their own
            raise InputError(f"model {path} is damaged or no ONNX file: {one_line(error, 160)}") from error
        graph = self._document.graph
        weights = {tensor.name for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in weights]
        metadata = {entry.key: entry.value for entry in self._document.metadata_props}
        task = metadata.get("task", "detect")
        if task != "detect":
            raise InputError(f"model {path} is for task {task!r}; only detect so far")
        shape = _shape(inputs[0]) if len(inputs) == 1 else []
        if len(shape) != 4 or shape[1] not in (3, None):
            raise InputError(f"model {path}: expected one input (batch, 3, height, width), found {_describe(inputs)}")
        if inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            raise InputError(f"model {path}: its input is not float32; bakeoff feeds float32 images in 0..1")
        batch, _, height, width = shape
        outputs = _shape(graph.output[0])
        stride = int(metadata.get("stride", DEFAULT_STRIDE))
        size = self._imgsz(path, imgsz, height, width, metadata)
        names = _names(path, metadata)
        channels = outputs[1] if len(outputs) == 3 else None
        if not inspect:
            _check_float(path, self._document)
        if batch not in (None, 1):
            raise InputError(
                f"model {path} takes batches of {batch} only; accuracy is measured one image at a time: "
                "export it with batch 1 or a dynamic batch"
            )
        if len(outputs) == 3 and outputs[2] == 6 and channels != 4 + len(names):
            raise InputError(f"model {path} has NMS inside (output {outputs}), which bakeoff can't decode yet")
        if channels is None and not names:
            raise InputError(f"model {path}: output {outputs} tells no class count; expected (batch, 4 + classes, n)")
        if names and channels is not None and channels != 4 + len(names):
            raise InputError(
                f"model {path}: {len(names)} class names but an output of {outputs}; expected {4 + len(names)} channels"
            )
        check_imgsz(path, size, stride)
        self._input = inputs[0].name
        self.model = Model(
            **file_facts(path),
            format="onnx",
            task="detect",
            class_names=names or tuple(str(i) for i in range((channels or 4) - 4)),
            named=bool(names),
            stride=stride,
            imgsz=size,
            fixed_batch=batch,
            fixed_imgsz=height is not None,
            origin={
                key: one_line(metadata[key], 80) for key in ("version", "date", "license", "author") if key in metadata
            },
        )

    @staticmethod
    def _imgsz(path: Path, asked: int | None, height: Any, width: Any, metadata: dict[str, str]) -> int:
        if height != width:
            raise InputError(f"model {path} takes {width}x{height} images; only square inputs so far")
        if height is not None:
            if asked not in (None, height):
                raise InputError(f"model {path} takes imgsz {height} only, but --imgsz {asked} was given")
            return int(height)
        if asked is not None:
            return asked
        try:
            return int(max(ast.literal_eval(metadata["imgsz"])))
        except (KeyError, ValueError, SyntaxError, TypeError):
            return 640

    def torch_module(self) -> Any:
        """See `ModelFile.torch_module`: an ONNX file has none."""
        raise InputError(f"{self.model.path} is ONNX and holds no PyTorch module")

    def export_onnx(self, batch: int | None, opset: int, path: Path) -> None:
        """See `ModelFile.export_onnx`: the file itself, its free batch and image size set where asked."""
        import onnx

        fixed = self.model.fixed_batch
        if fixed not in (None, batch):
            raise InputError(f"{self.model.path} takes batch {fixed} only")
        document = onnx.ModelProto()
        document.CopyFrom(self._document)
        dims = next(v for v in document.graph.input if v.name == self._input).type.tensor_type.shape.dim
        for dim, value in zip(dims, (batch, 3, self.model.imgsz, self.model.imgsz), strict=True):
            if value is not None:
                dim.dim_value = value
        if batch is not None:
            del document.graph.value_info[:]  # inferred for the free batch
            for output in document.graph.output:
                output.type.tensor_type.shape.dim[0].dim_value = batch
        describe(document, self.model, batch)
        onnx.save(document, str(path))


def describe(document: Any, model: Model, batch: int | None) -> None:
    """Write Ultralytics' metadata into an ONNX file of the Model, over what stands there, so that its loader takes it.

    A free batch has no name in the output: Ultralytics takes an output with a named dimension for one of free height
    and width, and would feed it rectangles.
    """
    import onnx

    known = {entry.key: entry.value for entry in document.metadata_props}
    ours = {key: str(value) for key, value in ultralytics_metadata(model, batch).items()}
    onnx.helper.set_model_props(document, {**known, **ours})
    if batch is None:
        for output in document.graph.output:
            output.type.tensor_type.shape.dim[0].Clear()


def _check_float(path: Path, document: Any) -> None:
    """Refuse a network that was quantised or halved before: its rows would be named for what they are not."""
    import onnx

    quantised = sum(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in document.graph.node)
    if quantised:
        raise InputError(f"model {path} is quantised already ({quantised} Q/DQ nodes); give the float model")
    if any(weight.data_type == onnx.TensorProto.FLOAT16 for weight in document.graph.initializer):
        raise InputError(f"model {path} has float16 weights; give the float32 model")


def _shape(value: Any) -> list[int | None]:
    return [
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None
        for dim in value.type.tensor_type.shape.dim
    ]


def _describe(values: list[Any]) -> str:
    return ", ".join(f"{one_line(value.name, 40)} {_shape(value)}" for value in values[:4]) or "none"


def _names(path: Path, metadata: dict[str, str]) -> tuple[str, ...]:
    if "names" not in metadata:
        return ()
    try:
        names = ast.literal_eval(metadata["names"])
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        by_index = {int(index): str(name) for index, name in pairs}
        return tuple(by_index[i] for i in range(len(by_index)))
    except (ValueError, SyntaxError, TypeError, KeyError, AttributeError, RecursionError, MemoryError) as error:
        raise InputError(f"model {path}: its metadata 'names' is no list of classes") from error
