-- KEYS: the list that a deletion waits at   ARGV: its TTL in s
-- A full Redis refuses LPUSH, but not in a script that has written: hence the first EXPIRE.
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('LPUSH', KEYS[1], '1')
redis.call('EXPIRE', KEYS[1], ARGV[1])
