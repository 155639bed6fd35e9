-- Replays a file of requests with wrk, one after the other over all connections, and reports in one line.
-- Arguments: the file, and the number of body bytes of each request. See request-file.ts and wrk.ts.

local requests = {}
local body = ""
local last = 0

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  for request in file:read("*a"):gmatch("[^\30]+") do
    requests[#requests + 1] = request
  end
  file:close()
  body = string.rep("x", tonumber(arguments[2]))
end

function request()
  last = last % #requests + 1
  if body == "" then return requests[last] end
  return requests[last] .. body
end

function done(summary)
  local errors = summary.errors
  io.write(string.format(
    "replayed %d %d %d %d %d %d %d\n",
    summary.requests, summary.bytes, errors.connect, errors.read, errors.write, errors.status, errors.timeout
  ))
end
