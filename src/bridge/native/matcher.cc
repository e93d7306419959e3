// The matcher: makes the plan for a set of patterns, and chooses the kernel for this processor.
#include "matcher.h"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <utility>

#include "matcher-plan.h"
#include "matcher-ranks.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace logpipe {
namespace {

// The first of the places in the mask where the pattern is.
template <bool FOLD, int BIT_STRIDE>
const uint8_t* confirm(const Pattern& pattern, const uint8_t* at, uint64_t mask) {
  for (; mask != 0; mask &= mask - 1) {
    const uint8_t* place = at + std::countr_zero(mask) / BIT_STRIDE;
    if (isAt<FOLD>(pattern, place)) return place;
  }
  return nullptr;
}

// The size of the shortest pattern of these buckets at `at`, or 0. The first found is the shortest:
// patterns that begin alike stand in neighbouring buckets by length (fillBuckets).
template <bool FOLD>
size_t sizeAt(const MatcherPlan& plan, const uint8_t* at, const uint8_t* end, uint8_t buckets) {
  const size_t left = static_cast<size_t>(end - at);
  for (unsigned rest = buckets; rest != 0; rest &= rest - 1) {
    for (const uint32_t index : plan.buckets[static_cast<size_t>(std::countr_zero(rest))]) {
      const Pattern& pattern = plan.patterns[index];
      if (pattern.bytes.size() > left) continue;
      if (isAt<FOLD>(pattern, at)) return pattern.bytes.size();
    }
  }
  return 0;
}

template <bool FOLD, int BIT_STRIDE>
Place confirmAny(const MatcherPlan& plan, const uint8_t* at, const uint8_t* end, uint64_t mask,
                 const uint8_t* buckets) {
  for (; mask != 0; mask &= mask - 1) {
    const int place = std::countr_zero(mask) / BIT_STRIDE;
    const size_t size = sizeAt<FOLD>(plan, at + place, end, buckets[place]);
    if (size != 0) return {at + place, size};
  }
  return {nullptr, 0};
}

// Byte by byte: other processors, and what is shorter than a vector.
namespace portable {
#define TARGET
template <bool FOLD>
class One {
 public:
  explicit One(const MatcherPlan& plan)
      : pattern_(plan.patterns[0]),
        size_(pattern_.bytes.size()),
        rareAt_(plan.rareFirst),
        rare_(pattern_.bytes[rareAt_]),
        fold_(pattern_.fold[rareAt_]) {}

  Place find(const uint8_t* at, const uint8_t* end) const {
    for (; static_cast<size_t>(end - at) >= size_; at++) {
      if ((at[rareAt_] | fold_) == rare_ && isAt<FOLD>(pattern_, at)) return {at, size_};
    }
    return {nullptr, 0};
  }

 private:
  const Pattern& pattern_;
  const size_t size_, rareAt_;
  const uint8_t rare_, fold_;
};

template <bool FOLD>
class Any {
 public:
  explicit Any(const MatcherPlan& plan) : plan_(plan), shortest_(plan.shortest()) {}

  Place find(const uint8_t* at, const uint8_t* end) const {
    for (; static_cast<size_t>(end - at) >= shortest_; at++) {
      const uint8_t buckets = plan_.low[0][*at & 15] & plan_.high[0][*at >> 4];
      const size_t size = buckets == 0 ? 0 : sizeAt<FOLD>(plan_, at, end, buckets);
      if (size != 0) return {at, size};
    }
    return {nullptr, 0};
  }

