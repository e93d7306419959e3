// Vectorscan: see vectorscan.h.
#include "vectorscan.h"

#include <hs/hs.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdlib>
#include <iterator>
#include <new>
#include <utility>

#include "processor.h"
#include "regex-shape.h"

namespace logpipe {
namespace {

// What a thread needs to search. Vectorscan lets one scratch serve any number of databases.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { hs_free_scratch(scratch_); }

  hs_scratch_t* of(const hs_database_t* database, uint64_t serial) {
    if (std::find(known_.begin(), known_.end(), serial) != known_.end()) return scratch_;
    if (hs_alloc_scratch(database, &scratch_) != HS_SUCCESS) throw std::bad_alloc();
    if (known_.size() == KNOWN_MAX) known_.erase(known_.begin());
    known_.push_back(serial);
    return scratch_;
  }

 private:
  // Of more, the oldest is prepared again, which costs a microsecond.
  static constexpr size_t KNOWN_MAX = 64;
  hs_scratch_t* scratch_ = nullptr;
  std::vector<uint64_t> known_;
};

thread_local Scratch scratchOfThread;
std::atomic<uint64_t> lastSerial{0};

unsigned flagsOf(const Expression& expression, Database::Report report) {
  unsigned flags = expression.ignoreCase ? HS_FLAG_CASELESS : 0;
  if (report == Database::Report::Once) flags |= HS_FLAG_SINGLEMATCH;
  if (!expression.isLiteral) flags |= HS_FLAG_ALLOWEMPTY;
  return flags;
}

// Vectorscan puts the place into the sentence: "Missing close parenthesis ... at index 3."
RegexFault faultOf(const std::string& said) {
  const std::string mark = " at index ";
  const size_t found = said.rfind(mark);
  std::optional<size_t> at;
  std::string message = said;
  if (found != std::string::npos &&
      std::isdigit(static_cast<unsigned char>(said[found + mark.size()]))) {
    at = std::strtoull(said.c_str() + found + mark.size(), nullptr, 10);
    message = said.substr(0, found);
  }
  while (!message.empty() && message.back() == '.') message.pop_back();
  return RegexFault(message, at);
}

void requireBounded(const std::vector<Expression>& expressions) {
  size_t total = 0;
  for (const Expression& expression : expressions) {
    if (expression.isLiteral) continue;
    const size_t zero = expression.source.find('\0');
    if (zero != std::string::npos) throw RegexFault("a zero byte must be written as \\x00", zero);
    // (*UTF8) leaves undefined what happens on bytes that are none.
    if (expression.source.starts_with("(*")) {
      throw RegexFault("verbs such as (*UTF8) are not supported", 0);
    }
    const size_t positions = regexPositions(expression.source);
    if (positions > Database::POSITIONS_MAX) {
      throw RegexFault("with its repeats written out it has more than " +
                           std::to_string(Database::POSITIONS_MAX) + " positions",
                       std::nullopt);
    }
    total += positions;
  }
  if (total > Database::POSITIONS_TOTAL_MAX) {
    throw RegexFault("the regular expressions together have more than " +
                         std::to_string(Database::POSITIONS_TOTAL_MAX) +
                         " positions with their repeats written out",
                     std::nullopt);
  }
}

// A literal as a regular expression.
Expression escaped(const Expression& literal) {
  static const char DIGITS[] = "0123456789abcdef";
  Expression made{"", literal.ignoreCase, false};
  for (const char c : literal.source) {
    const auto byte = static_cast<uint8_t>(c);
    made.source += "\\x";
    made.source += DIGITS[byte >> 4];
    made.source += DIGITS[byte & 15];
  }
  return made;
}

struct Call {
  Database::Take take;
  void* context;
};

int onMatch(unsigned id, unsigned long long, unsigned long long end, unsigned, void* context) {
  const auto* call = static_cast<const Call*>(context);
  return call->take(call->context, id, static_cast<size_t>(end)) ? 0 : 1;
}

// Vectorscan's code for AVX-512, which Debian's picks by itself, looks at the wrong bytes behind
// the last 64 whole ones: it misses `[^a]E` there, and finds `\bE` in `5E`
// (https://github.com/VectorCamp/vectorscan/pull/378). So it is asked before it is trusted, at all
// lengths of a few of its registers.
struct Probe {
  const char* source;
  // By what stands behind "...5E": nothing, "-3", "x".
  bool isFound[3];
};
constexpr Probe PROBES[] = {
    {"[^a]E", {true, true, true}},    {"\\bE", {false, false, false}},
    {"E\\b", {true, true, false}},     {"E[^x]", {false, true, false}},
    {"[0-9]E", {true, true, true}},   {"[^0-9]E", {false, false, false}},
    {"5E[^0-9]", {false, true, true}},
};
constexpr const char* TAILS[] = {"", "-3", "x"};
constexpr size_t PROBED_BYTES = 260;

bool isRight(const Probe& probe) {
  hs_database_t* database = nullptr;
  hs_compile_error_t* error = nullptr;
  if (hs_compile(probe.source, HS_FLAG_SINGLEMATCH, HS_MODE_BLOCK, nullptr, &database, &error) !=
      HS_SUCCESS) {
    hs_free_compile_error(error);
    return false;
  }
  hs_scratch_t* scratch = nullptr;
  bool isAsExpected = hs_alloc_scratch(database, &scratch) == HS_SUCCESS;
  for (size_t before = 0; isAsExpected && before < PROBED_BYTES; before++) {
    for (size_t tail = 0; tail < std::size(TAILS); tail++) {
      const std::string text = std::string(before, 'x') + "5E" + TAILS[tail];
      bool isFound = false;
      const auto find = [](unsigned, unsigned long long, unsigned long long, unsigned,
                           void* found) {
        *static_cast<bool*>(found) = true;
        return 0;
      };
      hs_scan(database, text.data(), static_cast<unsigned>(text.size()), 0, scratch, find,
              &isFound);
      isAsExpected &= isFound == probe.isFound[tail];
    }
  }
  hs_free_scratch(scratch);
  hs_free_database(database);
  return isAsExpected;
}

bool findsWhatIsThere() { return std::all_of(std::begin(PROBES), std::end(PROBES), isRight); }

}  // namespace

