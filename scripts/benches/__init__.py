"""The benchmark: compares this service with others, in ratios within one run. `scripts/bench` starts it.

hits, waiting, cold, open_app, first_four, storm, render, memory, scale    the parts: each has `run(say) -> Part`
page_weight                                    a section of first_four: what a first visit loads
scale_out, round_trips, switch_interval        measurements that no page of targets needs
testbed, service, upstream, cluster, dataset   the service, Redis, the fake Telegram and partners to measure with
rivals, bare_pools, peers/                     the programs to compare with
clients, load, paced, parked, phone            the clients that send the requests
extent                                         a full run, or a quick one
results, record, report, pages, plot           medians of alternating rounds, and the files and pages made of them
"""
