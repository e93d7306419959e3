// The matcher: where in a stretch of bytes one or two patterns are. Plain C++20; knows neither Node
// nor librdkafka, nor what a record is (scan.h).
//
// A Matcher is made once and never changes, so any number of threads may
// search with one at the same time. Nothing is allocated in a search.
//
// Bound: one pass over the bytes. A place that might hold the
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
  // More are for a LiteralSet (literal-set.h).
  static constexpr size_t FEW_MAX = 2;

  // Patterns are any bytes, 0x00 too. ignoreCase folds A-Z. Throws std::invalid_argument when there
  // is none, an empty one, or more than FEW_MAX.
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
