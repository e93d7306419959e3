// The matcher: makes the plan for a set of patterns, and chooses the kernel for this processor.
#include "matcher.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "matcher-plan.h"
#include "matcher-ranks.h"
#include "processor.h"

#if defined(__x86_64__)
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

// The size of the shortest pattern at `at`, or 0.
template <bool FOLD>
size_t sizeAt(const MatcherPlan& plan, const uint8_t* at, const uint8_t* end) {
  const size_t left = static_cast<size_t>(end - at);
  for (const uint32_t index : plan.byFirst[*at]) {
    const Pattern& pattern = plan.patterns[index];
    if (pattern.bytes.size() > left) return 0;
    if (isAt<FOLD>(pattern, at)) return pattern.bytes.size();
  }
  return 0;
}

template <bool FOLD, int BIT_STRIDE>
Place confirmAny(const MatcherPlan& plan, const uint8_t* at, const uint8_t* end, uint64_t mask) {
  for (; mask != 0; mask &= mask - 1) {
    const uint8_t* place = at + std::countr_zero(mask) / BIT_STRIDE;
    const size_t size = sizeAt<FOLD>(plan, place, end);
    if (size != 0) return {place, size};
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
        rareAt_(pattern_.rareFirst),
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

template <bool FOLD, size_t COUNT>
class Few {
 public:
  explicit Few(const MatcherPlan& plan) : plan_(plan) {}

  Place find(const uint8_t* at, const uint8_t* end) const {
    for (; at < end; at++) {
      if (!plan_.isFirst[*at]) continue;
      const size_t size = sizeAt<FOLD>(plan_, at, end);
      if (size != 0) return {at, size};
    }
    return {nullptr, 0};
  }

 private:
  const MatcherPlan& plan_;
};

template <bool FOLD>
using Lone = Few<FOLD, 2>;

template <typename Search>
Place find(const MatcherPlan& plan, const uint8_t* at, const uint8_t* end) {
  return Search(plan).find(at, end);
}
#undef TARGET
}  // namespace portable

#if defined(__x86_64__)

namespace sse2 {
namespace narrow = portable;
#define TARGET
using Vec = __m128i;
constexpr size_t WIDTH = 16;
constexpr int BIT_STRIDE = 1;
TARGET inline Vec load(const uint8_t* at) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}
TARGET inline Vec splat(uint8_t byte) { return _mm_set1_epi8(static_cast<char>(byte)); }
TARGET inline Vec bitAnd(Vec a, Vec b) { return _mm_and_si128(a, b); }
TARGET inline Vec bitOr(Vec a, Vec b) { return _mm_or_si128(a, b); }
TARGET inline Vec bitsEqual(Vec a, Vec b) { return _mm_cmpeq_epi8(a, b); }
TARGET inline uint64_t bits(Vec a) { return static_cast<uint32_t>(_mm_movemask_epi8(a)); }
#include "matcher-kernel.h"
#undef TARGET
}  // namespace sse2

namespace avx2 {
namespace narrow = sse2;
#define TARGET __attribute__((target("avx2,bmi")))
using Vec = __m256i;
constexpr size_t WIDTH = 32;
constexpr int BIT_STRIDE = 1;
TARGET inline Vec load(const uint8_t* at) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}
TARGET inline Vec splat(uint8_t byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
TARGET inline Vec bitAnd(Vec a, Vec b) { return _mm256_and_si256(a, b); }
TARGET inline Vec bitOr(Vec a, Vec b) { return _mm256_or_si256(a, b); }
TARGET inline Vec bitsEqual(Vec a, Vec b) { return _mm256_cmpeq_epi8(a, b); }
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
TARGET inline Vec load(const uint8_t* at) { return vld1q_u8(at); }
TARGET inline Vec splat(uint8_t byte) { return vdupq_n_u8(byte); }
TARGET inline Vec bitAnd(Vec a, Vec b) { return vandq_u8(a, b); }
TARGET inline Vec bitOr(Vec a, Vec b) { return vorrq_u8(a, b); }
TARGET inline Vec bitsEqual(Vec a, Vec b) { return vceqq_u8(a, b); }
TARGET inline uint64_t bits(Vec a) {
  const uint8x8_t halves = vshrn_n_u16(vreinterpretq_u16_u8(a), 4);
  return vget_lane_u64(vreinterpret_u64_u8(halves), 0) & 0x8888888888888888;
}
#include "matcher-kernel.h"
#undef TARGET
}  // namespace neon

