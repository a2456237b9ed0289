"""PyTorch modules and fitted scikit-learn estimators as ONNX models."""
