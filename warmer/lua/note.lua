-- KEYS: claim, forgotten, key   ARGV: token, TTL in s, value
-- Writes one key beside a picture, only while the claim is ours and the subject is not forgotten.
if redis.call('EXISTS', KEYS[2]) == 1 or redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[3], ARGV[3], 'EX', ARGV[2])
return 1
