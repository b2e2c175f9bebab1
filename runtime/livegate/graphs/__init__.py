"""Networks as files: ONNX read and changed without a library for it."""