 private:
  const MatcherPlan& plan_;
  const size_t shortest_;
};

template <typename Search>
Place find(const MatcherPlan& plan, const uint8_t* at, const uint8_t* end) {
  return Search(plan).find(at, end);
}
#undef TARGET
}  // namespace portable

#if defined(__x86_64__)

namespace ssse3 {
namespace narrow = portable;
#define TARGET __attribute__((target("ssse3")))
using Vec = __m128i;
constexpr size_t WIDTH = 16;
constexpr int BIT_STRIDE = 1;
constexpr uint64_t ALL_BITS = 0xffff;
TARGET inline Vec load(const uint8_t* at) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}
TARGET inline void store(uint8_t* at, Vec a) { _mm_storeu_si128(reinterpret_cast<Vec*>(at), a); }
TARGET inline Vec splat(uint8_t byte) { return _mm_set1_epi8(static_cast<char>(byte)); }
TARGET inline Vec bitAnd(Vec a, Vec b) { return _mm_and_si128(a, b); }
TARGET inline Vec bitOr(Vec a, Vec b) { return _mm_or_si128(a, b); }
TARGET inline Vec bitsEqual(Vec a, Vec b) { return _mm_cmpeq_epi8(a, b); }
TARGET inline Vec lowHalf(Vec a) { return bitAnd(a, splat(15)); }
TARGET inline Vec highHalf(Vec a) { return lowHalf(_mm_srli_epi16(a, 4)); }
TARGET inline Vec loadTable(const Table& table) { return load(table.data()); }
TARGET inline Vec shuffle(Vec table, Vec i) { return _mm_shuffle_epi8(table, i); }
TARGET inline uint64_t bits(Vec a) { return static_cast<uint32_t>(_mm_movemask_epi8(a)); }
#include "matcher-kernel.h"
#undef TARGET
}  // namespace ssse3

namespace avx2 {
namespace narrow = ssse3;
#define TARGET __attribute__((target("avx2,bmi")))
using Vec = __m256i;
constexpr size_t WIDTH = 32;
constexpr int BIT_STRIDE = 1;
constexpr uint64_t ALL_BITS = 0xffffffff;
TARGET inline Vec load(const uint8_t* at) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}
TARGET inline void store(uint8_t* at, Vec a) {
  _mm256_storeu_si256(reinterpret_cast<Vec*>(at), a);
}
TARGET inline Vec splat(uint8_t byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
TARGET inline Vec bitAnd(Vec a, Vec b) { return _mm256_and_si256(a, b); }
TARGET inline Vec bitOr(Vec a, Vec b) { return _mm256_or_si256(a, b); }
TARGET inline Vec bitsEqual(Vec a, Vec b) { return _mm256_cmpeq_epi8(a, b); }
TARGET inline Vec lowHalf(Vec a) { return bitAnd(a, splat(15)); }
TARGET inline Vec highHalf(Vec a) { return lowHalf(_mm256_srli_epi16(a, 4)); }
TARGET inline Vec loadTable(const Table& table) {
  return _mm256_broadcastsi128_si256(ssse3::loadTable(table));
}
TARGET inline Vec shuffle(Vec table, Vec i) { return _mm256_shuffle_epi8(table, i); }
TARGET inline uint64_t bits(Vec a) { return static_cast<uint32_t>(_mm256_movemask_epi8(a)); }
#include "matcher-kernel.h"
#undef TARGET
}  // namespace avx2

#elif defined(__aarch64__)

namespace neon {
namespace narrow = portable;
#define TARGET
using Vec = uint8x16_t;
constexpr size_t WIDTH = 16;
// NEON has no movemask. A narrowing shift keeps four bits of each byte; one of them stays.
constexpr int BIT_STRIDE = 4;
constexpr uint64_t ALL_BITS = 0x8888888888888888;
TARGET inline Vec load(const uint8_t* at) { return vld1q_u8(at); }
TARGET inline void store(uint8_t* at, Vec a) { vst1q_u8(at, a); }
TARGET inline Vec splat(uint8_t byte) { return vdupq_n_u8(byte); }
TARGET inline Vec bitAnd(Vec a, Vec b) { return vandq_u8(a, b); }
TARGET inline Vec bitOr(Vec a, Vec b) { return vorrq_u8(a, b); }
TARGET inline Vec bitsEqual(Vec a, Vec b) { return vceqq_u8(a, b); }
TARGET inline Vec lowHalf(Vec a) { return vandq_u8(a, vdupq_n_u8(15)); }
TARGET inline Vec highHalf(Vec a) { return vshrq_n_u8(a, 4); }
TARGET inline Vec loadTable(const Table& table) { return load(table.data()); }
TARGET inline Vec shuffle(Vec table, Vec i) { return vqtbl1q_u8(table, i); }
TARGET inline uint64_t bits(Vec a) {
  const uint8x8_t halves = vshrn_n_u16(vreinterpretq_u16_u8(a), 4);
  return vget_lane_u64(vreinterpret_u64_u8(halves), 0) & ALL_BITS;
}
#include "matcher-kernel.h"
#undef TARGET
}  // namespace neon

