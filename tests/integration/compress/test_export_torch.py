"""PyTorch modules become ONNX models.

Few tests: PyTorch's exporter takes a second or two a model, and its import several.
"""

import numpy as np
import pytest

from edgefn.compress.errors import ExportFailed
from edgefn.compress.export.to_onnx import to_onnx
from edgefn.compress.graphs import onnx_model


@pytest.fixture
def torch():
    """PyTorch, where it is installed."""
    return pytest.importorskip("torch")


def test_a_module_with_two_inputs(torch, capfd):
    """Names, a free batch, evaluation mode; the module stays in training, nothing is printed."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.9))

        def forward(self, window, weights):
            return self.layer(window) + weights, window.sum(1)

    net = Net()
    net.layer[1].eval()
    data = to_onnx(net, [np.ones((1, 4), np.float32), np.ones((1, 3), np.float32)])
    model = onnx_model.load(data)
    assert onnx_model.has_free_batch(model)
    assert [value.name for value in model.graph.input] == ["window", "weights"]
    assert [value.name for value in model.graph.output] == ["output_0", "output_1"]
    assert (net.training, net.layer[0].training, net.layer[1].training) == (True, True, False)
    assert len(data) < 1500  # nothing of what the exporter notes beside the graph
    assert capfd.readouterr() == ("", "")


def test_a_module_that_decides_by_values_is_refused(torch):
    """Traced with the example, it would always go the same way."""

    class Net(torch.nn.Module):
        def forward(self, x):
            return x * 2 if x.sum() > 0 else x

    with pytest.raises(ExportFailed, match=r"Net cannot be exported; .*torch\.where"):
        to_onnx(Net(), [np.ones((1, 4), np.float32)])


def test_a_module_has_to_return_tensors(torch):
    """A dictionary has no order; it says what to return."""

    class Net(torch.nn.Module):
        def forward(self, x):
            return {"scores": x}

    with pytest.raises(ExportFailed, match="forward returns a dict; return a tensor or a tuple"):
        to_onnx(Net(), [np.ones((1, 4), np.float32)])
