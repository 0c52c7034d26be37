-- KEYS: schedule   ARGV: subject, instant
-- Drops the turn, if it is still the one of that instant.
local turn = redis.call('ZSCORE', KEYS[1], ARGV[1])
if turn and tonumber(turn) == tonumber(ARGV[2]) then return redis.call('ZREM', KEYS[1], ARGV[1]) end
return 0
