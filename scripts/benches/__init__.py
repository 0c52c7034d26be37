"""The benchmark: this service beside others, in ratios within one run. `scripts/bench` starts it.

Every part is a module with `run(say) -> Part`; a part measures in alternating rounds and reports medians.
"""
