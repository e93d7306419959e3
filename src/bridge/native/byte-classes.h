// Where one of many patterns may begin: a first look over bytes by their nibbles, 32 at a time.
//
// Of each pattern one window of a few bytes is looked for, the one that is rarest in logs. The
// windows fall into eight groups; a place passes when there is a group of which, at each position
// of the window, one has the byte's lower four bits and one its upper four. That is a superset,
// found with two shuffles a position, and a good one while the windows of a group are alike: so
// each pattern is given the window and the group with which the groups let least of a log pass.
//
// Never changes once it is made.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "matcher-plan.h"

namespace logpipe {

class ByteClasses {
 public:
  static constexpr size_t POSITIONS_MAX = 4;
  // `find` looks at multiples of it.
  static constexpr size_t STEP = 64;

  // Each pattern has windowBytes or more, and its window so many; looked at are the first
  // `positions` of them.
  ByteClasses(const std::vector<Pattern>& patterns, size_t positions, size_t windowBytes);

  // By pattern: where in it its window is.
  const std::vector<uint32_t>& offsets() const { return offsets_; }
  // The share of a log's places that pass, as far as the frequencies of bytes tell.
  double passing() const { return passing_; }

  // Writes which of the `count` places from `at` on pass, ascending, and how many; count is a
  // multiple of STEP, and POSITIONS_MAX - 1 bytes more are read. `out` has room for count + 3.
  size_t find(const uint8_t* at, size_t count, uint32_t* out) const {
    return find_(*this, at, count, out);
  }

  // avx2, neon or portable; for tests another one than this processor's fastest.
  std::string_view kernel() const { return kernel_; }
  bool useKernel(std::string_view name);

 private:
  struct Kernels;
  struct Chooser;
  using Find = size_t (*)(const ByteClasses&, const uint8_t* at, size_t count, uint32_t* out);

  size_t positions_;
  // By position, and by half of a byte: the groups, a bit each.
  std::array<std::array<uint8_t, 16>, POSITIONS_MAX> lower_{};
  std::array<std::array<uint8_t, 16>, POSITIONS_MAX> upper_{};
  std::vector<uint32_t> offsets_;
  double passing_ = 0;
  std::string_view kernel_;
  Find find_ = nullptr;
};

// How often a byte comes in logs, of 1; all together make 1.
double shareOf(uint8_t byte);

}  // namespace logpipe
