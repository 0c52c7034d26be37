"""How large a deployment has to be, and what happens to it on a bad day.

inputs, costs    what is assumed, and what was measured            (measure writes costs.json)
popularity       how often each picture is asked for
model            → plan: memory, shards, processes, calls
sensitivity      which assumption moves the plan most
scenarios        → simulation: front, crew, tokens, duties, ledger
check            the simulation beside the running service
"""
