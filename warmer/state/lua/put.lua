-- KEYS: lease, forgotten, unavailable, failures, negative count, retries, failing, crashes, wanted, then those to write
-- ARGV: token, TTL in s, channel, message for it, then for each of those keys its value and its name in the wanted set
-- Returns 1, or 0 if the lease is lost, -2 if the subject was forgotten: nothing is written then.
if redis.call('EXISTS', KEYS[2]) == 1 then return -2 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8])
for i = 10, #KEYS do
  local at = 5 + 2 * (i - 10)
  redis.call('SET', KEYS[i], ARGV[at], 'EX', ARGV[2])
  redis.call('SREM', KEYS[9], ARGV[at + 1])
end
redis.call('PUBLISH', ARGV[3], ARGV[4])  -- web/photos/purge_listener.py, `PurgeListener._act_on`
return 1
