"""ONNX to LiteRT, and LiteRT to fewer bits, by tools that live in an environment of their own.

The tools pin versions that clash with ours, and a box needs none of them. So they are installed
once, on request, into a folder of the user's cache, and run as a child process.
"""
