"""What the TensorRT backends share; no backend itself."""
