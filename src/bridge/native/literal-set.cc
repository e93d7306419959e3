// Sets of literals: see literal-set.h.
#include "literal-set.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "byte-classes.h"
#include "matcher-plan.h"

namespace logpipe {
namespace {

constexpr size_t STEP = ByteClasses::STEP;
// Places looked at before those that pass are compared: their numbers stay in the nearest cache,
// and no more than this is searched twice when Vectorscan goes on.
constexpr size_t CHUNK = 64 * STEP;
// Comparisons for so many bytes are as dear as Vectorscan is (bench/native/filter-bench.cc).
constexpr size_t WORK_MAX = CHUNK / 24;
// Where a log's bytes, taken one by one, let more pass, the bytes of real logs, which come in
// words, let through so much that the first look is in vain.
constexpr double PASSING_MAX = 0.005;
// Of places that pass in a log, as compared to bytes that come by chance.
constexpr double ALIKE = 30;
// What the first look costs in cycles a byte, by the positions it looks at, and a comparison.
constexpr double LOOKED[] = {0.1, 0.15, 0.2, 0.28};
constexpr double COMPARED = 24;

std::vector<Pattern> patternsOf(const std::vector<Literal>& literals) {
  if (literals.empty()) throw std::invalid_argument("there is no literal");
  std::vector<Pattern> patterns;
  for (const Literal& one : literals) {
    if (one.bytes.empty()) throw std::invalid_argument("a literal has no bytes");
    patterns.push_back(patternOf(one.bytes, one.ignoreCase));
  }
  return patterns;
}

size_t shortestOf(const std::vector<Pattern>& patterns) {
  size_t least = SIZE_MAX;
  for (const Pattern& one : patterns) least = std::min(least, one.bytes.size());
  return least;
}

// The one with the positions that cost least.
std::unique_ptr<ByteClasses> bestClasses(const std::vector<Pattern>& patterns, size_t window) {
  std::unique_ptr<ByteClasses> best;
  double least = 0;
  for (size_t positions = std::min<size_t>(window, 2); positions <= window; positions++) {
    auto made = std::make_unique<ByteClasses>(patterns, positions, window);
    const double passing = std::min(1.0, ALIKE * made->passing());
    const double costs = LOOKED[positions - 1] + COMPARED * passing;
    if (best != nullptr && costs >= least) continue;
    least = costs;
    best = std::move(made);
  }
  return best;
}

}  // namespace

// The first look, and the table behind it: by the window's bytes, whose it is.
class LiteralSet::Classes {
 public:
  Classes(const std::vector<Pattern>& patterns, std::unique_ptr<ByteClasses> classes,
          size_t window)
      : patterns_(patterns),
        first_(std::move(classes)),
        window_(window),
        mask_(~uint32_t{0} >> (8 * (sizeof(uint32_t) - window))) {
    const bool isFolded = std::any_of(patterns.begin(), patterns.end(), [](const Pattern& one) {
      return std::any_of(one.fold.begin(), one.fold.end(), [](uint8_t fold) { return fold != 0; });
    });
    if (isFolded) spaces_ = 0x20202020 & mask_;
    // One head in four is taken.
    const auto bits = std::max(8, static_cast<int>(std::bit_width(patterns.size() * 4)));
    shift_ = 32 - bits;
    heads_.assign(size_t{1} << bits, 0);
    for (uint32_t id = 0; id < patterns.size(); id++) {
      const uint32_t offset = first_->offsets()[id];
      entries_.push_back(Entry{keyAt(&patterns[id].bytes[offset], window), id, offset, false});
    }
    std::sort(entries_.begin(), entries_.end(), [this](const Entry& a, const Entry& b) {
      return std::tuple(headOf(a.key), a.id) < std::tuple(headOf(b.key), b.id);
    });
    for (size_t index = entries_.size(); index > 0; index--) {
      uint32_t& head = heads_[headOf(entries_[index - 1].key)];
      entries_[index - 1].isLast = head == 0;
      head = static_cast<uint32_t>(index);
    }
  }

  bool useKernel(std::string_view name) { return first_->useKernel(name); }
  std::string_view kernel() const { return first_->kernel(); }

  // Until it is told to stop, or, where `mayTire`, the comparisons are too many. Tells how far it
  // came: all windows that begin before have been seen.
  size_t scan(const uint8_t* begin, size_t size, bool mayTire, Take take, void* context) const {
    if (size < window_) return size;
    uint32_t passing[CHUNK + ByteClasses::POSITIONS_MAX];
    const size_t places = size - window_ + 1;
    size_t at = 0;
    while (places - at >= STEP + ByteClasses::POSITIONS_MAX) {
      const size_t left = places - at - ByteClasses::POSITIONS_MAX;
      const size_t count = std::min(CHUNK, left / STEP * STEP);
      const size_t found = first_->find(begin + at, count, passing);
      size_t work = 0;
      if (!compare(begin, size, at, passing, found, work, take, context)) return size;
      at += count;
      if (mayTire && work > WORK_MAX) return at;
    }
    // The rest is less than two steps, and looked at where one may read on.
    uint8_t rest[2 * STEP + ByteClasses::POSITIONS_MAX] = {};
    std::memcpy(rest, begin + at, size - at);
    size_t found = first_->find(rest, (places - at + STEP - 1) / STEP * STEP, passing);
    while (found > 0 && passing[found - 1] >= places - at) found--;
    size_t work = 0;
    compare(begin, size, at, passing, found, work, take, context);
    return size;
  }

 private:
  struct Entry {
    uint32_t key;
    uint32_t id;
    uint32_t offset;
    bool isLast;  // Of those with the same head.
  };

