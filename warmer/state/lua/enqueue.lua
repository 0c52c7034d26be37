-- KEYS: lease, enqueued, wanted   ARGV: TTL of the marker in ms, the variant that a client waits for or '', its TTL in s
-- Notes the variant, and sets the marker unless a worker has the lease: it reads the wanted variants before it ends.
-- Returns 1 if the message has to be published, 0 if not.
if ARGV[2] ~= '' then
  redis.call('SADD', KEYS[3], ARGV[2])
  redis.call('EXPIRE', KEYS[3], ARGV[3])
end
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
return redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[1]) and 1 or 0
