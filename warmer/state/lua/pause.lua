-- KEYS: budget   ARGV: seconds, the instant in seconds (empty: Redis' own)
-- No worker calls Telegram for these seconds. A shorter pause never shortens a longer one, which lasts as long as it
-- would have if the clock had not been set back since.
local time = redis.call('TIME')
local now = tonumber(ARGV[2]) or tonumber(time[1]) + tonumber(time[2]) / 1000000
local till = now + tonumber(ARGV[1])
local before = redis.call('HMGET', KEYS[1], 'paused_until', 'paused_at')
local old = tonumber(before[1] or '0') - math.max(0, tonumber(before[2] or '0') - now)
if till > old then
  redis.call('HSET', KEYS[1], 'paused_until', string.format('%.6f', till), 'paused_at', string.format('%.6f', now))
end
return 1
