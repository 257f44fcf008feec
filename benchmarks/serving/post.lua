-- What wrk asks, and how it tells what came: one JSON object behind its own words.
local file = assert(io.open(os.getenv("BENCH_BODIES")))
local bodies, at = {}, 0
for line in file:lines() do bodies[#bodies + 1] = line end
file:close()

function request()
  at = at % #bodies + 1
  return wrk.format("POST", nil, {["Content-Type"] = "application/json"}, bodies[at])
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %f, "failed": %d, "p50": %f, "p99": %f}\n',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
