-- KEYS: budget   ARGV: rate per s, burst, tokens this lane leaves to the others, tokens to take (0: look at the pause only),
-- seconds that this lane may wait, seconds of pause that this worker remembers, the instant in seconds (empty: Redis' own),
-- seconds between two probes in an outage, the call to make (empty: none)
-- Returns {0, wait in ms, 1 if the call is a probe} granted after that wait, {1, wait in ms} no token in time,
-- {2, remaining ms} paused, {3, why} halted, {4, ms until the next probe} the call is ill.
-- A token bucket in floating point. A token that is waited for is taken at once, so the bucket may hold less than nothing,
-- and those who wait go in the order of their coming.
local state = redis.call('HMGET', KEYS[1],
  'tokens', 'at', 'paused_until', 'halted', 'probe_at:' .. ARGV[9], 'ill:' .. ARGV[9], 'paused_at')
local time = redis.call('TIME')
local now = tonumber(ARGV[7]) or tonumber(time[1]) + tonumber(time[2]) / 1000000
if state[4] then return {3, state[4]} end
local paused_until, remembered = tonumber(state[3] or '0'), tonumber(ARGV[6])
local function note_pause(till)
  paused_until = till
  redis.call('HSET', KEYS[1], 'paused_until', string.format('%.6f', till), 'paused_at', string.format('%.6f', now))
end
local set_back = tonumber(state[7] or '0') - now  -- a fail-over may set the clock back: the pause is as long as before
if set_back > 0 then note_pause(paused_until - set_back) end
if remembered > 0 and now + remembered > paused_until + 1 then  -- Redis lost it; 1 s: the way here takes time
  note_pause(now + remembered)
end
if paused_until > now then return {2, math.ceil((paused_until - now) * 1000)} end
local is_probe, probe_seconds = state[6] and 1 or 0, tonumber(ARGV[8])
local until_probe = is_probe * (tonumber(state[5] or '0') - now)
if until_probe > 0 and until_probe <= probe_seconds then  -- more, if the clock was set back
  return {4, math.ceil(until_probe * 1000)}
end
local function take_probe()
  if is_probe == 1 then redis.call('HSET', KEYS[1], 'probe_at:' .. ARGV[9], string.format('%.6f', now + probe_seconds)) end
end
local rate, burst, reserve, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if cost == 0 then
  take_probe()
  return {0, 0, is_probe}
end
local tokens = burst
if state[1] then
  local passed = math.max(0, now - tonumber(state[2]))  -- a fail-over may set the clock back
  tokens = math.min(burst, tonumber(state[1]) + passed * rate)
end
-- At one token per second the burst is one token: no lane may need more than the whole bucket.
local wait = math.max(0, math.ceil((math.min(burst, cost + reserve) - tokens) / rate * 1000 - 0.001))
local granted = wait <= tonumber(ARGV[5]) * 1000
if granted then
  take_probe()
  tokens = tokens - cost
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', tokens), 'at', string.format('%.6f', now))
return {granted and 0 or 1, wait, is_probe}