const char* vectorscanFault() {
#if defined(LOGPIPE_VECTORSCAN_AVX2)
  static const bool canRun = hasAvx2And(bit_BMI | bit_BMI2);
  if (!canRun) return "this processor has no AVX2";
#else
  static const bool canRun = hs_valid_platform() == HS_SUCCESS;
  if (!canRun) return "this processor has no SSE4.2";
#endif
  static const bool isRight = findsWhatIsThere();
  return isRight ? nullptr
                 : "the system's Vectorscan finds wrong places on this processor: install "
                   "Hyperscan in its place (Debian: libhyperscan-dev)";
}

std::string vectorscanVersion() {
  if (vectorscanFault() != nullptr) return "";
  const std::string version = hs_version();
  return version.substr(0, version.find(' '));
}

Database::Database(const std::vector<Expression>& wanted, Report report) : serial_(++lastSerial) {
  if (vectorscanFault() != nullptr) throw RegexFault(vectorscanFault(), std::nullopt);
  requireBounded(wanted);
  // Vectorscan takes a literal that begins with a zero byte for an empty one.
  const bool areLiteral = std::all_of(wanted.begin(), wanted.end(), [](const Expression& one) {
    return one.isLiteral && one.source[0] != '\0';
  });
  std::vector<Expression> expressions;
  for (const Expression& one : wanted) {
    expressions.push_back(areLiteral || !one.isLiteral ? one : escaped(one));
  }
  std::vector<const char*> sources;
  std::vector<size_t> sizes;
  std::vector<unsigned> flags;
  std::vector<unsigned> ids;
  for (const Expression& expression : expressions) {
    sources.push_back(expression.source.c_str());
    sizes.push_back(expression.source.size());
    flags.push_back(flagsOf(expression, report));
    ids.push_back(static_cast<unsigned>(ids.size()));
  }
  const auto count = static_cast<unsigned>(expressions.size());
  hs_compile_error_t* error = nullptr;
  const hs_error_t result =
      areLiteral ? hs_compile_lit_multi(sources.data(), flags.data(), ids.data(), sizes.data(),
                                        count, HS_MODE_BLOCK, nullptr, &database_, &error)
                 : hs_compile_multi(sources.data(), flags.data(), ids.data(), count, HS_MODE_BLOCK,
                                    nullptr, &database_, &error);
  if (result != HS_SUCCESS) {
    const RegexFault fault = faultOf(error->message);
    hs_free_compile_error(error);
    throw fault;
  }
  size_t bytes = 0;
  if (hs_database_size(database_, &bytes) != HS_SUCCESS || bytes > DATABASE_BYTES_MAX) {
    hs_free_database(database_);
    throw RegexFault(
        "compiled it takes more than " + std::to_string(DATABASE_BYTES_MAX >> 20) + " MiB",
        std::nullopt);
  }
}

Database::~Database() { hs_free_database(database_); }

void Database::scan(const uint8_t* data, size_t size, Take take, void* context) const {
  // A search within the callback of another would use the same scratch: nobody does that.
  Call call{take, context};
  const char* bytes = data == nullptr ? "" : reinterpret_cast<const char*>(data);
  const hs_error_t result = hs_scan(database_, bytes, static_cast<unsigned>(size), 0,
                                    scratchOfThread.of(database_, serial_), onMatch, &call);
  if (result != HS_SUCCESS && result != HS_SCAN_TERMINATED) {
    throw std::runtime_error("Vectorscan failed: " + std::to_string(result));
  }
}

bool Database::holds(const uint8_t* data, size_t size) const {
  return findsAny(*this, data, size);
}

std::optional<RegexFault> checkRegex(const std::string& source, bool ignoreCase) {
  try {
    const Database database({{source, ignoreCase, false}}, Database::Report::Once);
    return std::nullopt;
  } catch (const RegexFault& fault) {
    return fault;
  }
}

}  // namespace logpipe
