-- KEYS: variants that clients wait for   ARGV: one more of them, TTL in s
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
