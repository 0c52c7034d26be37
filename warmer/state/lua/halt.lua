-- KEYS: budget   ARGV: why, the instant in seconds (empty: Redis' own)
-- Halts every call. A halt that is under way keeps the instant of its beginning.
local time = redis.call('TIME')
if redis.call('HSETNX', KEYS[1], 'halted', ARGV[1]) == 0 then
  redis.call('HSET', KEYS[1], 'halted', ARGV[1])
else
  redis.call('HSET', KEYS[1], 'halted_at', tonumber(ARGV[2]) or time[1])
end
