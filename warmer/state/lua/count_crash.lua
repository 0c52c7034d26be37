-- KEYS: lease, forgotten, crashes, wanted   ARGV: token
-- Adds the lease to the crashes: a command that is sent twice counts it once. Returns {1, variant, ...} with the variants
-- that clients wait for, {0} if the lease is lost, {-2} if the subject was forgotten: nothing is written then.
if redis.call('EXISTS', KEYS[2]) == 1 then return {-2} end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0} end
redis.call('SADD', KEYS[3], ARGV[1])
local answer = redis.call('SMEMBERS', KEYS[4])
table.insert(answer, 1, 1)
return answer
