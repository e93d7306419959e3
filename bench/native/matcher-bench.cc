// How fast the matcher is: GB/s over records as they come from Kafka, against memmem for each
// record.
//
//   bash bench/native/build.sh && build/bench/matcher-bench [SECONDS]
//
// Question: what does one search over a whole batch gain over a search in each record?
// Load: a batch of 1 MB of lines as produce.cc writes them, values 12 bytes apart; one line in 1000
// matches. Each cell runs for SECONDS (0.2) of CPU time, five times; the median is shown.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "../../src/bridge/native/matcher.h"
#include "../../src/bridge/native/vectorscan.h"
#include "log-line.h"

namespace {

using logpipe::Matcher;

struct Span {
  const uint8_t* data;
  size_t size;
};

constexpr size_t SLOT_BYTES = 1 << 20;
constexpr size_t HEAD_BYTES = 12;  // A record's head in a batch of format 2, with 1 KB values.

struct Load {
  std::string memory;
  std::vector<Span> records;
  size_t bytes = 0;
};

Load makeLoad(size_t size) {
  Load load;
  const size_t count = SLOT_BYTES / (size + HEAD_BYTES);
  load.memory.resize(count * (size + HEAD_BYTES));
  logbench::LogLines lines(42, size, 1000);
  for (size_t i = 0; i < count; i++) {
    char* at = load.memory.data() + i * (size + HEAD_BYTES) + HEAD_BYTES;
    lines.write(i, at);
    load.records.push_back({reinterpret_cast<const uint8_t*>(at), size});
    load.bytes += size;
  }
  return load;
}

double cpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double gigabytesPerSecond(const Load& load, double seconds, const std::function<size_t()>& scan) {
  std::vector<double> results;
  for (int round = 0; round < 5; round++) {
    const double start = cpuSeconds();
    size_t turns = 0;
    size_t found = 0;
    double taken = 0;
    do {
      found += scan();
      turns++;
      taken = cpuSeconds() - start;
    } while (taken < seconds);
    if (found == SIZE_MAX) std::puts("");  // Keeps the scan from being optimised away.
    results.push_back(static_cast<double>(load.bytes * turns) / taken / 1e9);
  }
  std::sort(results.begin(), results.end());
  return results[2];
}

size_t memmemEach(const Load& load, const std::string& pattern) {
  size_t found = 0;
  for (const Span& record : load.records) {
    found += memmem(record.data, record.size, pattern.data(), pattern.size()) != nullptr;
  }
  return found;
}

size_t placesIn(const Matcher& matcher, const uint8_t* at, const uint8_t* end) {
  size_t found = 0;
  for (logpipe::Place place = matcher.find(at, end); place.at != nullptr; found++) {
    place = matcher.find(place.at + place.size, end);
  }
  return found;
}

size_t places(const Load& load, const Matcher& matcher, bool isWhole) {
  const auto* begin = reinterpret_cast<const uint8_t*>(load.memory.data());
  if (isWhole) return placesIn(matcher, begin, begin + load.memory.size());
  size_t found = 0;
  for (const Span& record : load.records) {
    found += matcher.find(record.data, record.data + record.size).at != nullptr;
  }
  return found;
}

size_t placesBy(const Load& load, const logpipe::Database& database) {
  size_t found = 0;
  database.scan(reinterpret_cast<const uint8_t*>(load.memory.data()), load.memory.size(),
                [](void* count, uint32_t, size_t) {
                  ++*static_cast<size_t*>(count);
                  return true;
                },
                &found);
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 0.2;
  struct Case {
    const char* name;
    std::vector<std::string> patterns;
    bool ignoreCase;
  };
  const std::vector<Case> cases = {
      {"ERROR", {"ERROR"}, false},
      {"error, -i", {"error"}, true},
      {"timeout=", {"status=timeout"}, false},
      {"2 patterns", {"ERROR", "FATAL"}, false},
  };
  std::printf("%-12s %8s %10s %10s %10s %10s %10s  GB/s\n", "pattern", "bytes", "memmem", "each",
              "batch", "sse2", "vectorscan");
  for (const Case& one : cases) {
    for (const size_t size : {size_t{100}, size_t{1000}, size_t{10000}}) {
      const Load load = makeLoad(size);
      const Matcher matcher(one.patterns, one.ignoreCase);
      const auto run = [&](const Matcher& with, bool isWhole) {
        return gigabytesPerSecond(load, seconds, [&] { return places(load, with, isWhole); });
      };
      const double plain = gigabytesPerSecond(load, seconds, [&] {
        return memmemEach(load, one.patterns[0]);
      });
      std::printf("%-12s %8zu %10.2f %10.2f %10.2f", one.name, size, plain, run(matcher, false),
                  run(matcher, true));
      std::vector<logpipe::Expression> literals;
      for (const std::string& text : one.patterns) literals.push_back({text, one.ignoreCase, true});
      const logpipe::Database database(literals, logpipe::Database::Report::EachEnd);
      std::printf(" %10.2f %10.2f\n", run(matcher.withKernel("sse2"), true),
                  gigabytesPerSecond(load, seconds, [&] { return placesBy(load, database); }));
    }
  }
}
