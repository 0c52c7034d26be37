-- KEYS: undelivered   ARGV: seconds until the next attempt, ids
-- Always writes a new instant: a round removes an id without events only if it still has the instant that the round
-- read. A full Redis refuses ZADD, but not in a script that has written: hence ZREM.
local time = redis.call('TIME')
local at = string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1000000 + tonumber(ARGV[1]))
for i = 2, #ARGV do
  redis.call('ZREM', KEYS[1], ARGV[i])
  redis.call('ZADD', KEYS[1], at, ARGV[i])
end
