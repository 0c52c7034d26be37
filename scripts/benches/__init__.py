"""The benchmark: compares this service with others, in ratios within one run. `scripts/bench` starts it.

hits, cold, open_app, render, memory, scale    the parts: each has `run(say) -> Part`
scale_out, first_four                          measurements with results of their own
testbed, service, upstream, cluster, dataset   the service, Redis, the fake Telegram and partners to measure with
rivals, bare_pools, peers/                     the programs to compare with
clients, load, phone                           the clients that send the requests
results, report, plot                          medians of alternating rounds, and the pages made of them
"""
