// Tests of the matcher: against a search written as plainly as can be, on records made by chance.
//
//   matcher-test [SEED] [ROUNDS]      bash test/native/matcher.sh builds and runs it
//
// Each round lays records out in memory whose last byte lies right before a page that nobody may
// read, and whose first lies right behind one: a kernel that reads too far crashes. With gapMax 0,
// AddressSanitizer also forbids every gap. Small alphabets make near misses, overlaps and places
// across two records frequent.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../../src/bridge/native/matcher.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) static_cast<void>(at)
#define ASAN_UNPOISON_MEMORY_REGION(at, size) static_cast<void>(at)
#endif

namespace {

using logpipe::Matcher;
using logpipe::Span;
using Random = std::mt19937_64;

const char* const KERNELS[] = {"avx2", "ssse3", "neon", "portable"};

size_t below(Random& random, size_t limit) { return random() % limit; }

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "FAILED: %s\n", what.c_str());
  std::exit(1);
}

void expect(bool isRight, const char* what) {
  if (!isRight) fail(what);
}

// Memory between two pages that must not be touched.
class Fenced {
 public:
  explicit Fenced(size_t size) {
    page_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_ = (size / page_ + 1) * page_;
    void* all = mmap(nullptr, size_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) fail("mmap");
    all_ = static_cast<uint8_t*>(all);
    if (mprotect(begin(), size_, PROT_READ | PROT_WRITE) != 0) fail("mprotect");
  }
  Fenced(const Fenced&) = delete;
  Fenced& operator=(const Fenced&) = delete;
  ~Fenced() { munmap(all_, size_ + 2 * page_); }
  uint8_t* begin() { return all_ + page_; }
  uint8_t* end() { return begin() + size_; }
  size_t size() const { return size_; }

 private:
  uint8_t* all_;
  size_t page_;
  size_t size_;
};

uint8_t lower(uint8_t byte) { return byte >= 'A' && byte <= 'Z' ? byte + 32 : byte; }

bool holds(const Span& record, const std::string& pattern, bool ignoreCase) {
  for (size_t at = 0; at + pattern.size() <= record.size; at++) {
    size_t same = 0;
    while (same < pattern.size()) {
      const uint8_t a = record.data[at + same];
      const uint8_t b = static_cast<uint8_t>(pattern[same]);
      if (ignoreCase ? lower(a) != lower(b) : a != b) break;
      same++;
    }
    if (same == pattern.size()) return true;
  }
  return false;
}

std::vector<int32_t> plainly(const std::vector<Span>& records,
                             const std::vector<std::string>& patterns, bool ignoreCase,
                             bool invert) {
  std::vector<int32_t> hits;
  for (size_t i = 0; i < records.size(); i++) {
    bool matches = patterns.empty();
    for (const auto& pattern : patterns) {
      matches = matches || (records[i].data != nullptr && holds(records[i], pattern, ignoreCase));
    }
    if (matches != invert) hits.push_back(static_cast<int32_t>(i));
  }
  return hits;
}

std::vector<int32_t> scan(const Matcher& matcher, const std::vector<Span>& records, size_t gapMax) {
  std::vector<int32_t> hits(records.size() + 1, -7);
  const size_t count = matcher.scan(records.data(), records.size(), hits.data(), gapMax);
  expect(count <= records.size() && hits[records.size()] == -7, "more hits than records");
  hits.resize(count);
  return hits;
}

// One round's letters: sometimes two of them, sometimes every byte there is.
struct Alphabet {
  std::string letters;
  explicit Alphabet(Random& random) {
    static const std::string SOME[] = {"ab",     "aA",       "aAbB", std::string("a\0", 2),
                                       "E\xc5 ", "@`[{aAzZ"};
    const size_t which = below(random, 8);
    if (which < 6) {
      letters = SOME[which];
      return;
    }
    const int limit = which == 6 ? 128 : 256;
    for (int byte = 0; byte < limit; byte++) letters += static_cast<char>(byte);
  }
  char pick(Random& random) const { return letters[below(random, letters.size())]; }
};

