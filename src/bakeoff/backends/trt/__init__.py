"""What TensorRT and TensorRT-RTX share; not a backend."""
