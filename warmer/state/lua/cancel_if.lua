-- KEYS: schedule   ARGV: subject, instant
-- Cancels the next run of the subject if it is at that instant, and no other.
local next_run = redis.call('ZSCORE', KEYS[1], ARGV[1])
if next_run and tonumber(next_run) == tonumber(ARGV[2]) then return redis.call('ZREM', KEYS[1], ARGV[1]) end
return 0
