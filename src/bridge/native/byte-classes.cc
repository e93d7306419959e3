// The first look by classes of bytes: see byte-classes.h.
#include "byte-classes.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "matcher-ranks.h"
#include "processor.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace logpipe {
namespace {

constexpr size_t GROUPS = 8;
// Of a pattern so many windows are weighed, the rarest; the first ones of a long pattern.
constexpr size_t WINDOWS_WEIGHED = 12;
constexpr size_t BYTES_WEIGHED = 64;
// Each pattern is placed once, and moved that often to where it is better off by then.
constexpr int PASSES = 3;

struct Shares {
  double of[256];
  // By upper half, by which eight of the lower halves, by the set of these: together.
  float together[16][2][256];

  Shares() {
    double all = 0;
    for (int byte = 0; byte < 256; byte++) {
      // matcher-ranks.h: 255 steps are a factor of a million.
      of[byte] = std::exp((BYTE_RANKS[byte] - 255) / 255.0 * std::log(1e6));
      all += of[byte];
    }
    for (double& share : of) share /= all;
    for (size_t upper = 0; upper < 16; upper++) {
      for (size_t set = 0; set < 512; set++) {
        float sum = 0;
        for (size_t bit = 0; bit < 8; bit++) {
          const double share = of[upper * 16 + set / 256 * 8 + bit];
          if ((set >> bit & 1) != 0) sum += static_cast<float>(share);
        }
        together[upper][set / 256][set % 256] = sum;
      }
    }
  }
};

const Shares& shares() {
  static const Shares made;
  return made;
}

// The bytes of one position in one group: every lower half with every upper one.
struct Class {
  uint32_t lower = 0;
  uint32_t upper = 0;
  uint16_t lowers[16] = {};
  uint16_t uppers[16] = {};

  static uint32_t lowerOf(uint8_t byte) { return uint32_t{1} << (byte & 15); }
  // A letter that folds is there in both its cases, which differ in the upper half alone.
  static uint32_t upperOf(uint8_t byte, uint8_t fold) {
    return uint32_t{1} << (byte >> 4) | uint32_t{1} << ((byte & ~fold) >> 4);
  }
  static float share(uint32_t lower, uint32_t upper) {
    float sum = 0;
    for (; upper != 0; upper &= upper - 1) {
      const auto& together = shares().together[std::countr_zero(upper)];
      sum += together[0][lower & 255] + together[1][lower >> 8];
    }
    return sum;
  }

  void count(uint8_t byte, uint8_t fold, int change) {
    add(lower, lowers, lowerOf(byte), change);
    add(upper, uppers, upperOf(byte, fold), change);
  }

 private:
  static void add(uint32_t& set, uint16_t (&counts)[16], uint32_t bits, int change) {
    for (; bits != 0; bits &= bits - 1) {
      const int bit = std::countr_zero(bits);
      counts[bit] = static_cast<uint16_t>(counts[bit] + change);
      const uint32_t mask = uint32_t{1} << bit;
      set = counts[bit] != 0 ? set | mask : set & ~mask;
    }
  }
};

inline size_t put(uint64_t mask, uint32_t first, uint32_t* out) {
  const auto count = static_cast<size_t>(std::popcount(mask));
  // Few at once without asking each time whether there is one more; what is too much is
  // overwritten.
  for (size_t written = 0; written < count; written += 4) {
    for (size_t i = 0; i < 4; i++) {
      out[written + i] = first + static_cast<uint32_t>(std::countr_zero(mask));
      mask &= mask - 1;
    }
  }
  return count;
}

}  // namespace

double shareOf(uint8_t byte) { return shares().of[byte]; }

// Gives each pattern its window and its group.
struct ByteClasses::Chooser {
  ByteClasses& made;
  const std::vector<Pattern>& patterns;
  const size_t windowBytes;
  std::array<std::array<Class, POSITIONS_MAX>, GROUPS> groups{};
  std::array<float, GROUPS> passing{};
  std::vector<uint8_t> groupOf{};

