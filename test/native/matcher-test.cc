// Tests of the matcher and of sets of literals: against a search written as plainly as can be, on
// bytes made by chance.
//
//   matcher-test [SEED] [ROUNDS]      bash test/native/matcher.sh builds and runs it
//
// Each round searches stretches of a memory whose last byte lies right before a page that nobody
// may read, and whose first lies right behind one: a kernel that reads too far crashes, and
// AddressSanitizer forbids what is beside the stretch. Small alphabets make near misses and
// overlaps frequent.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../../src/bridge/native/literal-set.h"
#include "../../src/bridge/native/matcher.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) static_cast<void>(at)
#define ASAN_UNPOISON_MEMORY_REGION(at, size) static_cast<void>(at)
#endif

namespace {

using logpipe::Literal;
using logpipe::LiteralSet;
using logpipe::Matcher;
using logpipe::Place;
using Random = std::mt19937_64;

const char* const KERNELS[] = {"avx2", "sse2", "neon", "portable"};

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

struct Stretch {
  const uint8_t* begin;
  const uint8_t* end;
};

bool isAt(const Stretch& stretch, const uint8_t* at, const std::string& pattern, bool ignoreCase) {
  if (static_cast<size_t>(stretch.end - at) < pattern.size()) return false;
  for (size_t i = 0; i < pattern.size(); i++) {
    const auto wanted = static_cast<uint8_t>(pattern[i]);
    if (ignoreCase ? lower(at[i]) != lower(wanted) : at[i] != wanted) return false;
  }
  return true;
}

Place plainly(const Stretch& stretch, const std::vector<std::string>& patterns, bool ignoreCase) {
  for (const uint8_t* at = stretch.begin; at < stretch.end; at++) {
    Place place{nullptr, SIZE_MAX};
    for (const auto& pattern : patterns) {
      if (!isAt(stretch, at, pattern, ignoreCase)) continue;
      place = Place{at, std::min(place.size, pattern.size())};
    }
    if (place.at != nullptr) return place;
  }
  return {nullptr, 0};
}

bool isSame(const Place& a, const Place& b) {
  return a.at == b.at && (a.at == nullptr || a.size == b.size);
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

std::vector<std::string> anyPatterns(Random& random, const Alphabet& alphabet) {
  std::vector<std::string> patterns(1 + below(random, below(random, 3) == 0 ? 20 : 2));
  for (auto& pattern : patterns) {
    const size_t size = 1 + below(random, below(random, 4) == 0 ? 70 : 6);
    while (pattern.size() < size) pattern += alphabet.pick(random);
  }
  return patterns;
}

void fillWith(Random& random, Fenced& memory, const Alphabet& alphabet,
              const std::vector<std::string>& patterns) {
  for (uint8_t* byte = memory.begin(); byte < memory.end(); byte++) {
    *byte = static_cast<uint8_t>(alphabet.pick(random));
  }
  for (size_t i = below(random, 6); i > 0; i--) {
    const auto& pattern = patterns[below(random, patterns.size())];
    uint8_t* place = memory.begin() + below(random, memory.size());
    const auto room = static_cast<size_t>(memory.end() - place);
    std::copy_n(pattern.begin(), std::min(pattern.size(), room), place);
  }
}

// Often right at an end of the memory.
Stretch anyStretch(Random& random, Fenced& memory) {
  const size_t size = below(random, below(random, 2) == 0 ? 200 : memory.size() + 1);
  const size_t from = below(random, memory.size() - size + 1);
  switch (below(random, 4)) {
    case 0: return {memory.begin(), memory.begin() + size};
    case 1: return {memory.end() - size, memory.end()};
    default: return {memory.begin() + from, memory.begin() + from + size};
  }
}

using Places = std::set<std::pair<uint32_t, size_t>>;

Places allPlainly(const Stretch& stretch, const std::vector<Literal>& literals) {
  Places places;
  for (uint32_t id = 0; id < literals.size(); id++) {
    for (const uint8_t* at = stretch.begin; at < stretch.end; at++) {
      if (!isAt(stretch, at, literals[id].bytes, literals[id].ignoreCase)) continue;
      places.emplace(id, static_cast<size_t>(at - stretch.begin));
    }
  }
  return places;
}

// All places of all of them, and whether there is one; and that it stops when it is told to.
void expectPlaces(const LiteralSet& set, const Stretch& stretch, const Places& wanted,
                  const std::string& how) {
  const auto size = static_cast<size_t>(stretch.end - stretch.begin);
  Places found;
  set.scan(
      stretch.begin, size,
      [](void* places, uint32_t id, size_t at) {
        static_cast<Places*>(places)->emplace(id, at);
        return true;
      },
      &found);
  if (found != wanted) {
    fail(how + ": " + std::to_string(found.size()) + " places instead of " +
         std::to_string(wanted.size()) + " in " + std::to_string(size) + " bytes");
  }
  expect(set.holds(stretch.begin, size) != wanted.empty(), "holds one");
  size_t calls = 0;
  set.scan(
      stretch.begin, size, [](void* count, uint32_t, size_t) { return ++*static_cast<size_t*>(count) < 3; },
      &calls);
  expect(calls <= 3, "a search goes on that was to stop");
}

void expectSet(const Stretch& stretch, const std::vector<Literal>& literals) {
  const Places wanted = allPlainly(stretch, literals);
  expectPlaces(LiteralSet(literals), stretch, wanted, "as it chooses");
  for (const char* kernel : {"avx2", "neon", "portable"}) {
    try {
      const LiteralSet set(literals, kernel);
      expectPlaces(set, stretch, wanted, kernel);
    } catch (const std::invalid_argument&) {
      continue;  // Not on this machine.
    }
  }
}

// Thousands of literals, each in both cases or in its own.
void manyLiterals(Random& random) {
  const size_t count = 1000 + below(random, 4001);
  std::vector<std::string> texts;
  std::vector<Literal> literals;
  const size_t shortest = 1 + below(random, 6);
  const size_t range = 1 + below(random, 256);
  while (literals.size() < count) {
    Literal one{"", below(random, 2) == 0};
    for (size_t left = shortest + below(random, 12); left > 0; left--) {
      one.bytes += static_cast<char>('!' + below(random, range));
    }
    texts.push_back(one.bytes);
    literals.push_back(std::move(one));
  }
  Alphabet alphabet(random);
  Fenced memory(9000);
  fillWith(random, memory, alphabet, texts);
  for (int i = 0; i < 200; i++) {
    const std::string& text = texts[below(random, count)];
    std::copy(text.begin(), text.end(), memory.begin() + below(random, memory.size() - text.size()));
  }
  expectSet({memory.begin(), memory.end()}, literals);
}

// Of what is found in a set: what lies at both ends, overlaps, is there twice, and has one byte.
void setExamples() {
  const std::string text = "abcXabc" + std::string(9000, '-') + "bcdE\xff\xfe" + "ab";
  for (const bool ignoreCase : {false, true}) {
    std::vector<Literal> literals;
    for (const char* bytes : {"abcx", "bcX", "abc", "abc", "a", "e\xff", "\xff\xfe", "ab", "--z"}) {
      literals.push_back({bytes, ignoreCase});
    }
    const auto* begin = reinterpret_cast<const uint8_t*>(text.data());
    const Stretch stretch{begin, begin + text.size()};
    expectSet(stretch, literals);
    expect(allPlainly(stretch, literals).size() == (ignoreCase ? 14U : 12U), "the plain search");
    expect(!LiteralSet(literals).holds(nullptr, 0), "nothing holds nothing");
  }
  for (const std::vector<Literal>& none : {std::vector<Literal>{}, {{"a", false}, {"", false}}}) {
    try {
      const LiteralSet set(none);
      fail("an empty literal was accepted");
    } catch (const std::invalid_argument&) {
    }
  }
}

void oneRound(Random& random) {
  const Alphabet alphabet(random);
  const auto patterns = anyPatterns(random, alphabet);
  Fenced memory(below(random, 12000));
  fillWith(random, memory, alphabet, patterns);
  const Stretch stretch = anyStretch(random, memory);
  ASAN_POISON_MEMORY_REGION(memory.begin(), memory.size());
  ASAN_UNPOISON_MEMORY_REGION(stretch.begin, static_cast<size_t>(stretch.end - stretch.begin));
  std::vector<Literal> literals;
  for (const auto& pattern : patterns) literals.push_back({pattern, below(random, 2) == 0});
  expectSet(stretch, literals);
  if (patterns.size() > Matcher::FEW_MAX) {
    ASAN_UNPOISON_MEMORY_REGION(memory.begin(), memory.size());
    return;
  }
  const bool ignoreCase = below(random, 2) == 0;
  const Matcher matcher(patterns, ignoreCase);
  const Place wanted = plainly(stretch, patterns, ignoreCase);
  for (const char* kernel : KERNELS) {
    try {
      const Matcher same = matcher.withKernel(kernel);
      if (isSame(same.find(stretch.begin, stretch.end), wanted)) continue;
      fail(std::string(kernel) + ": " + std::to_string(patterns.size()) + " patterns, " +
           std::to_string(stretch.end - stretch.begin) + " bytes");
    } catch (const std::invalid_argument&) {
      continue;  // Not on this machine.
    }
  }
  ASAN_UNPOISON_MEMORY_REGION(memory.begin(), memory.size());
}

// Where the patterns are found first in the text; -1: nowhere.
std::ptrdiff_t firstIn(const std::string& text, const Matcher& matcher) {
  const auto* begin = reinterpret_cast<const uint8_t*>(text.data());
  const Place place = matcher.find(begin, begin + text.size());
  return place.at == nullptr ? -1 : place.at - begin;
}

void examples() {
  const std::string text = "xxERRxORxxERROR";
  expect(firstIn(text, Matcher({"ERROR"}, false)) == 10, "found at the end");
  expect(firstIn(text, Matcher({"error"}, true)) == 10, "case folded");
  expect(firstIn(text, Matcher({"error"}, false)) == -1, "case kept");
  expect(firstIn(text, Matcher({"ERROR", "OR"}, false)) == 6, "the first of two");
  expect(firstIn("", Matcher({"ERROR"}, false)) == -1, "no bytes");
  // Of a pattern the first and the last four bytes are compared first; the rest counts as well.
  for (const std::string whole : {"abc", "abcd", "abcdefg", "abcdefgh", "abcdefghi", "abcdefghijklmnop"}) {
    for (size_t place = 0; place < whole.size(); place++) {
      std::string other = whole;
      other[place] = 'X';
      const std::string around(40, '-');
      expect(firstIn(around + other + around, Matcher({whole}, false)) == -1, "one byte off");
      expect(firstIn(around + other + whole + around, Matcher({whole}, false)) ==
                 static_cast<std::ptrdiff_t>(around.size() + whole.size()),
             "behind one that is a byte off");
    }
  }
  // A kernel that folded more than letters would find these.
  const std::string odd = "[\\]^@ {|}~`";
  expect(firstIn(odd, Matcher({"{|}~"}, true)) == 6, "found as it is");
  expect(firstIn(odd.substr(6), Matcher({"[\\]^"}, true)) == -1, "only letters");
  try {
    Matcher({"a", ""}, false);
    fail("an empty pattern was accepted");
  } catch (const std::invalid_argument&) {
  }
}

// A matcher is shared by threads: ThreadSanitizer or a wrong result would show a hidden state.
void shared() {
  Random random(7);
  const std::vector<std::string> patterns = {"abbab", "aaaabb"};
  Fenced memory(8000);
  fillWith(random, memory, Alphabet(random), patterns);
  const Matcher matcher(patterns, false);
  const Place wanted = plainly({memory.begin(), memory.end()}, patterns, false);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 200; turn++) {
        if (!isSame(matcher.find(memory.begin(), memory.end()), wanted)) {
          fail("threads disturb each other");
        }
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
  setExamples();
  shared();
  for (uint64_t round = 0; round < rounds; round++) {
    Random random(seed * 1000003 + round);
    try {
      oneRound(random);
      if (round % 512 == 0) manyLiterals(random);
    } catch (const std::exception& error) {
      fail(error.what());
    }
    if (std::getenv("MATCHER_TEST_TRACE") != nullptr) std::fprintf(stderr, "round %zu\n", round);
  }
  const std::string kernel(Matcher({"a"}, false).kernel());
  std::printf("matcher: %zu rounds from seed %zu, kernel %s: ok\n", static_cast<size_t>(rounds),
              static_cast<size_t>(seed), kernel.c_str());
}