#endif

using Find = decltype(MatcherPlan::find);

struct Kernel {
  std::string_view name;
  bool (*isHere)();
  Find finds[2][2];  // [several][fold]
};

#define FINDS(isa)                                          \
  {{isa::find<isa::One<false>>, isa::find<isa::One<true>>}, \
   {isa::find<isa::Any<false>>, isa::find<isa::Any<true>>}}

#if defined(__x86_64__)
// Asked of the processor itself: __builtin_cpu_supports is always 0 with Zig's run-time library,
// which the released add-on is built with. Bits as in Intel's manual, volume 2, CPUID.
bool hasSsse3() {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSSE3) != 0;
}
bool hasAvx2() {
  unsigned a, b, c, d;
  constexpr unsigned saved = bit_OSXSAVE | bit_AVX;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & saved) != saved) return false;
  // Does the kernel keep the wide registers, both halves, when it changes threads?
  unsigned kept, high;
  __asm__("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
  if ((kept & 6) != 6) return false;
  constexpr unsigned wanted = bit_AVX2 | bit_BMI;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & wanted) == wanted;
}
#endif

// The fastest first.
const Kernel KERNELS[] = {
#if defined(__x86_64__)
    {"avx2", hasAvx2, FINDS(avx2)},
    {"ssse3", hasSsse3, FINDS(ssse3)},
#elif defined(__aarch64__)
    {"neon", [] { return true; }, FINDS(neon)},
#endif
    {"portable", [] { return true; }, FINDS(portable)},
};

void useKernel(MatcherPlan& plan, const Kernel& kernel) {
  plan.kernel = kernel.name;
  plan.find = kernel.finds[plan.patterns.size() > 1][plan.fold];
}

Pattern patternOf(const std::string& text, bool ignoreCase) {
  Pattern pattern{{text.begin(), text.end()}, std::vector<uint8_t>(text.size(), 0)};
  if (!ignoreCase) return pattern;
  for (size_t i = 0; i < text.size(); i++) {
    const uint8_t lower = pattern.bytes[i] | 0x20;
    if (lower < 'a' || lower > 'z') continue;
    pattern.bytes[i] = lower;
    pattern.fold[i] = 0x20;
  }
  return pattern;
}

// How often the byte comes in logs, as matcher-ranks.h has it; a folded letter in both its cases.
int rankOf(const Pattern& pattern, size_t i) {
  const uint8_t byte = pattern.bytes[i];
  const int rank = BYTE_RANKS[byte];
  if (pattern.fold[i] == 0) return rank;
  return std::max<int>(rank, BYTE_RANKS[byte & ~0x20]);
}

// The two rarest places, of equals the ones farthest apart: neighbours tell little of one another.
void chooseRare(MatcherPlan& plan) {
  const Pattern& pattern = plan.patterns[0];
  const size_t size = pattern.bytes.size();
  // The first and the last of the rarest: one of them is an end of the widest pair.
  size_t first = 0;
  size_t last = 0;
  for (size_t i = 1; i < size; i++) {
    const int rank = rankOf(pattern, i);
    if (rank < rankOf(pattern, first)) first = i;
    if (rank <= rankOf(pattern, last)) last = i;
  }
  size_t rarest = first;
  size_t second = first;
  // The same byte twice tells less than another one that is more frequent.
  const auto cost = [&](size_t i) {
    return rankOf(pattern, i) + (pattern.bytes[i] == pattern.bytes[first] ? 256 : 0);
  };
  const auto between = [](size_t i, size_t j) { return std::max(i, j) - std::min(i, j); };
  for (size_t i = 0; i < size; i++) {
    const size_t end = between(i, first) > between(i, last) ? first : last;
    if (i == end) continue;
    const bool isWider = between(i, end) > between(rarest, second);
    if (rarest == second || cost(i) < cost(second) || (cost(i) == cost(second) && isWider)) {
      rarest = end;
      second = i;
    }
  }
  plan.rareFirst = std::min(rarest, second);
  plan.rareSecond = std::max(rarest, second);
}

