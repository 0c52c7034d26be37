"""Pictures of Telegram users and chats, warm before anyone asks.

One picture's way, a room per stop:

    broker          a subject enters a queue, once per lane       (from web/photos/lookup.py and web/receivers.py)
    worker          the tasks that take it out, and the rounds of beat
    flow            the story of one picture (warm) and of one profile (profile): read these first
                    attempt: lease, work, outcome · retry: what follows from an error
    telegram        one call, in bounded time and memory
    images          bytes → variants
    webhook         an event → the receiver: request, signature, retries
    state           everything in Redis: photos, people, lease, schedule, budget, negative cache, figures

Beside it: `redis_client` (how to connect), `observe` (logs, metrics), `cli` (the command). In this folder: the shared
vocabulary, such as `keys` (the schema of the database) and `errors`, and `wiring`, which puts the parts together.
"""
