// The matcher: where in a stretch of bytes one of the patterns is. Plain C++20; knows neither Node
// nor librdkafka, nor what a record is (scan.h).
//
// A Matcher is made once for each set of patterns and never changes, so any number of threads may
// search with one at the same time. Nothing is allocated in a search.
//
// Bound: one pass over the bytes, for one pattern or for several. A place that might hold the
// pattern is compared in full, so n bytes made to look like a pattern of m bytes cost n * m at
// worst
// ("aaaa...ab" in "aaaa..." does not: the rare byte is looked at first). The caller bounds m.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace logpipe {

// Where a pattern was found; at == nullptr: nowhere. Of several at one place it is the shortest: a
// value in which that one does not end holds none of them there.
struct Place {
  const uint8_t* at;
  size_t size;
};

struct MatcherPlan;

class Matcher {
 public:
  // With more patterns the search goes byte by byte: Vectorscan is for them, where it runs. With
  // three it is as fast (bench/native/matcher-bench.cc).
  static constexpr size_t FEW_MAX = 2;

  // Patterns are any bytes, 0x00 too. ignoreCase folds A-Z. Throws std::invalid_argument when there
  // is none, or an empty one.
  Matcher(std::vector<std::string> patterns, bool ignoreCase);

  // The first place in [at, end) that holds a pattern.
  Place find(const uint8_t* at, const uint8_t* end) const;

  // The search in use: avx2, sse2, neon or portable.
  std::string_view kernel() const;

  // For tests and benchmarks: the same matcher with another kernel; throws std::invalid_argument
  // where this machine lacks it.
  Matcher withKernel(std::string_view kernel) const;

 private:
  explicit Matcher(std::shared_ptr<const MatcherPlan> plan);
  std::shared_ptr<const MatcherPlan> plan_;
};

}  // namespace logpipe
