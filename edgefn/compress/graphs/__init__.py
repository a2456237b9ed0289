"""ONNX graphs: read, simplified, compacted, and written as tools like them."""
