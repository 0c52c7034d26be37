-- KEYS: claim, forgotten, unavailable, failures, memories, then the keys to write   ARGV: token, TTL in s, then their values
-- Returns 1, or 0 if the claim is lost, -2 if the subject was forgotten: nothing is written then.
if redis.call('EXISTS', KEYS[2]) == 1 then return -2 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5])
for i = 6, #KEYS do
  redis.call('SET', KEYS[i], ARGV[i - 3], 'EX', ARGV[2])
end
return 1
