"""What TensorRT and TensorRT-RTX share; no backend itself."""
