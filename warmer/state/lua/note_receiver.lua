-- KEYS: receiver   ARGV: 1 for a failure, 0 for a success; seconds for which no event is sent, 0 for none
-- Returns the failures in a row: with this one, or those that a success ends. HDEL comes first, as ZREM does elsewhere:
-- a full Redis refuses HINCRBY otherwise.
local failures = tonumber(redis.call('HGET', KEYS[1], 'failures') or '0')
redis.call('HDEL', KEYS[1], 'failures')
if ARGV[1] == '0' then return failures end
redis.call('HSET', KEYS[1], 'failures', failures + 1)
local time = redis.call('TIME')
local until_then = tonumber(time[1]) + tonumber(time[2]) / 1000000 + tonumber(ARGV[2])
local before = tonumber(redis.call('HGET', KEYS[1], 'paused_until') or '0')
if tonumber(ARGV[2]) > 0 and until_then > before then
  redis.call('HSET', KEYS[1], 'paused_until', string.format('%.6f', until_then))
end
return failures + 1