  // What folds is made alike, and some other bytes with it. `left` bytes may be read.
  uint32_t keyAt(const uint8_t* at, size_t left) const {
    uint32_t bytes = 0;
    if (left >= sizeof bytes) {
      bytes = four(at);
    } else {
      std::memcpy(&bytes, at, window_);
    }
    return (bytes | spaces_) & mask_;
  }
  // Knuth's multiplicative hash.
  size_t headOf(uint32_t key) const { return key * 2654435769U >> shift_; }

  // False: it was told to stop.
  bool compare(const uint8_t* begin, size_t size, size_t from, const uint32_t* passing,
               size_t count, size_t& work, Take take, void* context) const {
    work = count;
    for (size_t index = 0; index < count; index++) {
      const size_t at = from + passing[index];
      const uint32_t key = keyAt(begin + at, size - at);
      const uint32_t head = heads_[headOf(key)];
      if (head == 0) continue;
      for (const Entry* entry = &entries_[head - 1];; entry++) {
        work++;
        if (entry->key == key && isThere(*entry, begin, size, at) &&
            !take(context, entry->id, at - entry->offset)) {
          return false;
        }
        if (entry->isLast) break;
      }
    }
    return true;
  }

  bool isThere(const Entry& entry, const uint8_t* begin, size_t size, size_t at) const {
    const Pattern& pattern = patterns_[entry.id];
    if (at < entry.offset || size - at + entry.offset < pattern.bytes.size()) return false;
    const uint8_t* const place = begin + (at - entry.offset);
    return spaces_ == 0 ? isAt<false>(pattern, place) : isAt<true>(pattern, place);
  }

  const std::vector<Pattern>& patterns_;
  std::unique_ptr<ByteClasses> first_;
  size_t window_;
  uint32_t mask_;
  uint32_t spaces_ = 0;
  int shift_ = 0;
  std::vector<uint32_t> heads_;  // 1 more than the number of the first entry; 0: none.
  std::vector<Entry> entries_;
};

LiteralSet::LiteralSet(const std::vector<Literal>& literals) : patterns_(patternsOf(literals)) {
  for (const Pattern& one : patterns_) longest_ = std::max(longest_, one.bytes.size());
  const bool foldsAlike = literals.front().ignoreCase == literals.back().ignoreCase;
  if (literals.size() <= Matcher::FEW_MAX && foldsAlike) {
    std::vector<std::string> bytes;
    for (const Literal& one : literals) bytes.push_back(one.bytes);
    matcher_ = std::make_unique<Matcher>(std::move(bytes), literals.front().ignoreCase);
    return;
  }
  if (vectorscanFault() == nullptr) {
    std::vector<Expression> expressions;
    for (const Literal& one : literals) expressions.push_back({one.bytes, one.ignoreCase, true});
    database_ = std::make_unique<Database>(expressions, Database::Report::EachEnd);
  }
  const size_t window = std::min(shortestOf(patterns_), ByteClasses::POSITIONS_MAX);
  auto classes = bestClasses(patterns_, window);
  if (database_ != nullptr && classes->passing() > PASSING_MAX) return;
  classes_ = std::make_unique<Classes>(patterns_, std::move(classes), window);
}

LiteralSet::LiteralSet(const std::vector<Literal>& literals, std::string_view kernel)
    : patterns_(patternsOf(literals)) {
  const size_t window = std::min(shortestOf(patterns_), ByteClasses::POSITIONS_MAX);
  classes_ = std::make_unique<Classes>(patterns_, bestClasses(patterns_, window), window);
  if (classes_->useKernel(kernel)) return;
  throw std::invalid_argument("this machine has no kernel " + std::string(kernel));
}

LiteralSet::~LiteralSet() = default;

size_t LiteralSet::sizeOf(uint32_t id) const { return patterns_[id].bytes.size(); }

void LiteralSet::scan(const uint8_t* data, size_t size, Take take, void* context) const {
  if (size == 0) return;
  if (matcher_ != nullptr) {
    const uint8_t* const end = data + size;
    for (const uint8_t* from = data;;) {
      const uint8_t* const at = matcher_->find(from, end).at;
      if (at == nullptr) return;
      for (uint32_t id = 0; id < patterns_.size(); id++) {
        const Pattern& one = patterns_[id];
        const bool hasRoom = static_cast<size_t>(end - at) >= one.bytes.size();
        if (!hasRoom || !isAt<true>(one, at)) continue;
        if (!take(context, id, static_cast<size_t>(at - data))) return;
      }
      from = at + 1;
    }
  }
  size_t seen = 0;
  if (classes_ != nullptr) {
    seen = classes_->scan(data, size, database_ != nullptr, take, context);
    if (seen == size) return;
  }
  // Whose window was not seen yet may begin before it.
  struct Rest {
    const LiteralSet& set;
    size_t from;
    Take take;
    void* context;
  } rest{*this, seen - std::min(seen, longest_), take, context};
  database_->scan(
      data + rest.from, size - rest.from,
      [](void* of, uint32_t id, size_t end) {
        const auto& rest = *static_cast<const Rest*>(of);
        return rest.take(rest.context, id, rest.from + end - rest.set.sizeOf(id));
      },
      &rest);
}

bool LiteralSet::holds(const uint8_t* data, size_t size) const {
  if (size == 0) return false;
  if (matcher_ != nullptr) return matcher_->find(data, data + size).at != nullptr;
  return findsAny(*this, data, size);
}

std::string LiteralSet::describe() const {
  if (matcher_ != nullptr) return "two rare bytes (" + std::string(matcher_->kernel()) + ")";
  if (classes_ == nullptr) return "Vectorscan " + vectorscanVersion();
  return "classes of bytes (" + std::string(classes_->kernel()) + ")";
}

}  // namespace logpipe
