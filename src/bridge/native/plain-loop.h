// The baseline of every benchmark: a loop over librdkafka as most programs have it, one message a
// record and memmem in each. And the limit of that: the same loop over whole batches, in which
// nothing is searched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "client.h"

namespace logpipe {

struct PlainLoop {
  static constexpr int DRAIN = -1;

  Properties config;  // Of each consumer; group.id among them, though no group is joined.
  std::string topic;
  std::string pattern;  // One byte or more.
  bool isRaw = false;   // Whole batches, nothing searched.
  uint64_t recordsMax = UINT64_MAX;
  double secondsMax = 0;
  size_t consumers = 1;  // Threads, each with one: i reads the partitions p % consumers = i.
  size_t batch = 1024;   // Messages asked of librdkafka in one call.
  int waitMs = DRAIN;    // How long a call waits for a full batch; DRAIN: takes what is there, else
                         // waits for one message and takes what came with it.
};

struct PlainTotals {
  uint64_t records = 0;
  uint64_t bytes = 0;  // Of the values; raw: of the batches.
  uint64_t matched = 0;
  // From the first record to the last; CPU of the whole process.
  double seconds = 0;
  double cpuSeconds = 0;
};

// Reads from the beginning until there are recordsMax, every partition is at its end, or the time
// is over. Blocks. Throws Refused.
PlainTotals runPlainLoop(const PlainLoop& loop);

}  // namespace logpipe
