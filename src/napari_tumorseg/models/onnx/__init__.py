"""ONNX files as models, and models as ONNX files; importing it imports neither torch nor ONNX Runtime."""
