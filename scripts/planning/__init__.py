"""How large a deployment has to be, and what happens to it on a bad day.

inputs, costs    the assumptions, and the measured costs           (measure writes costs.json)
popularity       how often clients request each picture
model            → plan: memory, shards, processes, calls
sensitivity      the assumptions with the largest influence on the plan
scenarios        → simulation: web_tier, workers, budget, schedule, photos, timeline
check, trial     the simulation compared with the running service  (real runs it)
table, page      the plan for a terminal, and the tables of docs/scaling.md
"""
