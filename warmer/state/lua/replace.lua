-- KEYS: a record   ARGV: what it was, empty for nothing; what it is to be
-- Writes unless somebody else wrote meanwhile; 1 if written.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
