-- wrk requests the paths of a file in turn. A line is a path, and optionally the client's ETag.
-- It writes its measurements as one line of JSON.

local requests = {}
local turn = 0

function init(arguments)
  wrk.headers["Accept"] = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8" -- a browser's
  for line in io.lines(arguments[1]) do
    local path, etag = line:match("^(%S+)%s*(%S*)$")
    wrk.headers["If-None-Match"] = etag ~= "" and etag or nil
    requests[#requests + 1] = wrk.format("GET", path)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "bytes": %d, "microseconds": %d, "p50": %d, "p99": %d, ' ..
    '"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status
  ))
end
