-- KEYS: the variants that somebody waits for   ARGV: one more of them, for how long in seconds
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
