-- KEYS: forgotten, people, then every key of the subject   ARGV: partner id or ''
-- Returns 1 when the subject is gone, 0 while another partner still shows it. The tombstone has no TTL, or Redis could evict it.
if ARGV[1] ~= '' then redis.call('SREM', KEYS[2], ARGV[1]) end
if redis.call('SCARD', KEYS[2]) > 0 then return 0 end
for i = 3, #KEYS do redis.call('DEL', KEYS[i]) end
redis.call('SET', KEYS[1], '1')
return 1
