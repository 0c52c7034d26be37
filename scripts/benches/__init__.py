"""The benchmark: compares this service with others, in ratios within one run. `scripts/bench` starts it.

hits, cold, open_app, render, memory, scale    the parts: each has `run(say) -> Part`
testbed, service, upstream, cluster, dataset   the service, Redis, the fake Telegram and partners to measure with
servers, rivals, bare_pools, peers/            what it is compared with
clients, load, phone                           who sends the requests
results, report, plot                          medians of alternating rounds, and the pages made of them
scale_out, first_four                          measurements of their own, started by the scripts of the same name
"""