size_t anySize(Random& random) {
  switch (below(random, 8)) {
    case 0: return 0;
    case 1: return below(random, 4);
    case 2: return 60 + below(random, 80);
    case 3: return below(random, 2000);
    default: return below(random, 64);
  }
}

std::vector<std::string> anyPatterns(Random& random, const Alphabet& alphabet) {
  std::vector<std::string> patterns(below(random, 3) == 0 ? below(random, 20) : below(random, 3));
  for (auto& pattern : patterns) {
    const size_t size = 1 + below(random, below(random, 4) == 0 ? 70 : 6);
    while (pattern.size() < size) pattern += alphabet.pick(random);
  }
  return patterns;
}

size_t anyGap(Random& random) {
  switch (below(random, 5)) {
    case 0: return below(random, 12);
    case 1: return below(random, 40) == 0 ? below(random, 65536) : 0;
    default: return below(random, 2) * below(random, 30);
  }
}

// Lays records out from the front, or so that the last one ends at the last byte there is.
std::vector<Span> layOut(Random& random, Fenced& memory, const Alphabet& alphabet,
                         const std::vector<std::string>& patterns) {
  std::vector<Span> records;
  uint8_t* at = memory.begin();
  for (uint8_t* byte = at; byte < memory.end(); byte++) {
    *byte = static_cast<uint8_t>(alphabet.pick(random));
  }
  const size_t wanted = below(random, 50);
  while (records.size() < wanted) {
    const size_t size = anySize(random);
    const size_t gap = anyGap(random);
    if (static_cast<size_t>(memory.end() - at) < size + gap) break;
    at += gap;
    const bool isNull = below(random, 20) == 0;
    records.push_back(isNull ? Span{nullptr, 0} : Span{at, size});
    at += size;
  }
  const size_t left = static_cast<size_t>(memory.end() - at);
  if (below(random, 2) == 0) {
    for (auto& record : records) record.data += record.data == nullptr ? 0 : left;
  }
  // Patterns where they hurt: anywhere, so also in gaps and across the ends of records.
  for (size_t i = below(random, 6); i > 0 && !patterns.empty(); i--) {
    const auto& pattern = patterns[below(random, patterns.size())];
    uint8_t* place = memory.begin() + below(random, memory.size() - pattern.size());
    if (below(random, 2) == 0 && !records.empty()) {
      const Span& record = records[below(random, records.size())];
      const uint8_t* near = record.data == nullptr ? memory.begin() : record.data;
      const std::ptrdiff_t shift = static_cast<std::ptrdiff_t>(below(random, record.size + 16)) - 8;
      const auto last = static_cast<std::ptrdiff_t>(memory.size() - 1);
      place = memory.begin() + std::clamp<std::ptrdiff_t>(near - memory.begin() + shift, 0, last);
    }
    const size_t room = static_cast<size_t>(memory.end() - place);
    std::copy_n(pattern.begin(), std::min(pattern.size(), room), place);
  }
  // Order is not promised: now and then the batch is not in the order of memory.
  if (below(random, 8) == 0) std::shuffle(records.begin(), records.end(), random);
  return records;
}

