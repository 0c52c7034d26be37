"""Pictures of Telegram users and chats, warm before anyone asks.

The flow, one module a step:

    publish    a subject enters the queue, once per lane               (web/photos/lookup.py and web/receivers.py ask)
    tasks      what the queue may ask for
    warm       the story of one picture, and of one profile            read this first
    hold       one worker per subject, and what becomes of an error    → claim, due
    budget     may I call Telegram now?
    fetch      file id → bytes; look_up: user id → file id             → telegram
    telegram   one call, in bounded time and memory                    → replies: what its answers mean
    images     bytes → variants                                        → headers, steps
    store      variants in Redis, "done" for whoever waits

Beside it: `partners` (who is shown), `due` (what to do again, and when), `forget`, `heartbeat`, `keys` (the schema).
"""
