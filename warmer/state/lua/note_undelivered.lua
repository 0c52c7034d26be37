-- KEYS: undelivered   ARGV: id, seconds until its next attempt
-- Always writes a new instant: a round removes an id without events only if it still has the instant that the round
-- read. A full Redis refuses ZADD, but not in a script that has written: hence ZREM.
local time = redis.call('TIME')
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1000000 + tonumber(ARGV[2])), ARGV[1])
