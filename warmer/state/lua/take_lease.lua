-- KEYS: lease, crashes, enqueued, forgotten, wanted, backoff, unavailable, refresh, refreshed
-- ARGV: token, lease in ms, 1 to take it during a backoff, too
-- Returns {1, crash count, token of the refresh or '', variant, ...} with the variants that clients wait for, or {0} held
-- by another worker, {-2} forgotten, {-3, ms, variant, ...} too early after a failure, {-4, ms} in the negative cache.
if redis.call('EXISTS', KEYS[4]) == 1 then
  redis.call('DEL', KEYS[3])
  return {-2}
end
local backoff = redis.call('PTTL', KEYS[6])
if backoff > 0 and ARGV[3] ~= '1' then
  redis.call('DEL', KEYS[3])
  local early = redis.call('SMEMBERS', KEYS[5])
  table.insert(early, 1, tostring(backoff))
  table.insert(early, 1, -3)
  return early
end
local refresh = redis.call('GET', KEYS[8])
if not refresh or redis.call('EXISTS', KEYS[9]) == 1 then refresh = '' end
local unavailable = redis.call('PTTL', KEYS[7])
if unavailable > 0 and refresh == '' then
  redis.call('DEL', KEYS[3])
  return {-4, tostring(unavailable)}
end
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  redis.call('DEL', KEYS[3])
  return {0}
end
local answer = redis.call('SMEMBERS', KEYS[5])
table.insert(answer, 1, refresh)
table.insert(answer, 1, redis.call('SCARD', KEYS[2]))
table.insert(answer, 1, 1)
return answer
