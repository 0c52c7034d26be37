"""Everything of the Procfile, kept running on one machine.

The way of a start, a module a step:

    folders     DATA_DIR and what is in it; one runner holds its lock
    leftovers   what a killed start left running is ended
    plan        which settings are given, which are made; all are checked before anything starts
    supervise   the Procfile's lines, Redis and the fake Telegram under supervisord
    ready       the page answers: its URL is printed
    journal     what supervisord says about processes that end

`procfile`, `ports`, `made_keys`, `redis_server`, `demo`, `local_http` and `terminal` each know one thing of it.
"""
