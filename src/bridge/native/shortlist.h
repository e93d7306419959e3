// Of many alternatives, those that a value may meet, by the literals that it holds: a record that
// the search of its batch has found is then asked only what it can answer with yes.
//
// Never changes once it is finished; what a search notes is the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "literal-set.h"

namespace logpipe {

class Shortlist {
 public:
  // Fewer are asked one by one as fast.
  static constexpr size_t WORTHWHILE = 8;

  explicit Shortlist(size_t alternatives) : always_(alternatives, 0) {}

  // Every value that meets it holds one of the literals.
  void needsOneOf(size_t alternative, const std::vector<Literal>& literals);
  // Nothing is known of it.
  void mayAlwaysHold(size_t alternative) { always_[alternative] = 1; }
  // Before the first search. False: it is of no use, and is not to be asked.
  bool finish();

  // may[alternative]: 0 when the value cannot meet it.
  void search(const uint8_t* data, size_t size, std::vector<uint8_t>& may) const;

 private:
  std::vector<uint8_t> always_;
  std::map<std::pair<std::string, bool>, uint32_t> numbers_;
  std::vector<Literal> literals_;
  std::vector<std::vector<uint16_t>> alternativesOf_;  // By literal.
  std::unique_ptr<LiteralSet> search_;
};

}  // namespace logpipe