#endif

using Find = decltype(MatcherPlan::find);

struct Kernel {
  std::string_view name;
  bool (*isHere)();
  Find finds[3][2];  // One, two, two of which one is lone; and whether they fold.
};

#define FINDS(isa)                                                \
  {{isa::find<isa::One<false>>, isa::find<isa::One<true>>},       \
   {isa::find<isa::Few<false, 2>>, isa::find<isa::Few<true, 2>>}, \
   {isa::find<isa::Lone<false>>, isa::find<isa::Lone<true>>}}

#if defined(__x86_64__)
bool hasAvx2() { return hasAvx2And(bit_BMI); }
#endif

// The fastest first.
const Kernel KERNELS[] = {
#if defined(__x86_64__)
    {"avx2", hasAvx2, FINDS(avx2)},
    {"sse2", [] { return true; }, FINDS(sse2)},
#elif defined(__aarch64__)
    {"neon", [] { return true; }, FINDS(neon)},
#endif
    {"portable", [] { return true; }, FINDS(portable)},
};

void useKernel(MatcherPlan& plan, const Kernel& kernel) {
  plan.kernel = kernel.name;
  plan.find = kernel.finds[plan.hasLone ? 2 : plan.patterns.size() - 1][plan.fold];
}

// How often the byte comes in logs, as matcher-ranks.h has it; a folded letter in both its cases.
int rankOf(const Pattern& pattern, size_t i) {
  const uint8_t byte = pattern.bytes[i];
  const int rank = BYTE_RANKS[byte];
  if (pattern.fold[i] == 0) return rank;
  return std::max<int>(rank, BYTE_RANKS[byte & ~0x20]);
}

// The two rarest places, of equals the ones farthest apart: neighbours tell little of one another.
void chooseRare(Pattern& pattern) {
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
  pattern.rareFirst = std::min(rarest, second);
  pattern.rareSecond = std::max(rarest, second);
}

// Where one has a byte that is rarer than all, the other looks at its own byte there too.
void chooseLone(MatcherPlan& plan) {
  for (size_t lone = 0; lone < plan.patterns.size() && plan.patterns.size() == 2; lone++) {
    const Pattern& pattern = plan.patterns[lone];
    Pattern& other = plan.patterns[1 - lone];
    for (size_t at = 0; at < std::min(pattern.bytes.size(), other.bytes.size()); at++) {
      if (rankOf(pattern, at) > 0 || other.bytes.size() < 2) continue;
      // The one farther away tells more.
      const size_t first = other.rareFirst;
      const size_t second = other.rareSecond;
      const size_t beside = at > first && at - first > std::max(second, at) - at ? first : second;
      other.rareFirst = std::min(at, beside);
      other.rareSecond = std::max(at, beside);
      plan.hasLone = true;
      plan.lone = lone;
      plan.loneAt = at;
      return;
    }
  }
}

}  // namespace

Matcher::Matcher(std::vector<std::string> patterns, bool ignoreCase) {
  if (patterns.empty()) throw std::invalid_argument("there is no pattern");
  if (patterns.size() > FEW_MAX) throw std::invalid_argument("there are too many patterns");
  auto plan = std::make_shared<MatcherPlan>();
  plan->fold = ignoreCase;
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
  for (Pattern& pattern : plan->patterns) chooseRare(pattern);
  chooseLone(*plan);
  for (uint32_t index = 0; index < plan->patterns.size(); index++) {
    const Pattern& pattern = plan->patterns[index];
    plan->reach = std::max(plan->reach, pattern.rareSecond + 1);
    const uint8_t first = pattern.bytes[0];
    plan->byFirst[first].push_back(index);
    if (pattern.fold[0] != 0) plan->byFirst[first & ~0x20].push_back(index);
    plan->isFirst[first] = plan->isFirst[first & ~pattern.fold[0]] = true;
  }
  for (const Kernel& kernel : KERNELS) {
    if (plan->find == nullptr && kernel.isHere()) useKernel(*plan, kernel);
  }
  plan_ = std::move(plan);
}

Matcher::Matcher(std::shared_ptr<const MatcherPlan> plan) : plan_(std::move(plan)) {}

Place Matcher::find(const uint8_t* at, const uint8_t* end) const {
  return plan_->find(*plan_, at, end);
}

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