  void choose() {
    const size_t count = patterns.size();
    std::vector<std::vector<uint32_t>> windows;
    for (const Pattern& pattern : patterns) windows.push_back(rarest(pattern));
    made.offsets_.assign(count, 0);
    groupOf.assign(count, 0);
    for (int pass = 0; pass < PASSES; pass++) {
      for (size_t index = 0; index < count; index++) {
        if (pass > 0) change(index, -1);
        place(index, windows[index]);
        change(index, 1);
      }
    }
    for (size_t group = 0; group < GROUPS; group++) {
      made.passing_ += passing[group];
      for (size_t at = 0; at < made.positions_; at++) {
        for (size_t half = 0; half < 16; half++) {
          const Class& one = groups[group][at];
          made.lower_[at][half] |= static_cast<uint8_t>((one.lower >> half & 1) << group);
          made.upper_[at][half] |= static_cast<uint8_t>((one.upper >> half & 1) << group);
        }
      }
    }
  }

  std::vector<uint32_t> rarest(const Pattern& pattern) const {
    std::vector<std::pair<float, uint32_t>> weighed;
    const size_t size = std::min(pattern.bytes.size(), BYTES_WEIGHED);
    for (uint32_t offset = 0; offset + windowBytes <= std::max(size, windowBytes); offset++) {
      float share = 1;
      for (size_t at = 0; at < made.positions_; at++) {
        const uint8_t byte = pattern.bytes[offset + at];
        const uint8_t fold = pattern.fold[offset + at];
        share *= Class::share(Class::lowerOf(byte), Class::upperOf(byte, fold));
      }
      weighed.emplace_back(share, offset);
    }
    std::sort(weighed.begin(), weighed.end());
    if (weighed.size() > WINDOWS_WEIGHED) weighed.resize(WINDOWS_WEIGHED);
    std::vector<uint32_t> offsets;
    for (const auto& one : weighed) offsets.push_back(one.second);
    return offsets;
  }

  // Where it adds least.
  void place(size_t index, const std::vector<uint32_t>& offsets) {
    const Pattern& pattern = patterns[index];
    float least = 0;
    bool isPlaced = false;
    for (const uint32_t offset : offsets) {
      for (size_t group = 0; group < GROUPS; group++) {
        float share = 1;
        for (size_t at = 0; at < made.positions_; at++) {
          const Class& one = groups[group][at];
          const uint8_t byte = pattern.bytes[offset + at];
          share *= Class::share(one.lower | Class::lowerOf(byte),
                                one.upper | Class::upperOf(byte, pattern.fold[offset + at]));
        }
        share -= passing[group];
        if (isPlaced && share >= least) continue;
        isPlaced = true;
        least = share;
        made.offsets_[index] = offset;
        groupOf[index] = static_cast<uint8_t>(group);
      }
    }
  }

  void change(size_t index, int by) {
    const Pattern& pattern = patterns[index];
    const size_t group = groupOf[index];
    float share = 1;
    for (size_t at = 0; at < made.positions_; at++) {
      Class& one = groups[group][at];
      const size_t place = made.offsets_[index] + at;
      one.count(pattern.bytes[place], pattern.fold[place], by);
      share *= Class::share(one.lower, one.upper);
    }
    passing[group] = share;
  }
};

// The same look, written for each instruction set.
struct ByteClasses::Kernels {
  template <size_t POSITIONS>
  static size_t portable(const ByteClasses& of, const uint8_t* at, size_t count, uint32_t* out) {
    size_t found = 0;
    for (size_t place = 0; place < count; place++) {
      uint8_t groups = 0xff;
      for (size_t i = 0; i < POSITIONS; i++) {
        const uint8_t byte = at[place + i];
        groups = static_cast<uint8_t>(groups & of.lower_[i][byte & 15] & of.upper_[i][byte >> 4]);
      }
      out[found] = static_cast<uint32_t>(place);
      found += groups != 0 ? 1 : 0;
    }
    return found;
  }

#if defined(__x86_64__)
#define TARGET __attribute__((target("avx2,bmi,popcnt")))
  template <size_t POSITIONS>
  TARGET static inline __m256i groupsAt(const __m256i (&lower)[POSITIONS],
                                        const __m256i (&upper)[POSITIONS], const uint8_t* at) {
    const __m256i half = _mm256_set1_epi8(15);
    __m256i groups = _mm256_set1_epi8(-1);
#pragma GCC unroll 4
    for (size_t i = 0; i < POSITIONS; i++) {
      const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + i));
      const __m256i uppers = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half);
      const __m256i byLower = _mm256_shuffle_epi8(lower[i], _mm256_and_si256(bytes, half));
      const __m256i byUpper = _mm256_shuffle_epi8(upper[i], uppers);
      groups = _mm256_and_si256(groups, _mm256_and_si256(byLower, byUpper));
    }
    return groups;
  }

  TARGET static inline __m256i twice(const std::array<uint8_t, 16>& table) {
    return _mm256_broadcastsi128_si256(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(table.data())));
  }

  TARGET static inline uint64_t none(__m256i groups) {
    const __m256i isNone = _mm256_cmpeq_epi8(groups, _mm256_setzero_si256());
    return static_cast<uint32_t>(_mm256_movemask_epi8(isNone));
  }

  template <size_t POSITIONS>
  TARGET static size_t avx2(const ByteClasses& of, const uint8_t* at, size_t count,
                            uint32_t* out) {
    __m256i lower[POSITIONS];
    __m256i upper[POSITIONS];
    for (size_t i = 0; i < POSITIONS; i++) {
      lower[i] = twice(of.lower_[i]);
      upper[i] = twice(of.upper_[i]);
    }
    size_t found = 0;
    for (size_t place = 0; place < count; place += STEP) {
      const __m256i near = groupsAt<POSITIONS>(lower, upper, at + place);
      const __m256i far = groupsAt<POSITIONS>(lower, upper, at + place + 32);
      const __m256i any = _mm256_or_si256(near, far);
      if (_mm256_testz_si256(any, any) != 0) continue;
      const uint64_t passing = ~(none(near) | none(far) << 32);
      found += put(passing, static_cast<uint32_t>(place), out + found);
    }
    return found;
  }
