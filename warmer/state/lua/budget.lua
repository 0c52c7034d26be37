-- KEYS: budget   ARGV: rate per s, burst, tokens this lane leaves to the others, tokens to take (0: look at the pause only),
-- the instant in seconds (empty: Redis' own)
-- Returns {0} granted, {1, wait in ms} no token yet, {2, remaining ms} paused, {3} halted.
-- A token bucket in floating point.
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'paused_until', 'halted')
local time = redis.call('TIME')
local now = tonumber(ARGV[5]) or tonumber(time[1]) + tonumber(time[2]) / 1000000
if state[4] then return {3} end
if state[3] and tonumber(state[3]) > now then
  return {2, math.ceil((tonumber(state[3]) - now) * 1000)}
end
local rate, burst, reserve, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if cost == 0 then return {0} end
local tokens = burst
if state[1] then
  local passed = math.max(0, now - tonumber(state[2]))  -- a fail-over may set the clock back
  tokens = math.min(burst, tonumber(state[1]) + passed * rate)
end
-- At one token per second the burst is one token: no lane may need more than the whole bucket.
local needed = math.min(burst, cost + reserve)
local wait = 0
if tokens >= needed then tokens = tokens - cost else wait = math.ceil((needed - tokens) / rate * 1000) end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', tokens), 'at', string.format('%.6f', now))
if wait > 0 then return {1, wait} end
return {0}
