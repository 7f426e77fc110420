"""PyTorch's part of a `predict.py`."""

from pathlib import Path
from typing import Any

FILE, THREADS, CHANNELS_LAST = "model.pt", 0, False  # 0 threads: PyTorch's own choice


def load() -> Any:
    """Return a function from images (1, 3, IMGSZ, IMGSZ) to the head's output (4 + classes, anchors)."""
    import torch

    torch.set_num_threads(THREADS or torch.get_num_threads())
    form = torch.channels_last if CHANNELS_LAST else torch.contiguous_format
    # a checkpoint is a pickle: this imports Ultralytics, and RUNS ANY CODE that the file asks for
    content = torch.load(Path(__file__).parent / FILE, map_location="cpu", weights_only=False)
    module = (content.get("ema") or content["model"]).float().fuse(verbose=False).eval().to(memory_format=form)
    module.model[-1].export = True  # one tensor, not the training outputs beside it

    def run(images: Any) -> Any:
        with torch.inference_mode():
            return module(torch.from_numpy(images).contiguous(memory_format=form))[0].numpy()

    return run
