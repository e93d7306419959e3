// The native baseline: what logpipe's speed is compared with. Nothing but librdkafka and memmem, by
// the loop that `logpipe bench` has as well (src/bridge/native/plain-loop.h).
//
//   consume BROKERS TOPIC PATTERN RECORDS CONSUMERS BATCH WAIT PROFILE [mallopt] [raw] [NAME=VALUE...]
//
// RECORDS    stop after so many.
// CONSUMERS  threads, each with a consumer of its own; consumer i reads the partitions p with
//            p % CONSUMERS == i.
// BATCH      records asked of librdkafka in one call.
// WAIT       ms that a call waits for a full batch, as most programs do; or `drain`: take what is
//            there, else wait for one record and take what came with it.
// PROFILE    librdkafka's settings: aggressive or balanced, as logpipe's profiles of that name.
// mallopt    keep freed receive buffers, as logpipe's bridge does.
// raw        whole batches, and nothing searched: what fetching alone costs.
//
// Prints one line of JSON. Time and CPU (of the whole process) count from the first record to the
// last, so connecting is not in them. Exits 1 when fewer came within 60 s.
#include <malloc.h>

#include <exception>
#include <fstream>

#include "../../src/bridge/native/plain-loop.h"
#include "arguments.h"

namespace {

using logbench::fail;
using logbench::number;
using logpipe::PlainLoop;
using logpipe::PlainTotals;

constexpr double SECONDS_MAX = 60;

logpipe::Properties profile(const std::string& name) {
  if (name == "balanced") return {};
  if (name != "aggressive") fail("PROFILE is aggressive or balanced");
  return {{"queued.min.messages", "1000000"},      {"queued.max.messages.kbytes", "262144"},
          {"fetch.message.max.bytes", "4194304"},  {"fetch.max.bytes", "67108864"},
          {"fetch.wait.max.ms", "50"},             {"receive.message.max.bytes", "134217728"},
          {"fetch.queue.backoff.ms", "1"}};
}

PlainLoop parse(int argc, char** argv) {
  if (argc < 9) {
    fail("usage: consume BROKERS TOPIC PATTERN RECORDS CONSUMERS BATCH WAIT|drain "
         "aggressive|balanced [mallopt] [raw] [NAME=VALUE...]");
  }
  PlainLoop loop;
  loop.config = {{"bootstrap.servers", argv[1]}, {"group.id", "native"}};
  loop.topic = argv[2];
  loop.pattern = argv[3];
  loop.recordsMax = number(argv[4], "RECORDS");
  loop.secondsMax = SECONDS_MAX;
  loop.consumers = number(argv[5], "CONSUMERS");
  loop.batch = number(argv[6], "BATCH");
  if (loop.pattern.empty()) fail("PATTERN has no bytes");
  if (loop.consumers == 0 || loop.batch == 0) fail("CONSUMERS and BATCH are 1 or more");
  if (std::string(argv[7]) != "drain") loop.waitMs = static_cast<int>(number(argv[7], "WAIT"));
  for (auto& setting : profile(argv[8])) loop.config.push_back(setting);
  int at = 9;
  for (; at < argc && std::strchr(argv[at], '=') == nullptr; at++) {
    const std::string word = argv[at];
    if (word == "raw") {
      loop.isRaw = true;
    } else if (word == "mallopt") {
      // As the bridge's tuneAllocator: receive buffers are kept, not mapped anew for each fetch.
      mallopt(M_MMAP_THRESHOLD, 32 << 20);
      mallopt(M_TRIM_THRESHOLD, 1 << 30);
      mallopt(M_TOP_PAD, 64 << 20);
    } else {
      fail("not known: " + word);
    }
  }
  for (auto& setting : logbench::settings(argc, argv, at)) loop.config.push_back(setting);
  return loop;
}

// Not getrusage's: that begins with what the parent had when it started this process.
unsigned long long peakBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const PlainLoop loop = parse(argc, argv);
  PlainTotals totals;
  try {
    totals = logpipe::runPlainLoop(loop);
  } catch (const std::exception& error) {
    fail(error.what());
  }
  if (totals.records < loop.recordsMax) {
    fail("only " + std::to_string(totals.records) + " records came");
  }
  std::printf("{\"records\": %llu, \"bytes\": %llu, \"matched\": %llu, \"seconds\": %.4f, "
              "\"records_per_second\": %.0f, \"bytes_per_second\": %.0f, \"cpu_seconds\": %.4f, "
              "\"peak_rss_bytes\": %llu}\n",
              static_cast<unsigned long long>(totals.records),
              static_cast<unsigned long long>(totals.bytes),
              static_cast<unsigned long long>(totals.matched), totals.seconds,
              static_cast<double>(totals.records) / totals.seconds,
              static_cast<double>(totals.bytes) / totals.seconds, totals.cpuSeconds,
              peakBytes());
}
