-- KEYS: lease, forgotten, key   ARGV: token, TTL in ms, value
-- Writes one key beside a picture. Returns 1, or 0 if the lease is lost, -2 if the subject was forgotten: nothing is
-- written then.
if redis.call('EXISTS', KEYS[2]) == 1 then return -2 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[2])
return 1
