"""What the program can do: its verbs, grouped as `--help` shows them, and examples."""

from typing import Final

GROUPS: Final = {
    "A function of yours": {
        "init": "Start a function of your own from a template that runs as it is.",
        "dev": "Serve functions from here, and reload them when they are saved.",
        "link": "Show, change and cut links of `edgefn dev --topology`.",
        "build": "Compress a function's models, judge the variants, write a bundle.",
        "export": "Turn a PyTorch module or scikit-learn estimator into an ONNX file.",
        "device": "Measure this machine and print its profile.",
        "key": "Make and revoke access keys and join tokens; trust signing keys.",
        "login": "Keep a key for a box on another machine.",
    },
    "A box": {
        "up": "Start a box.",
        "down": "Stop a box that runs on this machine.",
        "leave": "Take a box out of its fleet.",
        "status": "Show a box, its gateways, functions and replicas.",
        "events": "Show events on their way, and the alerts that are raised.",
        "top": "Show what a box does, live: calls, attainment, latency, misses.",
    },
    "Functions on a box": {
        "deploy": "Put functions on a box, or a fleet.",
        "call": "Call a function.",
        "route": "Explain where a call would go, and why.",
        "ls": "List the functions of a box.",
        "describe": "Show what a function takes and gives, and how to call it.",
        "logs": "Show what a function printed.",
        "history": "List the revisions of a function.",
        "rollback": "Go back to an earlier revision of a function.",
        "rm": "Take a function off a box.",
    },
    "A fleet that need not exist": {
        "simulate": "Play a load on boxes of a scenario file, in virtual time.",
        "plan": "Find out how many boxes a load needs, by simulation.",
    },
}
VERBS: Final = {verb: line for verbs in GROUPS.values() for verb, line in verbs.items()}

EXAMPLES: Final = {
    "up": (
        "edgefn up --hub",
        "edgefn up --join https://hub:8443 --tier edge --site plant-1",
    ),
    "key": (
        "edgefn key create ci --can deploy --expires 90d",
        "edgefn key join plant-1 --tls-name 10.0.0.5",
    ),
    "dev": (
        "edgefn dev hello",
        "edgefn dev hello --topology edge:2,cloud:1 --rtt 60ms --jitter 20ms --loss 1%",
    ),
    "link": (
        "edgefn link ls",
        "edgefn link set edge-1:cloud-1 --rtt 140ms",
        "edgefn link cut cloud-1",
        "edgefn link restore cloud-1",
    ),
    "top": ("edgefn top", "edgefn top --once --json"),
    "events": ("edgefn events ls", "edgefn events tail -f"),
    "call": (
        "edgefn call hello @hello/samples/usual.json",
        "edgefn call voice --file yes.wav --deadline-ms 80",
    ),
    "route": (
        "edgefn route explain voice --deadline-ms 50 --size 32k",
        "edgefn route explain voice --min-accuracy 0.96 --json",
    ),
    "simulate": (
        "edgefn simulate examples/scenarios/shop_floor.toml",
        "edgefn simulate shop.toml --load 2 --seeds 5 --output pictures",
        "edgefn simulate shop.toml --compare",
    ),
    "plan": ("edgefn plan examples/scenarios/shop_floor.toml --slo 99 --vary edge",),
}


def examples_of(verb: str) -> str | None:
    """Returns the examples of a verb for the end of its help, one a line; None if it has none."""
    lines = EXAMPLES.get(verb)
    if lines is None:
        return None
    return "\b\n" + "\n".join(["Examples:", *(f"  {line}" for line in lines)])
