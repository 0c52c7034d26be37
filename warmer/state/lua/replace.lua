-- KEYS: a record, the events of its id
-- ARGV: its old value, empty for none; its new value, empty to delete it; its TTL in s, empty for none; an event to
-- add, empty for none
-- Replaces the record unless another process wrote meanwhile. Returns 1 if it was written.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
elseif ARGV[3] == '' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
end
if ARGV[4] ~= '' then redis.call('RPUSH', KEYS[2], ARGV[4]) end
return 1
