-- KEYS: lease, forgotten, crashes, wanted   ARGV: token, 1 to count a crash, -1 to take it back
-- Changes the crash count. Returns {1, variant, ...} with the variants that clients wait for, {0} if the lease is lost,
-- {-2} if the subject was forgotten: nothing is written then.
if redis.call('EXISTS', KEYS[2]) == 1 then return {-2} end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0} end
if redis.call('INCRBY', KEYS[3], ARGV[2]) <= 0 then redis.call('DEL', KEYS[3]) end
local answer = redis.call('SMEMBERS', KEYS[4])
table.insert(answer, 1, 1)
return answer