void oneRound(Random& random) {
  const Alphabet alphabet(random);
  const auto patterns = anyPatterns(random, alphabet);
  Fenced memory(below(random, 12000));
  const auto records = layOut(random, memory, alphabet, patterns);
  const bool ignoreCase = below(random, 2) == 0;
  const bool invert = below(random, 4) == 0;
  const auto wanted = plainly(records, patterns, ignoreCase, invert);
  const Matcher matcher(patterns, ignoreCase, invert);
  const auto scanWithoutGaps = [&](const Matcher& with) {
    ASAN_POISON_MEMORY_REGION(memory.begin(), memory.size());
    for (const Span& record : records) ASAN_UNPOISON_MEMORY_REGION(record.data, record.size);
    const auto hits = scan(with, records, 0);
    ASAN_UNPOISON_MEMORY_REGION(memory.begin(), memory.size());
    return hits;
  };
  for (const char* kernel : KERNELS) {
    try {
      const Matcher same = matcher.withKernel(kernel);
      for (const size_t gapMax : {size_t{0}, size_t{16}, Matcher::PAGE_GAP}) {
        if ((gapMax == 0 ? scanWithoutGaps(same) : scan(same, records, gapMax)) == wanted) continue;
        fail(std::string(kernel) + ": " + std::to_string(patterns.size()) + " patterns, " +
             std::to_string(records.size()) + " records, gapMax " + std::to_string(gapMax));
      }
    } catch (const std::invalid_argument&) {
      continue;  // Not on this machine.
    }
  }
}

Span spanOf(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

void examples() {
  const std::string text = "xxERRORxxERRxORxxERROR";
  const Span whole = spanOf(text);
  const auto part = [&](size_t from, size_t size) { return Span{whole.data + from, size}; };
  const std::vector<Span> records = {part(0, 9),  part(9, 3),   part(12, 5),
                                     part(17, 3), {nullptr, 0}, part(20, 2)};
  using Ints = std::vector<int32_t>;
  expect(scan(Matcher({"ERROR"}, false, false), records, 0) == Ints{0},
         "no hit across two records");
  expect(scan(Matcher({"ERROR"}, false, true), records, 0) == Ints({1, 2, 3, 4, 5}), "inverted");
  expect(scan(Matcher({"error"}, true, false), records, 0) == Ints{0}, "case folded");
  expect(scan(Matcher({"error"}, false, false), records, 0).empty(), "case kept");
  expect(scan(Matcher({}, false, false), records, 0) == Ints({0, 1, 2, 3, 4, 5}), "no pattern");
  expect(scan(Matcher({}, false, true), records, 0).empty(), "no pattern, inverted");
  expect(scan(Matcher({"ERRxOR", "OR", "RR"}, false, false), records, 0) == Ints({0, 1, 2, 3, 5}),
         "a long pattern across an end does not hide a short one within");
  expect(scan(Matcher({"ERROR"}, false, false), {}, 0).empty(), "no records");
  // A kernel that folded more than letters would find these.
  const std::string odd = "[\\]^@ {|}~`";
  expect(scan(Matcher({"{|}~"}, true, false), {spanOf(odd)}, 0).size() == 1, "found as it is");
  expect(scan(Matcher({"[\\]^"}, true, false), {spanOf(odd.substr(6))}, 0).empty(), "only letters");
  try {
    Matcher({"a", ""}, false, false);
    fail("an empty pattern was accepted");
  } catch (const std::invalid_argument&) {
  }
}

// A matcher is shared by threads: ThreadSanitizer or a wrong result would show a hidden state.
void shared() {
  Random random(7);
  const std::vector<std::string> patterns = {"ab", "bba", "aaaa"};
  const Alphabet alphabet(random);
  Fenced memory(8000);
  const auto records = layOut(random, memory, alphabet, patterns);
  const Matcher matcher(patterns, false, false);
  const auto wanted = plainly(records, patterns, false, false);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 200; turn++) {
        if (scan(matcher, records, Matcher::PAGE_GAP) != wanted) fail("threads disturb each other");
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
  const uint64_t rounds = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 20000;
  examples();
  shared();
  for (uint64_t round = 0; round < rounds; round++) {
    Random random(seed * 1000003 + round);
    try {
      oneRound(random);
    } catch (const std::exception& error) {
      fail(error.what());
    }
    if (std::getenv("MATCHER_TEST_TRACE") != nullptr) std::fprintf(stderr, "round %zu\n", round);
  }
  const std::string kernel(Matcher({"a"}, false, false).kernel());
  std::printf("matcher: %zu rounds from seed %zu, kernel %s: ok\n", static_cast<size_t>(rounds),
              static_cast<size_t>(seed), kernel.c_str());
}
