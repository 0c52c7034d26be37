-- KEYS: undelivered   ARGV: id, seconds until its next attempt
-- Always a new instant: whoever removes an id without events removes it with the instant that it read. A full Redis
-- refuses ZADD, but not in a script that has written: hence ZREM.
local time = redis.call('TIME')
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1000000 + tonumber(ARGV[2])), ARGV[1])
