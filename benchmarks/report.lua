-- For wrk: after its own text, one line of JSON with exact numbers. Nothing runs per request.
function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '{"requests":%d,"microseconds":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,'
         .. '"status":%d,"timeout":%d,"mean":%.2f,"p50":%.2f,"p99":%.2f}\n',
      summary.requests, summary.duration, summary.bytes, errors.connect, errors.read, errors.write,
      errors.status, errors.timeout, latency.mean, latency:percentile(50), latency:percentile(99)))
end
