"""Ray beside a box: its processes, and what Ray Serve places. The only importer of ray.

A box runs `python -P -m edgefn.fleet` as its companion. All that it and Ray's processes have of the
box is the lease protocol (`edgefn_runtime.leasing`).
"""