#undef TARGET
#elif defined(__aarch64__)
  template <size_t POSITIONS>
  static size_t neon(const ByteClasses& of, const uint8_t* at, size_t count, uint32_t* out) {
    uint8x16_t lower[POSITIONS];
    uint8x16_t upper[POSITIONS];
    for (size_t i = 0; i < POSITIONS; i++) {
      lower[i] = vld1q_u8(of.lower_[i].data());
      upper[i] = vld1q_u8(of.upper_[i].data());
    }
    size_t found = 0;
    for (size_t place = 0; place < count; place += 16) {
      uint8x16_t groups = vdupq_n_u8(0xff);
      for (size_t i = 0; i < POSITIONS; i++) {
        const uint8x16_t bytes = vld1q_u8(at + place + i);
        groups = vandq_u8(groups, vqtbl1q_u8(lower[i], vandq_u8(bytes, vdupq_n_u8(15))));
        groups = vandq_u8(groups, vqtbl1q_u8(upper[i], vshrq_n_u8(bytes, 4)));
      }
      // Four bits of each byte, as matcher.cc has them.
      const uint8x16_t passing = vtstq_u8(groups, groups);
      const uint8x8_t halves = vshrn_n_u16(vreinterpretq_u16_u8(passing), 4);
      uint64_t mask = vget_lane_u64(vreinterpret_u64_u8(halves), 0) & 0x8888888888888888;
      for (; mask != 0; mask &= mask - 1) {
        out[found++] = static_cast<uint32_t>(place) +
                       static_cast<uint32_t>(std::countr_zero(mask)) / 4;
      }
    }
    return found;
  }
#endif

  struct Kernel {
    std::string_view name;
    bool (*isHere)();
    Find finds[POSITIONS_MAX];
  };
#define FINDS(isa) {isa<1>, isa<2>, isa<3>, isa<4>}
  // The fastest first.
  static const std::vector<Kernel>& all() {
    static const std::vector<Kernel> kernels = {
#if defined(__x86_64__)
        {"avx2", [] { return hasAvx2And(bit_BMI); }, FINDS(avx2)},
#elif defined(__aarch64__)
        {"neon", [] { return true; }, FINDS(neon)},
#endif
        {"portable", [] { return true; }, FINDS(portable)},
    };
    return kernels;
  }
#undef FINDS
};

ByteClasses::ByteClasses(const std::vector<Pattern>& patterns, size_t positions,
                         size_t windowBytes)
    : positions_(positions) {
  Chooser{*this, patterns, windowBytes}.choose();
  for (const Kernels::Kernel& kernel : Kernels::all()) {
    if (useKernel(kernel.name)) break;
  }
}

bool ByteClasses::useKernel(std::string_view name) {
  for (const Kernels::Kernel& kernel : Kernels::all()) {
    if (kernel.name != name || !kernel.isHere()) continue;
    kernel_ = kernel.name;
    find_ = kernel.finds[positions_ - 1];
    return true;
  }
  return false;
}

}  // namespace logpipe
