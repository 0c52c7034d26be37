-- KEYS: claim, attempts, asked, forgotten   ARGV: token, lease in ms
-- Returns the number of this attempt, or 0 held, -2 forgotten.
if redis.call('EXISTS', KEYS[4]) == 1 then
  redis.call('DEL', KEYS[3])
  return -2
end
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  redis.call('DEL', KEYS[3])
  return 0
end
return redis.call('INCR', KEYS[2])