// Fills the tables of the search for several patterns. Patterns that begin alike come to lie in one
// bucket or in neighbouring ones, the shorter ones first.
void fillBuckets(MatcherPlan& plan) {
  plan.fingerprint = std::min(plan.shortest(), FINGERPRINT_MAX);
  std::vector<std::pair<std::vector<uint8_t>, size_t>> heads;
  for (size_t index = 0; index < plan.patterns.size(); index++) {
    const auto& bytes = plan.patterns[index].bytes;
    const auto length = static_cast<std::ptrdiff_t>(plan.fingerprint);
    heads.push_back({{bytes.begin(), bytes.begin() + length}, index});
  }
  std::sort(heads.begin(), heads.end());
  for (size_t place = 0; place < heads.size(); place++) {
    const size_t bucket = place * BUCKETS / heads.size();
    const Pattern& pattern = plan.patterns[heads[place].second];
    plan.buckets[bucket].push_back(static_cast<uint32_t>(heads[place].second));
    const auto bit = static_cast<uint8_t>(1U << bucket);
    for (size_t i = 0; i < plan.fingerprint; i++) {
      for (const uint8_t byte : {pattern.bytes[i], uint8_t(pattern.bytes[i] & ~pattern.fold[i])}) {
        plan.low[i][byte & 15] |= bit;
        plan.high[i][byte >> 4] |= bit;
      }
    }
  }
  // Bytes that are not looked at say nothing.
  for (size_t i = plan.fingerprint; i < FINGERPRINT_MAX; i++) {
    plan.low[i].fill(0xff);
    plan.high[i].fill(0xff);
  }
}

}  // namespace

Matcher::Matcher(std::vector<std::string> patterns, bool ignoreCase, bool invertMatch) {
  auto plan = std::make_shared<MatcherPlan>();
  plan->fold = ignoreCase;
  plan->invert = invertMatch;
  for (const std::string& text : patterns) {
    if (text.empty()) throw std::invalid_argument("a pattern has no bytes");
    plan->patterns.push_back(patternOf(text, ignoreCase));
  }
  const auto before = [](const Pattern& a, const Pattern& b) {
    return a.bytes.size() != b.bytes.size() ? a.bytes.size() < b.bytes.size() : a.bytes < b.bytes;
  };
  const auto same = [](const Pattern& a, const Pattern& b) { return a.bytes == b.bytes; };
  std::sort(plan->patterns.begin(), plan->patterns.end(), before);
  plan->patterns.erase(std::unique(plan->patterns.begin(), plan->patterns.end(), same),
                       plan->patterns.end());
  if (plan->patterns.size() == 1) chooseRare(*plan);
  if (plan->patterns.size() > 1) fillBuckets(*plan);
  for (const Kernel& kernel : KERNELS) {
    if (plan->find == nullptr && kernel.isHere()) useKernel(*plan, kernel);
  }
  plan_ = std::move(plan);
}

Matcher::Matcher(std::shared_ptr<const MatcherPlan> plan) : plan_(std::move(plan)) {}

Place Matcher::find(const uint8_t* at, const uint8_t* end) const {
  return plan_->find(*plan_, at, end);
}

bool Matcher::isInverted() const { return plan_->invert; }

bool Matcher::hasPatterns() const { return !plan_->patterns.empty(); }

std::string_view Matcher::kernel() const { return plan_->kernel; }

Matcher Matcher::withKernel(std::string_view name) const {
  for (const Kernel& kernel : KERNELS) {
    if (kernel.name != name || !kernel.isHere()) continue;
    auto plan = std::make_shared<MatcherPlan>(*plan_);
    useKernel(*plan, kernel);
    return Matcher(std::move(plan));
  }
  throw std::invalid_argument("this machine has no kernel " + std::string(name));
}

}  // namespace logpipe
