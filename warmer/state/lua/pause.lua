-- KEYS: budget   ARGV: seconds, the instant in seconds (empty: Redis' own)
-- No worker calls Telegram for these seconds. A shorter pause never shortens a longer one.
local time = redis.call('TIME')
local now = tonumber(ARGV[2]) or tonumber(time[1]) + tonumber(time[2]) / 1000000
local till = now + tonumber(ARGV[1])
local old = tonumber(redis.call('HGET', KEYS[1], 'paused_until') or '0')
if till > old then redis.call('HSET', KEYS[1], 'paused_until', string.format('%.6f', till)) end
return 1
