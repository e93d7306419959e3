// What a Matcher worked out beforehand for its scans. Made in matcher.cc, read by the kernels
// (matcher-kernel.h), never changed.
#pragma once

#include <array>
#include <cstring>
#include <string_view>
#include <vector>

#include "matcher.h"

namespace logpipe {

// A pattern. With ignoreCase its letters are lower case, and fold is 0x20 at letters, else 0: a
// byte x then equals bytes[i] when (x | fold[i]) == bytes[i].
struct Pattern {
  std::vector<uint8_t> bytes;
  std::vector<uint8_t> fold;
};

// Places are grouped into eight buckets of patterns: one bit each in a byte.
constexpr size_t BUCKETS = 8;
constexpr size_t FINGERPRINT_MAX = 3;
// For each value of half a byte, a bit for each bucket.
using Table = std::array<uint8_t, 16>;

struct MatcherPlan {
  std::vector<Pattern> patterns;  // by length, shortest first
  bool fold = false;
  bool invert = false;

  // One pattern: the two places of it whose bytes are rarest in logs, first < second unless the
  // pattern has one byte.
  size_t rareFirst = 0;
  size_t rareSecond = 0;

  // Several: for each of the first bytes (three, or as many as the shortest has), the buckets that
  // the low half, and the high half, of a byte may stand for.
  size_t fingerprint = 0;
  std::array<Table, FINGERPRINT_MAX> low{};
  std::array<Table, FINGERPRINT_MAX> high{};
  // Indexes into patterns; of patterns that begin alike the shorter first.
  std::array<std::vector<uint32_t>, BUCKETS> buckets;

  std::string_view kernel;
  Place (*find)(const MatcherPlan&, const uint8_t* at, const uint8_t* end) = nullptr;

  size_t shortest() const { return patterns.front().bytes.size(); }
};

// The pattern is at `at`, where as many bytes as it has may be read.
template <bool FOLD>
inline bool isAt(const Pattern& pattern, const uint8_t* at) {
  const size_t size = pattern.bytes.size();
  if constexpr (!FOLD) return std::memcmp(at, pattern.bytes.data(), size) == 0;
  for (size_t i = 0; i < size; i++) {
    if ((at[i] | pattern.fold[i]) != pattern.bytes[i]) return false;
  }
  return true;
}

}  // namespace logpipe
