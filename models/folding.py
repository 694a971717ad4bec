"""What could still be folded into the convolutions of the text networks after ONNX Runtime's own optimization at load.

    pip install onnx==1.17.0 onnxruntime==1.23.2
    python3 models/folding.py

Multiplications and additions of constants that follow a convolution could be folded offline. Prints how many there are in
the files, and how many are left once the engine has loaded them; where none are left, folding saves nothing at run time.
"""

import collections
import tempfile
from pathlib import Path

import onnx
import onnxruntime

NETWORKS = ["ppocrv6/PP-OCRv6_tiny_det.onnx", "ppocrv6/PP-OCRv6_small_det.onnx"]
CONVOLUTIONS = {"Conv", "FusedConv", "ConvTranspose"}


def foldable(path):
    """Operators with a constant operand that are fed by a convolution, counted by (operator, what feeds it)."""
    graph = onnx.load(path).graph
    constants = {tensor.name for tensor in graph.initializer}
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    counts = collections.Counter()
    for node in graph.node:
        feeds = [made_by[name] for name in node.input if name in made_by]
        has_constant = any(name in constants for name in node.input)
        if node.op_type in {"Mul", "Add", "Sub", "Div"} and has_constant and set(feeds) & CONVOLUTIONS:
            counts[node.op_type, feeds[0]] += 1
    return counts


def loaded(path, folder):
    """The graph as the engine runs it, but for the layout of its tensors."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(Path(folder) / path.name)
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return options.optimized_model_filepath


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            path = Path(__file__).parent / name
            for state, counted in [("file", path), ("loaded", loaded(path, folder))]:
                told = ", ".join(f"{n} {op} behind {feed}" for (op, feed), n in sorted(foldable(counted).items()))
                print(f"{name} {state}: {told or 'nothing'}")


if __name__ == "__main__":
    main()
