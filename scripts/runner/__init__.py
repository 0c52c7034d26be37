"""Keeps all processes of the Procfile running on one machine.

The steps of a start, one module per step:

    folders     makes DATA_DIR and its folders, and takes the lock of the one runner
    leftovers   ends the processes of an earlier start that was killed
    plan        collects the given settings, makes the missing ones, and checks all before anything starts
    supervise   runs the Procfile's lines, Redis and the fake Telegram under supervisord
    ready       waits until the page answers
    exits       reports processes that end, from supervisord's log

`procfile`, `ports`, `redis_server`, `demo`, `local_http` and `terminal` are their helpers.
"""
