-- KEYS: forgotten, partners, then every key of the subject   ARGV: TTL of the tombstone in s, partner id or ''
-- Returns 1 when the subject is gone, 0 while another partner still shows it.
if ARGV[2] ~= '' then redis.call('SREM', KEYS[2], ARGV[2]) end
if redis.call('SCARD', KEYS[2]) > 0 then return 0 end
for i = 3, #KEYS do redis.call('DEL', KEYS[i]) end
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
return 1
