"""A replica loads what was verified, says why if it cannot, and keeps its surroundings clean."""

import hashlib
import os
import textwrap
from pathlib import Path

import pytest
from onnx import TensorProto, helper

ECHO = """
    @edge_function
    def f(x: int) -> int:
        return x
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("sys.exit('enough')", "function.py does not load: SystemExit: enough"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("def f(:", "SyntaxError"),
        ("def f(x): return x", "declares no edge function 'f'"),
        ("@edge_function\ndef f(x): return x", "parameter 'x' has no annotation"),
        (
            "@edge_function\nclass f:\n"
            "    def __init__(self): raise OSError('no camera')\n"
            "    def __call__(self, x: int) -> int: return x",
            "OSError: no camera",
        ),
        (
            "@edge_function\nclass f:\n"
            "    def __init__(self): raise OSError('no camera')\n"
            "    async def __call__(self, x: int) -> int: return x",
            "OSError: no camera",
        ),
    ],
)
def test_says_why_it_does_not_load(runtime, source, said):
    """Whatever a module raises is said to the box and in the log; then the replica exits."""
    replica = runtime.fork(source)
    failed = replica.failed()
    assert failed.error.code == "load_failed"
    assert said in failed.error.message
    assert "edgefn_runtime" not in failed.traceback
    assert runtime.exit_of(replica) == 1
    assert said.split(": ")[-1] in replica.log(until=said.split(": ")[-1])


def test_refuses_a_model_that_was_changed(runtime, scaling_model):
    """A model whose bytes have another digest is not loaded."""
    replica = runtime.fork(
        ECHO, models={"model": scaling_model}, digests={"model": hashlib.sha256(b"").hexdigest()}
    )
    assert "changed after it was verified" in replica.failed().error.message


def test_refuses_a_model_that_reads_other_files(runtime):
    """A model with external data is refused, though the file is there and in the bundle."""
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "w.bin"), ("length", "16")):
        weights.external_data.add(key=key, value=value)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [weights]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    replica = runtime.fork(
        ECHO, models={"model": model.SerializeToString()}, files={"w.bin": "0123456789abcdef"}
    )
    assert "keeps weights in another file" in replica.failed().error.message


def test_a_bundle_is_importable_and_stays_as_it_is(runtime):
    """Other files of the bundle can be imported and read, and no bytecode is written into it."""
    replica = runtime.fork(
        """
        from sibling import VALUE

        @edge_function
        def f(x: int) -> list[str]:
            return [VALUE, open("data.txt").read(), sys.path[0], __name__]
        """,
        files={"sibling.py": "VALUE = 'of a sibling'", "data.txt": "data"},
    )
    replica.ready()
    root = replica.config.root
    answer = replica.connect().call(x=1)
    assert answer == ["of a sibling", "data", root, "edgefn_function"]
    assert sorted(os.listdir(root)) == ["data.txt", "function.py", "sibling.py"]


def test_a_replica_is_a_process_of_its_own(runtime):
    """It has its own session, no core files, its own random numbers, and no one's descriptors."""
    source = """
        import numpy as np
        import resource, random

        @edge_function
        def f(x: int) -> list[str]:
            links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
            targets = [os.readlink(link) for link in links if os.path.islink(link)]
            kinds = [target.split(":")[0] for target in targets if not target.startswith("/")]
            return [
                str(os.getsid(0) == os.getpid()),
                str(resource.getrlimit(resource.RLIMIT_CORE)),
                str(np.random.random()) + str(random.random()),
                ",".join(sorted(kinds)),
            ]
    """
    answers = []
    for _ in range(2):
        replica = runtime.fork(source)
        replica.ready()
        answers.append(replica.connect().call(x=1))
    assert answers[0][:2] == answers[1][:2] == ["True", "(0, 0)"]
    assert answers[0][2] != answers[1][2]
    # Its listener, one connection and the lifecycle socket; uvloop's wake-up pair.
    assert answers[0][3].split(",").count("socket") <= 5
    assert answers[0][3] == answers[1][3]


def test_the_socket_is_for_its_user_alone(runtime):
    """No one else may connect."""
    replica = runtime.fork(ECHO)
    replica.ready()
    assert Path(replica.config.socket).stat().st_mode & 0o777 == 0o600


def test_output_goes_to_the_log(runtime):
    """What the user's code prints, to either stream and from a child process, is in the log."""
    replica = runtime.fork(
        """
        import subprocess
        print("at import", flush=True)

        @edge_function
        def f(x: int) -> int:
            print("printed")
            print("complained", file=sys.stderr)
            subprocess.run(["echo", "echoed"])
            return x
        """
    )
    replica.ready()
    replica.connect().call(x=1)
    assert replica.log(until="echoed") == "at import\nprinted\ncomplained\nechoed\n"


def test_a_replica_shares_most_of_its_memory(runtime, scaling_model):
    """What the forkserver has imported is there once, and not in each replica."""
    replica = runtime.fork(
        """
        @edge_function(model="model.onnx", batch=32)
        def f(x: list[Tensor["float32", 4]], model: Model) -> list[float]:
            return [float(model(each[None]).sum()) for each in x]
        """,
        models={"model": scaling_model},
    )
    replica.ready()
    replica.connect().call(x=[1, 2, 3, 4])
    rollup = Path(f"/proc/{replica.pid}/smaps_rollup").read_text().splitlines()
    private_kib = sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))
    assert private_kib < 20 * 1024  # 9 to 12 MiB were seen, of 70 MiB resident


def test_many_forks_at_once_get_their_own_descriptors(runtime):
    """Requests that the forkserver reads together do not mix their logs and sockets up."""
    replicas = [
        runtime.fork(f"print('log of {number}')\n" + textwrap.dedent(ECHO)) for number in range(6)
    ]
    for number, replica in enumerate(replicas):
        replica.ready()
        assert replica.log(until="\n") == f"log of {number}\n"
        assert replica.connect().hello.replica == replica.config.replica
