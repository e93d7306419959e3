// Vectorscan: many literals or regular expressions at once, in time linear in the bytes.
//
// A Database is compiled once and never changes, so any number of threads may search with it; the
// memory that a search needs is the thread's own, grows to what the largest database asks for, and
// is freed with the thread.
//
// Bounds: a regular expression has at most POSITIONS_MAX positions when its repeats are written
// out, and all of a database POSITIONS_TOTAL_MAX, which bounds the time it takes to compile; the
// compiled one has at most DATABASE_BYTES_MAX.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

struct hs_database;

namespace logpipe {

// A regular expression that cannot be used: an error in it, or it is too large.
class RegexFault : public std::invalid_argument {
 public:
  RegexFault(const std::string& message, std::optional<size_t> place)
      : std::invalid_argument(message), at(place) {}
  std::optional<size_t> at;  // The byte of the source that the message is about.
};

// Why Vectorscan cannot be used here, by this processor or at all; nullptr: it can.
const char* vectorscanFault();
// Its version, as "5.4.9".
std::string vectorscanVersion();

struct Expression {
  std::string source;
  bool ignoreCase = false;
  bool isLiteral = false;  // The bytes themselves, at least one.
};

class Database {
 public:
  // Of each: a few hundred microseconds to compile, at worst some hundred milliseconds.
  static constexpr size_t POSITIONS_MAX = 2000;
  // Ten seconds at worst; a thousand expressions as people write them take one.
  static constexpr size_t POSITIONS_TOTAL_MAX = 50000;
  static constexpr size_t DATABASE_BYTES_MAX = size_t{64} << 20;

  // What is looked for: the end of each match, or of each expression whether it matches at all.
  enum class Report { EachEnd, Once };

  // Throws RegexFault; the processor must be able to (vectorscanFault).
  Database(const std::vector<Expression>& expressions, Report report);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  // Calls take(context, id, end) for each match, in no promised order, until it returns false.
  // data may be null when size is 0.
  using Take = bool (*)(void* context, uint32_t id, size_t end);
  void scan(const uint8_t* data, size_t size, Take take, void* context) const;
  bool holds(const uint8_t* data, size_t size) const;

 private:
  hs_database* database_ = nullptr;
  uint64_t serial_;
};

// Whether a search that tells its places as Database::scan does tells any.
template <typename Search>
bool findsAny(const Search& search, const uint8_t* data, size_t size) {
  bool found = false;
  search.scan(
      data, size,
      [](void* context, uint32_t, size_t) {
        *static_cast<bool*>(context) = true;
        return false;
      },
      &found);
  return found;
}

// What Vectorscan says of one regular expression; nullopt: it can be used.
std::optional<RegexFault> checkRegex(const std::string& source, bool ignoreCase);

}  // namespace logpipe
