"""TorchScript's part of a `predict.py`."""

from pathlib import Path
from typing import Any

FILE, THREADS = "b1.torchscript", 0  # 0: PyTorch's own choice


def load() -> Any:
    """Return a function from images (1, 3, IMGSZ, IMGSZ) to the head's output (4 + classes, anchors)."""
    import torch

    torch.set_num_threads(THREADS or torch.get_num_threads())
    module = torch.jit.load(str(Path(__file__).parent / FILE), map_location="cpu").eval()

    def run(images: Any) -> Any:
        with torch.inference_mode():
            output = module(torch.from_numpy(images))
        return (output[0] if isinstance(output, (tuple, list)) else output)[0].numpy()

    return run
