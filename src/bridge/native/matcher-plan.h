// What a Matcher worked out beforehand for its scans. Made in matcher.cc, read by the kernels
// (matcher-kernel.h), never changed.
#pragma once

#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "matcher.h"

namespace logpipe {

// A pattern. With ignoreCase its letters are lower case, and fold is 0x20 at letters, else 0: a
// byte x then equals bytes[i] when (x | fold[i]) == bytes[i].
struct Pattern {
  std::vector<uint8_t> bytes;
  std::vector<uint8_t> fold;
  // The two places of it whose bytes are rarest in logs, first < second unless it has one byte.
  size_t rareFirst = 0;
  size_t rareSecond = 0;
};

// A letter is folded where the case does not count.
inline Pattern patternOf(const std::string& text, bool ignoreCase) {
  Pattern pattern{{text.begin(), text.end()}, std::vector<uint8_t>(text.size(), 0)};
  for (size_t i = 0; ignoreCase && i < text.size(); i++) {
    const uint8_t lower = pattern.bytes[i] | 0x20;
    if (lower < 'a' || lower > 'z') continue;
    pattern.bytes[i] = lower;
    pattern.fold[i] = 0x20;
  }
  return pattern;
}

struct MatcherPlan {
  std::vector<Pattern> patterns;  // By length, shortest first.
  bool fold = false;
  size_t reach = 0;  // Bytes from a place to behind the last rare one.
  // Of two patterns, the one that has at `loneAt` a byte which logs hardly hold, while the other
  // has one of its two rare places there.
  bool hasLone = false;
  size_t lone = 0;
  size_t loneAt = 0;
  // For each byte, whether any begins with it, and which ones, shortest first.
  std::array<bool, 256> isFirst{};
  std::array<std::vector<uint32_t>, 256> byFirst;

  std::string_view kernel;
  Place (*find)(const MatcherPlan&, const uint8_t* at, const uint8_t* end) = nullptr;

  size_t shortest() const { return patterns.front().bytes.size(); }
};

// The four bytes at `at`, as one number.
inline uint32_t four(const uint8_t* at) {
  uint32_t bytes;
  std::memcpy(&bytes, at, sizeof bytes);
  return bytes;
}

// The pattern is at `at`, where as many bytes as it has may be read. Most places that are asked for
// are none: the first four bytes and the last four say so without a call.
template <bool FOLD>
inline bool isAt(const Pattern& pattern, const uint8_t* at) {
  const size_t size = pattern.bytes.size();
  const uint8_t* bytes = pattern.bytes.data();
  if constexpr (!FOLD) {
    if (size < 4) return std::memcmp(at, bytes, size) == 0;
    if (four(at) != four(bytes) || four(at + size - 4) != four(bytes + size - 4)) return false;
    return size <= 8 || std::memcmp(at, bytes, size) == 0;
  }
  for (size_t i = 0; i < size; i++) {
    if ((at[i] | pattern.fold[i]) != bytes[i]) return false;
  }
  return true;
}

}  // namespace logpipe
